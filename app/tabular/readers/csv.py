"""Delimited text: how it is written is found or chosen, cells are read verbatim, ragged rows are refused."""

import csv
import secrets
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import islice

import pyarrow as pa
import pyarrow.csv as pa_csv

from app.tabular.readers.dialect import find_dialect, lines_of
from app.tabular.readers.headings import Heading, heading_of, in_doubt
from app.tabular.readers.orange import lines_of_orange
from app.tabular.readers.records import SEPARATOR, Dialect, MisquotedError, Row, rows
from app.tabular.readers.row_streams import BlankRows, CanonicalRows, Rows, Watch, misquoted, unclosed_quote
from app.tabular.readers.text import BLOCK_BYTES, MAX_ROW_BYTES, TextFile, Utf8Stream
from app.tabular.readers.unnamed import about_row_names
from app.tabular.readers.wide import MANY_COLUMNS, wide_rows
from app.tabular.reading import Doubt, Found, ReadingReport
from app.tabular.table import Block
from app.tabular.types import MIB, Limits, TabularError
from app.tabular.wording import counted

TOO_MANY_CELLS = "Put text that holds the delimiter or a line break into double quotes."
TOO_FEW_CELLS = "Add the cells that are missing; an empty one means a missing value."
_SAMPLE_ROWS, _SAMPLE_CELLS, _SAMPLE_LINES = 500, 20_000, 5
# Beyond this, counting lines to locate a row would take longer than the conversion.
_LAST_ROW_TO_PLACE = 2_000_000
_BLOCK_BYTES_PER_COLUMN = 1024


