"""JSON in any layout of `pandas.to_json`, or with an array of rows among other members.

It is read once, value by value, and spooled as columns of text, from which the types are inferred and the rows written.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import pyarrow as pa

from app.tabular.readers.json_labels import LabelDigest, LabelReader, RowLabels
from app.tabular.readers.json_layout import Layout, header_of, layout_of
from app.tabular.readers.json_scanner import JsonScanner, without_collector
from app.tabular.readers.json_values import check_names, name_of, require_writable, texts_of, values_of
from app.tabular.readers.spool import ColumnSpool, together
from app.tabular.readers.text import BLOCK_BYTES, TextFile
from app.tabular.reading import Found, ReadingReport
from app.tabular.schema.naming import ROW_NAME
from app.tabular.table import Block
from app.tabular.types import MIB, ConversionRequest, Repair, TabularError
from app.tabular.wording import counted, shortened

_MOST_ROWS = 16_384
_MOST_OBJECTS = 2048  # Rows that are read one by one, which take ten times their text.
_MOST_CELLS = 2_000_000
# Of the first, which show whether the rows are alike, and of which types their values are.
_SAMPLE_ROWS = 100
_RUN_ROWS = 256
# Of one column in an object of columns.
_COLUMN_ROWS = 4096
_COLUMN_BYTES = 64 * MIB
_MOST_NAMED = 10
_RECORDS = "Save the table as an array of records: to_json(orient='records')."
# A column is known by its name; where rows are arrays, by its place, until the names are known.
_Key = str | int


class JsonTable:
    """A JSON file that was spooled.

    Attributes:
        names: of the columns, in the order in which they are met.
        kinds: for each column, the types of its values that are not null: `bool`, `bytes` (numbers), `str`.
        fields: the columns' descriptions in the schema of the document, by name, if it has one.
        row_id: the column that the schema names as its only key.
        repairs: what was left out.
    """

    def __init__(
        self,
        text: TextFile,
        request: ConversionRequest,
        reading: ReadingReport,
        on_progress: Callable[[int], None],
    ) -> None:
        """Read the file.

        Raises:
            TabularError: `invalid-json`, `nested-value`, `not-text`, `row-too-long`, `too-many-columns`, `no-rows`,
                `ragged-row`, `ragged-column`, `duplicate-column`, `duplicate-key`, `unsuitable-reading`.
        """
        self._size = text.size
        self._limits = request.limits
        self._left_out = frozenset(request.leave_out)
        self._reading = reading
        self._progress = on_progress
        request.workspace.mkdir(exist_ok=True)
        self._spool = ColumnSpool(request.workspace, request.limits)
        self._label_spool = ColumnSpool(request.workspace, request.limits)
        self._labels = RowLabels(self._keep_labels)
        self._indices: dict[_Key, int] = {}
        # Where rows are arrays, the first one and the types in it: it may be a header.
        self._first: list[Any] | None = None
        self._first_kinds: list[set[type]] = []
        self._has_header = False
        self._given_names: list[str] | None = None
        self._row_kind: type[Any] | None = {"values": list, "records": dict}.get(reading.chosen.orient or "")
        self._index_key: str | None = None
        # Names in the rows that are to come that are labels, not columns.
        self._unkept = 0
        self.fields: dict[str, Mapping[str, Any]] = {}
        self.row_id: str | None = None
        self.kinds: list[set[type]] = []
        self.repairs: tuple[Repair, ...] = ()
        with closing(JsonScanner(text)) as scanner, without_collector():
            self._read(scanner, is_lines=request.format == "jsonl")
        if not self._spool.rows or not self._indices:
            raise TabularError.no_rows()
        self.names = self._decided_names()
        self._keeps_labels = self._labels.hold_something and self._wants_labels()
        if self._keeps_labels:
            self.names.insert(0, ROW_NAME)
            self.kinds.insert(0, self._labels.finish())

    def blocks(self) -> Iterator[Block]:
        """Yield the rows as texts: numbers as spelled, booleans as openml-python writes them."""
        first_row = 0
        pieces = (columns[0] for columns, _, _ in self._label_spool.read())
        labels = LabelReader(pieces) if self._keeps_labels else None
        blocks = together(self._spool.read(), len(self._indices), most_rows=_MOST_ROWS)
        for number, (cells, rows, share) in enumerate(blocks):
            if self._has_header and number == 0:
                continue
            if labels is not None:
                cells.insert(0, labels.take(rows))
            yield Block(cells, first_row, round(share * self._size))
            first_row += rows

    def blocks_to_scan(self, indices: Collection[int]) -> Iterator[Block]:  # noqa: ARG002 - all are read at once
        """Yield the same blocks."""
        return self.blocks()

    def line_of(self, row: int) -> None:  # noqa: ARG002 - rows are not lines
        """Return None."""
        return

    def _keep_labels(self, texts: pa.Array) -> None:
        self._label_spool.add(self._label_spool.blocks, {0: texts}, len(texts))

    # --- the document

    def _read(self, scanner: JsonScanner, *, is_lines: bool) -> None:
        first = scanner.peek()
        if first == "{" and not is_lines and not scanner.has_lines():
            self._read_document(scanner, layout_of(scanner.beginning(), self._reading))
        elif first in {"[", "{"}:
            orient = self._reading.chosen.orient or "records"
            if orient not in {"records", "values"}:
                message = f"The document is an array, or lines, which cannot be read as {orient!r}."
                hint = "Choose `records` or `values` as its `orient`, or nothing."
                raise TabularError("unsuitable-reading", message, hint=hint)
            is_array = first == "[" and not scanner.has_lines()
            self._read_rows(scanner, "," if is_array else "")
            self._reading.decide("orient", Found("records" if self._first is None else "values"))
        elif first:
            raise scanner.error("The file is neither an array nor an object nor lines of objects.")
        if scanner.peek():
            raise scanner.error("Something stands behind the end of the table.")

    def _read_document(self, scanner: JsonScanner, layout: Layout) -> None:
        if layout.orient == "columns":
            self._read_columns(scanner)
        elif layout.orient == "index":
            self._read_rows(scanner, None)
        elif layout.path:
            self._read_members(scanner, layout, 0)
        else:
            self._read_rows(scanner, "")

    def _read_members(self, scanner: JsonScanner, layout: Layout, depth: int) -> None:
        """Parse the array at the path of a layout, and the members that pandas writes next to it."""
        others: list[str] = []
        wanted = layout.path[depth]
        is_found = False
        for name in scanner.members():
            if name == wanted and is_found:
                raise TabularError("duplicate-key", f"The key {shortened(name)} stands twice.", column=name)
            if name == wanted and depth + 1 < len(layout.path):
                self._read_members(scanner, layout, depth + 1)
            elif name == wanted:
                self._read_rows(scanner, ",")
            elif not self._took_part(scanner, layout, name):
                others.append(name)
                scanner.skip()
            is_found = is_found or name == wanted
        if not is_found:
            message = f"The document has no array {shortened('.'.join(layout.path))}."
            raise TabularError("unsuitable-reading", message, hint="Choose another `array`, or none.")
        if others:
            more = " …" if len(others) > _MOST_NAMED else ""
            shown = ", ".join(map(shortened, others[:_MOST_NAMED])) + more
            change = f"What the document has beside its rows was left out: {shown}."
            self.repairs += (Repair("", change, "It is no part of the table."),)

    def _took_part(self, scanner: JsonScanner, layout: Layout, name: str) -> bool:
        """Parse a member that describes the rows; return whether it is one."""
        if layout.orient == "split" and name == "columns":
            self._given_names = [name_of(each) for each in scanner.items()]
        elif layout.orient == "split" and name == "index":
            for label in scanner.items():
                self._labels.add(label)
        elif layout.orient == "table" and name == "schema":
            self._take_schema(scanner.value())
        elif layout.orient == "table" and name == "pandas_version":
            scanner.skip()
        else:
            return False
        return True

    def _take_schema(self, schema: Any) -> None:  # noqa: ANN401 - of any type that JSON has
        fields = schema.get("fields") if isinstance(schema, dict) else None
        described = [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []
        self.fields = {field["name"]: field for field in described if isinstance(field.get("name"), str)}
        key = schema.get("primaryKey") if isinstance(schema, dict) else None
        if isinstance(key, list) and len(key) == 1 and isinstance(key[0], str):
            # So pandas calls an index without a name.
            self._index_key, self.row_id = ("index", None) if key[0] == "index" else (None, key[0])

    # --- rows

    def _read_rows(self, scanner: JsonScanner, sign: str | None) -> None:
        """Read rows: by columns where they are alike, else in runs of them.

        Args:
            scanner: the document.
            sign: `,` for the items of an array, nothing for lines, None for the members of an object.
        """
        items = scanner.items() if sign else scanner.lines()
        block, begin = list[Any](), scanner.consumed
        scanner.watch()
        for row in self._labelled(scanner) if sign is None else items:
            run = [row]
            # The first may be a header; those after it show whether they are alike, and their types.
            most = (1, _SAMPLE_ROWS, _MOST_OBJECTS)[min(self._spool.blocks, 2)]
            if sign is not None:
                run += scanner.run(sign, min(most - len(block), _RUN_ROWS) - 1)
            self._take_rows(run, self._spool.rows + len(block) + 1)
            block += run
            is_full = len(block) >= most or len(block) * len(self._indices) > _MOST_CELLS
            if is_full or scanner.consumed - begin > BLOCK_BYTES:
                self._flush(scanner, block)
                if sign is not None and most > 1:
                    self._take_alike(scanner, sign)
                block, begin = [], scanner.consumed
        self._flush(scanner, block)
        scanner.unwatch()

    def _take_alike(self, scanner: JsonScanner, sign: str) -> None:
        """Parse as many rows as can be read by columns."""
        names = [key for key in self._indices if isinstance(key, str)]
        for columns in scanner.alike(sign, names, self.kinds):
            rows = len(columns[0].texts)
            self._require_room(rows)
            for kinds, column in zip(self.kinds, columns, strict=True):
                kinds.update(column.kinds)
            kept = {
                place: columns[place].texts for place, name in enumerate(names) if name not in self._left_out
            }
            self._spool.add(self._spool.blocks, kept, rows)
            self._progress(scanner.position())

    def _labelled(self, scanner: JsonScanner) -> Iterator[Any]:
        for label, row in scanner.pairs():
            self._labels.add(label)
            self._unkept += 1
            yield row

    def _take_rows(self, rows: Sequence[Any], first: int) -> None:
        """Check rows, the first of which has this number, and add the columns that they have."""
        if self._row_kind is None:
            self._row_kind = list if isinstance(rows[0], list) else dict
        # Nearly every row is like those before it; a call for each costs a twentieth.
        known = self._indices.keys() if self._index_key is None else set[str]()
        for number, row in enumerate(rows, start=first):
            if self._row_kind is dict and isinstance(row, dict) and row.keys() <= known:
                continue
            if not isinstance(row, self._row_kind):
                title = "an array of values" if self._row_kind is list else "an object with names"
                raise TabularError("invalid-json", f"The row is not {title}.", row=number, hint=_RECORDS)
            self._take_row(row, number)

    def _take_row(self, row: Any, number: int) -> None:  # noqa: ANN401 - an array or an object
        if isinstance(row, list):
            if self._first is None:
                self._first = row
                self._add_keys(range(len(row)))
            if len(row) != len(self._first):
                message = f"The row has {counted(len(row), 'value')}; the first has {len(self._first)}."
                raise TabularError("ragged-row", message, row=number, hint="Write null for a missing value.")
            return
        if self._index_key is not None and self._index_key in row:
            self._labels.add(row.pop(self._index_key))
            self._unkept += 1
        self._add_keys(row)

    def _flush(self, scanner: JsonScanner, rows: Sequence[Any]) -> None:
        if not rows:
            return
        self._require_room(len(rows))
        first_row = self._spool.rows
        step = max(1, 2 * _MOST_CELLS // max(1, len(self._indices)))
        for start in range(
            0, len(rows), step
        ):  # What only the last row has is a column as long as all of them.
            self._keep(rows[start : start + step])
        check_names(scanner.taken(), rows, first_row, others=self._unkept)
        self._unkept = 0
        self._progress(scanner.position())
        if not first_row:
            # They count only if the row is no header.
            self._first_kinds, self.kinds = self.kinds, [set() for _ in self.kinds]

    def _keep(self, rows: Sequence[Any]) -> None:
        """Append rows to the spool as a block of the columns that they have."""
        columns = {}
        for key, cells in values_of(rows, self._indices).items():
            if key in self._left_out:
                self.kinds[self._indices[key]] |= {*map(type, cells)} - {type(None)}
            else:
                columns[self._indices[key]] = self._texts(key, cells, self._spool.rows)
        self._spool.add(self._spool.blocks, columns, len(rows))

    def _require_room(self, rows: int) -> None:
        """Refuse more rows than fit: each value and the comma behind it will take two bytes at the least."""
        count = self._spool.rows + rows
        if count * len(self._indices) * 2 > self._limits.max_unpacked_bytes:
            columns = len(self._indices)
            message = f"The table has {count} rows of {columns} columns, more than can be published."
            raise TabularError("file-too-large", message)

    # --- columns

    def _read_columns(self, scanner: JsonScanner) -> None:
        first: LabelDigest | None = None
        for name in scanner.members():
            if name in self._indices:
                message = f"The key {shortened(name)} stands twice."
                raise TabularError("duplicate-column", message, column=name)
            self._add_keys([name])
            own = LabelDigest()
            labels = None if first else self._labels
            if scanner.peek() == "{":
                values = own.seen(scanner.pairs_ahead(), labels)
            else:
                values = own.counted(scanner.items_ahead())
            self._read_column(scanner, name, values)
            first = first or own
            if own != first:
                message = f"It does not have the same rows as {shortened(str(next(iter(self._indices))))}."
                raise TabularError("ragged-column", message, column=name, hint=_RECORDS)
            self._progress(scanner.position())

    def _read_column(self, scanner: JsonScanner, name: str, values: Iterator[Any]) -> None:
        block: list[Any] = []
        number, begin = 0, scanner.consumed
        for value in values:
            block.append(value)
            if scanner.consumed - begin > _COLUMN_BYTES:
                message = f"{len(block)} values of the column are longer than {_COLUMN_BYTES // MIB} MiB."
                raise TabularError("row-too-long", message, column=name, hint=_RECORDS)
            if len(block) == _COLUMN_ROWS:
                self._add_piece(number, name, block)
                block, number, begin = [], number + 1, scanner.consumed
        if block:
            self._add_piece(number, name, block)

    def _add_piece(self, number: int, name: str, values: list[Any]) -> None:
        is_first = self._indices[name] == 0
        if not is_first and (number >= self._spool.blocks or len(values) != self._spool.rows_of(number)):
            message = f"It does not have as many rows as {shortened(str(next(iter(self._indices))))}."
            raise TabularError("ragged-column", message, column=name, hint=_RECORDS)
        is_wanted = name not in self._left_out
        piece = {self._indices[name]: self._texts(name, values, number * _COLUMN_ROWS)} if is_wanted else {}
        self._spool.add(number, piece, len(values))

    # --- all of them

    def _add_keys(self, keys: Iterable[_Key]) -> None:
        for key in keys:
            if key not in self._indices:
                if isinstance(key, str):
                    require_writable(key)
                self._indices[key] = len(self._indices)
                self.kinds.append(set())
        if len(self._indices) > self._limits.max_columns:
            message = f"The table has more than {self._limits.max_columns} columns."
            raise TabularError("too-many-columns", message)

    def _texts(self, key: _Key, values: Sequence[Any], first_row: int) -> pa.Array:
        texts, kinds = texts_of(key if isinstance(key, str) else f"V{key + 1}", values, first_row)
        self.kinds[self._indices[key]] |= kinds
        return texts

    def _decided_names(self) -> list[str]:
        """Decide whether the first row has the names, and return these."""
        given = self._given_names
        if self._first is not None and given is None:
            self._has_header, names = header_of(self._first, self.kinds, self._reading)
            if self._has_header and self._spool.rows == 1:
                raise TabularError.no_rows()
        else:
            names = list(map(str, self._indices)) if given is None else given
        if len(names) != len(self._indices):
            own = len(self._indices)
            message = f"The document names {counted(len(names), 'column')}; its rows have {own}."
            raise TabularError("ragged-column", message, hint=_RECORDS)
        if not self._has_header:
            for place, kinds in enumerate(self._first_kinds):
                self.kinds[place] |= kinds
        return names

    def _wants_labels(self) -> bool:
        why = "The labels of the rows are other than their numbers."
        choice = self._reading.decide("row_names", Found("keep", considered=("leave-out",), why=why))
        change = f"The labels of the rows became the column {ROW_NAME!r}."
        if choice == "leave-out":
            change, why = "The labels of the rows were left out.", "Their owner chose so."
        self.repairs += (Repair(ROW_NAME if choice == "keep" else "", change, why),)
        return bool(choice == "keep")
