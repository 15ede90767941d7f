"""Decompression of files as streams; damaged, truncated or trailing data is refused."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import pyarrow as pa

from app.tabular.disk import is_of_disk
from app.tabular.types import MIB, Compression, TabularError

_CHUNK_BYTES = 256 * 1024
_XZ_BYTES = 192 * MIB
"""Memory that unpacking an xz file may take; level 9 takes 65 MiB."""


class ByteStream(Protocol):
    """The methods of a binary stream that readers use."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes; an empty value at the end."""
        ...

    def close(self) -> None:
        """Release its resources."""
        ...


def unpacked(file: io.FileIO, compression: Compression) -> ByteStream:
    """Return the content of a packed file as a stream that raises `TabularError` where the file is damaged."""
    return _Unpacked(_OPENERS[compression](file), compression)


class _Unpacked:
    """A stream whose errors are those of a table."""

    def __init__(self, stream: ByteStream, compression: Compression) -> None:
        self._stream = stream
        self._compression = compression

    def read(self, size: int = -1, /) -> bytes:
        with _errors_translated(self._compression):
            return self._stream.read(size)

    def close(self) -> None:
        self._stream.close()


class _Decompressor(Protocol):
    """What bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Streams:
    """Concatenated streams of bz2 or xz. The standard library's classes ignore data after the last one."""

    def __init__(self, file: io.FileIO, new: Callable[[], _Decompressor]) -> None:
        self._file = file
        self._new = new
        self._decompressor = new()

    def read(self, size: int = -1, /) -> bytes:
        while True:
            data = b""
            if self._decompressor.eof:
                # Streams of xz are padded with NULs.
                data = self._decompressor.unused_data.lstrip(b"\0") or self._file.read(_CHUNK_BYTES)
                if not data:
                    return b""
                self._decompressor = self._new()
            elif self._decompressor.needs_input:
                data = self._file.read(_CHUNK_BYTES)
                if not data:
                    raise EOFError
            if found := self._decompressor.decompress(data, size):
                return found

    def close(self) -> None:
        """Do nothing: the file is its opener's."""


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_BYTES)


_OPENERS: dict[Compression, Callable[[io.FileIO], ByteStream]] = {
    "gzip": lambda file: gzip.GzipFile(fileobj=file),
    "bz2": lambda file: _Streams(file, bz2.BZ2Decompressor),
    "xz": lambda file: _Streams(file, _xz),
    "zstd": lambda file: pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd"),
}


@contextmanager
def _errors_translated(compression: Compression) -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError, zlib.error, lzma.LZMAError, pa.ArrowException) as error:
        if is_of_disk(error):
            raise
        if "emory usage limit" in str(error):
            raise TabularError(
                "broken-file",
                f"The {compression} file takes more than {_XZ_BYTES // MIB} MiB of memory to be unpacked.",
                hint="Pack it anew with a smaller dictionary, for example by `xz -6`.",
            ) from None
        slug = "broken-gzip" if compression == "gzip" else "broken-file"
        message = f"The {compression} file is damaged or cut off."
        raise TabularError(slug, message, hint="Pack it anew.") from None
