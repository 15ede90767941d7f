"""Rows are cut at commas where that is certain, and into tokens elsewhere: both ways find the same."""

import io
import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openml_sandbox.arffcheck import _Rows
from openml_sandbox.qualities import Classes
from openml_sandbox.tokenizer import WekaError, cut, tokenize
from openml_sandbox.weka import BLOCK_BYTES, Watcher, read_arff
from openml_sandbox.weka_values import Attribute, Column, check_column

HEADER = b"@relation r\n@attribute n numeric\n@attribute c {a,b,\"'\",'New York','?'}\n@attribute s string\n@data\n"
WIDTH = 3

NUMBERS = [
    b"0", b"-1", b"+1.5", b"1.", b".5", b"1e5", b"1E-05", b"?", b"'7'", b'"7"', b"12345678901234567890", b"NaN",
    b"0x1p3", b"Infinity", b"1e155", b"1e200", b"1f", b"9" * 200, b"' 1 '",
]  # fmt: skip
"""Spellings that Weka takes."""
NO_NUMBERS = [
    b"1_0", b"1e", b".", b"-", b"1,5", b"'1,5'", b"'1 2'", b"''", b"'?'", b"x", b"1-2", b"\xb2", b"1.2.3",
]  # fmt: skip
LABELS = [b"a", b"b", b'"\'"', b'"a"', b"'New York'", b'"New York"', b"?", b"'?'", b"'\\141'"]
TEXTS = [
    b"word", b"'some words'", b'"some words"', b"'with, comma'", b'"it\'s"', b"'it\\'s'", b"'\\\\'",
    b'"tab\\t\\"end\\""', b"''", b'""', b"'?'", b"?", b"caf\xc3\xa9", b"'\xff'", b"'{a}'", b"'100 %'",
    b"'@data'", b"back\\slash", b"x" * 3000,
]  # fmt: skip
ODD = [
    b"", b" ", b",", b"\r", b"\t", b"%", b"% comment", b"{", b"}", b"{0.5}", b"'", b'"', b"'open", b'"open\\"',
    b"'a''b'", b"a'b'", b"'a'b", b"'a' ", b"'a\\", b"x y", b"\0", b"\\", b"'\r'", b"c", b"'\\400'",
]  # fmt: skip
ODD_LINES = [
    b"",
    b"\r",
    b" ",
    b"% all",
    b"{0 1,1 b}",
    b"{}",
    b"{2 'x y'}",
    b"{9 1}",
    b"1,a,x,{2}",
    b"1 a x",
    b"1,a,x 2,b,y",
]

usual_cells = st.tuples(st.sampled_from(NUMBERS), st.sampled_from(LABELS), st.sampled_from(TEXTS))
usual_lines = usual_cells.map(b",".join)
any_cell = st.sampled_from(NUMBERS + NO_NUMBERS + LABELS + TEXTS + ODD)
odd_lines = st.sampled_from(ODD_LINES) | st.lists(any_cell, min_size=1, max_size=5).map(b",".join)
many_lines = st.lists(usual_lines, min_size=1, max_size=8)
bodies = st.lists(st.tuples(many_lines | st.lists(odd_lines, max_size=2), st.integers(1, 3)), max_size=5).map(
    lambda parts: [line for lines, times in parts for line in lines * times]
)


class _Seen(Watcher):
    """Keeps all that it is told."""

    target = 1

    def __init__(self) -> None:
        self.has_rows = False
        self.values: Column = []
        self.columns: list[Column] = [[] for _ in range(WIDTH)]
        self.classes = Classes()

    def on_rows(self) -> None:
        self.has_rows = True

    def on_target(self, values: Sequence[bytes | None]) -> None:
        self.values += values
        self.classes.add(values)

    def on_columns(self, columns: list[Column]) -> None:
        for known, more in zip(self.columns, columns, strict=True):
            known.extend(more)


def _read(body: bytes) -> tuple[Any, ...]:
    seen = _Seen()
    try:
        summary = read_arff(io.BytesIO(HEADER + body), seen)
    except WekaError as error:
        return str(error), seen.has_rows
    return summary, seen.values, seen.columns, seen.classes


def _read_as_tokens(lines: list[bytes], end: bytes) -> tuple[Any, ...]:
    """Read the same, with a blank before each line, which means nothing, but lets no line be cut at its commas."""
    return _read(b"".join(b" " + line + b"\n" for line in lines[:-1]) + b" " + lines[-1] + end)


def _tokens(line: bytes) -> list[bytes | None] | None:
    tokens = tokenize(line)
    return None if any(token.is_symbol for token in tokens) else [token.value for token in tokens]


@settings(max_examples=200, deadline=None)
@given(st.lists(usual_lines | odd_lines, min_size=1, max_size=6))
def test_lines_when_they_are_cut_at_commas_then_the_values_are_those_of_their_tokens(
    lines: list[bytes],
) -> None:
    lines = [line for line in lines if line and b"\n" not in line] or [b"1,a,x"]
    cells = cut(b"\n".join(lines), WIDTH)

    if cells is not None:
        assert [cells[at : at + WIDTH] for at in range(0, len(cells), WIDTH)] == [*map(_tokens, lines)]


