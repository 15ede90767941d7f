"""Parquet and Feather: what each type becomes, what is refused, and files that are larger than they look."""

import datetime as dt
import io
import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from app.tabular import ConversionRequest, Limits, ProcessLimits, TabularError
from app.tabular.process import convert_in_process
from app.tabular.profile.run import profile
from app.tabular.readers.typed import typed_column
from app.tabular.reading import Reading
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


def test_half_floats_when_published_then_with_numpys_digits_unless_whole() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = every[np.isfinite(every)]

    texts = typed_column("x", pa.field("x", pa.float16())).text(pa.array(halves), 0).to_pylist()

    meant = [
        float(half) if float(half).is_integer() else float(np.format_float_scientific(half))
        for half in halves
    ]
    assert [float(text) for text in texts] == meant


def test_columns_when_they_have_the_same_name_then_named_as_those_of_delimited_text(
    converter: Converter,
) -> None:
    table = pa.table([[1, 2], ["x", "y"], [None, 0.5]], names=["a", "b", "a"])
    done = both(converter, table)
    assert [column.name for column in done.conversion.columns] == ["a", "b", "a.1"]
    assert done.rows == ["1,x,?", "2,y,0.5"]
    assert "'a.1'" in done.conversion.repairs[0].change
    left = both(converter, table, leave_out=("a.1",), attributes={"a": "nominal"})
    assert (left["a"], left.rows) == ((["1", "2"], ["1", "2"]), ["1,x", "2,y"])
    assert refusal(converter, table, repair=False).slug == "duplicate-column"


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
    ([Decimal("1.10"), None], pa.decimal256(50, 2), "real", ["1.10", "?"]),
    ([Decimal(10) ** 40, None], pa.decimal256(50, 0), "string", ["1" + "0" * 40, "?"]),
    ([dt.timedelta(seconds=90), None], pa.duration("ns"), "integer", ["90", "?"]),
    ([dt.timedelta(days=-1, milliseconds=1)], pa.duration("us"), "integer", ["-86399999"]),
    ([b"caf\xc3\xa9", None], pa.binary(), "string", ['"caf\u00e9"', "?"]),
    ([b"ab", b"cd"], pa.binary(2), "string", ["ab", "cd"]),
    ([b"ab"], pa.binary_view(), "string", ["ab"]),
    (['{"a": 1}', None], pa.json_(), "string", ['"{\\"a\\": 1}"', "?"]),
    ([1, None], pa.bool8(), "nominal", ["True", "?"]),
    ([UUID(int=255).bytes, None], pa.uuid(), "string", ["00000000-0000-0000-0000-0000000000ff", "?"]),
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


def test_an_index_when_it_has_no_name_then_a_column_or_left_out_by_choice(converter: Converter) -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=["p", "q"])
    done = both(converter, frame)
    assert [each.name for each in done.conversion.columns] == ["row_name", "x"]
    assert done.rows == ["p,1", "q,2"]
    assert "row_name" in done.conversion.repairs[0].change
    assert done.conversion.reading["row_names"]["value"] == "keep"
    without = both(converter, frame, reading=Reading(row_names="leave-out"))
    assert (without.rows, len(without.conversion.repairs)) == (["1", "2"], 1)
    assert both(converter, frame, leave_out=("row_name",)).rows == ["1", "2"]
    assert refusal(converter, frame, repair=False).choices == {"row_names": ["keep", "leave-out"]}


@pytest.mark.parametrize(
    ("labels", "rows"), [([0, 1, 2], ["7", "8", "9"]), ([2, 0, 1], ["2,7", "0,8", "1,9"])]
)
def test_an_index_of_numbers_when_they_are_those_of_the_rows_then_left_out(
    converter: Converter, labels: list[int], rows: list[str]
) -> None:
    frame = pd.DataFrame({"x": [7, 8, 9]}, index=pd.Index(labels))
    assert both(converter, frame).rows == rows


FREQUENCIES = [
    "Y-DEC", "Y-JUN", "Q-DEC", "Q-NOV", "Q-FEB", "M", "W-SUN", "W-MON", "W-THU", "W-FRI", "D", "B", "h", "min", "s",
    "ms", "us", "ns",
]  # fmt: skip
MOMENTS = ["1955-03-04 05:06:07.123456789", "1970-01-01", "2020-02-29 23:59:59", "2026-12-31"]


