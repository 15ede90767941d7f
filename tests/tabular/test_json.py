"""JSON: what pandas.read_json takes as a table, every digit kept, and what is refused."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.tabular import ConversionRequest, Limits, ProcessLimits, TabularError
from app.tabular.process import convert_in_process

Converter = Callable[..., Any]
MIB = 1024 * 1024


def refusal(converter: Converter, content: str | bytes, kind: str = "json", **fields: Any) -> TabularError:
    with pytest.raises(TabularError) as caught:
        converter(content, kind=kind, **fields)
    return caught.value


def kind_of(converter: Converter, cells: str, **fields: Any) -> tuple[str, list[str]]:
    """Convert a column, given as JSON values with commas between, in all three ways."""
    found = []
    values = json.loads(f"[{cells}]", parse_int=str, parse_float=str)
    spelled = cells.split(", ") if len(cells.split(", ")) == len(values) else []
    for content, kind in (
        ("[" + ",".join(f'{{"x": {cell}}}' for cell in spelled) + "]", "json"),
        ("\n".join(f'{{"x": {cell}}}' for cell in spelled), "jsonl"),
        (f'{{"x": [{cells}]}}', "json"),
    ):
        done = converter(content, kind=kind, **fields)
        found.append((done.conversion.columns[0].kind, done.rows))
    assert found[0] == found[1] == found[2]
    return found[0]


@pytest.mark.parametrize(
    ("cells", "kind", "written"),
    [
        ("1, -2, null", "integer", ["1", "-2", "?"]),
        ("1.10, 1e5, -0", "real", ["1.10", "1e5", "-0"]),
        ("0.1234567890123456789, 1", "real", ["0.1234567890123456789", "1"]),
        ("9007199254740993, 1", "string", ["9007199254740993", "1"]),
        ("12345678901234567890123, null", "string", ["12345678901234567890123", "?"]),
        ("true, false, null", "nominal", ["True", "False", "?"]),
        ("NaN, 1.5", "real", ["?", "1.5"]),
        ("null, null", "real", ["?", "?"]),
        ('"a", "b c", null, ""', "string", ["a", '"b c"', "?", '""']),
        ('"NA", "null", "?"', "string", ["NA", "null", '"?"']),
        ('"1", "2.50"', "real", ["1", "2.50"]),
        ('"1", "x", ""', "string", ["1", "x", '""']),
        ('"007", "12"', "string", ["007", "12"]),
        ('"true", "false"', "string", ["true", "false"]),
        ('1, "x"', "string", ["1", "x"]),
        ('true, "x", 1', "string", ["True", "x", "1"]),
        ('"\\u00e9\\n\\"\\\\x"', "string", ['"\u00e9\\n\\"\\\\x"']),
        ('"x\\u0000", "y\\\\"', "string", ['"x\\000"', '"y\\134"']),
        ('"\\ud83d\\ude00"', "string", ['"\U0001f600"']),
    ],
)
def test_a_column_when_read_then_its_type_keeps_every_value(
    converter: Converter, cells: str, kind: str, written: list[str]
) -> None:
    assert kind_of(converter, cells) == (kind, written)


def test_a_column_when_a_target_or_declared_then_as_in_other_formats(converter: Converter) -> None:
    assert kind_of(converter, '"b", "a", ""', target_attributes=("x",)) == ("nominal", ["b", "a", "?"])
    assert kind_of(converter, "1, 0", attributes={"x": "boolean"}) == ("nominal", ["1", "0"])
    assert kind_of(converter, "1, 2.0", attributes={"x": "string"}) == ("string", ["1", "2.0"])
    assert kind_of(converter, "true, false", attributes={"x": "string"}) == ("string", ["True", "False"])


def test_keys_when_they_differ_by_record_then_all_are_columns_as_first_met(converter: Converter) -> None:
    records = [{"b": 1}] * 20_000 + [{"a": "x", "b": None}, {"c": True}]
    done = converter("\n".join(map(json.dumps, records)), kind="jsonl")
    assert [(column.name, column.kind) for column in done.conversion.columns] == [
        ("b", "integer"), ("a", "string"), ("c", "nominal"),
    ]  # fmt: skip
    assert done.rows[:1] + done.rows[-2:] == ["1,?,?", "?,x,?", "?,?,True"]


def test_columns_when_of_many_blocks_then_rows_are_put_together(converter: Converter) -> None:
    columns: dict[str, list[Any]] = {
        "n": list(range(10_000)),
        "s": [f"t {n}" if n % 2 else None for n in range(10_000)],
        "x": [n / 8 for n in range(10_000)],
    }
    expected = [f"{n},{chr(34) + f't {n}' + chr(34) if n % 2 else '?'},{n / 8}" for n in range(10_000)]
    assert converter(json.dumps(columns), kind="json").rows == expected
    labelled = {name: dict(enumerate(values)) for name, values in columns.items()}
    done = converter(json.dumps(labelled), kind="json")
    assert (done.rows, done.conversion.repairs) == (expected, ())


def test_row_labels_when_not_numbers_then_left_out_and_reported(converter: Converter) -> None:
    done = converter('{"a": {"p": 1, "q": 2}, "b": {"p": 3, "q": 4}}', kind="json")
    assert done.rows == ["1,3", "2,4"]
    assert len(done.conversion.repairs) == 1


@pytest.mark.parametrize(
    ("content", "slug", "line", "row"),
    [
        ("[1, 2]", "invalid-json", None, 1),
        ("[[1, 2], [3, 4]]", "invalid-json", None, 1),
        ('[{"a": 1},\n{"a": 2},\n]', "invalid-json", 3, None),
        ('[{"a": 1},\n{"a": 2}', "invalid-json", 2, None),
        ('[{"a": 1}\n{"a": 2}]', "invalid-json", 2, None),
        ('[{"a": 1}] x', "invalid-json", 1, None),
        ('[{"a": tru}]', "invalid-json", 1, None),
        ("[{'a': 1}]", "invalid-json", 1, None),
        ('[{"a": "x}]', "invalid-json", 1, None),
        ('{"a": 1}\n{"a": \n', "invalid-json", 3, None),
        ("a,b\n1,2\n", "invalid-json", 1, None),
        ('[{"a": 1}, {"a": [1]}]', "nested-value", None, 2),
        ('[{"a": 1}, {"a": {"b": 1}}]', "nested-value", None, 2),
        ('{"a": [1, [2]]}', "nested-value", None, 2),
        ('{"a": [1, 2], "b": [1]}', "ragged-column", None, None),
        ('{"a": [1], "b": [1, 2]}', "ragged-column", None, None),
        ('{"a": {"0": 1, "1": 2}, "b": {"1": 1, "0": 2}}', "ragged-column", None, None),
        ('{"columns": ["a"], "index": [0, 1], "data": [[1], [2]]}', "ragged-column", None, None),
        ('{"a": [1], "a": [2]}', "duplicate-column", None, None),
        ('{"a": [1], "b": 2}', "invalid-json", 1, None),
        ("[]", "no-rows", None, None),
        ("{}", "no-rows", None, None),
        ("[{}, {}]", "no-rows", None, None),
        ("  \n ", "no-rows", None, None),
        ('[{"a": Infinity}, {"a": 1}]', "not-finite", None, 1),
        ('[{"a": 1e999}, {"a": 1}]', "not-finite", None, 1),
        ('[{"a": "\\ud800"}]', "not-text", None, None),
        ('[{"\\ud800": 1}]', "not-text", None, None),
        ('{"\\ud800": [1, 2]}', "not-text", None, None),
        ('[{"a": 1}, {"\\udfff": "\\ud800"}]', "not-text", None, None),
        ("[" * 100_000, "invalid-json", 1, None),
        ('[{"a": ' + "[" * 100_000, "invalid-json", 1, None),
    ],
)
def test_a_file_when_it_is_no_table_then_refused_with_the_place(
    converter: Converter, content: str, slug: str, line: int | None, row: int | None
) -> None:
    error = refusal(converter, content)
    assert (error.slug, error.line, error.row) == (slug, line, row)
    json.dumps(error.to_json(), ensure_ascii=False).encode()  # as every answer that shows it


def test_a_fault_when_far_behind_then_its_line_is_reported(converter: Converter) -> None:
    good = "".join(f'{{"a": {n}, "text": "{"x" * 80}"}}\n' for n in range(50_000))
    assert refusal(converter, good + '{"a": oops}\n' + good, "jsonl").line == 50_001


@pytest.mark.parametrize(
    ("limits", "content", "slug"),
    [
        (Limits(max_columns=2), '[{"a": 1, "b": 2}, {"c": 3}]', "too-many-columns"),
        (Limits(max_columns=2), '{"a": [1], "b": [1], "c": [1]}', "too-many-columns"),
        (Limits(max_cell_bytes=3), '[{"a": "four"}]', "cell-too-long"),
        (Limits(max_unpacked_bytes=20), '[{"a": 1}, {"a": 22222222}]', "file-too-large"),
        (Limits(), f'[{{"a": "{"x" * 12_000_000}"}}]', "row-too-long"),
        (Limits(), f'[{{"a": "{"x" * 12_000_000}', "row-too-long"),
    ],
)
def test_a_limit_when_passed_then_refused(
    converter: Converter, limits: Limits, content: str, slug: str
) -> None:
    assert refusal(converter, content, limits=limits).slug == slug


def test_a_bomb_when_each_record_has_a_key_of_its_own_then_stopped_at_the_limit(converter: Converter) -> None:
    records = "\n".join(f'{{"k{n}": 1}}' for n in range(20_000))
    begin = time.process_time()
    error = refusal(converter, records, "jsonl", limits=Limits(max_unpacked_bytes=2_000_000))
    assert error.slug == "file-too-large"
    assert time.process_time() - begin < 2


@pytest.mark.long
@pytest.mark.parametrize("orient", ["records", "columns"])
async def test_a_file_when_ten_times_as_long_then_it_needs_no_more_memory(
    tmp_path: Path, orient: str
) -> None:
    limits = ProcessLimits(memory_bytes=260 * MIB)
    source = tmp_path / "table.json"
    request = ConversionRequest(source, tmp_path / "out.arff", "json", "table")
    for rows in (20_000, 200_000):
        write_large(source, rows, orient)
        assert (await convert_in_process(request, limits)).rows == rows
    assert files_in(tmp_path) == ["out.arff", "table.json"]


def write_large(path: Path, rows: int, orient: str) -> None:
    texts = [f"some text {n}" * 5 for n in range(rows)]
    records: Any = [{"n": n, "s": text} for n, text in enumerate(texts)]
    path.write_text(json.dumps(records if orient == "records" else {"n": list(range(rows)), "s": texts}))


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_number_when_a_window_ends_within_it_then_it_is_whole(converter: Converter) -> None:
    # Windows end every two mebibytes; numbers of 18 characters and a comma meet the end in each of their parts.
    numbers = [f"-1{n:06}.25e+{n % 100:02}" for n in range(250_000)]
    done = converter(f'{{"x": [{",".join(numbers)}]}}', kind="json")
    assert done.rows == numbers