@settings(deadline=None)
@given(st.lists(usual_lines, min_size=1, max_size=30))
def test_lines_when_they_are_values_between_commas_then_they_are_cut_at_commas(lines: list[bytes]) -> None:
    assert cut(b"\n".join(lines), WIDTH) is not None


@pytest.mark.parametrize(
    "body",
    [
        b"'1,5',a,x",  # A comma within the value of a numeric column.
        b"1,a,'x''y'",  # Two values without a comma between them.
        b"1,a,'x\n2,b,y'",  # A quote that is closed in another line.
        b"1,a,'x\ry'",
        b"1,a,'x",
        b"1,a\n2,b,y,z",  # Rows that are too long and too short by as much.
        b"\n\n1,a,x\nno,a,x",  # A failure behind lines without a row.
        b"1,,x,y",
        b"1,a,'x' ",
    ],
)
def test_file_when_nearly_usual_then_counts_and_failures_are_those_of_its_tokens(body: bytes) -> None:
    assert _read(body) == _read_as_tokens(body.split(b"\n"), b"")


@settings(max_examples=300, deadline=None)
@given(bodies.filter(bool), st.sampled_from([b"\n", b"\r\n", b""]))
def test_file_when_it_is_read_then_counts_and_failures_are_those_of_its_tokens(
    lines: list[bytes], end: bytes
) -> None:
    body = b"\n".join(lines) + end

    assert _read(body) == _read_as_tokens(lines, end)


@settings(max_examples=8, deadline=None)
@given(many_lines, st.lists(odd_lines, max_size=1), many_lines)
def test_file_when_it_has_several_blocks_then_counts_and_failures_are_those_of_its_tokens(
    lines: list[bytes], odd: list[bytes], more: list[bytes]
) -> None:
    times = BLOCK_BYTES // len(b"\n".join(lines)) + 1
    body = [*lines * times, *odd, *more]

    assert _read(b"\n".join(body)) == _read_as_tokens(body, b"")


KINDS: list[frozenset[bytes] | str] = ["numeric", frozenset({b"a", b"b", b"'", b"New York"}), "string"]
"""The columns as the gate knows them; a label is a quotation mark."""


@settings(max_examples=400, deadline=None)
@given(usual_lines | odd_lines)
def test_gate_when_it_takes_a_line_at_a_glance_then_it_takes_it_value_by_value(line: bytes) -> None:
    line, rows = line.strip(), _Rows(KINDS)

    if rows._is_plainly_valid(line):
        assert rows._check_dense(line) == len(line)


@pytest.mark.parametrize("line", [b"1,'c',x", b"1,a,y'p,q'", b"1,a,'x''y'", b"'x',a,y"])
def test_gate_when_a_line_is_nearly_usual_then_a_glance_is_not_enough(line: bytes) -> None:
    assert not _Rows(KINDS)._is_plainly_valid(line)


@pytest.mark.parametrize("line", [b"1,a,x", b"-1.5,b,'some words'", b'?,a,"with, comma % {"', b"0,a,''"])
def test_gate_when_a_line_is_a_usual_one_then_a_glance_is_enough(line: bytes) -> None:
    assert _Rows(KINDS)._is_plainly_valid(line)


spelled_numbers = st.sampled_from(NUMBERS + NO_NUMBERS) | st.text("0123456789+-.eEfNax,", max_size=8).map(
    str.encode
)


@settings(max_examples=400, deadline=None)
@example([b"1,5"])
@example([b"9" * 200])
@given(st.lists(st.none() | st.integers().map(b"%d".__mod__) | spelled_numbers, max_size=6))
def test_numbers_when_none_has_to_be_read_by_itself_then_failures_and_squares_are_those_of_each(
    column: Column,
) -> None:
    quick, exact = Attribute(b"n", "numeric"), Attribute(b"n", "numeric")
    nan_rows, failure = check_column(quick, column)
    # Beside NaN, each number is read by itself.
    exact_nan_rows, exact_failure = check_column(exact, [*column, b"NaN"])

    assert [*nan_rows, len(column)] == exact_nan_rows
    assert failure == exact_failure
    assert quick.squares == exact.squares


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from([None, b"a", b"b"]), min_size=1), min_size=1))
def test_classes_when_they_come_in_parts_then_they_are_counted_as_one_by_one(parts: list[Column]) -> None:
    classes = Classes()
    for part in parts:
        classes.add(part)
    values = [value for part in parts for value in part]

    assert classes.counts == Counter(values)
    assert classes.changes == sum(
        after is None or after != before for before, after in itertools.pairwise(values)
    )
    assert (classes.first, classes.last, classes.has_missing) == (values[0], values[-1], None in values)
