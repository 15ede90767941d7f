"""A stream of an OLE2 compound file, which an `.xls` workbook is.

In memory are the table that links the sectors (1/128 of the file), the numbers of the stream's sectors, and buffers;
for a stream of less than 4096 bytes the table of mini sectors (at most 1/16 of the file) as well.
Source: [MS-CFB], 2.1 to 2.6.
"""

import io
import struct
import sys
from array import array
from collections.abc import Sequence
from typing import IO

from app.tabular.types import MIB

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HEADER_BYTES, _ENTRY_BYTES = 512, 128
_SECTOR_SHIFTS = (9, 12)
_MINI_SECTOR_BYTES = 64
_LEAST_STREAM_BYTES = 4096
"""Shorter streams are kept in mini sectors."""
_END_OF_CHAIN, _FREE = 0xFFFFFFFE, 0xFFFFFFFF


class CompoundFileError(ValueError):
    """The file is no compound file, or is damaged."""


class _Sectors(io.RawIOBase):
    """A readable, seekable stream of consecutive sectors of a file."""

    def __init__(
        self, file: IO[bytes] | io.BufferedReader, numbers: Sequence[int], size: int, begin: int
    ) -> None:
        """Read the sectors with these numbers, each of `size` bytes; sector 0 is at offset `begin`."""
        self._file, self._numbers, self._size, self._begin = file, numbers, size, begin
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, in bytes, and return it; reads beyond the end return nothing."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._numbers) * self._size}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # BufferedReader gives nothing else
        """Fill the buffer as far as bytes are contiguous in the file; return their number, 0 at the end."""
        index, within = divmod(self._at, self._size)
        if index >= len(self._numbers):
            return 0
        first, count = self._numbers[index], 1
        most = min(len(self._numbers) - index, (within + len(buffer) - 1) // self._size + 1)
        while count < most and self._numbers[index + count] == first + count:
            count += 1
        self._file.seek(self._begin + first * self._size + within)
        data = self._file.read(min(len(buffer), count * self._size - within))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def open_stream(file: IO[bytes], names: Sequence[str]) -> io.BufferedReader:
    """Open the stream with the first of these names that the file has.

    Raises:
        CompoundFileError: it has none, or is damaged.
    """
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(MAGIC):
        raise CompoundFileError("It does not begin as a compound file")
    (shift,) = struct.unpack_from("<H", header, 30)
    directory, mini_table, further = (struct.unpack_from("<I", header, at)[0] for at in (48, 60, 68))
    if shift not in _SECTOR_SHIFTS:
        raise CompoundFileError(f"It has sectors of 2^{shift} bytes")
    size = 1 << shift
    table = _table(file, header, further, size)

    def chained(first: int) -> io.BufferedReader:
        return io.BufferedReader(_Sectors(file, _chain(first, table), size, size), MIB)

    entries = _entries(chained(directory), names)
    first, length = next((entries[name] for name in names if name in entries), (0, -1))
    if length < 0:
        raise CompoundFileError(f"It has no stream {names[0]}")
    if length >= _LEAST_STREAM_BYTES:
        return chained(first)
    most = len(table) * size // 16  # four bytes for each mini sector, were all of the file such
    mini_chain = _chain(first, _numbers(chained(mini_table).read(most)))
    mini_stream = chained(entries[""][0])
    return io.BufferedReader(_Sectors(mini_stream, mini_chain, _MINI_SECTOR_BYTES, 0), MIB)


def _table(file: IO[bytes], header: bytes, further: int, size: int) -> Sequence[int]:
    """Return the sector that follows each sector (FAT); no longer than the file, whatever its header says."""
    count = -(-file.seek(0, io.SEEK_END) // size)
    needed = -(-count // (size // 4))
    parts = list(_numbers(header[76:]))
    while len(parts) < needed and further not in {_END_OF_CHAIN, _FREE}:
        *more, further = _numbers(_sector(file, further, size))
        parts += more
    used = [number for number in parts[:needed] if number != _FREE]
    return _numbers(b"".join(_sector(file, number, size) for number in used))


def _sector(file: IO[bytes], number: int, size: int) -> bytes:
    # The header takes the place of a sector.
    file.seek((number + 1) * size)
    if len(data := file.read(size)) < size:
        raise CompoundFileError(f"It ends before sector {number}")
    return data


def _numbers(data: bytes) -> "array[int]":
    numbers = array("I", data[: len(data) // 4 * 4])
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _chain(first: int, table: Sequence[int]) -> Sequence[int]:
    """Return the numbers of the sectors from the first to the last."""
    chain = array("I")
    while first != _END_OF_CHAIN:
        if first >= len(table) or len(chain) >= len(table):
            raise CompoundFileError("Its sectors are linked in a circle, or to one that there is not")
        chain.append(first)
        first = table[first]
    return chain


def _entries(directory: io.BufferedReader, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return first sector and length of each stream with one of these names; `""`: of the one with mini sectors."""
    found: dict[str, tuple[int, int]] = {}
    while len(entry := directory.read(_ENTRY_BYTES)) == _ENTRY_BYTES:
        # The first entry is the root's.
        name = entry[:64].decode("utf-16-le", "replace").partition("\0")[0] if found else ""
        if name in names or not found:
            found.setdefault(name, struct.unpack_from("<II", entry, 116))
    return found
