"""Parquet and Feather files, read in batches of rows; only the columns asked for are read."""

import json
import struct
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.tabular.disk import is_of_disk
from app.tabular.readers.arrow_schema import without_arrow_schema
from app.tabular.readers.formats import first_bytes
from app.tabular.readers.typed import TypedColumn, typed_column
from app.tabular.reading import Found, ReadingReport
from app.tabular.schema.naming import ROW_NAME, Naming, published_names
from app.tabular.table import Block
from app.tabular.types import MIB, ConversionRequest, Repair, TabularError
from app.tabular.wording import counted, shortened

# The most rows and bytes of a batch, and about as many cells; at least `_FEWEST_ROWS` rows in any case.
_BATCH_ROWS = 16_384
_BATCH_BYTES = 8 * MIB
_BATCH_CELLS = 500_000
_FEWEST_ROWS = 16
# Rows of a Parquet file read to measure a row: its statistics do not count dictionary repetitions.
_PROBE_ROWS = 128
# Read buffer of one column of a Parquet file, and of all columns together.
_BUFFER_BYTES, _BUFFERS_BYTES = MIB, 64 * MIB
_SMALLEST_BUFFER_BYTES = 4096
_PANDAS_INDEX = "__index_level_"


@dataclass(frozen=True, slots=True)
class _Fields:
    """The columns of a file that are published.

    Attributes:
        positions: in the file's schema, in published order.
        names: theirs, as the file has them; of an index without a name, the one that it is given.
        row_id: the name of a pandas index that is published as a column.
        repairs: columns left out or added.
    """

    positions: list[int]
    names: list[str]
    row_id: str | None
    repairs: tuple[Repair, ...]


