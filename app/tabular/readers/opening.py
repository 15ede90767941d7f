"""Opening of the file of a request by the reader of its format, with a scan of each column."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from app.tabular.readers.formats import check_content, is_arrow_stream
from app.tabular.readers.rewriting import Rewritten, rewritten
from app.tabular.reading import Decider, Found, ReadingReport
from app.tabular.schema.job import Job, refuse_doubts
from app.tabular.types import (
    ConversionRequest,
    Format,
    ProgressSink,
    TabularError,
)


def open_job(request: ConversionRequest, report: ProgressSink) -> Job:
    """Open the file of a request.

    Raises:
        TabularError: the file contradicts its name, cannot be read, or has names that cannot be published;
            `unsure-reading` in place of the last two if that may be for how it is read.
    """
    by: Decider = "default"
    if request.reading.format and (request.format != "zip" or _is_misnamed_workbook(request)):
        kind = cast("Format", request.reading.format)
        request = replace(request, format=kind, reading=replace(request.reading, format=None))
        by = "owner"
    check_content(request)
    if rewrite := _rewriter(request):
        job = _open_rewritten(rewritten(rewrite, request), report)
        job.reading.found.setdefault("format", Found(request.format, by))
        return job
    reading = ReadingReport(request.reading)
    reading.found["format"] = Found(request.format, by)
    try:
        return _open(request, reading, report)
    except TabularError:
        # Read otherwise, it may be right.
        if request.refuse_doubts:
            refuse_doubts(reading)
        raise


def _is_misnamed_workbook(request: ConversionRequest) -> bool:
    """Return whether a format that was chosen is that of the archive itself: else it is that of the file in it."""
    if request.reading.format != "workbook":
        return False
    from app.tabular.readers.archive import is_workbook  # noqa: PLC0415 - only few need it

    return is_workbook(request.source)


def _open(request: ConversionRequest, reading: ReadingReport, report: ProgressSink) -> Job:
    # A child process serves one file: what only some need is imported for them.
    if request.format in {"parquet", "feather"}:
        from app.tabular.readers.opening_columnar import open_columnar  # noqa: PLC0415 - as above

        return open_columnar(request, reading)
    if request.format in {"json", "jsonl"}:
        from app.tabular.readers.opening_json import open_json  # noqa: PLC0415 - as above

        return open_json(request, reading, report)
    if request.format == "arff":
        from app.tabular.readers.opening_arff import open_arff  # noqa: PLC0415 - as above

        return open_arff(request, reading)
    from app.tabular.readers.opening_csv import open_csv  # noqa: PLC0415 - as above

    return open_csv(request, reading)


def _rewriter(request: ConversionRequest) -> Callable[[ConversionRequest], Rewritten] | None:
    """Return the function that converts the file to a format with a reader; None if it has one."""
    rewriter: Callable[[ConversionRequest], Rewritten] | None = None
    match request.format:
        case "zip":
            from app.tabular.readers.archive import unpack_member  # noqa: PLC0415 - as above

            rewriter = unpack_member
        case "workbook":
            from app.tabular.readers.workbook import rewrite_workbook  # noqa: PLC0415 - as above

            rewriter = rewrite_workbook
        case "sav" | "por" | "dta" | "sas7bdat" | "xport":
            from app.tabular.readers.statistics import rewrite_statistics  # noqa: PLC0415 - as above

            rewriter = rewrite_statistics
        case "r":
            from app.tabular.readers.r_data import rewrite_r_data  # noqa: PLC0415 - as above

            rewriter = rewrite_r_data
        case "svmlight":
            from app.tabular.readers.svmlight import rewrite_svmlight  # noqa: PLC0415 - as above

            rewriter = rewrite_svmlight
        case "feather" if is_arrow_stream(request.source):
            from app.tabular.readers.rewriting import rewrite_stream  # noqa: PLC0415 - as above

            rewriter = rewrite_stream
    return rewriter


def _open_rewritten(made: Rewritten, report: ProgressSink) -> Job:
    try:
        job = open_job(made.request, report)
    except TabularError as error:
        error.line = error.line if made.keeps_lines else None
        if made.request.refuse_doubts:
            refuse_doubts(made.reading)
        raise
    reading = job.reading
    reading.found = {
        **{name: found for name, found in reading.found.items() if name not in made.hidden},
        **made.reading.found,
    }
    reading.doubts[:0] = made.reading.doubts
    return replace(
        job,
        repairs=(*made.repairs, *job.repairs),
        remarks=(*made.remarks, *job.remarks),
        comments=(*made.comments, *job.comments),
        has_lines=made.keeps_lines and job.has_lines,
    )
