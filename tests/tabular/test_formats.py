"""What a file is called and what it is: told apart, unpacked within bounds, and refused when the two disagree."""

import gzip
import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from app.tabular import SUFFIXES, FileFormat, Limits, TabularError, format_of

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


def refusal(converter: Converter, content: str | bytes, kind: str, **fields: Any) -> TabularError:
    with pytest.raises(TabularError) as caught:
        converter(content, kind=kind, **fields)
    return caught.value


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("t.csv", ("csv", False)),
        ("T.CSV", ("csv", False)),
        ("a.b.Tsv", ("tsv", False)),
        ("t.jsonl.GZ", ("jsonl", True)),
        ("t.csv.gz", ("csv", True)),
        ("t.json", ("json", False)),
        ("archive.tar.gz", None),
        ("t.parquet.gz", None),
        ("t.xlsx", None),
        ("csv", None),
        ("", None),
    ],
)
def test_a_name_when_read_then_it_says_the_format(name: str, found: tuple[Any, bool] | None) -> None:
    assert format_of(name) == (FileFormat(*found) if found else None)


def test_the_page_when_it_lists_formats_and_names_then_these_are_they(converter: Converter) -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    listed = page.partition("## What is read")[2].partition("Upper and lower case")[0]
    first_cells = [line.split("|")[1] for line in listed.splitlines() if line.startswith("| `.")]
    assert sorted(re.findall(r"`(\.[a-z.]+)`", "".join(first_cells))) == sorted(SUFFIXES)
    row = next(line for line in page.splitlines() if line.startswith("| `Größe`"))
    names, published = (re.findall("`([^`]+)`", cell) for cell in row.split("|")[1:3])
    done = converter(",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    assert [column.name for column in done.conversion.columns] == published


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_when_in_any_format_then_the_arff_is_the_same(converter: Converter, suffix: str) -> None:
    plain = suffix.removesuffix(".gz").removeprefix(".")
    content = CONTENT[plain]
    content = gzip.compress(content) if suffix.endswith(".gz") else content
    assert converter(content, kind=suffix.removeprefix(".")).text == ARFF


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
        (gzip.compress(JSON.encode(), mtime=0), "csv.gz", ".json"),
        (gzip.compress(PARQUET, mtime=0), "csv.gz", ".parquet"),
    ],
)
def test_a_gzip_file_when_it_is_not_called_so_or_the_reverse_then_refused(
    converter: Converter, content: bytes, kind: str, hint: str
) -> None:
    error = refusal(converter, content, kind)
    assert error.slug == "mislabelled-file"
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
    assert converter("a,1\tb,2\n3,4\t5,6\n", kind="tsv")["a,1"] == ("STRING", ["3,4"])
    assert converter("a;b\n1;2\n", kind="tsv")["b"] == ("INTEGER", [2])