@pytest.mark.filterwarnings("ignore:Period")
@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_periods_when_of_any_frequency_then_they_begin_where_pandas_says(
    converter: Converter, frequency: str
) -> None:
    periods = [pd.Period(moment, freq=frequency) for moment in MOMENTS]
    done = both(converter, pd.DataFrame({"p": pd.array(periods, dtype=pd.PeriodDtype(frequency))}))
    kind, texts = done["p"]
    assert kind == "STRING"
    for text, period in zip(texts, periods, strict=True):
        assert first_moment(text) == period.start_time, (text, period)
    assert any("periods" in warning for warning in done.conversion.warnings)


def first_moment(text: str) -> pd.Timestamp:
    start = text.partition("/")[0]
    if "-W" in start:
        return pd.Timestamp(dt.date.fromisocalendar(int(start[:4]), int(start[6:]), 1))
    if "-Q" in start:
        return pd.Timestamp(int(start[:4]), int(start[6:]) * 3 - 2, 1)
    return pd.Timestamp(start)


async def test_periods_when_the_child_has_no_pandas_then_they_are_read_all_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame({"m": pd.period_range("2020-01", periods=3, freq="M")})
    (tmp_path / "table.parquet").write_bytes(parquet(frame))
    request = ConversionRequest(tmp_path / "table.parquet", tmp_path / "out.arff", "parquet", "table")
    await convert_in_process(request, ProcessLimits())
    assert (tmp_path / "out.arff").read_text().endswith("@DATA\n2020-01\n2020-02\n2020-03\n")


def test_intervals_when_of_pandas_then_their_texts(converter: Converter) -> None:
    frame = pd.DataFrame({"i": pd.arrays.IntervalArray.from_tuples([(0, 1), (1, 2), None], closed="left")})
    assert both(converter, frame)["i"] == ("STRING", ["[0, 1)", "[1, 2)", None])


@pytest.mark.parametrize("kind", SAVE)
@pytest.mark.parametrize(
    ("title", "parameters"), [("geoarrow.point", ""), ("pandas.period", '{"freq": "2M"}'), ("x.y", "[")]
)
def test_an_extension_when_its_meaning_is_not_known_then_refused_by_name(
    converter: Converter, kind: str, title: str, parameters: str
) -> None:
    notes = {"ARROW:extension:name": title, "ARROW:extension:metadata": parameters}
    fields = [pa.field("ok", pa.int64()), pa.field("x", pa.int64(), metadata=notes)]
    data = SAVE[kind](pa.table([[1], [600]], schema=pa.schema(fields)))
    with pytest.raises(TabularError, match=title) as caught:
        converter(data, kind=kind)
    assert (caught.value.slug, caught.value.column) == ("unusable-type", "x")
    assert converter(data, kind=kind, leave_out=("x",)).rows == ["1"]


# The Arrow schema of a table of an Int128 `i` and a string `y`, as polars writes it.
WIDE = (
    "/////6IAAAAEAAAA8v///xQAAAAEAAEAAAAKAAsACAAKAAQA+P///wwAAAAIAAgAAAAEAAIAAAAwAAAABAAAAMT///8cAAAAEAAAAAgAAAABFA"
    "AAAAAAAPz///8EAAQAAQAAAHkAAADs////OAAAACAAAAAYAAAAAQIAABAAEgAEABAAEQAIAAAADAAAAAAA9P///4AAAAABAAAACAAJAAQACAAB"
    "AAAAaQA="
)


def test_integers_of_128_bits_when_polars_wrote_them_then_read_with_all_digits(converter: Converter) -> None:
    numbers = [5, -(2**127), None]
    stored = [None if number is None else number.to_bytes(16, "little", signed=True) for number in numbers]
    table = pa.table({"i": pa.array(stored, pa.binary(16)), "y": ["a", "b", "c"]})
    done = converter(as_polars(table), kind="parquet")
    assert done["i"] == ("STRING", ["5", str(-(2**127)), None])
    assert f"row 2 has {-(2**127)}" in "".join(done.conversion.warnings)
    assert converter(as_polars(table.slice(0, 1)), kind="parquet")["i"] == ("INTEGER", [5])


