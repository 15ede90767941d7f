"""Parquet and Feather: what each type becomes, what is refused, and files that are larger than they look."""

import datetime as dt
import io
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from app.tabular import ConversionRequest, Limits, ProcessLimits, TabularError
from app.tabular.process import convert_in_process
from app.tabular.types import Format

Converter = Callable[..., Any]
MIB = 1024 * 1024
BERLIN = pa.timestamp("us", "Europe/Berlin")


def parquet(table: pa.Table | pd.DataFrame, **options: Any) -> bytes:
    sink = io.BytesIO()
    if isinstance(table, pd.DataFrame):
        table.to_parquet(sink, **options)
    else:
        pq.write_table(table, sink, **options)
    return sink.getvalue()


def feather(table: pa.Table | pd.DataFrame, **options: Any) -> bytes:
    sink = io.BytesIO()
    pyarrow.feather.write_feather(table, sink, **options)
    return sink.getvalue()


SAVE = {"parquet": parquet, "feather": feather}


def both(converter: Converter, table: Any, **fields: Any) -> Any:
    """Convert a table from both formats, and return what they agree upon."""
    done = [converter(save(table), kind=kind, **fields) for kind, save in SAVE.items()]
    assert done[0].text == done[1].text
    return done[0]


def refusal(converter: Converter, table: Any, **fields: Any) -> TabularError:
    errors = []
    for kind, save in SAVE.items():
        with pytest.raises(TabularError) as caught:
            converter(save(table), kind=kind, **fields)
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])
    return errors[0]


def column(values: list[Any], kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"x": pa.array(values, kind)})


MIDNIGHT = dt.datetime.combine(dt.date(2026, 11, 21), dt.time())
NOON = MIDNIGHT.replace(hour=12, minute=30, second=5)
TYPES: list[tuple[list[Any], pa.DataType | None, str, list[str]]] = [
    ([1, None, -3], pa.int8(), "integer", ["1", "?", "-3"]),
    ([2**32 - 1], pa.uint32(), "integer", ["4294967295"]),
    ([2**53, -(2**53)], pa.int64(), "integer", ["9007199254740992", "-9007199254740992"]),
    ([2**53 + 1, None, 1], pa.int64(), "string", ["9007199254740993", "?", "1"]),
    ([2**64 - 1], pa.uint64(), "string", ["18446744073709551615"]),
    ([1.5, None, float("nan"), 1e300], pa.float64(), "real", ["1.5", "?", "?", "1e+300"]),
    ([0.1, 3.0], pa.float32(), "real", ["0.1", "3"]),
    ([0.5], pa.float16(), "real", ["0.5"]),
    ([Decimal("1.10"), None], pa.decimal128(5, 2), "real", ["1.10", "?"]),
    ([Decimal(7)], pa.decimal128(5, 0), "integer", ["7"]),
    ([Decimal(10) ** 20], pa.decimal128(30, 0), "string", ["1" + "0" * 20]),
    ([True, False, None], pa.bool_(), "nominal", ["True", "False", "?"]),
    (["a b", "", None, "?", "NA"], pa.string(), "string", ['"a b"', '""', "?", '"?"', "NA"]),
    (["a"], pa.large_string(), "string", ["a"]),
    (["a"], pa.string_view(), "string", ["a"]),
    ([None, None], pa.null(), "real", ["?", "?"]),
    ([dt.date(2026, 11, 21), None], pa.date32(), "string", ["2026-11-21", "?"]),
    ([dt.time(12, 30)], pa.time32("s"), "string", ['"12:30:00"']),
    ([MIDNIGHT, None], pa.timestamp("ns"), "string", ["2026-11-21", "?"]),
    ([NOON, MIDNIGHT.replace(year=1960)], pa.timestamp("ns"), "string",
     ['"2026-11-21T12:30:05"', '"1960-11-21T00:00:00"']),
    ([NOON.replace(microsecond=1000)], pa.timestamp("ns"), "string", ['"2026-11-21T12:30:05.001"']),
    ([NOON.replace(microsecond=1)], pa.timestamp("us"), "string", ['"2026-11-21T12:30:05.000001"']),
    ([NOON.replace(tzinfo=dt.UTC)], BERLIN, "string", ['"2026-11-21T12:30:05Z"']),
]  # fmt: skip


