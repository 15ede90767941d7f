"""Streams of the rows of delimited text for pyarrow, and what only the bytes of all rows show."""

import codecs
import io
import re
from collections.abc import Collection, Iterator
from functools import reduce

import pyarrow.compute as pc

from app.tabular.readers.dialect import lines_of
from app.tabular.readers.records import SEPARATOR, Dialect, MisquotedError, rows
from app.tabular.readers.text import BLOCK_BYTES, Utf8Stream
from app.tabular.reading import Doubt
from app.tabular.table import Block
from app.tabular.types import TabularError
from app.tabular.wording import counted, shortened

_AROUND = 32
"""Bytes on each side of the end of a chunk that are looked at together."""
_SHOWN = 5


class BlankRows:
    """Counts rows of several columns that have no value in any."""

    def __init__(self) -> None:
        self._count = 0
        self._first: list[int] = []

    def count(self, block: Block) -> None:
        """Count the blank rows of a block."""
        if len(block.columns) == 1 or not all(column.null_count for column in block.columns):
            return
        are_blank = reduce(pc.and_, (column.is_null() for column in block.columns))
        self._count += are_blank.true_count
        if len(self._first) < _SHOWN:
            self._first += [
                block.first_row + at + 1 for at in pc.indices_nonzero(are_blank)[:_SHOWN].to_pylist()
            ]

    def remarks(self) -> list[str]:
        """Return the remark on them, if there are any."""
        if not self._count:
            return []
        shown = ", ".join(map(str, self._first[:_SHOWN])) + (" …" if self._count > _SHOWN else "")
        are = "is" if self._count == 1 else "are"
        rows = f"{counted(self._count, 'row')} without a value in any column (row {shown}) {are}"
        return [f"{rows} published with all values missing: take out of the file what is no row."]


class Watch:
    """Checks the bytes of all rows for quoting and escapes that the sample did not show."""

    def __init__(self, dialect: Dialect, words: Collection[str], *, asks_escape: bool) -> None:
        """Look for quoted cells that are one of some words, and for backslashes if their meaning may be asked."""
        delimiter = (dialect.delimiter if dialect.is_plain else "") or SEPARATOR
        ends = re.escape(delimiter.encode()) + rb"\r\n"
        quote = re.escape(dialect.quote.encode())
        listed = b"|".join(re.escape(word.encode()) for word in sorted(words))
        self._words = (
            re.compile(b"%b(?<=[%b]%b)(%b)%b(?=[%b])" % (quote, ends, quote, listed, quote, ends))
            if quote and words
            else None
        )
        self._lone = re.compile(rb"(?<!\\)(?:\\\\)*\\(?=[^\\N%b%b])" % (quote, ends)) if asks_escape else None
        self._word = ""
        self._backslash = b""
        self._last = b"\n"

    def look(self, chunk: bytes) -> None:
        """Check the next chunk of bytes."""
        if self._words:
            for part in (self._last + chunk[:_AROUND], chunk):
                if found := self._words.search(part):
                    self._word, self._words = found[1].decode(), None
                    break
        if self._lone and b"\\" in chunk:
            self._look_at_backslashes(self._last + chunk)
        self._last = chunk[-_AROUND:] or self._last

    def _look_at_backslashes(self, chunk: bytes) -> None:
        found = _ESCAPE.search(chunk)
        self._backslash = self._backslash or (found[0] if found else b"")
        if self._lone and self._lone.search(chunk):
            self._lone = None

    def doubts(self) -> Iterator[Doubt]:
        """Yield the doubts about how the file is read, once all of it was seen."""
        if self._word:
            message = (
                f"{shortened(self._word)} stands in quotes, as a text does that is not a missing value; other cells "
                "are not in quotes."
            )
            yield Doubt("quoted_missing", message, (False, True))
        if self._lone and self._backslash:
            shown = shortened(self._backslash.decode(errors="replace").strip())
            message = (
                f"Backslashes may be a part of the text, or escape what is behind them: {shown}. With `double` they "
                "are kept, with `backslash` they are not."
            )
            yield Doubt("escape", message, ("double", "backslash"))


_ESCAPE = re.compile(rb"[^\r\n]{0,20}\\(?!N)[^\r\n]{0,20}")


