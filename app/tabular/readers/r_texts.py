"""Texts of R that have no mark of their encoding, and are not UTF-8."""

from collections.abc import Sequence
from typing import Any

from app.tabular.readers.encodings import guesses, likely
from app.tabular.readers.text import encoding_doubt
from app.tabular.reading import Found, ReadingReport, encoding_named
from app.tabular.types import TabularError

_MOST_CELLS = 2_000
_UNICODE = "utf-8"


def is_utf8(data: bytes) -> bool:
    """Return whether bytes are valid UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def settle_encoding(texts: Sequence[Any], native: str, report: ReadingReport) -> tuple[str, ...]:
    """Convert texts to UTF-8 from the encoding that the owner chose, the file states, or detection finds.

    Args:
        texts: objects of rdata, whose values are changed.
        native: the encoding of the system that wrote the file, if it says so.
        report: collects the encoding.

    Returns: what is told of it.

    Raises:
        TabularError: `unsupported-encoding`.
    """
    if not texts:
        return ()
    cells = list({text.value: None for text in texts})
    named = encoding_named(native)
    if named not in {None, _UNICODE} and _can_be_read(cells, str(named)):
        found, doubt = Found(named, why="The file names it."), None
    else:
        some = cells[:_MOST_CELLS]
        near = [guess for guess in likely(some) or guesses(some) if _can_be_read(cells, guess.encoding)]
        if not near:
            raise _undecodable(cells)
        others = tuple(guess.encoding for guess in near[1:])
        why = "Some texts have no mark of their encoding, and are not UTF-8."
        found = Found(near[0].encoding, considered=others, why=why)
        doubt = encoding_doubt(near) if others else None
    encoding = report.decide("encoding", found, doubt)
    if not _can_be_read(cells, encoding):
        raise _undecodable(cells)
    for text in texts:
        text.value = text.value.decode(encoding).encode()
    return (f"Texts that do not say their encoding, and are not UTF-8, were read as {encoding}.",)


def _can_be_read(cells: Sequence[bytes], encoding: str) -> bool:
    try:
        for cell in cells:
            cell.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _undecodable(cells: Sequence[bytes]) -> TabularError:
    choices = [name for name in ("cp1252", "iso8859-1") if _can_be_read(cells, name)]
    return TabularError(
        "unsupported-encoding",
        "Some texts do not say their encoding, and are neither UTF-8 nor in the encoding that was chosen or found.",
        hint="Say in `reading` which `encoding` they have, or in R convert them with iconv(x, to = 'UTF-8').",
        choices={"encoding": choices},
    )
