"""What a file is called and what it is: told apart, unpacked within bounds, and refused when the two disagree."""

import gzip
import io
import lzma
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from app.tabular import SUFFIXES, FileFormat, Limits, TabularError, format_of, what_to_do
from app.tabular.readers.formats import TEXTS
from app.tabular.readers.unsupported import _BY_ENDING
from app.tabular.reading import Reading
from tests.tabular.made import archive, pack, workbook, written

Converter = Callable[..., Any]
CSV = "a,b\n1,x\n2,y\n"
ARFF = "@RELATION 'table'\n@ATTRIBUTE 'a' INTEGER\n@ATTRIBUTE 'b' STRING\n@DATA\n1,x\n2,y\n"
JSON = '[{"a":1,"b":"x"},{"a":2,"b":"y"}]'
LINES = '{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n'
TABLE = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})


def saved(save: Callable[[pd.DataFrame, Any], Any]) -> bytes:
    buffer = io.BytesIO()
    save(TABLE, buffer)
    return buffer.getvalue()


PARQUET, FEATHER = saved(pd.DataFrame.to_parquet), saved(pd.DataFrame.to_feather)
CONTENT: dict[str, bytes] = {
    "csv": CSV.encode(),
    "tsv": CSV.replace(",", "\t").encode(),
    "arff": ARFF.encode(),
    "json": JSON.encode(),
    "jsonl": LINES.encode(),
    "parquet": PARQUET,
    "feather": FEATHER,
}
OTHERS: dict[str, bytes] = {
    "svmlight": b"1 1:2 # one\n-1 2:0.5\n",
    "workbook": workbook({"t": [["a", "b"], [1, "x"], [2, "y"]]}),
    "zip": archive({"t.csv": CSV}),
    **{
        kind: written(ending, TABLE)
        for kind, ending in (("sav", "sav"), ("por", "por"), ("dta", "dta"), ("xport", "xpt"), ("r", "rds"))
    },
}
SVM_ARFF = (
    "@RELATION 'table'\n@ATTRIBUTE 'label' INTEGER\n@ATTRIBUTE 'x1' REAL\n@ATTRIBUTE 'x2' REAL\n@DATA\n"
    "{0 1,1 2}\n{0 -1,2 0.5}\n"
)


def refusal(converter: Converter, content: str | bytes, kind: str, **fields: Any) -> TabularError:
    with pytest.raises(TabularError) as caught:
        converter(content, kind=kind, **fields)
    return caught.value


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("t.csv", ("csv", None)),
        ("T.CSV", ("csv", None)),
        ("a.b.Tsv", ("tsv", None)),
        ("t.csv. ", ("csv", None)),
        ("t.csv .", ("csv", None)),
        ("t.jsonl.GZ", ("jsonl", "gzip")),
        ("t.csv.gz", ("csv", "gzip")),
        ("t.txt.ZST ", ("csv", "zstd")),
        ("t.json", ("json", None)),
        ("t.json.xz", ("json", "xz")),
        ("t.xlsx", ("workbook", None)),
        ("archive.tar.gz", None),
        ("t.parquet.gz", None),
        ("t.zip.gz", None),
        ("gz", None),
        (".gz", None),
        ("csv", None),
        ("", None),
    ],
)
def test_a_name_when_read_then_it_says_the_format(name: str, found: tuple[Any, Any] | None) -> None:
    assert format_of(name) == (FileFormat(*found) if found else None)


