"""Data files of R: which object is meant, and what cannot be read. test_programs.py has those that R wrote."""

import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rdata

from app.tabular import Limits, TabularError
from app.tabular.reading import Reading
from tests.tabular.made import written

Converter = Callable[..., Any]


def saved(objects: dict[str, Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "objects.rda"
        rdata.write_rda(path, objects)
        return path.read_bytes()


def refusal(converter: Converter, content: bytes, kind: str = "rds", **fields: Any) -> TabularError:
    with pytest.raises(TabularError) as caught:
        converter(content, kind=kind, **fields)
    return caught.value


def test_objects_when_several_are_data_frames_then_asked_and_the_choice_counts(converter: Converter) -> None:
    content = saved({"note": "x", "one": pd.DataFrame({"a": [1, 2]}), "two": pd.DataFrame({"b": [3]})})
    (doubt,) = converter(content, kind="rda").conversion.doubts
    assert (doubt.field, doubt.choices) == ("member", ("one", "two"))
    assert converter(content, kind="rda", reading=Reading(member="two"), refuse_doubts=True).rows == ["3"]
    unknown = refusal(converter, content, "rda", reading=Reading(member="note"))
    assert (unknown.slug, unknown.choices) == ("unknown-member", {"member": ["one", "two"]})


def test_objects_when_none_is_a_data_frame_then_refused_with_what_there_is(converter: Converter) -> None:
    error = refusal(converter, saved({"x": np.array([1.0, 2.0]), "y": "text"}), "rda")
    assert error.slug == "no-table"
    assert "'x', 'y'" in error.message
    assert "as.data.frame" in (error.hint or "")


def test_numbers_when_infinite_or_beyond_2_to_53_then_as_in_other_formats(converter: Converter) -> None:
    beyond = pd.DataFrame({"a": [2.0**53 + 2, 1.0, np.nan]})
    done = converter(written("rds", beyond), kind="rds")
    assert (done.conversion.columns[0].kind, done.rows) == ("real", ["9.007199254740994e+15", "1", "?"])
    error = refusal(converter, written("rds", pd.DataFrame({"a": [1.0, np.inf]})))
    assert (error.slug, error.row, error.column) == ("not-finite", 2, "a")


def test_a_column_when_of_complex_numbers_then_refused_by_name(converter: Converter) -> None:
    error = refusal(converter, written("rds", pd.DataFrame({"ok": [1], "z": [1 + 2j]})))
    assert (error.slug, error.column) == ("unusable-type", "z")


def test_a_file_when_damaged_another_or_too_large_then_refused(converter: Converter) -> None:
    content = gzip.decompress(written("rds", pd.DataFrame({"a": range(1000)})))
    assert refusal(converter, gzip.compress(content[:500])).slug == "broken-file"
    assert refusal(converter, gzip.compress(content)[:-20]).slug == "broken-gzip"
    assert refusal(converter, gzip.compress(b"a,b\n1,2\n")).slug == "broken-file"
    assert refusal(converter, b"a,b\n1,2\n").slug == "mislabelled-file"
    bomb = gzip.compress(content + b"\0" * 10_000_000)
    assert refusal(converter, bomb, limits=Limits(max_unpacked_bytes=100_000)).slug == "file-too-large"


def without_marks(frame: pd.DataFrame, texts: dict[str, bytes]) -> bytes:
    """A file in which these texts, which are not ASCII, are other bytes whose encoding is not said."""
    content = gzip.decompress(written("rds", frame))
    for text, data in texts.items():
        marked = b"\0\0\x80\x09" + len(text.encode()).to_bytes(4, "big") + text.encode()
        assert marked in content
        content = content.replace(marked, b"\0\0\0\x09" + len(data).to_bytes(4, "big") + data)
    return content


GERMAN = ["Straße", "Äpfel", "Käse", "Öl", "Mühle"]


def test_texts_when_their_encoding_is_not_said_then_utf8_or_what_they_look_like_and_told(
    converter: Converter,
) -> None:
    frame = pd.DataFrame({"x": GERMAN})
    as_utf8 = converter(without_marks(frame, {text: text.encode() for text in GERMAN}), kind="rds")
    assert (as_utf8["x"][1], "encoding" in as_utf8.conversion.reading) == (GERMAN, False)

    content = without_marks(frame, {text: text.encode("cp1252") for text in GERMAN})
    found = converter(content, kind="rds")
    assert found["x"][1] == GERMAN
    assert "were read as cp1252" in found.conversion.warnings[0]
    assert found.conversion.reading["encoding"]["by"] == "file"
    chosen = converter(content, kind="rds", reading=Reading(encoding="mac-roman"))
    assert chosen["x"][1] == [text.encode("cp1252").decode("mac-roman") for text in GERMAN]
    wrong = refusal(converter, content, reading=Reading(encoding="utf-8"))
    assert (wrong.slug, wrong.choices) == ("unsupported-encoding", {"encoding": ["cp1252", "iso8859-1"]})


def test_texts_when_two_encodings_are_as_likely_then_asked(converter: Converter) -> None:
    content = without_marks(pd.DataFrame({"x": ["ä", "b"]}), {"ä": b"\xe6"})
    (doubt,) = converter(content, kind="rds").conversion.doubts
    assert (doubt.field, doubt.choices[0] in {"cp1252", "cp1250"}) == ("encoding", True)
    assert refusal(converter, content, refuse_doubts=True).slug == "unsure-reading"
    read = converter(content, kind="rds", reading=Reading(encoding="cp1252"), refuse_doubts=True)
    assert read["x"][1] == ["æ", "b"]
