"""Opening of a Parquet or Feather file: its columns' names, and a scan of each."""

from app.tabular.readers.columnar import FeatherTable, ParquetTable
from app.tabular.readers.typed import TextScan
from app.tabular.reading import ReadingReport
from app.tabular.schema.cells import TYPED
from app.tabular.schema.declared import declared
from app.tabular.schema.job import Job
from app.tabular.types import ConversionRequest


def open_columnar(request: ConversionRequest, reading: ReadingReport) -> Job:
    """Open a Parquet or Feather file.

    Raises:
        TabularError: it cannot be read, or has names or types that cannot be published.
    """
    table = (ParquetTable if request.format == "parquet" else FeatherTable)(request, reading)
    attributes = table.naming.request.attributes
    # A declared type is checked against the texts of the column.
    scans = [
        TextScan(column, declared(column.name, table.naming.request, TYPED))
        if column.name in attributes
        else column.scan(table.naming.request)
        for column in table.columns
    ]
    repairs = (*table.repairs, *table.naming.repairs)
    size = request.source.stat().st_size
    return Job(
        table.naming.request,
        table,
        size,
        scans,
        table.file_names,
        request.relation,
        repairs=repairs,
        file_types=table.file_types,
        is_typed=True,
        reading=reading,
    )
