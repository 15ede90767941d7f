"""Files that tests make: packed ones, archives, and workbooks as small as they come."""

import bz2
import gzip
import io
import lzma
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pandas as pd
import pyarrow as pa
import pyreadstat
import rdata

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"


def pack(content: bytes, compression: str) -> bytes:
    """Return content packed with gzip, bz2, xz or zstd."""
    if compression == "zstd":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(content)
        return bytes(sink.getvalue())
    packers: dict[str, Callable[[bytes], bytes]]
    packers = {"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    return packers[compression](content)


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """Return a ZIP archive of files, by name."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return sink.getvalue()


def workbook(
    sheets: Mapping[str, Sequence[Sequence[Any]]],
    *,
    hidden: Sequence[str] = (),
    merged: str = "",
    is_1904: bool = False,
) -> bytes:
    """Return an .xlsx file of sheets, by name; cells are texts, numbers, booleans, None, or XML of their own."""
    entries, relations, files = [], [], {}
    for number, (name, rows) in enumerate(sheets.items(), start=1):
        state = ' state="hidden"' if name in hidden else ""
        entries.append(f'<sheet name="{escape(name)}" sheetId="{number}" r:id="r{number}"{state}/>')
        relations.append(
            f'<Relationship Id="r{number}" Type="{_DOCUMENT}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        )
        lines = "".join(
            f'<row r="{row}">{_cells(row, cells)}</row>' for row, cells in enumerate(rows, start=1)
        )
        merges = f'<mergeCells><mergeCell ref="{merged}"/></mergeCells>' if merged else ""
        files[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{_MAIN}"><sheetData>{lines}</sheetData>{merges}</worksheet>'
        )
    relations.append(f'<Relationship Id="s" Type="{_DOCUMENT}/styles" Target="styles.xml"/>')
    epoch = '<workbookPr date1904="1"/>' if is_1904 else "<workbookPr/>"
    formats = "".join(f'<xf numFmtId="{number}"/>' for number in (0, 14, 22, 21, 46))
    return archive(
        {
            "[Content_Types].xml": f'<Types xmlns="{_TYPES}"/>',
            "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="w" Type="{_DOCUMENT}/officeDocument"'
            ' Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}">{epoch}<sheets>{"".join(entries)}'
            "</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}">{"".join(relations)}</Relationships>',
            "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><cellXfs>{formats}</cellXfs></styleSheet>',
            **files,
        }
    )


def styled(number: float, style: str) -> str:
    """Return a cell that shows a number as a `date`, `datetime`, `time` or `duration`."""
    return f's="{1 + ("date", "datetime", "time", "duration").index(style)}"><v>{number}</v>'


def _cells(row: int, cells: Sequence[Any]) -> str:
    return "".join(
        f'<c r="{chr(ord("A") + column)}{row}" {_cell(cell)}</c>'
        for column, cell in enumerate(cells)
        if cell is not None
    )


def _cell(cell: Any) -> str:
    if isinstance(cell, str) and cell.startswith(("s=", "t=")):
        return cell
    if isinstance(cell, bool):
        return f't="b"><v>{int(cell)}</v>'
    if isinstance(cell, int | float):
        return f"><v>{cell}</v>"
    return f't="inlineStr"><is><t xml:space="preserve">{escape(str(cell))}</t></is>'


def written(ending: str, frame: pd.DataFrame, **options: Any) -> bytes:
    """Return a file of SPSS, Stata, SAS or R that pyreadstat or rdata write of a data frame."""
    writers: dict[str, Callable[..., Any]] = {
        "sav": pyreadstat.write_sav,
        "por": pyreadstat.write_por,
        "dta": pyreadstat.write_dta,
        "xpt": pyreadstat.write_xport,
        "rds": lambda frame, path: rdata.write_rds(path, _for_r(frame)),
        "rda": lambda frame, path: rdata.write_rda(path, {"table": _for_r(frame)}),
    }
    if ending == "zsav":
        options["compress"] = True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table"
        writers["sav" if ending == "zsav" else "rda" if ending == "rdata" else ending](
            frame, str(path), **options
        )
        return path.read_bytes()


def _for_r(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with texts of a type that rdata can write."""
    texts = [name for name in frame.columns if isinstance(frame[name].dtype, pd.StringDtype)]
    return frame.astype(dict.fromkeys(texts, "string[python]"))
