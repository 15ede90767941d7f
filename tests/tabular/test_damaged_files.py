"""Files of which bits are damaged, at random or on purpose: a table, or a refusal that says so; never anything else."""

import asyncio
import io
import random
import struct
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from app.tabular import ConversionRequest, Limits, TabularError, format_of
from app.tabular.failures import OF_THE_SERVER
from app.tabular.process import convert_in_process
from app.tabular.reading import Reading
from tests.tabular.made import archive, pack, workbook, written

Converter = Callable[..., Any]
TIMES = 60
ROWS = "".join(f"{number},{number * 7919 % 104_729}\n" for number in range(2000))
TABLE = f"a,b\n{ROWS}"


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return content with some bits flipped, numbers overwritten, or without its end."""
    data = bytearray(content)
    kind = chance.random()
    if kind < 0.2:
        return content[: chance.randrange(1, len(content))]
    for _ in range(chance.choice([1, 1, 2, 8])):
        place = chance.randrange(len(data))
        if kind < 0.7:
            data[place] ^= 1 << chance.randrange(8)
        else:
            data[place : place + 4] = chance.choice([b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4)])
    return bytes(data)


def in_a_part(content: bytes, chance: random.Random) -> bytes:
    """Return a workbook of which one part is damaged, and packed as if it were not."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(sink, "w") as after:
        names = before.namelist()
        chosen = chance.choice(names)
        for name in names:
            part = before.read(name)
            after.writestr(name, damaged(part, chance) if name == chosen else part)
    return sink.getvalue()


def files() -> Mapping[str, bytes]:
    """Return a small file of each format that a library reads."""
    frame = pd.DataFrame(
        {
            "number": [1.5, None, 3.0] * 9,
            "text": ["a", "bb", "é"] * 9,
            "day": pd.to_datetime(["2020-01-01", "2021-02-03", "1999-12-31"] * 9),
        }
    )
    plain = frame.drop(columns="day")
    table = pa.Table.from_pandas(frame)
    parquet, stream = pa.BufferOutputStream(), pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, parquet)
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return {
        **{ending: written(ending, frame) for ending in ("sav", "zsav", "dta", "xpt")},
        **{ending: written(ending, plain) for ending in ("rds", "rda")},
        "parquet": bytes(parquet.getvalue()),
        "arrow": bytes(stream.getvalue()),
        "xlsx": workbook({"s": [["n", "t"], *([number, f"é{number}"] for number in range(20))]}),
        "zip": archive({"t.csv": TABLE}),
        **{f"csv.{name}": pack(TABLE.encode(), kind) for name, kind in (("bz2", "bz2"), ("zst", "zstd"))},
    }


@pytest.mark.long
@pytest.mark.parametrize("ending", [*files()])
def test_a_file_when_damaged_at_random_then_a_table_or_a_refusal_of_the_file(
    converter: Converter, tmp_path: Path, ending: str
) -> None:
    content, chance = files()[ending], random.Random(ending)  # noqa: S311 - no secret
    refused: list[TabularError] = []
    for number in range(TIMES):
        damage = in_a_part if ending == "xlsx" and number % 2 else damaged
        try:
            converter(damage(content, chance), kind=ending)
        except TabularError as error:
            refused.append(error)
        except MemoryError:
            pass  # what the child process says as `out-of-memory`
    assert refused
    assert not {error.slug for error in refused} & OF_THE_SERVER
    assert not [error for error in refused if str(tmp_path) in str(error) or "Traceback" in str(error)]


@pytest.mark.long
def test_a_feather_file_when_any_number_in_it_is_as_large_as_can_be_then_no_memory_is_read_beyond_its_end(
    converter: Converter,
) -> None:
    sink = pa.BufferOutputStream()
    labels = pa.array(["x", "y", "z"] * 9).dictionary_encode()
    table = pa.table({"number": [1.5, None, 3.0] * 9, "text": ["a", "bb", "é"] * 9, "label": labels})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    content = bytes(sink.getvalue())
    slugs = set()
    for place in range(8, len(content) - 4, 4):
        data = content[:place] + b"\xff\xff\xff\xff" + content[place + 4 :]
        try:
            converter(data, kind="feather")
        except TabularError as error:
            slugs.add(error.slug)
        except MemoryError:
            slugs.add("out-of-memory")
    assert "broken-file" in slugs
    assert not slugs & (OF_THE_SERVER - {"out-of-memory"})


