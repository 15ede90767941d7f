"""Text files: detection of the encoding, limits on size, gzip, and a stream of their bytes as UTF-8."""

import codecs
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from app.tabular.readers.encodings import (
    Guess,
    cells_outside_ascii,
    guesses,
    is_partly_utf8,
    likely,
    wide_encoding,
    words_that_differ,
)
from app.tabular.readers.formats import check_unpacked
from app.tabular.readers.packed import unpacked
from app.tabular.reading import Doubt, Found, ReadingReport
from app.tabular.types import MIB, Compression, ConversionRequest, Limits, TabularError
from app.tabular.wording import shortened

BLOCK_BYTES = 2 * MIB
MAX_ROW_BYTES = 4 * BLOCK_BYTES

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""Byte order marks; that of UTF-32 begins like that of UTF-16."""
_MOST_RIVALS = 4
_WESTERN = ("cp1252", "iso8859-1")
"""Encodings that may be chosen for a text of which no encoding can be told."""
_END_OF_DOS_FILE = b"\x1a"
"""Ctrl-Z, with which programs of DOS end a text."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that was read once entirely and is text.

    Attributes:
        path: where it is.
        encoding: a Python codec; `utf-8` and `utf-8-sig` are passed on as they are.
        size: of the file, in bytes; compressed, if it is.
        compression: with what it is packed; None if it is not.
    """

    path: Path
    encoding: str
    size: int
    compression: Compression | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return what its owner should know of the encoding, as sentences."""
        if self.encoding.startswith("utf-"):
            return ()
        name = "Windows-1252" if self.encoding == "cp1252" else self.encoding
        return (f"The file is not UTF-8; it was read as {name}.",)

    def open(self) -> "Utf8Stream":
        """Return its content as a stream of UTF-8 bytes without a byte order mark."""
        return Utf8Stream(self)

    def lines(self) -> TextIO:
        """Return its content as text whose line ends are untouched, to count lines in."""
        return io.TextIOWrapper(cast("BinaryIO", self.open()), encoding="utf-8", newline="")