def test_the_page_when_it_lists_formats_and_names_then_these_are_they(converter: Converter) -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    listed = page.partition("## What is read")[2].partition("Upper and lower case")[0]
    first_cells = [line.split("|")[1] for line in listed.splitlines() if line.startswith("| `.")]
    named = set(re.findall(r"`(\.[a-z0-9.]+)`", "".join(first_cells)))
    assert named == {suffix for suffix in SUFFIXES if suffix.count(".") == 1}
    packed = re.findall(r"`(\.[a-z0-9]+)`", listed.partition("packed with")[2].partition("\n\n")[0])
    assert {f"{plain}{ending}" for plain in named for ending in packed if plain[1:] in TEXTS} | named == {
        *SUFFIXES
    }
    row = next(line for line in page.splitlines() if line.startswith("| `Größe`"))
    names, published = (re.findall("`([^`]+)`", cell) for cell in row.split("|")[1:3])
    done = converter(",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    assert [column.name for column in done.conversion.columns] == published


@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix != ".sas7bdat"])
def test_a_table_when_in_any_format_then_the_arff_is_the_same(converter: Converter, suffix: str) -> None:
    name = format_of(f"t{suffix}")
    assert name is not None
    content = {**CONTENT, **OTHERS}[name.format]
    content = pack(content, name.compression) if name.compression else content
    expected = SVM_ARFF if name.format == "svmlight" else ARFF
    # Portable files of SPSS have names in capital letters.
    assert converter(content, kind=suffix.removeprefix(".")).text.upper() == expected.upper()


@pytest.mark.parametrize("kind", ["json", "jsonl"])
@pytest.mark.parametrize(
    "content", [JSON, LINES, " \n" + JSON, "\ufeff" + LINES, '{"a":[1,2],"b":["x","y"]}']
)
def test_json_when_in_lines_or_not_then_the_content_decides(
    converter: Converter, kind: str, content: str
) -> None:
    if kind == "jsonl" and content.startswith('{"a":['):
        assert refusal(converter, content, kind).slug == "nested-value"
    else:
        assert converter(content, kind=kind).text == ARFF


@pytest.mark.parametrize("named", CONTENT)
@pytest.mark.parametrize("is_", [kind for kind in CONTENT if kind not in {"csv", "tsv"}])
def test_a_file_when_it_is_not_what_its_name_says_then_refused_and_reported_what_it_is(
    converter: Converter, named: str, is_: str
) -> None:
    if named == is_ or {named, is_} == {"json", "jsonl"}:
        return
    error = refusal(converter, CONTENT[is_], named)
    assert error.slug == "mislabelled-file"
    assert f".{is_}" in (error.hint or "") or {is_} <= {"json", "jsonl"}


@pytest.mark.parametrize("named", [kind for kind in CONTENT if kind not in {"csv", "tsv"}])
def test_a_csv_file_when_called_otherwise_then_refused(converter: Converter, named: str) -> None:
    slugs = {"arff": "invalid-arff", "json": "invalid-json", "jsonl": "invalid-json"}
    assert refusal(converter, CSV, named).slug == slugs.get(named, "mislabelled-file")


@pytest.mark.parametrize(
    ("content", "kind", "hint"),
    [
        (gzip.compress(CSV.encode(), mtime=0), "csv", ".csv.gz"),
        (gzip.compress(ARFF.encode(), mtime=0), "arff", ".arff.gz"),
        (gzip.compress(PARQUET, mtime=0), "parquet", ".csv"),
        (CSV.encode(), "csv.gz", ".csv"),
        (PARQUET, "csv.gz", ".parquet"),
        (b"PK\x03\x04rest", "csv", ".xlsx"),
        (b"\xd0\xcf\x11\xe0rest", "csv", ".xls"),
        (gzip.compress(JSON.encode(), mtime=0), "csv.gz", ".json"),
        (gzip.compress(PARQUET, mtime=0), "csv.gz", ".parquet"),
    ],
)
def test_a_gzip_file_when_it_is_not_called_so_or_the_reverse_then_refused(
    converter: Converter, content: bytes, kind: str, hint: str
) -> None:
    error = refusal(converter, content, kind)
    assert error.slug in {"mislabelled-file", "not-text"}
    assert hint in (error.hint or "")


