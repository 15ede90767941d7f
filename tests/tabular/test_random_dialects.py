"""Random tables in random dialects: read back equal, or asked about, or refused; never silently another table."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import arff
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.tabular import TabularError

Converter = Callable[..., Any]

ASKED_OR_REFUSED = {
    "unsure-reading", "misquoted-cell", "unclosed-quote", "ragged-row", "unsupported-encoding", "bad-column-name",
}  # fmt: skip
LETTERS = "abcdé ÄñX,;:|'\"\\#-_/"
WORDS = (
    "low",
    "high",
    "New York",
    "it's",
    'say "hi"',
    "a,b",
    "x;y",
    "C:\\dir",
    "é",
    "12:30",
    "5 km",
    "#1",
    "a\\\\b",
    "back\\",
)


@dataclass(frozen=True)
class Written:
    """How a table is written."""

    delimiter: str
    quoting: Literal[0, 1, 2]
    escape: str
    has_header: bool
    encoding: str
    line_end: str
    comments: tuple[str, ...]
    titles: tuple[str, ...]
    decimal: str


DIALECTS = st.builds(
    Written,
    delimiter=st.sampled_from(",;\t|: "),
    quoting=st.sampled_from([0, 1, 2]),
    escape=st.sampled_from(["double", "backslash"]),
    has_header=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "mac-roman"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    comments=st.sampled_from([(), ("# made by me",), ("# made by me", "# in 2024")]),
    titles=st.sampled_from([(), (), ("Sales of 2024", "")]),
    decimal=st.sampled_from(".,"),
)
COLUMNS = (
    st.integers(-1000, 10_000_000),
    st.decimals(-1000, 1000, places=2).map(float),
    st.sampled_from(WORDS),
    st.text(st.sampled_from(LETTERS), min_size=1, max_size=8).filter(lambda text: text.strip() == text),
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[Any]]:
    columns = draw(st.lists(st.sampled_from(COLUMNS), min_size=2, max_size=4))
    rows = draw(st.integers(2, 8))
    return [[draw(column) for column in columns] for _ in range(rows)]


def written(table: list[list[Any]], how: Written) -> bytes:
    """Write a table with Python's csv module."""
    text = io.StringIO(newline="")
    for line in (*how.titles, *how.comments):
        text.write(line + how.line_end)
    escapes = {"doublequote": True} if how.escape == "double" else {"doublequote": False, "escapechar": "\\"}
    writer = csv.writer(
        text,
        delimiter=how.delimiter,
        quoting=how.quoting,
        lineterminator=how.line_end,
        **escapes,
    )
    if how.has_header:
        writer.writerow([f"name_{number}" for number in range(len(table[0]))])
    for row in table:
        writer.writerow(
            [
                cell if how.decimal == "." or not isinstance(cell, float) else str(cell).replace(".", ",")
                for cell in row
            ]
        )
    return text.getvalue().encode(how.encoding, errors="replace")


def _in_ascii(cell: Any) -> Any:
    is_random = isinstance(cell, str) and cell not in WORDS
    return cell.encode("ascii", "replace").decode().replace("?", "x") if is_random else cell


def attempt(converter: Converter, content: bytes) -> tuple[Any, str]:
    """Convert, and return what came of it and the slug of the refusal."""
    try:
        return converter(content, refuse_doubts=True), ""
    except TabularError as refused:
        return None, refused.slug


def is_value(found: Any, cell: Any) -> bool:
    """Whether what was read back is the cell, be it a number or its text."""
    if isinstance(cell, float):
        return found in {cell, str(cell), str(cell).replace(".", ",")}
    return bool(str(found) == str(cell) or (isinstance(found, float) and found == cell))


@pytest.mark.long
@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)
@given(table=tables(), how=DIALECTS)
def test_a_table_when_in_any_dialect_then_read_back_equal_or_in_doubt(
    converter: Converter, table: list[list[Any]], how: Written
) -> None:
    # Of cells that are nothing but signs, nobody can say which of them separate.
    assume(all(any(str(cell).strip(" ,;:|\t") for cell in row) for row in table))
    if not how.encoding.startswith("utf"):
        # Words say which encoding a text has, letters at random do not.
        table = [[_in_ascii(cell) for cell in row] for row in table]
    content = written(table, how)
    done, slug = attempt(converter, content)
    if done is None:
        assert slug in ASKED_OR_REFUSED, content
        return
    rows = arff.loads(done.text)["data"]
    assert len(rows) == len(table), (content, rows)
    expected = [
        [
            cell.encode(how.encoding, errors="replace").decode(how.encoding)
            if isinstance(cell, str)
            else cell
            for cell in row
        ]
        for row in table
    ]
    for found, cells in zip(rows, expected, strict=True):
        assert len(found) == len(cells), (content, found)
        assert all(is_value(one, cell) for one, cell in zip(found, cells, strict=True)), (
            content,
            found,
            cells,
        )