class Utf8Stream(io.RawIOBase):
    """The bytes of a text file as UTF-8, followed by an optional last line from the caller."""

    def __init__(self, text: TextFile, ending: bytes = b"", *, skip: int = 0) -> None:
        """Open a file, of whose bytes as UTF-8 the first `skip` are left out."""
        super().__init__()
        self._skip = skip
        self._packed = text.path.open("rb", buffering=0)
        self._file = unpacked(self._packed, text.compression) if text.compression else self._packed
        self._ending = ending
        self._decoder: codecs.IncrementalDecoder | None = None
        if text.encoding == "utf-8-sig":
            self._file.read(len(codecs.BOM_UTF8))
        elif text.encoding != "utf-8":
            self._decoder = codecs.getincrementaldecoder(text.encoding)()

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return about `size` bytes: exactly that many only for files that need no decoding."""
        while chunk := self._file.read(size):
            if chunk.endswith(_END_OF_DOS_FILE) and not (more := self._file.read(1)):
                chunk = chunk.rstrip(_END_OF_DOS_FILE)
            elif chunk.endswith(_END_OF_DOS_FILE):
                chunk += more
            # A chunk of two bytes can be half a character, whose text is empty: that is not the end of the file.
            data = self._decoder.decode(chunk).encode() if self._decoder else chunk
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            if skipped < len(data):
                return data[skipped:]
        ending, self._ending = self._ending, b""
        return ending

    def position(self) -> int:
        """Return how many bytes of the file (compressed, if it is) were read."""
        return 0 if self._packed.closed else self._packed.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._packed.close()
        super().close()


def open_text(
    request: ConversionRequest, reading: ReadingReport, *, max_line_bytes: int | None = MAX_ROW_BYTES
) -> TextFile:
    """Read a file once, in the encoding that its owner chose, or else find that.

    UTF-8, UTF-16 and UTF-32, with or without a byte order mark, else what its words look like (`encodings`).

    Args:
        request: the file, whether it is compressed, and how large it may be uncompressed.
        reading: collects the encoding.
        max_line_bytes: the longest line, if rows are lines.

    Raises:
        TabularError: `empty-file`, `file-too-large`, `broken-gzip`, `nul-character`, `row-too-long`,
            `unsupported-encoding`, `mislabelled-file`, `not-text`.
    """
    return _Inspection(request, reading, max_line_bytes).result()


class _Inspection:
    """One pass or more over a file to detect its encoding."""

    def __init__(
        self, request: ConversionRequest, reading: ReadingReport, max_line_bytes: int | None
    ) -> None:
        self._request = request
        self._reading = reading
        self._limits: Limits = request.limits
        self._max_line_bytes = max_line_bytes

    def result(self) -> TextFile:
        path = self._request.source
        start = next(self._chunks())
        if not start:
            raise TabularError.empty_file()
        check_unpacked(start, self._request)
        return TextFile(path, self._encoding(start), path.stat().st_size, self._request.compression)

    def _encoding(self, start: bytes) -> str:
        """Return the encoding, in which the whole file was decoded once."""
        marked = next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)
        if chosen := self._reading.chosen.encoding:
            self._reading.decide("encoding", Found(marked or "utf-8"))
            is_marked = (
                marked and codecs.lookup(chosen).name == codecs.lookup(marked.removesuffix("-sig")).name
            )
            return self._checked(marked if is_marked and marked else chosen)
        marked = marked or (wide_encoding(start) if b"\0" in start else None)
        try:
            self._check(marked or "utf-8")
        except UnicodeDecodeError as error:
            if marked:
                raise self._undecodable(f"The file begins as {marked.upper()} but is damaged.") from error
            return self._legacy()
        name = (marked or "utf-8").removesuffix("-sig")
        self._reading.decide("encoding", Found(name, "file" if marked else "default"))
        return marked or "utf-8"

    def _checked(self, encoding: str) -> str:
        try:
            self._check(encoding)
        except UnicodeDecodeError as error:
            line = self._first_broken_line(encoding)
            raise self._undecodable(f"The text cannot be read as {encoding}.", line) from error
        return encoding

    def _legacy(self) -> str:
        """Return the encoding of a text that is not UTF-8."""
        cells = cells_outside_ascii(self._chunks())
        if is_partly_utf8(cells):
            message = "Part of the file is UTF-8 and part of it is not."
            raise self._undecodable(message, self._first_broken_line())
        near = likely(cells)
        for guess in (*near, *(guess for guess in guesses(cells) if guess not in near)):
            try:
                self._check(guess.encoding)
            except UnicodeDecodeError:
                continue
            rivals = [rival for rival in near if rival is not guess][:_MOST_RIVALS]
            others = tuple(rival.encoding for rival in rivals)
            doubt = encoding_doubt((guess, *rivals)) if rivals or guess not in near else None
            encoding: str = self._reading.decide(
                "encoding", Found(guess.encoding, considered=others, why="The text is not UTF-8."), doubt
            )
            return encoding
        raise self._undecodable(
            "The text is not UTF-8, nor in any other usual encoding.", self._first_broken_line()
        )

    def _undecodable(self, message: str, line: int | None = None) -> TabularError:
        hint = "Save it as UTF-8, or say in `reading` which `encoding` it has."
        readable = [encoding for encoding in _WESTERN if self._can_be_read(encoding)]
        choices = {"encoding": readable} if readable else None
        return TabularError("unsupported-encoding", message, line=line, hint=hint, choices=choices)

    def _can_be_read(self, encoding: str) -> bool:
        try:
            self._check(encoding)
        except (UnicodeDecodeError, TabularError):
            return False
        return True

    def _check(self, encoding: str) -> None:
        """Decode the whole file; refuse NUL, and lines longer than the limit."""
        decoder = codecs.getincrementaldecoder(encoding)()
        since_line_end = 0
        lines = 0
        for chunk in self._chunks():
            text = decoder.decode(chunk, final=not chunk)
            if "\0" in text:
                line = lines + text[: text.index("\0")].count("\n") + 1
                raise TabularError(
                    "nul-character",
                    "The file holds a NUL character, which ARFF cannot carry.",
                    line=line,
                    hint="Take it out; if this is UTF-16, say so in `reading` as `encoding`.",
                )
            lines += text.count("\n")
            line_end = max(text.rfind("\n"), text.rfind("\r"))
            since_line_end = len(text) - line_end - 1 if line_end >= 0 else since_line_end + len(text)
            if self._max_line_bytes and since_line_end > self._max_line_bytes:
                raise TabularError(
                    "row-too-long",
                    f"A line is longer than {self._max_line_bytes // MIB} MiB.",
                    line=lines + 1,
                )

    def _first_broken_line(self, encoding: str = "utf-8") -> int | None:
        decoder = codecs.getincrementaldecoder(encoding)()
        line = 1
        for chunk in self._chunks():
            try:
                line += decoder.decode(chunk, final=not chunk).count("\n")
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].count(b"\n")
        return None

    def _chunks(self) -> Iterator[bytes]:
        """Yield the file's bytes, then one empty chunk so that an incomplete last character is detected."""
        size = 0
        limit = self._limits.max_unpacked_bytes
        with self._request.source.open("rb", buffering=0) as packed:
            compression = self._request.compression
            file = unpacked(packed, compression) if compression else packed
            while chunk := file.read(MIB):
                size += len(chunk)
                if size > limit:
                    what = "unpacked file" if compression else "file"
                    message = f"The {what} has more than {limit} bytes, which is the most that is allowed."
                    raise TabularError("file-too-large", message)
                yield chunk
        yield b""


def encoding_doubt(near: Sequence[Guess]) -> Doubt:
    """Return the question which of some encodings a text has."""
    shown = "; or ".join(
        f"{encoding}: {', '.join(shortened(cell) for cell in cells)}"
        for encoding, cells in words_that_differ(near)
    )
    message = f"The text is not UTF-8, and it is not certain what else. As {shown}."
    return Doubt("encoding", message, tuple(guess.encoding for guess in near))
