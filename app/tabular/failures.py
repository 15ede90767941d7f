"""What a failed conversion is to be answered with: another file, another description, or another attempt."""

from typing import Literal

from app.tabular.types import TabularError

IN_THE_FILE = frozenset(
    {
        "broken-file",
        "broken-gzip",
        "cell-too-long",
        "empty-file",
        "encrypted-file",
        "file-too-large",
        "invalid-arff",
        "invalid-json",
        "mislabelled-file",
        "nested-value",
        "no-rows",
        "not-text",
        "nul-character",
        "old-feather",
        "ragged-column",
        "ragged-row",
        "row-too-long",
        "too-many-columns",
        "unclosed-quote",
        "unsupported-encoding",
    }
)
"""Failures that no choice of types, names or repairs can avert."""
REPAIRABLE = frozenset({"bad-column-name", "duplicate-column"})
"""Failures that only the file can avert where the repair was allowed."""
OF_THE_SERVER = frozenset(
    {"conversion-failed", "interrupted", "out-of-memory", "storage-failed", "took-too-long"}
)
"""Failures that are no fault of the table."""


def where_to_correct(error: TabularError, *, repair: bool) -> Literal["file", "metadata", "nothing"]:
    """Return what its owner has to change before another attempt can succeed."""
    if error.slug in OF_THE_SERVER:
        return "nothing"
    is_of_file = error.slug in IN_THE_FILE or (repair and error.slug in REPAIRABLE)
    return "file" if is_of_file else "metadata"


def out_of_memory() -> TabularError:
    """Return the error for a conversion that needed more memory than it may use."""
    return TabularError(
        "out-of-memory",
        "The conversion needed more memory than it may use.",
        hint="Very long rows or cells are the usual cause.",
    )


def took_too_long() -> TabularError:
    """Return the error for a conversion that needed more time than it may use."""
    return TabularError(
        "took-too-long",
        "The conversion took longer than it may.",
        hint="Try again later, or publish the table in smaller parts.",
    )


def storage_failed() -> TabularError:
    """Return the error for a conversion that could not read or write its files."""
    return TabularError(
        "storage-failed", "The server could not read or write the file.", hint="Try again later."
    )


def failed() -> TabularError:
    """Return the error for a conversion that ended in a way that nobody foresaw."""
    return TabularError(
        "conversion-failed",
        "The conversion ended unexpectedly.",
        hint="Save the table anew as UTF-8 text; if that does not help, report it.",
    )
