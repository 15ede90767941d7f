"""Failures of a conversion, by what averts them: another file, other metadata, or another attempt."""

from typing import Any, Literal

from app.tabular.types import TabularError

UNREADABLE = frozenset(
    {
        "broken-file",
        "broken-gzip",
        "empty-file",
        "encrypted-file",
        "file-too-large",
        "no-table",
        "not-text",
        "old-feather",
    }
)
"""Slugs of failures that nothing averts that is said of the file: not even how it is to be read."""
IN_THE_FILE = UNREADABLE | frozenset(
    {
        "cell-too-long",
        "duplicate-key",
        "invalid-arff",
        "invalid-json",
        "invalid-svmlight",
        "mislabelled-file",
        "nested-value",
        "no-rows",
        "nul-character",
        "ragged-column",
        "ragged-row",
        "row-too-long",
        "too-many-columns",
        "unclosed-quote",
        "unreadable-type",
        "unsupported-cells",
        "unsupported-encoding",
    }
)
"""Slugs of failures that no choice of types, names or repairs can avert; but for `UNREADABLE`, another reading may."""
REPAIRABLE = frozenset({"bad-column-name", "duplicate-column"})
"""Slugs of failures that only another file can avert if repairs were allowed."""
OF_THE_SERVER = frozenset(
    {
        "conversion-failed",
        "interrupted",
        "no-room",
        "not-installed",
        "out-of-memory",
        "over-quota",
        "storage-failed",
        "took-too-long",
    }
)
"""Slugs of failures that the table does not cause."""


def where_to_correct(error: TabularError, *, repair: bool) -> Literal["file", "metadata", "nothing"]:
    """Return what the owner has to change before another attempt can succeed."""
    if error.slug in OF_THE_SERVER:
        return "nothing"
    if error.choices:
        return "metadata"
    is_of_file = error.slug in IN_THE_FILE or (repair and error.slug in REPAIRABLE)
    return "file" if is_of_file else "metadata"


def out_of_memory() -> TabularError:
    """Return the error for a conversion that needed more memory than it may use."""
    return TabularError(
        "out-of-memory",
        "The conversion needed more memory than it may use.",
        hint="Very long rows or cells are the usual cause; of a workbook or an R data file it is its size, for it is "
        "held in memory as a whole: save it as .csv or .parquet.",
    )


def took_too_long() -> TabularError:
    """Return the error for a conversion that needed more time than it may use."""
    return TabularError(
        "took-too-long",
        "The conversion took longer than it may.",
        hint="Try again later, or publish the table in smaller parts.",
    )


def storage_failed(fault: str | None = None) -> TabularError:
    """Return the error for a conversion that could not read or write its files; `fault` is for the log."""
    return TabularError(
        "storage-failed", "The server could not read or write the file.", hint="Try again later.", fault=fault
    )


def no_room(fault: str) -> TabularError:
    """Return the error for a conversion for which the disk has too little free space; `fault` is for the log."""
    return TabularError(
        "no-room",
        "There is no room for the converted table at the moment.",
        hint="Try again later.",
        fault=fault,
    )


def over_quota() -> TabularError:
    """Return the error for a conversion whose result exceeds the owner's quota."""
    return TabularError(
        "over-quota",
        "The converted table is larger than what is left of your quota.",
        hint="Finish or cancel other uploads.",
    )


def from_child(record: dict[str, Any]) -> TabularError:
    """Return the error that a child process has written as JSON."""
    try:
        return TabularError.from_json(record)
    except (ValueError, TypeError, KeyError):
        return failed()


def failed() -> TabularError:
    """Return the error for a conversion that ended unexpectedly."""
    return TabularError(
        "conversion-failed",
        "The conversion ended unexpectedly.",
        hint="Save the table anew as UTF-8 text; if that does not help, report it.",
    )