class CsvTable:
    """A delimited file whose rows can be read any number of times.

    Attributes:
        names: of the columns, in order, as the header has them; nothing for a column without one.
        dialect: how it is written.
        has_header: whether the names are those of the file; if not, they are `V1`, `V2` …
        described: how many lines below the names describe the columns.
        sample: the values of its first rows, which may be of different lengths.
        rows: the same rows, each cell as it is written, with quotes.
        null_words: words that are null where they stand without quotes.
        asked_words: words that mean a missing value, and may be values where they stand in quotes.
    """

    def __init__(
        self, text: TextFile, limits: Limits, report: ReadingReport, *, expected: str | None = None
    ) -> None:
        """Find how the file is written, and read its header.

        Args:
            text: the file.
            limits: how large the table may be.
            report: what its owner chose; collects what is found.
            expected: the delimiter that the file name implies; used if the header contains it.

        Raises:
            TabularError: `empty-file`, `too-many-columns`, `misquoted-cell`.
        """
        self._text = text
        self._report = report
        self.null_words: Collection[str] = ()
        self.asked_words: Collection[str] = ()
        lines = _sample(text)
        self.dialect = find_dialect(lines, report, expected=expected)
        found, end = self._sample_rows(lines)
        if not any(cell.strip() for row in found for cell in row.cells):
            raise _nothing(self.dialect.skip_lines if report.chosen.skip_lines else 0)
        values = [[self.dialect.value(cell) for cell in row.cells] for row in found]
        described = lines_of_orange(values, [row.line for row in found])
        heading = Heading(has_names=True) if described else heading_of(values)
        doubt = Doubt("header", in_doubt(values[0]), (heading.has_names, not heading.has_names))
        self.has_header = bool(
            report.decide(
                "header", Found(heading.has_names, why=heading.why), None if heading.is_sure else doubt
            )
        )
        self.described = described if self.has_header else 0
        # The values begin below the names, and below what describes the columns.
        self._head = self.has_header + self.described
        body, values[1 : 1 + self.described] = found[self._head :], []
        self.sample = values[self.has_header :]
        self.rows = [row.cells for row in body]
        self.names = _names(values, has_header=self.has_header)
        if self.has_header and self.names == ["", *values[0]] and report.chosen.row_names is None:
            report.doubts += about_row_names(self.rows, self.dialect)
        if len(self.names) > limits.max_columns:
            message = f"The table has {len(self.names)} columns; {limits.max_columns} are allowed."
            raise TabularError("too-many-columns", message)
        first = body[0].line if body else end
        self._begin = sum(len(line.encode()) for line in lines[: first - 1])
        longest = 2 * max(self._begin, *(sum(map(len, row.cells)) for row in found))
        width = len(self.names) * _BLOCK_BYTES_PER_COLUMN
        self._block_bytes = min(max(BLOCK_BYTES, width, longest), MAX_ROW_BYTES)

    def _sample_rows(self, lines: Sequence[str]) -> tuple[list[Row], int]:
        """Return the first rows, header included, until one that cannot be read, and the line on which that begins.

        Raises:
            TabularError: `misquoted-cell` or `unclosed-quote`, if it is the first one.
        """
        found: list[Row] = []
        cells = 0
        try:
            for row in rows(lines, self.dialect):
                found.append(row)
                cells += len(row.cells)
                if len(found) > _SAMPLE_ROWS or (cells > _SAMPLE_CELLS and len(found) > 1):
                    break
        except MisquotedError as error:
            if not found:
                raise misquoted(error, self.dialect, 0) from None
            return found, error.line
        return found, len(lines) + 1

    def blocks(self) -> Iterator[Block]:
        """Yield the data rows; a cell is null if it is empty and not in quotes.

        Raises:
            TabularError: `ragged-row`, `unclosed-quote`, `misquoted-cell`, `row-too-long`.
        """
        blank = None if self._report.is_complete else BlankRows()
        with closing(self._read_blocks()) as blocks:
            for block in blocks:
                if blank:
                    blank.count(block)
                yield block
        self._report.remarks += blank.remarks() if blank else ()

    def _read_blocks(self) -> Generator[Block, None, None]:
        # A sentinel row ends the stream. If it is not read back as a row, it is inside an unclosed quote.
        seal = secrets.token_hex(16)
        delimiter = self._delimiter
        ending = f"\n{delimiter.join([seal] * len(self.names))}\n".encode()
        watch = None if self._report.is_complete else self._watch()
        with closing(self._stream(ending, watch)) as stream:
            found, left = yield from self._wide_blocks(stream, ending)
            if left is None:
                self._finish(stream, watch)
                return
            stream.put_back(*left)
            for batch in self._batches(stream, _InvalidRows(seal, delimiter, found)):
                is_last = batch.num_rows > 0 and batch.column(batch.num_columns - 1)[-1].as_py() == seal
                end = batch.num_rows - is_last
                if end:
                    cells = [column.slice(0, end) for column in batch.columns]
                    yield Block(cells, first_row=found, position=stream.position())
                found += end
                if is_last:
                    self._finish(stream, watch)
                    return
        raise unclosed_quote(found)

    def _finish(self, stream: Rows, watch: Watch | None) -> None:
        """Report doubts and remarks that depend on all rows.

        Raises:
            TabularError: `misquoted-cell`.
        """
        if stream.is_suspect:
            self._check_quotes()
        self._report.is_complete = True
        self._report.doubts += watch.doubts() if watch else ()

    @property
    def _delimiter(self) -> str:
        return self.dialect.delimiter if self.dialect.is_plain and self.dialect.delimiter else SEPARATOR

    def _watch(self) -> Watch:
        """Return the `Watch` that checks later rows for what the sample did not show."""
        is_asked = any(doubt.field == "escape" for doubt in self._report.doubts)
        asks_escape = self._report.chosen.escape is None and self.dialect.escape == "double" and not is_asked
        return Watch(self.dialect, self.asked_words, asks_escape=asks_escape)

    def _stream(self, ending: bytes, watch: Watch | None) -> Rows:
        if not self.dialect.is_plain:
            return CanonicalRows(Utf8Stream(self._text, skip=self._begin), ending, self._rest, watch)
        checked = None if self._report.is_complete or not self.dialect.quote else self.dialect
        return Rows(Utf8Stream(self._text, ending, skip=self._begin), checked, watch)

    @property
    def _rest(self) -> Dialect:
        """The dialect of the rows after the header."""
        return self.dialect.after_header

    def _check_quotes(self) -> None:
        """Parse all rows again in plain Python (slow, but exact) if pyarrow may have misread a quoted cell.

        Raises:
            TabularError: `misquoted-cell`.
        """
        with self._text.lines() as lines:
            try:
                for _ in rows(lines, self.dialect):
                    pass
            except MisquotedError as error:
                raise misquoted(error, self.dialect, 1 - self._head) from None

    def _wide_blocks(
        self, stream: Rows, ending: bytes
    ) -> Generator[Block, None, tuple[int, tuple[bytes, ...] | None]]:
        """Yield rows of many columns for as long as they are regular; return how many, and what `wide_rows` does."""
        found = 0
        if len(self.names) < MANY_COLUMNS:
            return found, ()
        columns = wide_rows(
            stream.read,
            len(self.names),
            ending,
            delimiter=self._delimiter,
            quote=self.dialect.quote,
            null_words=self.null_words,
            size=self._block_bytes,
        )
        while True:
            try:
                block = Block(next(columns), first_row=found, position=stream.position())
            except StopIteration as end:
                return found, end.value
            yield block
            found += block.rows

    def _batches(self, stream: Rows, invalid_rows: "_InvalidRows") -> Iterator[pa.RecordBatch]:
        names = [str(number) for number in range(len(self.names))]
        found = invalid_rows.rows_before
        try:
            for batch in pa_csv.open_csv(
                stream,
                # Only a single thread counts the rows and can say which one is ragged.
                pa_csv.ReadOptions(column_names=names, block_size=self._block_bytes, use_threads=False),
                pa_csv.ParseOptions(
                    delimiter=self._delimiter,
                    quote_char=self.dialect.quote or False,
                    newlines_in_values=True,
                    invalid_row_handler=invalid_rows,
                ),
                pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    check_utf8=False,  # the whole file was decoded before
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    null_values=["", *self.null_words],
                ),
            ):
                yield batch
                found += batch.num_rows
        except pa.ArrowInvalid as error:
            if invalid_rows.error:
                raise invalid_rows.error from None
            if "straddling" not in str(error):
                raise
            raise TabularError(
                "row-too-long",
                f"The row is longer than {self._block_bytes // MIB} MiB.",
                row=found + 1,
                hint="Most often a quotation mark is opened and never closed.",
            ) from None

    def blocks_to_scan(self, indices: Collection[int]) -> Iterator[Block]:  # noqa: ARG002 - all are read at once
        """Yield the same blocks."""
        return self.blocks()

    def line_of(self, row: int) -> int | None:
        """Return the physical line on which data row `row` (from 1) begins, or None beyond row 2 000 000."""
        if row > _LAST_ROW_TO_PLACE:
            return None
        at = row - 1 + self._head
        with self._text.lines() as lines:
            if self.dialect.is_plain and self.dialect.quote:
                return _line_of(lines, self.dialect, at)
            try:
                found = next(islice(rows(lines, self.dialect), at, None), None)
            except MisquotedError as error:
                return error.line if error.row == at else None
            return found.line if found else None