@pytest.mark.parametrize("kind", CONTENT)
@pytest.mark.parametrize(
    ("content", "slug"),
    [
        (b"PK\x03\x04rest", "not-text"),
        (b"%PDF-1.7 rest", "not-text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "not-text"),
        (b"<!DOCTYPE html><html></html>", "not-text"),
        (b"\xef\xbb\xbf\n <HTML>", "not-text"),
        (b"PARErest", "encrypted-file"),
        (b"-----BEGIN PGP MESSAGE-----\n", "encrypted-file"),
        (b"Salted__12345678", "encrypted-file"),
        (b"", "empty-file"),
    ],
)
def test_a_file_when_it_is_no_table_then_refused(
    converter: Converter, kind: str, content: bytes, slug: str
) -> None:
    assert refusal(converter, content, kind).slug == slug


@pytest.mark.parametrize("kind", ["parquet", "feather"])
@pytest.mark.parametrize("cut", [6, 100, -1, -40])
def test_a_columnar_file_when_cut_off_then_refused(converter: Converter, kind: str, cut: int) -> None:
    assert refusal(converter, CONTENT[kind][:cut], kind).slug in {"broken-file", "encrypted-file"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-9],
        lambda data: data[: len(data) // 2],
        lambda data: data + b"no gzip",
        lambda data: data[:10] + b"\xff" * 20 + data[30:],
    ],
)
def test_a_gzip_file_when_damaged_then_refused(
    converter: Converter, damage: Callable[[bytes], bytes]
) -> None:
    data = gzip.compress(b"a,b\n" + b"".join(f"{n},{n * n}\n".encode() for n in range(1000)))
    assert refusal(converter, damage(data), "csv.gz").slug == "broken-gzip"


def test_a_gzip_file_when_of_several_members_or_empty_then_read_as_one(converter: Converter) -> None:
    halves = gzip.compress(CSV[:6].encode()) + gzip.compress(CSV[6:].encode())
    assert converter(halves, kind="csv.gz").text == ARFF
    assert refusal(converter, gzip.compress(b""), "csv.gz").slug == "empty-file"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_a_gzip_file_when_its_text_has_another_encoding_then_read(
    converter: Converter, encoding: str
) -> None:
    done = converter(gzip.compress("a,b\n1,Zoë\n".encode(encoding)), kind="csv.gz")
    assert done["b"] == ("STRING", ["Zoë"])


@pytest.mark.parametrize("kind", ["csv.gz", "arff.gz", "jsonl.gz"])
def test_a_bomb_when_unpacked_then_stopped_at_the_limit(converter: Converter, kind: str) -> None:
    start = {"csv.gz": b"a,b\n", "arff.gz": ARFF.encode(), "jsonl.gz": LINES.encode()}[kind]
    bomb = gzip.compress(start) + gzip.compress(b"1,2\n" * 10_000_000, compresslevel=1) * 25
    begin = time.process_time()
    error = refusal(converter, bomb, kind, limits=Limits(max_unpacked_bytes=2_000_000))
    assert error.slug == "file-too-large"
    # All of it, a gigabyte, would take seconds.
    assert time.process_time() - begin < 1


def test_a_tsv_file_when_its_texts_hold_commas_then_the_tab_delimits(converter: Converter) -> None:
    assert converter("a,1\tb,2\n3,4\t5,6\n", kind="tsv")["a,1"] == ("REAL", [3.4])
    assert converter("a;b\n1;2\n", kind="tsv")["b"] == ("INTEGER", [2])


@pytest.mark.parametrize("compression", ["bz2", "xz", "zstd"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-9],
        lambda data: data[: len(data) // 2],
        lambda data: data + b"no more of it",
        lambda data: data[:10] + b"\xff" * 20 + data[30:],
    ],
)
def test_a_packed_file_when_damaged_then_refused(
    converter: Converter, compression: str, damage: Callable[[bytes], bytes]
) -> None:
    data = pack(b"a,b\n" + b"".join(f"{n},{n * n}\n".encode() for n in range(1000)), compression)
    ending = {"bz2": "bz2", "xz": "xz", "zstd": "zst"}[compression]
    assert refusal(converter, damage(data), f"csv.{ending}").slug == "broken-file"
    halves = pack(CSV[:6].encode(), compression) + pack(CSV[6:].encode(), compression)
    assert converter(halves, kind=f"csv.{ending}").text == ARFF


