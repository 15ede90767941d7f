"""Parquet files whose Arrow schema pyarrow cannot read, because it has integers of 128 bits (as polars writes them).

Only the names and widths of integers are taken from such a schema; the rest of the file needs none.
"""

import base64
import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

WIDE_BYTES = 16
_KEY, _HIDDEN_KEY = b"ARROW:schema", b"ARROW_schema"
_MAGIC = b"PAR1"
_PREFIX_BYTES = 8
# Places in the tables of Arrow's flatbuffers (Message.fbs, Schema.fbs).
_HEADER, _FIELDS, _NAME, _TYPE_KIND, _TYPE, _BIT_WIDTH, _IS_SIGNED = 2, 1, 0, 2, 3, 0, 1
_INTEGER = 2


def without_arrow_schema(path: Path) -> tuple[pq.FileMetaData, dict[str, bool]]:
    """Return the metadata of a Parquet file without its Arrow schema, and its integers of 128 bits.

    Args:
        path: the file.

    Returns:
        The metadata, and whether each such integer is signed, by the column's name.

    Raises:
        OSError, ValueError, struct.error: the file is damaged.
    """
    with path.open("rb") as file:
        file.seek(-_PREFIX_BYTES, 2)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-_PREFIX_BYTES - length, 2)
        footer = file.read(length)
    # A name of the same length keeps the footer whole.
    hidden = footer.replace(_KEY, _HIDDEN_KEY)
    document = _MAGIC + hidden + struct.pack("<I", length) + _MAGIC
    metadata = pq.read_metadata(pa.BufferReader(document))
    schema = base64.b64decode((metadata.metadata or {}).get(_HIDDEN_KEY, b""))
    return metadata, _wide_integers(schema[_PREFIX_BYTES:])


def _wide_integers(message: bytes) -> dict[str, bool]:
    root = _Table(message, int.from_bytes(message[:4], "little"))
    fields = root.table(_HEADER).tables(_FIELDS)
    integers = [field for field in fields if field.number(_TYPE_KIND, "B") == _INTEGER]
    return {
        field.text(_NAME): bool(field.table(_TYPE).number(_IS_SIGNED, "B"))
        for field in integers
        if field.table(_TYPE).number(_BIT_WIDTH, "i") == WIDE_BYTES * 8
    }


class _Table:
    """A table of a flatbuffer: its fields are found by their place."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._places = at - self._read(at, "i")

    def number(self, place: int, form: str) -> int:
        """Return a number; zero if it is not stated."""
        at = self._offset(place)
        return self._read(at, form) if at else 0

    def table(self, place: int) -> "_Table":
        at = self._offset(place)
        return _Table(self._data, at + self._read(at, "I"))

    def tables(self, place: int) -> list["_Table"]:
        start, count = self._vector(place)
        places = range(start, start + 4 * count, 4)
        return [_Table(self._data, at + self._read(at, "I")) for at in places]

    def text(self, place: int) -> str:
        start, count = self._vector(place)
        return self._data[start : start + count].decode()

    def _vector(self, place: int) -> tuple[int, int]:
        at = self._offset(place)
        start = at + self._read(at, "I")
        return start + 4, self._read(start, "I")

    def _offset(self, place: int) -> int:
        at = 4 + 2 * place
        is_there = at < self._read(self._places, "H")
        offset = self._read(self._places + at, "H") if is_there else 0
        return self._at + offset if offset else 0

    def _read(self, at: int, form: str) -> int:
        number: int = struct.unpack_from(f"<{form}", self._data, at)[0]
        return number