def _line_of(lines: Iterable[str], dialect: Dialect, row: int) -> int | None:
    """Return the line of a row, from 0, of a plain dialect: ten times as fast as `rows`."""
    begins, found = dialect.skip_lines + 1, -1
    with suppress(csv.Error):
        reader = csv.reader(
            islice(lines, dialect.skip_lines, None),
            delimiter=dialect.delimiter or SEPARATOR,
            quotechar=dialect.quote,
        )
        for cells in reader:
            found += not (
                cells == [] or (len(cells) == 1 and dialect.delimiter and not cells[0].strip(" \t"))
            )
            if found == row:
                return begins
            begins = dialect.skip_lines + reader.line_num + 1
    # The csv module fails on cells of more than 128 KiB; this row may have one.
    return begins if found == row - 1 else None


class _InvalidRows:
    """Callback of pyarrow that keeps the error about the first ragged row, and skips blank lines."""

    def __init__(self, seal: str, delimiter: str, rows_before: int) -> None:
        self.error: TabularError | None = None
        self.rows_before = rows_before
        self._seal = seal
        self._blanks = " \t".replace(delimiter, "")
        self._skipped = 0

    def __call__(self, row: pa_csv.InvalidRow) -> str:
        if not row.text.strip(self._blanks):
            self._skipped += 1
            return "skip"
        # pyarrow counts the rows that were skipped.
        number = self.rows_before + row.number - self._skipped
        if self._seal in row.text:
            self.error = unclosed_quote(number)
            return "error"
        self.error = TabularError(
            "ragged-row",
            f"The row has {counted(row.actual_columns, 'cell')}; the header has {row.expected_columns}.",
            row=number,
            hint=TOO_MANY_CELLS if row.actual_columns > row.expected_columns else TOO_FEW_CELLS,
        )
        return "error"


def _nothing(skipped: int) -> TabularError:
    """Return the error for a file without a row after the skipped lines."""
    if not skipped:
        return TabularError.empty_file("The file holds nothing but blank lines.")
    hint = "Skip fewer lines: say so in `reading` as `skip_lines`."
    return TabularError(
        "empty-file",
        f"Behind {counted(skipped, 'line')} there is nothing.",
        hint=hint,
        choices={"skip_lines": [0]},
    )


def _names(values: Sequence[Sequence[str]], *, has_header: bool) -> list[str]:
    """Return the name of each column, or nothing where the header is shorter than all rows."""
    if not has_header:
        widths = [len(row) for row in values]
        return [
            f"V{number}"
            for number in range(1, max(widths, key=lambda width: (widths.count(width), width)) + 1)
        ]
    header, body = list(values[0]), values[1:]
    if len(body) < 2 or any(len(row) != len(header) + 1 for row in body):  # noqa: PLR2004 - one row may be a slip
        return header
    if all(not row[-1] for row in body):
        return [*header, ""]
    first = [row[0] for row in body]
    return ["", *header] if len(set(first)) == len(first) else header


def _sample(text: TextFile) -> list[str]:
    """Return the first lines of a file, with their ends: two mebibytes of them, or five."""
    parts: list[bytes] = []
    with closing(Utf8Stream(text)) as stream:
        while part := stream.read(BLOCK_BYTES):
            parts.append(part)
            is_enough = sum(map(len, parts)) >= BLOCK_BYTES
            if is_enough and sum(each.count(b"\n") + each.count(b"\r") for each in parts) >= _SAMPLE_LINES:
                break
            if len(parts) * BLOCK_BYTES > _SAMPLE_LINES * MAX_ROW_BYTES:
                break
        is_whole = not part
    lines = lines_of(b"".join(parts).decode(errors="ignore"))
    return lines if is_whole else lines[:-1]
