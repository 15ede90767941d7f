"""Tables of many columns, whose rows are read as one array of cells."""

import io
import random
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.tabular.readers.row_streams import Rows
from app.tabular.readers.text import TextFile, Utf8Stream
from app.tabular.readers.wide import MANY_COLUMNS, wide_rows
from app.tabular.table import Block, HeldTable
from tests.tabular.conftest import Converter

ENDING = b"\n#,#\n"
PIECES = ["a", "1", ",", "\n", "\r\n", "\r", '"', '""', "NA", ",\n", "1,a\n", "\ufeff", '"x",1\n', '"a,b",\n']
Row = tuple[str | None, ...]


def read_by_pyarrow(stream: io.RawIOBase, size: int) -> tuple[list[Row], bool]:
    """Return the rows of a stream until a block with a row that has not two cells, and whether there was one."""
    rows: list[Row] = []
    try:
        for batch in pa_csv.open_csv(
            stream,
            pa_csv.ReadOptions(column_names=["a", "b"], block_size=size, use_threads=False),
            pa_csv.ParseOptions(newlines_in_values=True),
            pa_csv.ConvertOptions(
                column_types={"a": pa.string(), "b": pa.string()},
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=["", "NA"],
            ),
        ):
            rows += zip(*(column.to_pylist() for column in batch.columns), strict=True)
    except pa.ArrowInvalid:
        return rows, True
    return rows, False


def read_widely(stream: Rows, size: int) -> tuple[list[Row], bool]:
    """Return the same, read as one array of cells for as long as that does."""
    rows: list[Row] = []
    columns = wide_rows(stream.read, 2, ENDING, delimiter=",", quote='"', null_words=["NA"], size=size)
    while True:
        try:
            block = next(columns)
        except StopIteration as end:
            if end.value is None:
                return [*rows, ("#", "#")], False
            stream.put_back(*end.value)
            others, is_bad = read_by_pyarrow(stream, size)
            return rows + others, is_bad
        rows += zip(*(column.to_pylist() for column in block), strict=True)


class Rereadable:
    """A table of two blocks that counts how often it is read."""

    def __init__(self) -> None:
        self.names = ["x"]
        self.passes = 0

    def blocks(self) -> Iterator[Block]:
        self.passes += 1
        yield from (Block([pa.array([text])], row, row) for row, text in enumerate("ab"))

    def blocks_to_scan(self, indices: Collection[int]) -> Iterator[Block]:
        raise NotImplementedError

    def line_of(self, row: int) -> int | None:
        return row


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wide")


@given(st.lists(st.sampled_from(PIECES), max_size=24), st.integers(6, 24))
@example(['a,"b', "\n", "a,b", "\n", '"c,d', "\n"], 8)
@example(["1,a\n", "\ufeff", "a,1", "\n"], 8)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wide_rows_when_cut_anywhere_then_those_of_pyarrow(
    folder: Path, pieces: list[str], size: int
) -> None:
    path = folder / "rows.csv"
    path.write_bytes("".join(pieces).encode())
    text = TextFile(path, "utf-8", path.stat().st_size)

    rows = read_widely(Rows(Utf8Stream(text, ENDING)), size)

    assert rows == read_by_pyarrow(Rows(Utf8Stream(text, ENDING)), size)


def test_conversion_when_columns_are_many_then_as_of_some_at_once(converter: Converter) -> None:
    chance = random.Random(5)  # noqa: S311 - no secret
    kinds: list[Callable[[], str]] = [
        lambda: str(chance.randrange(-99, 10**6)),
        lambda: f"{chance.random():.3f}",
        lambda: chance.choice(["", "NA", "7", "3.5"]),
        lambda: chance.choice(["AA", "A,G", 'the "G"', "", "None"]),
        lambda: chance.choice(["true", "false"]),
        lambda: chance.choice(["1e200", "5"]),
        lambda: "",
    ]
    columns = [
        [f"c{number}", *(chance.choice(kinds[: 1 + number % 8])() for _ in range(12))]
        for number in range(MANY_COLUMNS + 8)
    ]

    def text_of(some: list[list[str]]) -> str:
        return "".join(
            ",".join('"' + cell.replace('"', '""') + '"' if set(cell) & set(',"') else cell for cell in row)
            + "\n"
            for row in zip(*some, strict=True)
        )

    wide = converter(text_of(columns))

    parts = [converter(text_of(columns[start : start + 144])) for start in range(0, len(columns), 144)]
    assert wide.rows == [",".join(cells) for cells in zip(*(part.rows for part in parts), strict=True)]
    assert wide.conversion.columns == sum((part.conversion.columns for part in parts), start=())
    told = {warning for part in parts for warning in part.conversion.warnings}
    assert len(wide.conversion.warnings) > MANY_COLUMNS // 8
    assert set(wide.conversion.warnings) <= told


@pytest.mark.parametrize(("most_bytes", "is_read_again"), [(10_000, False), (1, True)])
def test_blocks_when_held_then_the_second_pass_has_them_and_a_third_reads(
    most_bytes: int, *, is_read_again: bool
) -> None:
    table = Rereadable()
    held = HeldTable(table, most_bytes)

    scanned = list(held.blocks_to_scan([0]))
    passes = [list(held.blocks()), list(held.blocks())]

    assert [[block.columns[0].to_pylist() for block in each] for each in (scanned, *passes)] == [
        [["a"], ["b"]]
    ] * 3
    assert (passes[0][0] is scanned[0]) != is_read_again
    assert table.passes == 2 + is_read_again