@pytest.mark.parametrize(("values", "kind", "published", "written"), TYPES)
def test_a_column_when_typed_then_its_values_arrive(
    converter: Converter, values: list[Any], kind: pa.DataType, published: str, written: list[str]
) -> None:
    done = both(converter, column(values, kind))
    assert done.conversion.columns[0].kind == published
    assert done.rows == written
    assert done.conversion.columns[0].missing == written.count("?")


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.int64()),
        pa.struct({"a": pa.int64()}),
        pa.map_(pa.string(), pa.int64()),
        pa.binary(),
        pa.duration("s"),
    ],
)
def test_a_column_when_its_type_has_no_counterpart_then_refused(
    converter: Converter, kind: pa.DataType
) -> None:
    error = refusal(converter, pa.table({"ok": [1], "x": pa.nulls(1, kind)}))
    assert (error.slug, error.column) == ("unusable-type", "x")


@pytest.mark.parametrize("bad", [float("inf"), float("-inf")])
def test_an_infinite_number_when_in_a_late_row_then_refused_with_it(converter: Converter, bad: float) -> None:
    error = refusal(converter, column([0.5] * 40_000 + [bad]))
    assert (error.slug, error.row, error.column) == ("not-finite", 40_001, "x")


def test_whole_numbers_when_one_of_the_last_is_too_long_then_all_are_texts(converter: Converter) -> None:
    done = both(converter, column([1] * 40_000 + [2**60]))
    assert (done.conversion.columns[0].kind, done.rows[0], done.rows[-1]) == ("string", "1", str(2**60))


def test_points_in_time_when_one_of_the_last_is_finer_then_all_are_written_so(converter: Converter) -> None:
    rows = both(converter, column([MIDNIGHT] * 40_000 + [NOON], pa.timestamp("us"))).rows
    assert (rows[0], rows[-1]) == ('"2026-11-21T00:00:00"', '"2026-11-21T12:30:05"')


def test_categories_when_pandas_saved_them_then_their_order_and_the_unused_are_kept(
    converter: Converter,
) -> None:
    frame = pd.DataFrame({"x": pd.Categorical(["low", "high", None], categories=["low", "mid", "high"])})
    done = both(converter, frame)
    assert done["x"] == (["low", "mid", "high"], ["low", "high", None])


def test_a_dictionary_when_not_of_pandas_then_its_labels_are_sorted(converter: Converter) -> None:
    assert both(converter, column(["b", "a", "b"]).select(["x"]).cast(
        pa.schema({"x": pa.dictionary(pa.int32(), pa.string())})
    ))["x"] == (["a", "b"], ["b", "a", "b"])  # fmt: skip


def test_categories_when_they_differ_by_row_group_then_all_are_labels(converter: Converter) -> None:
    frame = pa.concat_tables(
        [
            column(["b", "a"]).cast(pa.schema({"x": pa.dictionary(pa.int32(), pa.string())})),
            column(["c", "a"]).cast(pa.schema({"x": pa.dictionary(pa.int32(), pa.string())})),
        ]
    )
    done = converter(parquet(frame, row_group_size=2), kind="parquet")
    assert done["x"] == (["a", "b", "c"], ["b", "a", "c", "a"])


def test_categories_when_numbers_then_their_texts_are_the_labels(converter: Converter) -> None:
    frame = pd.DataFrame({"x": pd.Categorical([10, 9, 10])})
    assert converter(feather(frame), kind="feather")["x"] == (["9", "10"], ["10", "9", "10"])


@pytest.mark.parametrize("bad", ["caf\u00e9", "it's", "x" * 300])
def test_categories_when_they_cannot_be_labels_then_text_unless_a_target(
    converter: Converter, bad: str
) -> None:
    frame = pd.DataFrame({"x": pd.Categorical(["a", bad]), "y": [1, 2]})
    done = both(converter, frame)
    assert done["x"] == ("STRING", ["a", bad])
    assert [repair.column for repair in done.conversion.repairs] == ["x"]
    assert refusal(converter, frame, target_attributes=("x",)).slug == "bad-label"
    assert refusal(converter, frame, repair=False).slug == "bad-label"


