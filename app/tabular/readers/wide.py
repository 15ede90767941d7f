"""Delimited text of many columns: pyarrow reads it as one column of cells, for it takes a while for each column."""

from collections.abc import Callable, Collection, Generator

import pyarrow as pa
import pyarrow.csv as pa_csv

from app.tabular.table import RowMajor

MANY_COLUMNS = 1000
"""From here on it is faster."""
_END = b".\n"
_MARK = b"\xef\xbb\xbf"


def wide_rows(
    read: Callable[[int], bytes],
    width: int,
    ending: bytes,
    *,
    delimiter: str,
    quote: str,
    null_words: Collection[str],
    size: int,
) -> Generator[RowMajor, None, tuple[bytes, ...] | None]:
    """Yield rows while each is a line of its own with as many delimiters as it should.

    Cells are what pyarrow makes of whole rows: where a delimiter or a line end stood in quotes, there would be fewer of
    them. So do the rows of each array agree with the batches that pyarrow makes of as many bytes.

    Returns:
        None if that was all; else chunks that were read and are to be read otherwise, before what is left.

    Args:
        read: returns the next bytes of the rows, about so many.
        width: cells of a row.
        ending: what the stream ends with, behind the last row.
        delimiter: between cells.
        quote: around quoted cells, or nothing.
        null_words: what is null where it stands without quotes, beside the empty cell.
        size: bytes to read at once.
    """
    separator = delimiter.encode()
    parse = pa_csv.ParseOptions(
        # Behind each cell is a line end by then.
        delimiter=delimiter,
        quote_char=quote or False,
        newlines_in_values=True,
        ignore_empty_lines=False,
    )
    rest, is_first = b"", True
    while chunk := read(size):
        is_last = chunk.endswith(ending)
        data = rest + (chunk[: -len(ending)] if is_last else chunk)
        if is_last and data and not data.endswith(b"\n"):
            data += b"\n"
        end = data.rfind(b"\n") + 1
        rows = _count_rows(data, separator, width) if is_last or end > len(rest) else None
        cells = _cells(data[:end], separator, parse, null_words) if rows is not None else pa.array([])
        is_marked = data.startswith(_MARK) and not is_first
        if rows is None or len(cells) != rows * width + 1 or is_marked:
            # pyarrow would take a mark for that of the file; it skips blank lines.
            return (b"\n" if is_marked else b"", rest, chunk)
        if rows:
            yield RowMajor(cells.slice(0, rows * width), width)
        if is_last:
            return None
        rest, is_first = data[end:], False
    return (rest,)


def _count_rows(data: bytes, separator: bytes, width: int) -> int | None:
    """Return the number of lines that end, or None if one of them has not `width` cells."""
    if data.count(b"\r") != data.count(b"\r\n"):
        return None
    rows = begin = 0
    while (end := data.find(b"\n", begin)) >= 0:
        if data.count(separator, begin, end) != width - 1:
            return None
        rows, begin = rows + 1, end + 1
    return rows


def _cells(
    data: bytes, separator: bytes, parse: pa_csv.ParseOptions, null_words: Collection[str]
) -> pa.Array:
    """Return the cells of rows as they stand one after the other, and `_END`, unless that is inside of quotes."""
    column = pa_csv.read_csv(
        pa.BufferReader(data.replace(separator, b"\n") + _END),
        pa_csv.ReadOptions(column_names=["cell"], block_size=len(data) + len(_END), use_threads=False),
        parse,
        pa_csv.ConvertOptions(
            column_types={"cell": pa.string()},
            check_utf8=False,  # the whole file was decoded before
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=["", *null_words],
        ),
    ).column(0)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