class ColumnarTable(ABC):
    """A file of typed columns.

    Attributes:
        names: of the columns, as published.
        file_names: of the same columns, in the file.
        file_types: their types in the file, for messages.
        columns: the same, with conversions to text.
        naming: the published names, and the request with these names.
        repairs: other changes.
    """

    title: str

    def __init__(self, request: ConversionRequest, reading: ReadingReport) -> None:
        """Read the schema.

        Raises:
            TabularError: `broken-file`, `encrypted-file`, `too-many-columns`, `no-rows`, `unusable-type`, and what
                `published_names` raises.
        """
        self._path = request.source
        self._size = request.source.stat().st_size
        # Integers of 128 bits by name, and whether they are signed.
        self._wide: dict[str, bool] = {}
        self._durations: dict[str, pa.DataType] = {}
        with self._errors_translated():
            self._schema, rows = self._open(self._path)
            self._stored_names = self._schema.names  # Arrow has not looked yet whether these are texts
            width = len(self._stored_names)
        # Arrow reads by name; where two have the same one, all are read, and called by their positions.
        self._is_read_whole = len({*self._stored_names}) < width
        if self._is_read_whole:
            self._schema = pa.schema(field.with_name(str(at)) for at, field in enumerate(self._schema))
        if width > request.limits.max_columns:
            message = f"The table has {counted(width, 'column')}; {request.limits.max_columns} are allowed."
            raise TabularError("too-many-columns", message)
        if rows == 0 or not width:
            raise TabularError.no_rows()
        # Each value and the comma behind it take two bytes at the least.
        if rows and rows * width * 2 > request.limits.max_unpacked_bytes:
            message = f"The table has {rows} rows of {counted(width, 'column')}, more than can be published."
            raise TabularError("file-too-large", message)
        self._most_rows = max(_PROBE_ROWS, min(_BATCH_ROWS, _BATCH_CELLS // width))
        fields = self._fields(request, reading)
        self.repairs = fields.repairs
        self.naming: Naming = _named(fields, request)
        # What is left out is not read: its type may be one that has no counterpart.
        kept = [place for place in range(len(fields.positions)) if place not in self.naming.left_out]
        self._positions = [fields.positions[place] for place in kept]
        self.names = [self.naming.names[place] for place in kept]
        self.file_names = [fields.names[place] for place in kept]
        notes = _pandas_notes(self._schema)
        own = [self._schema.field(position) for position in self._positions]
        # So fastparquet stores durations; as times of day, those of more than a day would be faults of the file.
        is_duration = {
            field.name: pa.types.is_time64(field.type) and notes.get(field.name) == "timedelta"
            for field in own
        }
        own = [
            field.with_type(pa.duration(field.type.unit)) if is_duration[field.name] else field
            for field in own
        ]
        self._durations = {field.name: field.type for field in own if is_duration[field.name]}
        self.file_types = [_type_name(field.type) for field in own]
        self.columns: list[TypedColumn] = [
            typed_column(
                name,
                field,
                is_category=notes.get(field.name) == "categorical",
                is_signed=self._wide.get(field.name),
            )
            for name, field in zip(self.names, own, strict=True)
        ]

    @property
    def stored_types(self) -> list[pa.DataType]:
        """Types of the columns in the file."""
        return [self._schema.field(position).type for position in self._positions]

    @abstractmethod
    def _open(self, path: Path) -> tuple[pa.Schema, int | None]:
        """Return the schema, and the number of rows if the file states it."""

    @abstractmethod
    def _batches(self, positions: Sequence[int]) -> Iterator[tuple[pa.RecordBatch, float]]:
        """Yield batches of these columns, with the share of the file read so far (0 to 1)."""

    def blocks_to_scan(self, indices: Collection[int]) -> Iterator[Block]:
        """Yield the rows with their types; columns at other indices are null throughout."""
        wanted = sorted(indices)
        for batch, first_row, position in self._read([self._positions[index] for index in wanted]):
            nothing = pa.nulls(batch.num_rows, pa.string())
            columns = [nothing] * len(self.names)
            for index in wanted:
                columns[index] = batch.column(self._schema.field(self._positions[index]).name)
            yield Block(columns, first_row, position)

    def blocks(self) -> Iterator[Block]:
        """Yield the rows as texts.

        Raises:
            TabularError: `broken-file`, `not-finite`, `value-does-not-fit`.
        """
        halves = [range(start, len(self.names), 2) for start in (0, 1)]
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="texts") as pool:
            for batch, first_row, position in self._read(self._positions):
                other = pool.submit(self._texts, batch, first_row, halves[1])
                texts = self._texts(batch, first_row, halves[0]) | other.result()
                yield Block([texts[index] for index in range(len(self.names))], first_row, position)

    def _texts(self, batch: pa.RecordBatch, first_row: int, indices: Sequence[int]) -> dict[int, pa.Array]:
        names = [self._schema.field(self._positions[index]).name for index in indices]
        return {
            index: self.columns[index].text(batch.column(name), first_row)
            for index, name in zip(indices, names, strict=True)
        }

    def _fields(self, request: ConversionRequest, reading: ReadingReport) -> _Fields:
        """Put an index of pandas first, as openml-python does; one without a name by choice, if it holds something."""
        schema, stored = self._schema, self._stored_names
        positions = {name: position for position, name in enumerate(schema.names)}
        said = dict.fromkeys(name for name in _pandas_list(schema, "index_columns") if isinstance(name, str))
        indices = [name for name in said if name in positions]
        unnamed = [name for name in indices if name.startswith(_PANDAS_INDEX)]
        named = [name for name in indices if name not in unnamed]
        repairs = [
            Repair(
                column=name,
                change=f"The row index {shortened(name)} became a column.",
                reason="It has a name, and so openml-python publishes it.",
            )
            for name in named
        ]
        if unnamed and not request.repair and reading.chosen.row_names is None:
            raise TabularError(
                "bad-column-name",
                "The table has a row index without a name.",
                hint="Name it, or leave it out by reset_index(drop=True).",
                choices={"row_names": ["keep", "leave-out"]},
            )
        kept: list[str] = []
        if unnamed:
            found = Found(
                "keep", considered=("leave-out",), why="The row index has no name, and holds something."
            )
            if all(self._is_count(positions[name]) for name in unnamed):
                found = Found(
                    "leave-out", considered=("keep",), why="The row index holds the numbers of the rows."
                )
            kept = unnamed if reading.decide("row_names", found) == "keep" else []
            change = f"became the column {ROW_NAME!r}" if kept else "was left out"
            repairs.append(
                Repair(ROW_NAME if kept else "", f"The row index, which had no name, {change}.", found.why)
            )
        first = [positions[name] for name in (*kept, *named)]
        moved = {*first, *(positions[name] for name in unnamed)}
        order = [*first, *(position for position in range(len(schema)) if position not in moved)]
        names = [ROW_NAME if stored[position] in kept else stored[position] for position in order]
        return _Fields(order, names, named[0] if len(named) == 1 and not kept else None, tuple(repairs))

    def _is_count(self, position: int) -> bool:
        """Return whether a column holds the numbers of the rows, from 0."""
        for batch, first_row, _ in self._read([position]):
            column = batch.column(0)
            if not pa.types.is_integer(column.type):
                return False
            numbers = pa.array(range(first_row, first_row + len(column))).cast(column.type)
            if not column.equals(numbers):
                return False
        return True

    def line_of(self, row: int) -> None:  # noqa: ARG002 - there are no lines
        """Return None."""
        return

    def _read(self, positions: Sequence[int]) -> Iterator[tuple[pa.RecordBatch, int, int]]:
        first_row = 0
        with self._errors_translated():
            for read, share in self._batches(positions):
                large = read.rename_columns(self._schema.names) if self._is_read_whole else read
                large.validate()  # to measure one that is damaged would look beyond its memory
                step = self._rows_of(large.nbytes / max(large.num_rows, 1))
                for offset in range(0, large.num_rows, step):
                    batch = self._with_durations(large.slice(offset, step))
                    batch.validate(full=True)
                    yield batch, first_row, round(share * self._size)
                    first_row += batch.num_rows

    def _with_durations(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        for name in self._durations.keys() & set(batch.schema.names):
            place = batch.schema.get_field_index(name)
            batch = batch.set_column(place, name, batch.column(place).view(self._durations[name]))
        return batch

    def _rows_of(self, row_bytes: float) -> int:
        """Return how many rows of so many bytes make a batch."""
        return min(self._most_rows, max(_FEWEST_ROWS, int(_BATCH_BYTES / max(row_bytes, 1))))

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        try:
            yield
        except pa.ArrowMemoryError as error:
            raise MemoryError from error
        except pa.ArrowNotImplementedError as error:
            raise TabularError(
                "unreadable-type",
                f"The {self.title} file has something that is not read here: {shortened(str(error), 100)}.",
                hint="Save its columns as numbers of at most 64 bits or as text.",
            ) from None
        except (pa.ArrowException, OSError, ValueError, OverflowError, struct.error) as error:
            if is_of_disk(error):
                raise
            if "crypt" in str(error):
                raise TabularError(
                    "encrypted-file",
                    f"The {self.title} file is encrypted.",
                    hint="Save it without encryption.",
                ) from None
            raise TabularError(
                "broken-file", f"The {self.title} file is damaged or cut off.", hint="Save or upload it anew."
            ) from None


class ParquetTable(ColumnarTable):
    """A Parquet file; row groups may be of any size, because they are read page by page."""

    title = "Parquet"
    _metadata: pq.FileMetaData | None = None

    def _open(self, path: Path) -> tuple[pa.Schema, int]:
        try:
            with pq.ParquetFile(path, pre_buffer=False) as file:
                return file.schema_arrow, file.metadata.num_rows
        except pa.ArrowNotImplementedError:
            self._metadata, self._wide = without_arrow_schema(path)
        with pq.ParquetFile(path, metadata=self._metadata, pre_buffer=False) as file:
            return file.schema_arrow, file.metadata.num_rows

    def _batches(self, positions: Sequence[int]) -> Iterator[tuple[pa.RecordBatch, float]]:
        names = None if self._is_read_whole else [self._stored_names[position] for position in positions]
        width = len(names or self._stored_names)
        buffer_bytes = min(_BUFFER_BYTES, max(_SMALLEST_BUFFER_BYTES, _BUFFERS_BYTES // width))
        options = {
            "metadata": self._metadata,
            "pre_buffer": False,
            "buffer_size": buffer_bytes,
            "page_checksum_verification": True,
        }
        with pq.ParquetFile(self._path, **options) as file:
            total = file.metadata.num_rows
            rows = 0
            batch_rows = self._rows_of(self._row_bytes(file, names))
            for batch in file.iter_batches(batch_rows, columns=names, use_threads=False):
                rows += batch.num_rows
                yield batch, rows / total

    @staticmethod
    def _row_bytes(file: pq.ParquetFile, names: list[str] | None) -> float:
        probe = next(file.iter_batches(_PROBE_ROWS, columns=names, use_threads=False), None)
        if probe is None:
            raise pa.ArrowInvalid("rows were promised, but there are none")
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        stored: float = max(group.total_byte_size / max(group.num_rows, 1) for group in groups)
        probed: float = probe.nbytes / max(probe.num_rows, 1)
        return max(stored, probed)


class FeatherTable(ColumnarTable):
    """A Feather file (Arrow IPC); each of its batches must fit into memory."""

    title = "Feather"

    def _open(self, path: Path) -> tuple[pa.Schema, None]:
        if first_bytes(path).startswith(b"FEA1"):
            raise TabularError(
                "old-feather", "The file is of version 1 of Feather.", hint="Save it with a current version."
            )
        with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as file:
            return file.schema, None

    def _batches(self, positions: Sequence[int]) -> Iterator[tuple[pa.RecordBatch, float]]:
        wanted = None if self._is_read_whole else list(positions)
        options = pa.ipc.IpcReadOptions(included_fields=wanted, use_threads=False)
        with pa.OSFile(str(self._path)) as source, pa.ipc.open_file(source, options=options) as file:
            for number in range(file.num_record_batches):
                yield file.get_batch(number), (number + 1) / file.num_record_batches


def _named(fields: _Fields, request: ConversionRequest) -> Naming:
    if fields.row_id and not request.row_id_attribute:
        request = replace(request, row_id_attribute=fields.row_id)
    return published_names(fields.names, request, positions=[position + 1 for position in fields.positions])


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return "categories"
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return "text" if is_text else str(kind)


def _pandas_list(schema: pa.Schema, field: str) -> list[Any]:
    """Return a list of the metadata that pandas stored with a data frame; who made the file wrote it."""
    try:
        notes = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    except (ValueError, RecursionError):
        return []
    found = notes.get(field) if isinstance(notes, dict) else None
    return found if isinstance(found, list) else []


def _pandas_notes(schema: pa.Schema) -> dict[str, str]:
    """Return what pandas notes of columns that their types in a file may not show: `categorical`, `timedelta`."""
    notes: dict[str, str] = {}
    for column in _pandas_list(schema, "columns"):
        if not isinstance(column, dict):
            continue
        name, kind = column.get("field_name") or column.get("name"), column.get("numpy_type")
        if isinstance(name, str) and column.get("pandas_type") == "categorical":
            notes[name] = "categorical"
        elif isinstance(name, str) and isinstance(kind, str) and kind.startswith("timedelta"):
            notes[name] = "timedelta"
    return notes