def test_a_text_when_it_is_the_target_then_nominal(converter: Converter) -> None:
    done = both(converter, column(["b", "a", None, ""]), target_attributes=("x",))
    assert done["x"] == (["a", "b"], ["b", "a", None, None])


@pytest.mark.parametrize(
    ("values", "declared", "kind", "written"),
    [
        ([7, 12], "string", "string", ["7", "12"]),
        ([7, 12], "nominal", "nominal", ["7", "12"]),
        ([7, 12], {"nominal": ["12", "7"]}, "nominal", ["7", "12"]),
        ([1, 0], "boolean", "nominal", ["1", "0"]),
        ([1.0, 2.0], "integer", "integer", ["1", "2"]),
        (["1.50", None], "real", "real", ["1.50", "?"]),
        ([True, False], "string", "string", ["True", "False"]),
    ],
)
def test_a_type_when_declared_then_it_replaces_the_files(
    converter: Converter, values: list[Any], declared: Any, kind: str, written: list[str]
) -> None:
    done = both(converter, column(values), attributes={"x": declared})
    assert (done.conversion.columns[0].kind, done.rows) == (kind, written)


def test_a_value_when_it_does_not_fit_the_declared_type_then_refused_with_its_row(
    converter: Converter,
) -> None:
    error = refusal(converter, column([1.0] * 20_000 + [1.5]), attributes={"x": "integer"})
    assert (error.slug, error.row, error.column) == ("value-does-not-fit", 20_001, "x")


def test_an_index_when_it_has_a_name_then_it_is_the_first_column_and_the_row_id(converter: Converter) -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["p", "q"], name="key"))
    done = both(converter, frame)
    assert [each.name for each in done.conversion.columns] == ["key", "x"]
    assert done.conversion.row_id_attribute == "key"
    assert done.rows == ["p,1", "q,2"]


def test_an_index_when_it_has_no_name_then_left_out_and_reported(converter: Converter) -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=["p", "q"])
    done = both(converter, frame)
    assert done.rows == ["1", "2"]
    assert len(done.conversion.repairs) == 1
    assert refusal(converter, frame, repair=False).slug == "bad-column-name"


@pytest.mark.long
@pytest.mark.parametrize("kind", SAVE)
async def test_a_file_when_ten_times_as_long_then_it_needs_no_more_memory(tmp_path: Path, kind: str) -> None:
    limits = ProcessLimits(memory_bytes=400 * MIB)
    source = tmp_path / f"table.{kind}"
    for rows in (100_000, 1_000_000):
        numbers = pa.array(range(rows))
        table = pa.table(
            {
                "n": numbers,
                "x": pc.divide(numbers.cast(pa.float64()), 7),
                "s": pc.binary_join_element_wise("text", numbers.cast(pa.string()), " "),
            }
        )
        options = {"row_group_size": rows} if kind == "parquet" else {}
        source.write_bytes(SAVE[kind](table, **options))
        conversion = await convert_in_process(
            ConversionRequest(source, tmp_path / "out.arff", cast("Format", kind), "table"), limits
        )
        assert conversion.rows == rows


def test_a_bomb_when_a_few_bytes_hold_billions_of_rows_then_refused_at_once(converter: Converter) -> None:
    rows = 3_000_000
    data = parquet(pa.table({f"x{number}": pa.nulls(rows, pa.int8()) for number in range(8)}))
    assert len(data) < 60_000
    begin = time.process_time()
    with pytest.raises(TabularError, match="rows of 8 columns") as caught:
        converter(data, kind="parquet", limits=Limits(max_unpacked_bytes=10_000_000))
    assert caught.value.slug == "file-too-large"
    assert time.process_time() - begin < 0.5


