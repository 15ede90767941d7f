"""Records of JSON that are read by columns: the values that are read one by one, or nothing."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.tabular.readers.json_scanner import JsonScanner
from app.tabular.readers.json_values import check_names, texts_of
from app.tabular.readers.text import TextFile
from app.tabular.types import TabularError
from tests.tabular.conftest import Converter

TOKENS = [
    "0",
    "-0",
    "1.50",
    "1e5",
    "10.25E+05",
    "-0.10",
    "98765432109876543210",
    "true",
    "false",
    "null",
    "NaN",
]
TEXTS = [
    '""', '"a"', '"7"', '"null"', '": null"', '"é"', '"\\u00e9\\ud83d\\ude00"', '"\\\\"', '"\\\\\\""',
    '"\\"b\\": null"', '"x\\nb\\/\\u0000"', '"},{"', '"}, {"', '", "', '"\t"', '":"', "null",
]  # fmt: skip
ODD = [
    '"}\n{"', '"a\nb"', '"a\rb"', '"\\ud800"', '"\\x"', "Infinity", "[]", "{}", '{"a": 1}', "007", "-01", "1.", ".5",
    "+1", "-", "1e", "nul", "truefalse", "1 2", '"a" "b"', "", '1, "b": 2', '1, "c": 2', '"\\', '1}, {"a": 1', "\0",
    "1\x0b",
]  # fmt: skip
STYLES = [
    '{"a": %s, "b": %s}', '{"a":%s,"b":%s}', '{ "a" : %s , "b" : %s }', '{\n  "a": %s,\n  "b": %s\n}',
    '{"\\u0061": %s, "b": %s}',
]  # fmt: skip
BETWEEN = ["\n", "\r\n", "\n\n", " ", ",", ", ", ",\n", "\r\n  ,"]


def opened(folder: Path, text: str) -> JsonScanner:
    path = folder / "table.json"
    path.write_bytes(text.encode())
    return JsonScanner(TextFile(path, "utf-8", path.stat().st_size))


def rows_by_columns(folder: Path, records: list[str], between: str, kinds: list[set[type]]) -> int:
    """Read what follows the first record in both ways, compare, and return how many are read by columns."""
    sign = between.strip()
    text = f"[{between.join(records)}]" if sign else between.join(records)
    scanner, other = opened(folder, text), opened(folder, text)
    for each in (scanner, other):
        next(each.items() if sign else each.lines())
    blocks = list(scanner.alike(sign, ["a", "b"], kinds))
    found = [pa.concat_arrays([block[place].texts for block in blocks]) for place in (0, 1) if blocks]
    other.watch()
    rows = []
    for _ in range(len(found[0]) if blocks else 0):
        other.take(",") if sign else other.peek()
        rows.append(other.value())
    assert scanner.consumed == other.consumed
    if rows:
        check_names(other.taken(), rows, 0)
        assert {tuple(row) for row in rows} == {("a", "b")}
    for place, texts in enumerate(found):
        expected, types = texts_of("a", [row["ab"[place]] for row in rows], 0)
        assert texts.equals(expected)
        assert set().union(*(block[place].kinds for block in blocks)) == types
    return len(rows)


@pytest.mark.parametrize("between", BETWEEN)
def test_records_when_alike_then_all_but_the_last_are_read_by_columns(tmp_path: Path, between: str) -> None:
    texts = [text for text in TEXTS if text[1:-1].strip("{}") != between]
    for style in STYLES:
        records = [style % (token, text) for token in TOKENS for text in texts]
        assert rows_by_columns(tmp_path, records, between, [{bytes}, {str}]) == len(records) - 2


def test_records_when_one_is_odd_then_none_near_it_is_read_by_columns(tmp_path: Path) -> None:
    for odd, (style, between) in product(ODD, ((STYLES[0], "\n"), (STYLES[1], ","))):
        records = [style % pair for pair in (*[("1", '"x"')] * 5, (odd, '"x"'), ("1", odd), ("1", '"x"'))]
        for each in (records, records[:6] + records[7:], records[:5] + records[6:]):
            assert rows_by_columns(tmp_path, each, between, [{bytes}, {str}]) == 0


CELLS = st.sampled_from(TOKENS) | st.sampled_from(TEXTS) | st.sampled_from(ODD)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(TOKENS), st.sampled_from(TEXTS)), min_size=2, max_size=12),
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from(STYLES), CELLS, CELLS), max_size=2),
    st.tuples(st.sampled_from(STYLES), st.sampled_from(BETWEEN)),
    st.sampled_from([[{bytes}, {str}], [set(), {str}], [{bytes}, set()], [{bool}, {bytes}]]),
)
def test_records_of_any_kind_when_read_by_columns_then_as_one_by_one(
    tmp_path: Path,
    usual: list[tuple[str, str]],
    unusual: list[tuple[int, str, str, str]],
    spelling: tuple[str, str],
    kinds: list[set[type]],
) -> None:
    style, between = spelling
    records = [style % pair for pair in usual]
    for at, other, first, second in unusual:
        records.insert(at, other % (first, second))
    records.insert(0, style % usual[0])
    rows_by_columns(tmp_path, records, between, kinds)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("fields", [{}, {"leave_out": ("left",)}])
def test_a_file_when_some_records_are_alike_then_it_is_read_as_if_none_were(
    converter: Converter, indent: int | None, fields: dict[str, Any]
) -> None:
    records: list[dict[str, Any]] = [
        {"n": n, "s": f'"{n}"\n' if n % 3 else None, "x": n / 8} for n in range(400)
    ]
    records[300] = {"x": 1, "n": "seven", "left": [1]}
    alike = [json.dumps(record, indent=indent) for record in records]
    unlike = [text + " " * (number % 2) for number, text in enumerate(alike)]
    first, second = (outcome(converter, f"[{','.join(each)}]", **fields) for each in (alike, unlike))
    assert first == second


def outcome(converter: Converter, content: str, **fields: Any) -> object:
    try:
        done = converter(content, kind="json", **fields)
    except TabularError as error:
        return error.to_json()
    return done.text, done.conversion