def with_offset(content: bytes, offset: int) -> bytes:
    """Return an archive whose only file is said, in its 64-bit field, to begin elsewhere."""
    entry, end = content.rfind(b"PK\1\2"), content.rfind(b"PK\5\6")
    directory = bytearray(content[entry:end])
    extra = struct.pack("<HHQ", 1, 8, offset)
    directory[42:46] = b"\xff" * 4
    directory[30:32] = struct.pack("<H", len(extra))
    closing = bytearray(content[end:])
    closing[12:16] = struct.pack("<I", len(directory) + len(extra))
    return content[:entry] + directory + extra + closing


def with_damage(method: int) -> bytes:
    """Return an archive packed with a method, whose content is damaged in its middle."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as target:
        target.writestr("t.csv", TABLE)
    data = bytearray(sink.getvalue())
    for place in range(200, 240):
        data[place] ^= 0x5A
    return bytes(data)


@pytest.mark.parametrize(
    "content",
    [
        with_damage(zipfile.ZIP_BZIP2),
        with_damage(zipfile.ZIP_LZMA),
        with_damage(zipfile.ZIP_DEFLATED),
        with_offset(archive({"t.csv": TABLE}), 2**44),
        with_offset(archive({"t.csv": TABLE}), 2**62),
        with_offset(archive({"t.csv": TABLE}), 2**64 - 1),
    ],
)
async def test_an_archive_when_damaged_in_any_way_then_refused_and_not_tried_again(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(TabularError) as refused:
        await convert_in_process(request_for(tmp_path, "t.zip", content))
    assert refused.value.slug == "broken-file"


def request_for(folder: Path, name: str, content: bytes) -> ConversionRequest:
    source = folder / name
    source.write_bytes(content)
    kind = format_of(name)
    assert kind is not None
    return ConversionRequest(source=source, target=folder / "out.arff", format=kind.format, relation="t")


async def test_a_workbook_when_its_reader_panics_then_refused_as_damaged(tmp_path: Path) -> None:
    cell = b'<row r="4294967295"><c r="ZZZZZZZ4294967295"><v>1</v></c></row></sheetData>'
    content = rewritten_part(workbook({"s": [["a"], [1]]}), "xl/worksheets/sheet1.xml", b"</sheetData>", cell)
    with pytest.raises(TabularError) as refused:
        await convert_in_process(request_for(tmp_path, "t.xlsx", content))
    assert refused.value.slug == "broken-file"


def test_a_text_of_a_workbook_when_it_has_changed_on_the_way_then_refused(converter: Converter) -> None:
    texts = (
        b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>low</t></si></sst>'
    )
    content = as_stored(
        workbook({"s": [["a", "b"], [1, 't="s"><v>0</v>']]}), **{"xl/sharedStrings.xml": texts}
    )
    assert converter(content, kind="xlsx").rows == ["1,low"]
    with pytest.raises(TabularError) as refused:
        converter(content.replace(b"<t>low<", b"<t>lot<"), kind="xlsx")
    assert refused.value.slug == "broken-file"
    assert "sharedStrings" in refused.value.message


@pytest.mark.parametrize("has_sums", [True, False])
def test_a_page_of_parquet_when_it_has_changed_on_the_way_then_refused_if_its_sum_says_so(
    converter: Converter,
    has_sums: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    sink = pa.BufferOutputStream()
    table = pa.table({"a": ["low", "high"]})
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    pyarrow.parquet.write_table(table, sink, write_page_checksum=has_sums, **options)
    content = bytes(sink.getvalue()).replace(b"low", b"lot")
    if not has_sums:
        assert converter(content, kind="parquet").rows == ["lot", "high"]
        return
    with pytest.raises(TabularError) as refused:
        converter(content, kind="parquet")
    assert refused.value.slug == "broken-file"


def as_stored(content: bytes, **more: bytes) -> bytes:
    """Return a workbook that is not compressed, with more parts."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(sink, "w") as after:
        for name in before.namelist():
            after.writestr(name, before.read(name))
        for name, part in more.items():
            after.writestr(name, part)
    return sink.getvalue()


