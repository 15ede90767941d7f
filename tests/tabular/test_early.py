"""Rows that are written while they are scanned: the file is the one that two passes make."""

import json
import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.tabular import Conversion, ConversionRequest, TabularError
from app.tabular.convert import convert
from app.tabular.profile.dense import DenseProfiler, with_candidates
from app.tabular.profile.run import profile
from app.tabular.readers.opening import open_job
from app.tabular.readers.text import BLOCK_BYTES
from app.tabular.schema.job import plan_columns
from app.tabular.types import Progress
from tests.tabular.test_random_dialects import tables

NAMES = ("id", "x", "word", "flag", "kind")
LONG = "long " * 60
"""So that a block has few rows."""
FIRST = (("1", "0.5", LONG, "true", "p"), ("2", "-3", "c", "false", "q"), ("3", "", "NA", "true", "p"))


def asking(folder: Path, rows: list[list[str]], **fields: Any) -> ConversionRequest:
    lines = [",".join(f'"{cell}"' if " " in cell else cell for cell in row) for row in rows]
    (folder / "in").write_text("".join(f"{line}\n" for line in lines))
    known: dict[str, Any] = {"format": "csv", "relation": "table", "target_attributes": ("kind",), **fields}
    return ConversionRequest(folder / "in", folder / "out", **known)


