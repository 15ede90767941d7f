"""What OpenML's engine gives up on is told before anything is published, in the preview and the conversion alike."""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.tabular import ConversionRequest, Limits, format_of
from app.tabular.profile.run import profile
from app.tabular.schema.warnings import MOST_TARGET_LABELS
from openml_sandbox.engine import _HEAP_BYTES, _INT_BYTES
from openml_sandbox.weka import Watcher, read_arff

Converter = Callable[..., Any]


def as_parquet(numbers: list[str]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"x": [float(number) for number in numbers], "c": ["p"] * len(numbers)}), sink)
    return sink.getvalue()


FORMS: dict[str, Callable[[list[str]], str | bytes]] = {
    "csv": lambda numbers: "x,c\n" + "".join(f"{number},p\n" for number in numbers),
    "jsonl": lambda numbers: "".join(f'{{"x": {number}, "c": "p"}}\n' for number in numbers),
    "parquet": as_parquet,
    "arff": lambda numbers: (
        "@RELATION r\n@ATTRIBUTE x REAL\n@ATTRIBUTE c {p}\n@DATA\n"
        + "".join(f"{each},p\n" for each in numbers)
    ),
    "sparse.arff": lambda numbers: (
        "@RELATION r\n@ATTRIBUTE x REAL\n@ATTRIBUTE c {p}\n@DATA\n"
        + "".join(f"{{0 {each},1 p}}\n" for each in numbers)
    ),
}


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize(
    ("numbers", "row"),
    [
        (["1", "1.35e154", "1"], 2),
        (["1", "-1.35E+154"], 2),
        (["1e154", "1e154", "1"], 2),
        (["1", "1" + "0" * 155 + ".0"], 2),
        (["1e100", "1.3e154"], None),
        (["1e-200", "-5e-324", "2.5e10"], None),
    ],
)
def test_squares_when_their_sum_is_infinite_then_told_where_the_engine_gives_up(
    tmp_path: Path, converter: Converter, kind: str, numbers: list[str], row: int | None
) -> None:
    ending = kind.rpartition(".")[2]
    content = FORMS[kind](numbers)
    done = converter(content, kind=ending, target_attributes=("c",))

    (tmp_path / "published.arff").write_text(done.text)
    with (tmp_path / "published.arff").open("rb") as file:
        attribute = read_arff(file, Watcher()).attributes[0]
    assert math.isinf(attribute.squares) == (row is not None)
    told = [warning for warning in done.conversion.warnings if "squares" in warning]
    assert [f"row {row} has" in warning for warning in told] == [True] * (row is not None)
    assert warnings_of_preview(tmp_path, content, ending, ("c",)) == list(done.conversion.warnings)


def warnings_of_preview(
    folder: Path, content: str | bytes, ending: str, targets: tuple[str, ...]
) -> list[str]:
    source = folder / "table"
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = format_of(f"table.{ending}")
    assert found is not None
    profile(ConversionRequest(source, folder / "profile", found.format, "table", target_attributes=targets))
    warnings: list[str] = json.loads((folder / "profile").read_text().partition("\n")[0])["warnings"]
    return warnings


def test_a_target_when_there_is_none_then_told_that_the_engine_gives_up(
    tmp_path: Path, converter: Converter
) -> None:
    done = converter("x,c\n1,p\n2,q\n")
    assert "never becomes active" in done.conversion.warnings[0]
    assert warnings_of_preview(tmp_path, "x,c\n1,p\n2,q\n", "csv", ()) == list(done.conversion.warnings)


@pytest.mark.parametrize(("more", "is_told"), [(0, False), (1, True)])
def test_a_target_when_its_labels_are_too_many_for_the_engine_then_told(
    converter: Converter,
    more: int,
    is_told: bool,  # noqa: FBT001 - pytest names it
) -> None:
    labels = MOST_TARGET_LABELS + more
    assert (labels**2 * _INT_BYTES > _HEAP_BYTES) is is_told
    content = "x,c\n" + "".join(f"{number},label{number}\n" for number in range(labels))
    warnings = converter(
        content, target_attributes=("c",), limits=Limits(max_labels=100_000)
    ).conversion.warnings
    assert any("labels" in warning for warning in warnings) is is_told


def test_squares_when_numbers_have_decimal_commas_then_told_all_the_same(
    tmp_path: Path, converter: Converter
) -> None:
    content = "x;c\n1,5;p\n1,35e154;p\n"
    done = converter(content, target_attributes=("c",))
    assert done["x"][0] == "REAL"
    assert any("row 2 has" in warning for warning in done.conversion.warnings)
    assert warnings_of_preview(tmp_path, content, "csv", ("c",)) == list(done.conversion.warnings)