def test_merged_cells_when_there_are_very_many_then_counted_in_no_time(converter: Converter) -> None:
    merged = b"</sheetData><mergeCells>" + b'<mergeCell ref="A1:B2"/>' * 200_000 + b"</mergeCells>"
    content = rewritten_part(
        workbook({"s": [["a", "b"], [1, "x"]]}), "xl/worksheets/sheet1.xml", b"</sheetData>", merged
    )
    started = time.process_time()
    done = converter(content, kind="xlsx")
    assert any("200000 groups of merged cells" in warning for warning in done.conversion.warnings)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "start",
    [*(pytest.param(start, marks=pytest.mark.long) for start in (b"<c ", b'<c r="A1"')), b'<c r="A1" <c r="'],
)
def test_a_sheet_when_of_cells_without_an_end_then_refused_in_no_time(
    converter: Converter, start: bytes
) -> None:
    content = rewritten_part(
        workbook({"s": [["a"], [1]]}),
        "xl/worksheets/sheet1.xml",
        b"<sheetData>",
        b"<sheetData>" + start * 2_000_000,
    )
    started = time.process_time()
    with pytest.raises(TabularError) as refused:
        converter(content, kind="xlsx")
    assert refused.value.slug == "broken-file"
    assert time.process_time() - started < 10


@pytest.mark.parametrize("ending", ["sav", "dta"])
def test_a_date_when_beyond_all_years_then_refused_with_its_column(converter: Converter, ending: str) -> None:
    days = pd.DataFrame({"n": [1.0, 2.0], "day": pd.to_datetime(["2020-01-01", "2021-01-01"])})
    content = written(ending, days)
    second = struct.pack("<d", {"sav": 13_828_838_400.0, "dta": 1_925_078_400_000.0}[ending])
    assert content.count(second) == 1
    with pytest.raises(TabularError) as refused:
        converter(content.replace(second, struct.pack("<d", 1e300)), kind=ending)
    assert (refused.value.slug, refused.value.column) == ("value-does-not-fit", "day")


def test_names_when_there_are_very_many_or_long_ones_then_few_are_offered(converter: Converter) -> None:
    names = [*("n" * 5000 + str(number) for number in range(30)), *(str(number) for number in range(200))]
    (doubt,) = converter(archive({f"{name}.csv": TABLE for name in names}), kind="zip").conversion.doubts
    assert doubt.choices == tuple(f"{number}.csv" for number in range(50))
    with pytest.raises(TabularError) as refused:
        converter(
            workbook({f"s{number}": [["a"], [1]] for number in range(99)}),
            kind="xlsx",
            reading=Reading(sheet="none"),
        )
    assert refused.value.choices == {"sheet": [f"s{number}" for number in range(50)]}


def test_a_rewritten_file_when_larger_than_the_quota_then_refused_and_nothing_is_left(tmp_path: Path) -> None:
    request = request_for(tmp_path, "t.zip", archive({"t.csv": "a,b\n" + "1,2\n" * 2_000_000}))
    limited = replace(request, limits=Limits(max_kept_bytes=1_000_000))
    limited.workspace.mkdir()
    (limited.workspace / "0.csv").write_text("left by a process that was killed")
    with pytest.raises(TabularError) as refused:
        asyncio.run(convert_in_process(limited))
    assert refused.value.slug == "over-quota"
    assert [path.name for path in tmp_path.iterdir()] == ["t.zip"]


def rewritten_part(content: bytes, part: str, old: bytes, new: bytes) -> bytes:
    """Return a workbook in one part of which some text is replaced."""
    sink = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as before,
        zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            data = before.read(name)
            after.writestr(name, data.replace(old, new) if name == part else data)
    return sink.getvalue()