def as_polars(table: pa.Table) -> bytes:
    """Save a table with the schema that polars gives it; pyarrow writes none but its own under that name."""
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"ARROW_schema": WIDE})
    return sink.getvalue().replace(b"ARROW_schema", b"ARROW:schema")


@pytest.mark.parametrize(
    ("values", "labels"),
    [([10, 9, 10], ["9", "10"]), ([1.5, 0.5, 1.5], ["0.5", "1.5"]), (["b", "a", "b"], ["a", "b"])],
)
def test_categories_when_the_file_has_plain_values_then_the_notes_of_pandas_count(
    converter: Converter, values: list[Any], labels: list[str]
) -> None:
    frame = pd.DataFrame({"x": pd.Categorical(values)})
    notes = pa.Table.from_pandas(frame).schema.metadata
    plain = pa.table({"x": values}).replace_schema_metadata(notes)
    for table in (frame, plain):
        assert both(converter, table)["x"] == (labels, [str(value) for value in values])


def test_durations_when_stored_as_times_of_day_then_the_notes_of_pandas_count(converter: Converter) -> None:
    notes = pa.Table.from_pandas(pd.DataFrame({"d": pd.to_timedelta([1, 2], unit="s")})).schema.metadata
    table = pa.table(
        {"d": pa.array([1_000_000, 90_000_000_000], pa.int64()).cast(pa.time64("us"), safe=False)}
    )
    done = both(converter, table.replace_schema_metadata(notes))
    assert done["d"] == ("INTEGER", [1, 90_000])
    assert "seconds" in done.conversion.warnings[-1]


def test_what_a_column_is_published_as_when_it_is_not_obvious_then_told(converter: Converter) -> None:
    table = pa.table(
        {
            "t": pa.array([NOON.replace(tzinfo=dt.UTC)] * 3, BERLIN),
            "n": [1, 2**60, 2**61],
            "b": pa.array([b"x"] * 3, pa.binary()),
        }
    )
    told = "".join(both(converter, table).conversion.warnings)
    assert "zone is Europe/Berlin" in told
    assert f"row 3 has {2**61}" in told
    assert "bytes" in told


@pytest.mark.parametrize("bad", [b"\xff\xfe", b"a\0b"])
def test_bytes_when_they_are_no_text_then_refused_with_the_row(converter: Converter, bad: bytes) -> None:
    error = refusal(converter, column([b"ok"] * 20_000 + [bad], pa.binary()))
    assert (error.slug, error.row, error.column) == ("unusable-type", 20_001, "x")


@pytest.mark.parametrize("codec", ["snappy", "gzip", "brotli", "lz4", "zstd", "none"])
def test_a_file_when_packed_with_any_codec_then_read(converter: Converter, codec: str) -> None:
    table = pa.table({"x": [1, 2], "s": ["a", "b"]})
    assert converter(parquet(table, compression=codec), kind="parquet").rows == ["1,a", "2,b"]


def test_profiles_when_of_uncommon_types_then_as_the_conversion(tmp_path: Path, converter: Converter) -> None:
    frame = pd.DataFrame(
        {
            "p": pd.period_range("2020-01", periods=3, freq="M"),
            "d": pd.to_timedelta([1, 2, 3], unit="h"),
            "c": pd.Categorical([10, 9, 10]),
            "n": [1, 2, 2**60],
        },
        index=["u", "v", "w"],
    )
    done = both(converter, frame)
    (tmp_path / "in.parquet").write_bytes(parquet(frame))
    profile(ConversionRequest(tmp_path / "in.parquet", tmp_path / "profile", "parquet", "table"))
    table, *columns = (json.loads(line) for line in (tmp_path / "profile").read_text().splitlines())
    assert [(each["name"], each["type"]) for each in columns] == [
        (each.name, each.kind) for each in done.conversion.columns
    ]
    assert [list(map(str, row)) for row in table["first_rows"]] == [
        list(map(str, row)) for row in zip(*(done[each["name"]][1] for each in columns), strict=True)
    ]
    assert table["warnings"] == list(done.conversion.warnings)


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


@pytest.mark.long
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
