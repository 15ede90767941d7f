"""ZIP archives: the table that is meant, and archives that are damaged, locked, or larger than they look."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from app.tabular import Limits, TabularError
from app.tabular.reading import Reading
from tests.tabular.made import archive, workbook

Converter = Callable[..., Any]
CSV = "a,b\n1,x\n"


def refusal(converter: Converter, content: bytes, **fields: Any) -> TabularError:
    with pytest.raises(TabularError) as caught:
        converter(content, kind="zip", **fields)
    return caught.value


@pytest.mark.parametrize(
    "files",
    [
        {"t.csv": CSV},
        {"folder/T.CSV": CSV, "readme.md": "x", "__MACOSX/folder/._T.CSV": "y", ".hidden.csv": CSV},
        {"../../etc/t.csv": CSV},
        {"t.xlsx": workbook({"s": [["a", "b"], [1, "x"]]}), "figure.png": b"x"},
        {"t.zip": archive({"u.csv": "c\n2\n"}), "t.csv": CSV},
    ],
)
def test_an_archive_when_it_has_one_table_then_read(
    converter: Converter, files: dict[str, str | bytes]
) -> None:
    done = converter(archive(files), kind="zip")
    assert done.rows == ["1,x"]
    assert not done.conversion.doubts
    assert done.conversion.reading["member"]["sure"]


def test_an_archive_when_it_has_several_tables_then_asked_and_the_choice_counts(converter: Converter) -> None:
    packed = archive({"train.csv": CSV, "test.csv": "a,b\n2,y\n"})
    (doubt,) = converter(packed, kind="zip").conversion.doubts
    assert (doubt.field, doubt.choices) == ("member", ("train.csv", "test.csv"))
    error = refusal(converter, packed, refuse_doubts=True)
    assert (error.slug, error.choices) == ("unsure-reading", {"member": ["train.csv", "test.csv"]})
    chosen = converter(packed, kind="zip", reading=Reading(member="test.csv"), refuse_doubts=True)
    assert chosen.rows == ["2,y"]
    unknown = refusal(converter, packed, reading=Reading(member="valid.csv"))
    assert (unknown.slug, unknown.choices) == ("unknown-member", {"member": ["train.csv", "test.csv"]})


@pytest.mark.parametrize(
    ("files", "slug", "said"),
    [
        ({}, "not-text", "empty"),
        ({"readme.md": "x"}, "no-table", "'readme.md'"),
        ({"t.zip": archive({"u.csv": CSV})}, "no-table", "'t.zip'"),
        ({"[Content_Types].xml": "x", "word/document.xml": "x"}, "mislabelled-file", ".xlsx"),
        ({"t.csv": ""}, "empty-file", "empty"),
        ({"t.csv": b"PAR1\0\0"}, "mislabelled-file", "Parquet"),
    ],
)
def test_an_archive_when_it_has_no_table_then_refused(
    converter: Converter, files: dict[str, str | bytes], slug: str, said: str
) -> None:
    error = refusal(converter, archive(files))
    assert error.slug == slug
    assert said in str(error)


def test_an_archive_when_damaged_locked_or_packed_otherwise_then_refused(converter: Converter) -> None:
    packed = archive({"t.csv": CSV * 100})
    assert refusal(converter, packed[:-30]).slug == "broken-file"
    assert refusal(converter, packed[:40] + b"\0\0\0\0" + packed[44:]).slug == "broken-file"
    locked = bytearray(packed)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[packed.index(mark) + offset] |= 1
    assert refusal(converter, bytes(locked)).slug == "encrypted-file"
    other = bytearray(packed)
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        other[packed.index(mark) + offset] = 9  # Deflate64
    error = refusal(converter, bytes(other))
    assert error.slug == "broken-file"
    assert "Deflate" in str(error)


def test_an_archive_when_streamed_or_of_zip64_then_read(converter: Converter) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.data += bytes(data)
            return len(data)

    pipe = Pipe()
    with (
        zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as target,
        target.open("t.csv", "w", force_zip64=True) as file,
    ):
        file.write(CSV.encode())
    assert pipe.data[6] & 8  # sizes stand behind the data
    assert converter(pipe.data, kind="zip").rows == ["1,x"]


def test_an_archive_when_a_bomb_then_stopped_at_the_limit_and_nothing_is_left(
    converter: Converter, tmp_path: Any
) -> None:
    bomb = archive({"t.csv": "a\n" + "1\n" * 5_000_000})
    assert refusal(converter, bomb, limits=Limits(max_unpacked_bytes=1_000_000)).slug == "file-too-large"
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_workbook_when_it_is_called_an_archive_then_its_format_is_offered_and_read(
    converter: Converter,
) -> None:
    content = workbook({"S": [["a", "b"], [1, "x"]]})
    error = refusal(converter, content)
    assert (error.slug, error.choices) == ("mislabelled-file", {"format": ["workbook"]})
    assert converter(content, kind="zip", reading=Reading(format="workbook")).rows == ["1,x"]
    # Of any other archive, the format is that of the file in it.
    inside = archive({"t.csv": content})
    assert refusal(converter, inside).choices == {"format": ["workbook", "zip"]}
    assert converter(inside, kind="zip", reading=Reading(format="workbook")).rows == ["1,x"]


def test_an_archive_when_one_of_its_tables_is_locked_then_the_others_are_offered(
    converter: Converter,
) -> None:
    content = bytearray(archive({"locked.csv": CSV, "open.csv": CSV}))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    error = refusal(converter, bytes(content))
    assert (error.slug, error.choices) == ("encrypted-file", {"member": ["open.csv"]})
    assert converter(bytes(content), kind="zip", reading=Reading(member="open.csv")).rows == ["1,x"]
