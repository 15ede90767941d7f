"""Delimited text: the delimiter is detected, cells are read verbatim, ragged rows are refused."""

import csv
import io
import secrets
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from itertools import islice

import pyarrow as pa
import pyarrow.csv as pa_csv

from app.tabular.readers.text import BLOCK_BYTES, MAX_ROW_BYTES, TextFile, Utf8Stream
from app.tabular.table import Block
from app.tabular.types import MIB, Limits, TabularError
from app.tabular.wording import counted

DELIMITERS = ",;\t|"
TOO_MANY_CELLS = "Put text that holds the delimiter or a line break into double quotes."
TOO_FEW_CELLS = "Add the cells that are missing; an empty one means a missing value."
_SAMPLE_ROWS = 100
# Beyond this, counting lines to locate a row would take longer than the conversion.
_LAST_ROW_TO_PLACE = 2_000_000
_BLOCK_BYTES_PER_COLUMN = 1024


class CsvTable:
    """A delimited file whose rows can be read any number of times.

    Attributes:
        names: the header's cells, in order.
        delimiter: between cells.
    """

    def __init__(self, text: TextFile, limits: Limits, *, expected: str | None = None) -> None:
        """Detect the delimiter and read the header.

        Args:
            text: the file.
            limits: how large the table may be.
            expected: the delimiter that the file name implies; used if the header contains it.

        Raises:
            TabularError: `empty-file`, `too-many-columns`.
        """
        self._text = text
        sample = _sample(text)
        is_expected = expected and _fitness(sample, expected)[1] > 1
        self.delimiter = (
            expected
            if expected and is_expected
            else max(DELIMITERS, key=lambda delimiter: _fitness(sample, delimiter))
        )
        header = next(_rows(sample, self.delimiter), None)
        if header is None:
            raise TabularError.empty_file("The file holds nothing but blank lines.")
        if len(header) > limits.max_columns:
            message = f"The table has {len(header)} columns; {limits.max_columns} are allowed."
            raise TabularError("too-many-columns", message)
        self.names = header
        width = len(header)
        self._block_bytes = min(max(BLOCK_BYTES, width * _BLOCK_BYTES_PER_COLUMN), MAX_ROW_BYTES)

    def blocks(self) -> Iterator[Block]:
        """Yield the data rows; a cell is null if it is empty and not in quotes.

        Raises:
            TabularError: `ragged-row`, `unclosed-quote`, `row-too-long`.
        """
        # A sentinel row ends the stream. If it is not read back as a row, it is inside an unclosed quote.
        seal = secrets.token_hex(16)
        ending = f"\n{self.delimiter.join([seal] * len(self.names))}\n".encode()
        rows = -1  # the header arrives as the first row
        with closing(Utf8Stream(self._text, ending)) as stream:
            for batch in self._batches(stream, _InvalidRows(seal, self.delimiter)):
                is_last = batch.num_rows > 0 and batch.column(batch.num_columns - 1)[-1].as_py() == seal
                begin, end = max(0, -rows), batch.num_rows - is_last
                if end > begin:
                    cells = [column.slice(begin, end - begin) for column in batch.columns]
                    yield Block(cells, first_row=rows + begin, position=stream.position())
                rows += end
                if is_last:
                    return
        raise _unclosed_quote(rows)

    def _batches(self, stream: Utf8Stream, invalid_rows: "_InvalidRows") -> Iterator[pa.RecordBatch]:
        names = [str(number) for number in range(len(self.names))]
        rows = 0
        try:
            for batch in pa_csv.open_csv(
                stream,
                # Only a single thread counts the rows and can say which one is ragged.
                pa_csv.ReadOptions(column_names=names, block_size=self._block_bytes, use_threads=False),
                pa_csv.ParseOptions(
                    delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=invalid_rows
                ),
                pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    check_utf8=False,  # the whole file was decoded before
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    null_values=[""],
                ),
            ):
                yield batch
                rows += batch.num_rows
        except pa.ArrowInvalid as error:
            if invalid_rows.error:
                raise invalid_rows.error from None
            if "straddling" not in str(error):
                raise
            raise TabularError(
                "row-too-long",
                f"The row is longer than {self._block_bytes // MIB} MiB.",
                row=max(rows, 1),
                hint="Most often a quotation mark is opened and never closed.",
            ) from None

    def blocks_to_scan(self, indices: Collection[int]) -> Iterator[Block]:  # noqa: ARG002 - all are read at once
        """Yield the same blocks."""
        return self.blocks()

    def line_of(self, row: int) -> int | None:
        """Return the physical line on which data row `row` (from 1) begins, or None beyond row 2 000 000."""
        if row > _LAST_ROW_TO_PLACE:
            return None
        begins, found = 1, -1
        with self._text.lines() as lines, suppress(csv.Error):
            reader = csv.reader(lines, delimiter=self.delimiter)
            for cells in reader:
                found += not _is_blank(cells, len(self.names))
                if found == row:
                    return begins
                begins = reader.line_num + 1
        # The csv module fails on cells of more than 128 KiB; this row may have one.
        return begins if found == row - 1 else None


class _InvalidRows:
    """Callback of pyarrow that keeps the error about the first ragged row, and skips blank lines."""

    def __init__(self, seal: str, delimiter: str) -> None:
        self.error: TabularError | None = None
        self._seal = seal
        self._blanks = " \t".replace(delimiter, "")
        self._skipped = 0

    def __call__(self, row: pa_csv.InvalidRow) -> str:
        if not row.text.strip(self._blanks):
            self._skipped += 1
            return "skip"
        # pyarrow counts the header and the rows that were skipped.
        number = row.number - 1 - self._skipped
        if self._seal in row.text:
            self.error = _unclosed_quote(number)
            return "error"
        self.error = TabularError(
            "ragged-row",
            f"The row has {counted(row.actual_columns, 'cell')}; the header has {row.expected_columns}.",
            row=number,
            hint=TOO_MANY_CELLS if row.actual_columns > row.expected_columns else TOO_FEW_CELLS,
        )
        return "error"


def _unclosed_quote(row: int) -> TabularError:
    return TabularError(
        "unclosed-quote",
        "A quotation mark is opened and never closed, so that the rest of the file became one cell.",
        row=max(row, 1),
        hint='Close it, or write a quotation mark inside a quoted cell twice ("").',
    )


def _sample(text: TextFile) -> str:
    with closing(Utf8Stream(text)) as stream:
        return stream.read(BLOCK_BYTES).decode(errors="ignore")


def _rows(sample: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the sample's rows except blank lines, up to the first that cannot be parsed."""
    with suppress(csv.Error):
        for cells in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter):
            if not _is_blank(cells, width=0):
                yield cells


def _is_blank(cells: list[str], width: int) -> bool:
    """Return whether a line is blank; in a table of one column, blanks are a value."""
    return not cells or (width != 1 and len(cells) == 1 and not cells[0].strip(" \t"))


def _fitness(sample: str, delimiter: str) -> tuple[float, int]:
    """Score a delimiter: the share of rows with as many cells as the header, then that number."""
    widths = [len(cells) for cells in islice(_rows(sample, delimiter), _SAMPLE_ROWS)]
    if not widths or widths[0] == 1:
        return 0.0, 1
    return sum(width == widths[0] for width in widths) / len(widths), widths[0]
