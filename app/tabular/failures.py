"""How a conversion can fail through no fault of the table."""

from app.tabular.types import TabularError


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
