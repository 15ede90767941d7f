"""ARFF files, read entirely and refused where OpenML's readers would fail or disagree.

Unambiguous variants are accepted (lower-case keywords, tabs, CRLF, comments behind declarations, a byte order mark);
the writer then normalises them.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from app.tabular.arff.header import Attribute, Header
from app.tabular.arff.syntax import BLANKS, CELL, loose_row, ragged, refuse, refuse_row, unquote
from app.tabular.arff.tokens import MISSING, joined, tokens
from app.tabular.readers.text import BLOCK_BYTES, MAX_ROW_BYTES, TextFile, Utf8Stream
from app.tabular.table import Block, SparseBlock
from app.tabular.types import MIB, Limits, Repair, TabularError

_MAX_HEADER_BYTES = 64 * MIB
# After so many blocks that are not canonical, the fast path is no longer used.
_MOST_MISSES = 3
WEIGHTS = "instance_weight"
"""The name of the column that weights of rows become."""
_END = re.compile(r"@end\b.*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Lines:
    """Consecutive lines of the file.

    Attributes:
        data: their bytes, as UTF-8, without the last line end.
        first: number of the first line.
        position: bytes of the file read so far.
    """

    data: bytes
    first: int
    position: int

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Yield the number and the text of each line."""
        return enumerate(self.data.decode().split("\n"), start=self.first)


class ArffTable:
    """An ARFF file whose rows can be read any number of times.

    Attributes:
        names: the attributes' names, in order.
        attributes: their declarations.
        relation: the relation's name, if every reader interprets it alike.
        comments: the comment lines before the relation.
        is_sparse: whether the rows are sparse.
        delimiter: between the values of the first row: `,`, or a blank for blanks and tabs.
        repairs: what is not published as it stands.
    """

    def __init__(self, text: TextFile, limits: Limits, *, is_published: bool = False) -> None:
        """Read the header, and the first row to see whether it is sparse.

        The labels of a file that `is_published` are not judged.

        Raises:
            TabularError: what `Header` raises.
        """
        self._text = text
        header = _header(text, limits, is_published=is_published)
        self._data_line = header.data_line or 0
        self.attributes: list[Attribute] = header.attributes
        self.names = [attribute.name for attribute in header.attributes]
        self.relation = header.relation
        self.comments = header.comments
        self.repairs = tuple(header.repairs)
        self._width = len(self.names)
        rows = (row for lines in _line_blocks(text) for _, row in self._rows(lines))
        first = next(rows, "")
        self.is_sparse = first.startswith("{")
        loose = None if self.is_sparse else loose_row(first)
        self.delimiter = " " if loose and loose.marks == {""} else ","
        self._is_weighted = bool(loose and loose.weight)
        if self._is_weighted:
            self._add_weights()

    def blocks(self) -> Iterator[Block]:
        """Yield the rows of a dense file.

        Raises:
            TabularError: `invalid-arff` or `ragged-row`.
        """
        first_row = misses = 0
        for lines in _line_blocks(self._text):
            columns = None
            if lines.first > self._data_line and misses < _MOST_MISSES:
                columns = _canonical_columns(lines.data, len(self.names))
                misses += columns is None
            if columns is None:
                columns = self._columns(self._rows(lines))
            if columns:
                block = Block(columns, first_row=first_row, position=lines.position)
                yield block
                first_row += block.rows

    def sparse_blocks(self) -> Iterator[SparseBlock]:
        """Yield the rows of a sparse file.

        Raises:
            TabularError: `invalid-arff`, if a row is not sparse.
        """
        first_row = 0
        for lines in _line_blocks(self._text):
            rows = self._rows(lines)
            for at, row in rows:
                if row[0] != "{":
                    refuse("Sparse and dense rows are mixed.", at)
            yield SparseBlock(rows, first_row, lines.position)
            first_row += len(rows)

    def blocks_to_scan(self, indices: Collection[int]) -> Iterator[Block]:  # noqa: ARG002 - all are read at once
        """Yield the same blocks."""
        return self.blocks()

    def line_of(self, row: int) -> int | None:
        """Return the physical line of data row `row` (from 1)."""
        numbers = (at for lines in _line_blocks(self._text) for at, _ in self._rows(lines))
        return next(islice(numbers, row - 1, None), None)

    def _add_weights(self) -> None:
        """Add a column of the rows' weights: OpenML has no other place for them."""
        self.attributes.append(Attribute(WEIGHTS, "numeric", None, self._data_line))
        self.names.append(WEIGHTS)
        change = f"The weights of the rows became the column {WEIGHTS!r}."
        self.repairs += (Repair(WEIGHTS, change, "OpenML's check of uploads does not take weights."),)

    def _rows(self, lines: Lines) -> list[tuple[int, str]]:
        """Return the data rows among some lines, with their line numbers."""
        stripped = ((at, line.strip(BLANKS)) for at, line in lines.numbered())
        return [
            (at, row)
            for at, row in stripped
            if at > self._data_line and row and row[0] != "%" and not self._is_end(row)
        ]

    def _is_end(self, row: str) -> bool:
        return row[0] == "@" and self._width > 1 and bool(_END.fullmatch(row))

    def _columns(self, rows: list[tuple[int, str]]) -> list[pa.Array]:
        """Read rows cell by cell."""
        width = len(self.names)
        cells: list[str] = []
        for at, row in rows:
            values = CELL.findall(row + ",")
            if len(values) != width or not values[-1]:
                values = self._loose_cells(row, at)
            cells += values
        return [_values(cells[index::width], rows) for index in range(width)] if rows else []

    def _loose_cells(self, row: str, line: int) -> list[str]:
        """Return the tokens of a row that is not simply values with commas between.

        Raises:
            TabularError: `invalid-arff` or `ragged-row`, where it could mean several things.
        """
        loose = loose_row(row)
        if loose and self.delimiter == " " and len(loose.values) != self._width:
            raise ragged(len(loose.values), self._width, line)
        if loose is None or len(loose.values) != self._width or len(loose.marks) > 1:
            refuse_row(row, self._width, line)
        if loose.has_comment and self.attributes[self._width - 1].type == "string":
            refuse(
                "A percent sign stands behind a text: put the text in quotes, or the comment elsewhere.", line
            )
        if loose.weight and not self._is_weighted:
            refuse("The row has a weight, and the first row has none: give that one {1}.", line)
        return [*loose.values, loose.weight or "1"] if self._is_weighted else loose.values