@pytest.mark.long
@pytest.mark.parametrize("ending", ["bz2", "xz", "zst"])
def test_a_packed_bomb_when_unpacked_then_stopped_at_the_limit(converter: Converter, ending: str) -> None:
    compression = "zstd" if ending == "zst" else ending
    bomb = pack(b"a,b\n" + b"1,2\n" * 2_000_000, compression)
    assert (
        refusal(converter, bomb, f"csv.{ending}", limits=Limits(max_unpacked_bytes=100_000)).slug
        == "file-too-large"
    )


def test_an_xz_file_when_its_dictionary_takes_too_much_memory_then_said_so(converter: Converter) -> None:
    large = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 29}]
    error = refusal(converter, lzma.compress(CSV.encode(), filters=large), "csv.xz")
    assert "192 MiB of memory" in error.message


def test_a_ragged_row_when_in_a_packed_file_then_its_line_is_told(converter: Converter) -> None:
    for compression, ending in (("gzip", "gz"), ("bz2", "bz2"), ("xz", "xz"), ("zstd", "zst")):
        error = refusal(converter, pack(b"a,b\n1,2\n3\n", compression), f"csv.{ending}")
        assert (error.slug, error.row, error.line) == ("ragged-row", 2, 3)


@pytest.mark.parametrize("name", ["PAR1,b", "ORCID,b", "RDX2,b", "GIF8,b", "BZh,b", "FEA1,b"])
def test_a_column_when_called_like_the_mark_of_a_format_then_read(converter: Converter, name: str) -> None:
    assert converter(f"{name}\n1,2\n").rows == ["1,2"]


def test_an_arrow_file_when_a_stream_or_a_file_then_read(converter: Converter) -> None:
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    assert converter(sink.getvalue(), kind="arrow").text == ARFF
    assert refusal(converter, sink.getvalue()[:-40], "arrow").slug == "broken-file"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("t.docx", "spreadsheet"),
        ("t.PDF ", "copy it"),
        ("t.mat", "writetable"),
        ("t.pkl", "to_parquet"),
        ("t.h5", "read_hdf"),
        ("t.db", "Export one table"),
        ("t.numbers", "Export To"),
        ("t.tar.gz", "Unpack it"),
        ("t.parquet.gz", "the .parquet file itself"),
        ("t.gz", "table.csv.gz"),
        ("t.unheard-of", ".csv, "),
        ("t", "does not say what it is"),
    ],
)
def test_a_name_when_not_supported_then_told_what_to_do(name: str, said: str) -> None:
    assert format_of(name) is None
    assert said in what_to_do(name)
    assert ".xlsx" in what_to_do(name)


def test_advice_when_listed_then_for_no_ending_that_is_read() -> None:
    assert not [name for name in _BY_ENDING if format_of(f"t.{name}")]


@pytest.mark.parametrize(
    ("content", "named", "chosen", "expected"),
    [
        (LINES, "txt", "jsonl", ARFF),
        ("1 1:2\n-1 2:0.5\n", "txt", "svmlight", SVM_ARFF),
        (archive({"t.txt": LINES}), "zip", "jsonl", ARFF),
    ],
)
def test_a_format_when_chosen_then_whatever_the_name_says(
    converter: Converter, content: str | bytes, named: str, chosen: Any, expected: str
) -> None:
    done = converter(content, kind=named, reading=Reading(format=chosen))
    assert done.text == expected
    assert (done.conversion.reading["format"]["value"], done.conversion.reading["format"]["by"]) == (
        chosen,
        "owner",
    )


@pytest.mark.parametrize(
    ("kind", "found"), [("csv", "csv"), ("xlsx", "workbook"), ("zip", "csv"), ("svm", "svmlight")]
)
def test_a_format_when_not_chosen_then_the_one_of_the_name_is_told(
    converter: Converter, kind: str, found: str
) -> None:
    name = format_of(f"t.{kind}")
    assert name is not None
    reading = converter({**CONTENT, **OTHERS}[name.format], kind=kind).conversion.reading
    assert (reading["format"]["value"], reading["format"]["by"]) == (found, "default")