def test_a_bomb_when_its_texts_repeat_then_stopped_at_the_limit(converter: Converter) -> None:
    data = parquet(column(["x" * 100_000] * 1_000))
    assert len(data) < 200_000
    with pytest.raises(TabularError) as caught:
        converter(data, kind="parquet", limits=Limits(max_unpacked_bytes=10_000_000))
    assert caught.value.slug == "file-too-large"


@pytest.mark.parametrize(
    ("limits", "slug"),
    [
        (Limits(max_columns=1), "too-many-columns"),
        (Limits(max_cell_bytes=3), "cell-too-long"),
        (Limits(max_unpacked_bytes=60), "file-too-large"),
    ],
)
def test_a_limit_when_passed_then_refused(converter: Converter, limits: Limits, slug: str) -> None:
    table = pa.table({"x": ["four"] * 10, "y": ["z"] * 10})
    assert refusal(converter, table, limits=limits).slug == slug


@pytest.mark.parametrize("kind", SAVE)
def test_bytes_when_changed_anywhere_then_refused_or_read_but_never_a_crash(
    converter: Converter, kind: str
) -> None:
    frame = pd.DataFrame({"x": [1, 2, 3], "s": ["a", "b", None], "c": pd.Categorical(["u", "v", "u"])})
    data = SAVE[kind](frame, compression="uncompressed" if kind == "feather" else None)
    outcomes = set()
    for at in range(0, len(data), 13):
        changed = data[:at] + bytes([data[at] ^ 0x5A]) + data[at + 1 :]
        try:
            converter(changed, kind=kind)
            outcomes.add("read")
        except TabularError as error:
            outcomes.add(error.slug)
        except MemoryError:  # the process says so in words
            outcomes.add("out-of-memory")
    assert "broken-file" in outcomes


@pytest.mark.parametrize("kind", SAVE)
def test_a_name_when_it_is_no_text_then_the_file_is_called_broken(converter: Converter, kind: str) -> None:
    data = SAVE[kind](
        pd.DataFrame({"abcd": [1, 2]}), compression="uncompressed" if kind == "feather" else None
    )
    with pytest.raises(TabularError) as caught:
        converter(data.replace(b"abcd", b"ab\xff\xfe"), kind=kind)
    assert caught.value.slug == "broken-file"


@pytest.mark.parametrize(
    "notes",
    [
        '{"index_columns": 5, "columns": 5}',
        '{"index_columns": {"a": 1}, "columns": {"a": 1}}',
        '{"index_columns": ["\\ud800", "b", 1, null, []]}',
        '{"columns": [{"pandas_type": "categorical", "field_name": []}, {"pandas_type": "categorical"}, 1]}',
        "[" * 100_000,
        "[]",
    ],
)
@pytest.mark.parametrize("kind", SAVE)
def test_metadata_of_pandas_when_it_is_none_then_the_table_is_read(
    converter: Converter, kind: str, notes: str
) -> None:
    table = pa.table({"a": [1, 2], "c": [3, 4]}).replace_schema_metadata({"pandas": notes})
    assert converter(SAVE[kind](table), kind=kind).rows == ["1,3", "2,4"]


@pytest.mark.parametrize("kind", SAVE)
def test_metadata_of_pandas_when_it_names_an_index_twice_then_one_column(
    converter: Converter, kind: str
) -> None:
    table = pa.table({"a": [1, 2], "c": [3, 4]})
    data = SAVE[kind](table.replace_schema_metadata({"pandas": '{"index_columns": ["c", "c"]}'}))
    assert converter(data, kind=kind).rows == ["3,1", "4,2"]


def test_an_encrypted_file_when_brought_then_it_is_called_so(converter: Converter) -> None:
    with pytest.raises(TabularError) as caught:
        converter(b"PAR1" + b"\x00" * 100 + b"PARE", kind="parquet")
    assert caught.value.slug in {"encrypted-file", "broken-file"}


@pytest.mark.parametrize("save", SAVE)
def test_a_file_when_it_has_no_rows_then_refused(converter: Converter, save: str) -> None:
    with pytest.raises(TabularError) as caught:
        converter(SAVE[save](column([], pa.int64())), kind=save)
    assert caught.value.slug == "no-rows"
