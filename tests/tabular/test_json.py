"""JSON: what pandas.read_json takes as a table, every digit kept, and what is refused."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from app.tabular import ConversionRequest, Limits, ProcessLimits, TabularError
from app.tabular.process import convert_in_process
from app.tabular.readers.spool import together
from app.tabular.reading import Reading

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


def test_blocks_when_few_columns_of_many_then_cut_to_a_number_of_cells() -> None:
    tall = ({9_999: pa.array(map(str, range(1700)))}, 1700, 0.5)
    blocks = [*together(iter([tall, ({}, 1, 1.0)]), 10_000, most_rows=2000)]
    assert [rows for _, rows, _ in blocks] == [800, 800, 100, 1]
    assert [cell for columns, _, _ in blocks for cell in columns[-1].to_pylist()] == [
        *map(str, range(1700)),
        None,
    ]


def test_row_labels_when_not_numbers_then_a_column_or_left_out_by_choice(converter: Converter) -> None:
    text = '{"a": {"p": 1, "q": "x"}, "b": {"p": 3, "q": 4}}'
    orient = Reading(orient="columns")
    done = converter(text, kind="json", reading=orient)
    assert [column.name for column in done.conversion.columns] == ["row_name", "a", "b"]
    assert done.rows == ["p,1,3", "q,x,4"]
    assert "row_name" in done.conversion.repairs[0].change
    assert done.conversion.reading["row_names"]["value"] == "keep"
    done = converter(text, kind="json", reading=replace(orient, row_names="leave-out"))
    assert (done.rows, len(done.conversion.repairs)) == (["1,3", "x,4"], 1)


FRAME = pd.DataFrame({"n": [1, 2, 3], "s": ["a", "b", None], "x": [0.5, None, 1.5]})
LABELLED = FRAME.set_axis(["p", "q", "r"])


@pytest.mark.parametrize("frame", [FRAME, LABELLED], ids=["numbered", "labelled"])
@pytest.mark.parametrize("orient", ["records", "columns", "index", "split", "table", "values"])
def test_a_frame_when_pandas_writes_it_in_any_way_then_it_is_read_so(
    converter: Converter, frame: pd.DataFrame, orient: Any
) -> None:
    done = converter(frame.to_json(orient=orient), kind="json")
    has_labels = frame is LABELLED and orient not in {"records", "values"}
    labels = ["p,", "q,", "r,"] if has_labels else ["", "", ""]
    numbers = ["1,a,0.5", "2,b,?", "3,?,1.5"]
    assert done.rows == [label + row for label, row in zip(labels, numbers, strict=True)]
    names = ["V1", "V2", "V3"] if orient == "values" else ["n", "s", "x"]
    assert [column.name for column in done.conversion.columns] == ["row_name"] * has_labels + names
    assert done.conversion.reading["orient"] == {
        **done.conversion.reading["orient"], "value": orient, "by": "file", "sure": True,
    }  # fmt: skip
    chosen = converter(frame.to_json(orient=orient), kind="json", reading=Reading(orient=orient))
    assert (chosen.text, chosen.conversion.reading["orient"]["by"]) == (done.text, "owner")


@pytest.mark.parametrize("indent", [None, 1])
def test_columns_when_they_are_long_then_read_ahead_as_one_by_one(
    converter: Converter, indent: int | None
) -> None:
    """Labels with escapes, long texts and what is nested end a run of values that are at hand."""
    cells: list[Any] = [
        [number / 8, None, number, 'a, b: "c"', "x" * (number % 700)][number % 5] for number in range(3000)
    ]
    labels = [f'row "{number}"' if number % 97 == 0 else f"row {number}" for number in range(3000)]
    columns = {"a": dict(zip(labels, cells, strict=True)), "b": dict.fromkeys(labels, 1)}
    by_label = converter(json.dumps(columns, indent=indent), kind="json")
    lists = {"row_name": labels, "a": cells, "b": [1] * 3000}
    by_place = converter(json.dumps(lists, indent=indent), kind="json", reading=Reading(orient="columns"))
    assert by_label.rows == by_place.rows
    assert [cell if cell != "" else None for cell in cells] == [
        cell if cell is None else json.loads(cell) if number % 5 in {0, 2} else cell
        for number, cell in enumerate(by_label["a"][1])
    ]
    columns["a"]["row 3"] = [1]
    with pytest.raises(TabularError, match="Row 4, column 'a'"):
        converter(json.dumps(columns, indent=indent), kind="json")
    with pytest.raises(TabularError, match="not valid JSON"):
        converter(json.dumps(lists)[:-9] + ",]}", kind="json")


def test_a_table_of_pandas_when_it_has_a_schema_then_its_types_and_key_count(converter: Converter) -> None:
    frame = pd.DataFrame(
        {
            "code": ["007", "12", "13"],
            "size": pd.Categorical(["low", "high", "low"], ["low", "mid", "high"]),
            "day": pd.to_datetime(["2026-11-21", "2026-11-22", "2026-11-23"]),
            "number": ["1", "2", "3"],
        },
        index=pd.Index(["u", "v", "w"], name="key"),
    )
    done = converter(frame.to_json(orient="table"), kind="json")
    kinds = [(column.name, column.kind, column.labels) for column in done.conversion.columns]
    assert kinds == [
        ("key", "string", None), ("code", "string", None), ("size", "nominal", ("low", "mid", "high")),
        ("day", "string", None), ("number", "string", None),
    ]  # fmt: skip
    assert done.conversion.row_id_attribute == "key"


@pytest.mark.parametrize(
    ("content", "rows", "orient"),
    [
        ('{"AD": {"n": "Andorra", "p": 84000}, "AE": {"n": "Emirates", "p": 4975593}}',
         ["AD,Andorra,84000", "AE,Emirates,4975593"], "index"),
        ('{"n": {"AD": "Andorra", "AE": "Emirates"}, "p": {"AD": 84000, "AE": 4975593}}',
         ["AD,Andorra,84000", "AE,Emirates,4975593"], "columns"),
        ('{"0": {"a": 1, "b": 2}, "1": {"a": 3, "b": 4}}', ["1,2", "3,4"], "index"),
        ('{"a": {"1": 1, "2": 2}, "b": {"1": 3, "2": 4}}', ["1,3", "2,4"], "columns"),
        ('{"u": [1, "x"], "v": [2, "y"]}', ["1,2", "x,y"], "columns"),
        ('{"data": [[1, "x"], [2, "y"]], "columns": ["a", "b"], "index": ["p", "q"]}', ["p,1,x", "q,2,y"], "split"),
        ('{"columns": [["a", "b"], ["a", "c"]], "index": [3, 1], "data": [[1, 2], [3, 4]]}',
         ["3,1,2", "1,3,4"], "split"),
        ('{"a": 1, "b": "x"}', ["1,x"], "records"),
        ('[["a", "b"], [1, "x"], [2, "y"]]', ["1,x", "2,y"], "values"),
        ('[[1, "x"], [2, "y"]]', ["1,x", "2,y"], "values"),
        ('[1, "x"]\n\n[2, "y"]\n', ["1,x", "2,y"], "values"),
    ],
)  # fmt: skip
def test_a_document_when_its_types_tell_the_layout_then_it_is_read_so(
    converter: Converter, content: str, rows: list[str], orient: str
) -> None:
    done = converter(content, kind="json")
    assert done.rows == rows
    assert done.conversion.reading["orient"]["value"] == orient


@pytest.mark.long
def test_an_index_when_longer_than_a_window_then_it_is_read_as_one(converter: Converter) -> None:
    document = {f"key {n}": {"name": f"name {n}" * 10, "n": n} for n in range(40_000)}
    done = converter(json.dumps(document), kind="json")
    assert (len(done.rows), done.rows[-1]) == (40_000, f'"key 39999","{"name 39999" * 10}",39999')
    # A label is kept, and so is another row with the same.
    assert converter('{"a": {"x": 1, "y": "u"}, "a": {"x": 2, "y": "v"}}', kind="json").rows == [
        "a,1,u",
        "a,2,v",
    ]


@pytest.mark.parametrize(
    ("content", "field", "choices"),
    [
        ('{"a": {"p": 1, "q": 2}, "b": {"p": 3, "q": 4}}', "orient", ["columns", "index"]),
        ('{"u": [1, "x"], "v": [2, "y"]}', "orient", ["columns", "index"]),
        ('{"x": [{"a": 1}], "y": [{"a": 2}, {"a": 3}]}', "array", ["x", "y"]),
        ('{"meta": 1, "r": {"x": [{"a": 1}], "y": [{"a": 2}]}}', "array", ["r.x", "r.y"]),
        ('{"x": [{"a": 1}, {"a": 2}], "y": [3, 4]}', "orient", ["records", "columns"]),
        ('[["a", "b"], ["c", "d"]]', "header", [True, False]),
    ],
)
def test_a_document_when_it_could_be_several_tables_then_refused_with_the_choices(
    converter: Converter, content: str, field: str, choices: list[Any]
) -> None:
    error = refusal(converter, content, refuse_doubts=True)
    assert (error.slug, error.choices) == ("unsure-reading", {field: choices})
    for choice in choices if content[-3:] != "4]}" else choices[:1]:
        done = converter(content, kind="json", refuse_doubts=True, reading=Reading(**{field: choice}))
        assert done.conversion.reading[field] == {
            **done.conversion.reading[field],
            "value": choice,
            "by": "owner",
        }


@pytest.mark.parametrize(
    ("content", "fields", "rows"),
    [
        ('{"count": 2, "data": [{"a": 1}, {"a": 2}], "next": null}', {}, ["1", "2"]),
        ('{"ok": true, "result": {"records": [{"a": 1}, {"a": 2}], "total": 2}}', {}, ["1", "2"]),
        ('{"meta": {"x": [1]}, "data": [[1, "u"], [2, "v"]]}', {}, ["1,u", "2,v"]),
        ('{"x": [{"a": 1}], "y": [{"a": 2}, {"a": 3}]}', {"array": "y"}, ["2", "3"]),
        ('{"r": {"x.y": 1, "y": [{"a": 2}]}}', {"array": "r.y"}, ["2"]),
        ('{"r.y": [{"a": 2}], "z": [{"a": 1}]}', {"array": "r.y"}, ["2"]),
        ('{"a": {"p": 1, "q": 2}, "b": {"p": 3, "q": 4}}', {"orient": "index"}, ["a,1,2", "b,3,4"]),
        ('[["a", "b"], ["c", "d"]]', {"header": False}, ["a,b", "c,d"]),
    ],
)
def test_rows_when_within_a_document_then_the_array_is_found_or_chosen(
    converter: Converter, content: str, fields: dict[str, Any], rows: list[str]
) -> None:
    assert converter(content, kind="json", reading=Reading(**fields)).rows == rows


def test_what_stands_beside_the_rows_when_left_out_then_told(converter: Converter) -> None:
    big = json.dumps({"data": [{"a": 1}], "more": [{"b": "x" * 100}] * 100_000, "n": 5})
    done = converter(big, kind="json")
    assert done.rows == ["1"]
    assert "'more', 'n'" in done.conversion.repairs[0].change
    assert [doubt.field for doubt in done.conversion.doubts] == ["array"]


@pytest.mark.parametrize(
    ("content", "kind", "row"),
    [
        ('[{"a": 1, "a": 2}]', "json", 1),
        ('[{"a": 1}, {"a" : 1,\n"a"\t: 2}]', "json", 2),
        ('{"a": 1}\n\n{"a": 1, "b": ":", "a": 2}\n', "jsonl", 2),
        ('{"data": [{"a": 1}, {"a": 1, "a": 1}]}', "json", 2),
        ('{"u": {"a": 1, "b": "x"}, "v": {"a": 1, "b": "y", "b": "z"}}', "json", 2),
        ('[{"a": 1}' + ', {"a": "\\":"}' * 50_000 + ', {"a": 1, "a": "\\":"}]', "json", 50_002),
    ],
)
def test_a_name_when_twice_in_a_row_then_refused_with_the_row(
    converter: Converter, content: str, kind: str, row: int
) -> None:
    error = refusal(converter, content, kind)
    assert (error.slug, error.row, error.column) == ("duplicate-key", row, error.column)


@pytest.mark.parametrize("text", [":", '\\":', " :x", "\\\\", ': \\": :'])
def test_a_text_when_it_looks_like_the_end_of_a_name_then_no_name_is_repeated(
    converter: Converter, text: str
) -> None:
    content = f'[{{"a": "{text}", "b\\":": 1}}, {{"a": "x", "b\\":" : 2}}]'
    assert len(converter(content, kind="json").rows) == 2


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        ('[{"a": 1}]', {"orient": "columns"}),
        ('{"a": 1}', {"orient": "split"}),
        ('{"a": {"x": 1}}', {"orient": "records"}),
        ('{"a": [{"x": 1}]}', {"array": "b"}),
    ],
)
def test_a_choice_when_the_document_does_not_bear_it_then_refused(
    converter: Converter, content: str, fields: dict[str, Any]
) -> None:
    assert refusal(converter, content, reading=Reading(**fields)).slug == "unsuitable-reading"


@pytest.mark.parametrize(
    ("content", "slug", "line", "row"),
    [
        ("[1, 2]", "invalid-json", None, 1),
        ("[[1, 2], [3]]", "ragged-row", None, 2),
        ('[{"a": 1}, [1]]', "invalid-json", None, 2),
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
        ('{"columns": ["a"], "index": [0, 1], "data": [[1, 3], [2, 4]]}', "ragged-column", None, None),
        ('{"a": [1], "a": [2]}', "duplicate-column", None, None),
        ('{"a": [1], "b": 2}', "nested-value", None, 1),
        ('{"a": [1], "b": {"x": 1}}', "ragged-column", None, None),
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


@pytest.mark.long
def test_a_number_when_a_window_ends_within_it_then_it_is_whole(converter: Converter) -> None:
    # Windows end every two mebibytes; numbers of 18 characters and a comma meet the end in each of their parts.
    numbers = [f"-1{n:06}.25e+{n % 100:02}" for n in range(250_000)]
    done = converter(f'{{"x": [{",".join(numbers)}]}}', kind="json")
    assert done.rows == numbers