class Rows(io.RawIOBase):
    """The rows of a file as pyarrow reads them.

    Attributes:
        is_suspect: whether quotes stand where they do in no file that is written by the rules.
    """

    def __init__(
        self, source: Utf8Stream, dialect: Dialect | None = None, watch: Watch | None = None
    ) -> None:
        """Read the file's bytes; with a dialect, check the quotes."""
        super().__init__()
        self._watch = watch
        self.is_suspect = False
        self._source = source
        self._quote = dialect.quote.encode() if dialect else b""
        self._stray = _stray_quotes(dialect) if dialect else None
        self._last = b"\n"
        self._back: list[bytes] = []

    def readable(self) -> bool:
        """Return True."""
        return True

    def put_back(self, *chunks: bytes) -> None:
        """Have chunks returned once more, one at a time, before what comes next."""
        self._back += filter(None, chunks)

    def read(self, size: int = -1) -> bytes:
        """Return some of the next bytes."""
        return self._back.pop(0) if self._back else self._next(size)

    def _next(self, size: int) -> bytes:
        chunk = self._source.read(size)
        if self._stray and not self.is_suspect and self._quote in chunk:
            # What stands on both sides of a quote may be in different chunks.
            parts = (self._last + chunk[:_AROUND], chunk)
            self.is_suspect = any(map(self._stray.search, parts))
        self._last = chunk[-_AROUND:] or self._last
        if self._watch:
            self._watch.look(chunk)
        return chunk

    def position(self) -> int:
        """Return how many bytes of the file were read."""
        return self._source.position()

    def close(self) -> None:
        """Close the file."""
        self._source.close()
        super().close()


class CanonicalRows(Rows):
    """The rows of a file that pyarrow cannot read as they stand, written anew."""

    def __init__(
        self, source: Utf8Stream, ending: bytes, dialect: Dialect, watch: Watch | None = None
    ) -> None:
        super().__init__(source, watch=watch)
        self._pieces = self._written(_lines(source), dialect, ending)

    def _next(self, size: int) -> bytes:
        """Return at least so many of the next bytes, if there are."""
        pieces, length = [], 0
        for piece in self._pieces:
            pieces.append(piece)
            length += len(piece)
            if length >= size >= 0:
                break
        chunk = b"".join(pieces)
        if self._watch:
            self._watch.look(chunk)
        return chunk

    @staticmethod
    def _written(lines: Iterator[str], dialect: Dialect, ending: bytes) -> Iterator[bytes]:
        try:
            for row in rows(lines, dialect):
                yield dialect.canonical(row).encode()
        except MisquotedError as error:
            raise misquoted(error, dialect, 1) from None
        yield ending


def _lines(source: Utf8Stream) -> Iterator[str]:
    """Yield the lines of a stream, with their ends."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    rest = ""
    while chunk := source.read(BLOCK_BYTES):
        # The last line may go on, even if it ends: in the second half of a line end.
        *lines, rest = lines_of(rest + decoder.decode(chunk)) or [""]
        yield from lines
    if rest:
        yield rest


def _stray_quotes(dialect: Dialect) -> re.Pattern[bytes]:
    """Return a pattern of quotes that neither begin nor end a cell, nor are doubled within one.

    Doubled quotes at the beginning of a part of a quoted cell match as well.
    """
    quote = re.escape(dialect.quote.encode())
    end = re.escape(dialect.delimiter.encode()) + b"\r\n"
    other = b"[^%b%b]" % (end, quote)
    return re.compile(
        # Looked for first, for it ends most of what begins with a quote.
        b"%(q)b(?![%(end)b])(?:(?<=%(x)b%(q)b)(?:%(q)b%(q)b)*|(?<=[%(end)b]%(q)b)%(q)b(?:%(q)b%(q)b)*)%(x)b"
        % {b"q": quote, b"x": other, b"end": end}
    )


def misquoted(error: MisquotedError, dialect: Dialect, rows_before: int) -> TabularError:
    """Return the error for a row whose quotes cannot be read; `rows_before` of it are no header."""
    row = error.row + rows_before
    if error.is_open:
        return unclosed_quote(row)
    quote, other = dialect.quote, "backslash" if dialect.escape == "double" else "double"
    # Another escape reads the row otherwise only if it has a backslash.
    is_escaped = "\\" in error.text
    return TabularError(
        "misquoted-cell",
        f"Something stands beside the quotation marks of a cell: {shortened(error.text)}.",
        row=row or None,
        line=None if row else error.line,
        hint=f"Write {quote} inside a quoted cell twice; or say in `reading` that `quote` is nothing, so that it is "
        f"text{f', or that `escape` is {other}' if is_escaped else ''}.",
        choices={"quote": [""], **({"escape": [other]} if is_escaped else {})},
    )


def unclosed_quote(row: int) -> TabularError:
    """Return the error for a quote that is opened in this row, from 1."""
    return TabularError(
        "unclosed-quote",
        "A quotation mark is opened and never closed, so that the rest of the file became one cell.",
        row=max(row, 1),
        hint='Close it, or write a quotation mark inside a quoted cell twice (""); or say in `reading` that `quote` is '
        "nothing, if it is a part of the text.",
        choices={"quote": [""]},
    )
