"""Text files as they arrive: which encoding, how large, and a stream of their bytes as UTF-8."""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.tabular.types import MIB, Limits, TabularError

BLOCK_BYTES = 2 * MIB
MAX_ROW_BYTES = 4 * BLOCK_BYTES

_SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"PAR1": "a Parquet file",
    b"ARROW1": "a Feather file",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
}
_LEGACY = "cp1252"


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that was read once from end to end and found to be text.

    Attributes:
        path: where it is.
        encoding: a Python codec; `utf-8` and `utf-8-sig` are passed on as they are.
        size: its bytes.
    """

    path: Path
    encoding: str
    size: int

    @property
    def is_legacy(self) -> bool:
        """Whether the encoding is a guess from before UTF-8."""
        return self.encoding == _LEGACY

    def open(self) -> "Utf8Stream":
        """Return its content as a stream of UTF-8 bytes without a byte order mark."""
        return Utf8Stream(self)


class Utf8Stream(io.RawIOBase):
    """The bytes of a text file as UTF-8, followed by an optional last line of the caller's own."""

    def __init__(self, text: TextFile, ending: bytes = b"") -> None:
        super().__init__()
        self._file = text.path.open("rb", buffering=0)
        self._ending = ending
        self._decoder: codecs.IncrementalDecoder | None = None
        if text.encoding == "utf-8-sig":
            self._file.seek(len(codecs.BOM_UTF8))
        elif text.encoding != "utf-8":
            self._decoder = codecs.getincrementaldecoder(text.encoding)()

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return about `size` bytes: exactly that many only for files that need no decoding."""
        while chunk := self._file.read(size):
            if self._decoder is None:
                return chunk
            # A chunk of two bytes can be half a character, whose text is empty: that is not the end of the file.
            if text := self._decoder.decode(chunk):
                return text.encode()
        ending, self._ending = self._ending, b""
        return ending

    def position(self) -> int:
        """Return how many bytes of the file were read."""
        return 0 if self._file.closed else self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def open_text(path: Path, limits: Limits) -> TextFile:
    """Read a file once and say how its text is encoded.

    UTF-8 and UTF-16 with a byte order mark, UTF-8 without, else Windows-1252 (of which Latin-1 text is a part).

    Raises:
        TabularError: `empty-file`, `file-too-large`, `not-text`, `nul-character`, `row-too-long`,
            `unsupported-encoding`.
    """
    size = path.stat().st_size
    if size > limits.max_unpacked_bytes:
        raise TabularError(
            "file-too-large", f"The file has {size} bytes; {limits.max_unpacked_bytes} are allowed."
        )
    with path.open("rb") as file:
        start = file.read(8)
    if not start:
        raise TabularError("empty-file", "The file is empty.")
    for signature, name in _SIGNATURES.items():
        if start.startswith(signature):
            raise TabularError("not-text", f"The file is not text but {name}.")
    encoding = _encoding(path, start)
    return TextFile(path=path, encoding=encoding, size=size)


def _encoding(path: Path, start: bytes) -> str:
    marks = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    marked = next((name for mark, name in marks.items() if start.startswith(mark)), None)
    try:
        _check(path, marked or "utf-8")
    except UnicodeDecodeError as error:
        if marked == "utf-16":
            raise TabularError(
                "unsupported-encoding", "The file begins as UTF-16 but is damaged.", hint="Save it as UTF-8."
            ) from error
        _check_legacy(path)
        return _LEGACY
    return marked or "utf-8"


def _check(path: Path, encoding: str) -> None:
    """Decode the whole file; refuse NUL and lines that would not fit into memory."""
    decoder = codecs.getincrementaldecoder(encoding)()
    since_line_end = 0
    lines = 0
    for chunk in _chunks(path):
        text = decoder.decode(chunk, final=not chunk)
        if "\0" in text:
            line = lines + text[: text.index("\0")].count("\n") + 1
            raise TabularError(
                "nul-character",
                "The file holds a NUL character, which ARFF cannot carry.",
                line=line,
                hint="If this is UTF-16 text, save it as UTF-8.",
            )
        lines += text.count("\n")
        line_end = max(text.rfind("\n"), text.rfind("\r"))
        since_line_end = len(text) - line_end - 1 if line_end >= 0 else since_line_end + len(text)
        if since_line_end > MAX_ROW_BYTES:
            raise TabularError(
                "row-too-long", f"A line is longer than {MAX_ROW_BYTES // MIB} MiB.", line=lines + 1
            )


def _check_legacy(path: Path) -> None:
    """Accept a file as Windows-1252 unless some of it is UTF-8: then one reading would spoil the other part."""
    lenient = codecs.getincrementaldecoder("utf-8")(errors="ignore")
    legacy = codecs.getincrementaldecoder(_LEGACY)()
    try:
        for chunk in _chunks(path):
            legacy.decode(chunk)
            if not lenient.decode(chunk).isascii():
                raise TabularError(
                    "unsupported-encoding",
                    "Part of the file is UTF-8 and part of it is not.",
                    line=_first_broken_line(path),
                    hint="Save the file as UTF-8.",
                )
    except UnicodeDecodeError as error:
        raise TabularError(
            "unsupported-encoding",
            "The text is neither UTF-8 nor UTF-16 with a byte order mark nor Windows-1252.",
            line=_first_broken_line(path),
            hint="Save the file as UTF-8.",
        ) from error
    _check(path, _LEGACY)


def _first_broken_line(path: Path) -> int | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    for chunk in _chunks(path):
        try:
            line += decoder.decode(chunk, final=not chunk).count("\n")
        except UnicodeDecodeError as error:
            return line + error.object[: error.start].count(b"\n")
    return None


def _chunks(path: Path) -> Iterator[bytes]:
    """Yield the file's bytes, then one empty chunk so that a cut-off last character is noticed."""
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(MIB):
            yield chunk
    yield b""