def repeated(rows: list[list[str]]) -> list[list[str]]:
    """Return rows, over and over, that take more than one block."""
    size = sum(len(",".join(row)) + 1 for row in rows)
    return rows * (BLOCK_BYTES // size + 2)


def converted(request: ConversionRequest) -> tuple[int, Conversion, bytes]:
    """Return how many passes a conversion made, what it says, and what it wrote."""
    seen: list[Progress] = []
    done = convert(request, seen.append)
    is_early = [progress.phase for progress in seen].count("writing") == 1
    assert seen[-1] == Progress("writing", request.source.stat().st_size, request.source.stat().st_size)
    return 1 if is_early else 2, done, request.target.read_bytes()


def in_two_passes(request: ConversionRequest) -> tuple[Conversion, bytes]:
    """Return the same of a profile, which scans all rows, and a conversion that knows the types from it."""
    request = replace(request, plans=request.target.with_name("plans"))
    profile(replace(request, target=request.target.with_name("profile")))
    assert request.plans
    assert request.plans.exists()
    seen: list[Progress] = []
    done = convert(request, seen.append)
    assert {progress.phase for progress in seen} <= {"reading", "writing"}
    return done, request.target.read_bytes()


LATE: dict[str, tuple[int, dict[str, str]]] = {
    "nothing else": (1, {}),
    "a number that is missing": (1, {"x": ""}),
    "another text": (1, {"word": "d e"}),
    "a fraction in a column of whole numbers": (2, {"id": "4.5"}),
    "a text in a column of numbers": (2, {"x": "many words"}),
    "a word for none in a column of numbers": (2, {"x": "NA"}),
    "blanks around a number": (2, {"x": " 7"}),
    "an exponent that a text has as well": (2, {"id": "code123456"}),
    "a third flag": (2, {"flag": "maybe"}),
    "another label": (2, {"kind": "r"}),
    "a label with blanks around it": (2, {"kind": " r "}),
    "a number beyond 2^53": (2, {"id": "12345678901234567890"}),
    "a leading zero": (2, {"id": "007"}),
}


@pytest.mark.every(2)
@pytest.mark.parametrize("what", LATE)
def test_a_table_when_late_rows_differ_then_the_file_is_as_in_two_passes(what: str, tmp_path: Path) -> None:
    passes, cells = LATE[what]
    late = [cells.get(name, cell) for name, cell in zip(NAMES, FIRST[0], strict=True)]
    request = asking(tmp_path, [[*NAMES], *repeated([*map(list, FIRST)]), late])

    found, done, data = converted(request)

    assert found == passes
    assert (done, data) == in_two_passes(request)


@pytest.mark.parametrize("rows", [2, 3000])
def test_lines_of_json_when_the_second_row_has_another_label_then_one_pass(rows: int, tmp_path: Path) -> None:
    lines = [json.dumps({"x": row, "kind": f"k{row % 3}"}) for row in range(rows)]
    (tmp_path / "in").write_text("\n".join(lines))
    request = ConversionRequest(tmp_path / "in", tmp_path / "out", "jsonl", "table", ("kind",))

    passes, done, data = converted(request)

    assert passes == 1
    assert (done, data) == in_two_passes(request)


@pytest.mark.parametrize("what", [*LATE, "an infinite number"])
@pytest.mark.long
def test_a_profile_when_late_rows_differ_then_it_is_as_in_two_passes(what: str, tmp_path: Path) -> None:
    _, cells = LATE.get(what, (2, {"x": "inf"}))
    late = [cells.get(name, cell) for name, cell in zip(NAMES, FIRST[0], strict=True)]
    request = asking(tmp_path, [[*NAMES], *repeated([*map(list, FIRST)]), late])
    seen: list[Progress] = []
    profile(request, seen.append)
    found = request.target.read_bytes()

    job = with_candidates(open_job(request, seen.append))
    in_two = DenseProfiler(job, plan_columns(job, seen.append), seen.append)
    in_two.run()
    in_two.write()

    assert found == request.target.read_bytes()


@pytest.mark.parametrize(
    ("cells", "fields", "slug"),
    [
        ({"x": "inf"}, {}, "not-finite"),
        ({"kind": "caf\u00e9"}, {}, "bad-label"),
        ({"kind": "r"}, {"attributes": {"kind": {"nominal": ["p", "q"]}}}, "value-does-not-fit"),
        ({"x": "many"}, {"attributes": {"x": "real"}}, "value-does-not-fit"),
        ({"word": "a,b"}, {}, "ragged-row"),
    ],
)
def test_a_table_when_late_rows_are_wrong_then_refused_with_the_row_and_nothing_is_left(
    cells: dict[str, str], fields: dict[str, Any], slug: str, tmp_path: Path
) -> None:
    late = [cells.get(name, cell) for name, cell in zip(NAMES, FIRST[0], strict=True)]
    rows = repeated([*map(list, FIRST)])
    request = asking(tmp_path, [[*NAMES], *rows, late], **fields)

    with pytest.raises(TabularError) as caught:
        convert(request)

    assert (caught.value.slug, caught.value.row) == (slug, len(rows) + 1)
    assert not request.target.exists()


def test_a_table_when_a_label_does_not_fit_before_another_fault_then_that_of_the_types_is_told(
    tmp_path: Path,
) -> None:
    """As ever: what is wrong with a column's type comes before what is wrong with a value of a declared one."""
    rows = repeated([*map(list, FIRST)])
    odd, infinite = [*FIRST[0][:4], "r"], ["1", "inf", *FIRST[0][2:]]
    declared = {"attributes": {"kind": {"nominal": ["p", "q"]}}}
    request = asking(tmp_path, [[*NAMES], odd, *rows, infinite], **declared)

    with pytest.raises(TabularError) as caught:
        convert(request)

    assert caught.value.slug == "not-finite"


def test_a_column_without_a_name_when_its_numbers_end_late_then_refused(tmp_path: Path) -> None:
    numbered = [[str(number), LONG] for number in range(10_000)]
    request = asking(tmp_path, [["", "word"], *numbered], target_attributes=())
    passes, done, data = converted(request)
    assert (passes, [column.name for column in done.columns]) == (1, ["word"])
    assert (done, data) == in_two_passes(request)

    request = asking(tmp_path, [["", "word"], *numbered, ["7", "more"]], target_attributes=())
    with pytest.raises(TabularError) as caught:
        convert(request)
    assert caught.value.slug == "bad-column-name"


def test_labels_when_there_are_many_in_the_first_rows_then_nothing_is_written_early(tmp_path: Path) -> None:
    rows = [[LONG, f"label{number}"] for number in range(9_000)]
    request = asking(tmp_path, [["word", "kind"], *rows])

    passes, done, data = converted(request)

    assert passes == 2
    assert (done, data) == in_two_passes(request)


@settings(max_examples=8, deadline=None)
@given(first=tables(), late=tables(), targets=st.booleans(), longs=st.sampled_from([1, 20]))
@pytest.mark.long
def test_random_tables_when_their_ends_are_of_others_then_the_file_is_as_in_two_passes(
    first: list[list[Any]], late: list[list[Any]], *, targets: bool, longs: int
) -> None:
    width = min(len(first[0]), len(late[0]))
    texts = [
        [
            [LONG * longs, *(re.sub(r'[",]', "", str(cell)).strip() or "x" for cell in row[:width])]
            for row in rows
        ]
        for rows in (first, late)
    ]
    names = ["long", *(f"n{number}" for number in range(width))]
    with TemporaryDirectory() as folder:
        rows = [names, *repeated(texts[0]), *texts[1]]
        request = asking(Path(folder), rows, target_attributes=(names[-1],) if targets else ())
        try:
            _, done, data = converted(request)
        except TabularError:
            return
        assert (done, data) == in_two_passes(request)