def _header(text: TextFile, limits: Limits, *, is_published: bool) -> Header:
    header = Header(limits)
    size = 0
    for lines in _line_blocks(text):
        size += len(lines.data)
        for number, line in lines.numbered():
            if header.data_line is None:
                header.add(line, number)
        if header.data_line is not None:
            break
        if size > _MAX_HEADER_BYTES:
            refuse(f"The header is longer than {_MAX_HEADER_BYTES // MIB} MiB.", lines.first)
    header.check(labels=not is_published)
    return header


def _line_blocks(text: TextFile) -> Iterator[Lines]:
    number = 1
    rest = b""
    with closing(Utf8Stream(text)) as stream:
        while chunk := stream.read(BLOCK_BYTES):
            head, found, tail = chunk.rpartition(b"\n")
            if not found:
                rest += chunk
                if len(rest) > MAX_ROW_BYTES:
                    raise TabularError("row-too-long", "The line is too long.", line=number)
                continue
            data = rest + head
            yield Lines(data, number, stream.position())
            number += data.count(b"\n") + 1
            rest = tail
        if rest:
            yield Lines(rest, number, stream.position())


def _canonical_columns(data: bytes, width: int) -> list[pa.Array] | None:
    """Read lines that are in our canonical form, or in that with single quotes, as most files are; else return None.

    pyarrow's CSV reader is fast but no ARFF parser, so its result is encoded again: equal bytes prove it correct.
    """
    names = [str(number) for number in range(width)]
    quote = "'" if b"'" in data and b'"' not in data else '"'
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(data),
            pa_csv.ReadOptions(column_names=names, block_size=len(data) + 1, use_threads=False),
            pa_csv.ParseOptions(quote_char=quote, double_quote=False, escape_char="\\"),
            pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                check_utf8=False,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[MISSING],
            ),
        )
        columns = [column.combine_chunks() for column in table.columns]
        again = joined([pc.fill_null(tokens(column, quote), MISSING) for column in columns])
    except pa.ArrowInvalid:
        return None
    return columns if again == data + b"\n" else None


def _values(cells: list[str], rows: list[tuple[int, str]]) -> pa.Array:
    """Return the values of a column of tokens, null for `?`."""
    column = pa.array(cells, pa.string())
    values = pc.if_else(pc.equal(column, MISSING), pa.scalar(None, pa.string()), column)
    data = column.buffers()[2].to_pybytes()
    if b"'" not in data and b'"' not in data:
        return values
    is_quoted = pc.or_(pc.starts_with(column, "'"), pc.starts_with(column, '"'))
    values = pc.if_else(is_quoted, pc.utf8_slice_codeunits(column, 1, -1), values)
    if b"\\" not in data:
        return values
    is_escaped = pc.and_(is_quoted, pc.match_substring(column, "\\"))
    escaped = pc.indices_nonzero(is_escaped).to_pylist()
    unescaped = pa.array([unquote(cells[index], rows[index][0]) for index in escaped], pa.string())
    return pc.replace_with_mask(values, is_escaped, unescaped)
