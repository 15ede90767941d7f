"""Quality hints of the preview: each is told where the fault is, with its figure, and not where it is not."""

import csv
import io
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.tabular import read_profile
from app.tabular.profile.hints import MOST_NAMES
from app.tabular.profile.run import profile
from tests.tabular.test_profile import SPARSE, profiled, request_for

Columns = Mapping[str, Sequence[object]]
DICE = random.Random(18)  # noqa: S311 - a table's cells
ROWS = 200
NOISE = [round(DICE.gauss(0, 1), 6) for _ in range(ROWS)]
GROUPS = [DICE.choice("abc") for _ in range(ROWS)]
CLASSES = [DICE.choice(["no", "yes"]) for _ in range(ROWS)]
SOUND: Columns = {"level": NOISE, "group": GROUPS, "flood": CLASSES}


def text_of(columns: Columns) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return file.getvalue()


def hints(folder: Path, columns: Columns, **fields: Any) -> dict[str, dict[str, Any]]:
    found = profiled(request_for(folder, text_of(columns), **fields))[0]["hints"]
    return {hint["slug"]: hint for hint in found}


def of_flood(folder: Path, **columns: Sequence[object]) -> dict[str, dict[str, Any]]:
    return hints(folder, {**SOUND, **columns}, target_attributes=["flood"])


def test_hints_when_nothing_is_wrong_then_none(tmp_path: Path) -> None:
    assert of_flood(tmp_path) == {}


def test_constant_columns_when_some_then_named_and_not_one_with_a_gap(tmp_path: Path) -> None:
    gap = [*["x"] * (ROWS - 1), ""]
    found = of_flood(tmp_path, one=["1"] * ROWS, word=["x"] * ROWS, gap=gap)
    assert (*found,) == ("constant-columns",)
    hint = found["constant-columns"]
    assert (hint["columns"], hint["column_count"], hint["rows_looked_at"]) == (["one", "word"], 2, ROWS)
    assert hint["message"] == "2 columns have the same value in every row."


def test_duplicate_columns_when_equal_in_every_row_then_told_and_not_when_one_cell_differs(
    tmp_path: Path,
) -> None:
    late = [*GROUPS[:-1], "z"]
    found = of_flood(tmp_path, again=GROUPS, almost=late)
    assert found["duplicate-columns"]["columns"] == ["again"]
    assert "'again' and 'group'" in found["duplicate-columns"]["message"]
    assert of_flood(tmp_path, almost=late) == {}


def test_duplicate_rows_when_some_then_counted(tmp_path: Path) -> None:
    doubled = {name: [*cells, *cells[:3]] for name, cells in SOUND.items()}
    found = hints(tmp_path, doubled)
    assert found["duplicate-rows"]["message"] == "3 of 203 rows are the same as an earlier one."
    assert found["duplicate-rows"]["rows_looked_at"] == 203


def test_duplicate_rows_when_cells_only_look_alike_then_none(tmp_path: Path) -> None:
    assert "duplicate-rows" not in hints(tmp_path, {"a": ["xy", "x", ""], "b": ["z", "yz", "x"]})


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("serial", range(1, ROWS + 1)),
        ("patient_id", [number * 7 for number in range(ROWS)]),
        ("code", [f"K{number:05d}" for number in range(ROWS)]),
    ],
)
def test_ids_when_a_feature_numbers_the_rows_then_told_and_not_where_it_is_said(
    tmp_path: Path, name: str, cells: Sequence[object]
) -> None:
    columns = {name: cells, **SOUND}
    assert hints(tmp_path, columns)["id-features"]["columns"] == [name]
    assert "id-features" not in hints(tmp_path, columns, row_id_attribute=name)
    assert "id-features" not in hints(tmp_path, columns, ignore_attributes=[name])
    assert "id-features" not in hints(tmp_path, {name: [*list(cells)[:-1], next(iter(cells))], **SOUND})


def test_ids_when_texts_are_sentences_or_numbers_are_measured_then_none(tmp_path: Path) -> None:
    sentences = [f"the {number}th remark of somebody" for number in range(ROWS)]
    amounts = DICE.sample(range(10**6), ROWS)
    assert of_flood(tmp_path, remark=sentences, amount=amounts) == {}


def test_giveaway_when_a_feature_tells_the_target_then_told(tmp_path: Path) -> None:
    code = [{"no": "0", "yes": "1"}[each] for each in CLASSES]
    score = [DICE.random() + (each == "yes") for each in CLASSES]
    half = [each if number % 10 else "1" for number, each in enumerate(code)]
    found = of_flood(tmp_path, code=code, score=score, half=half)
    assert found["target-giveaway"]["columns"] == ["code", "score"]
    assert "'code' tells 100.0 % of it in 200 rows" in found["target-giveaway"]["message"]
    assert of_flood(tmp_path, half=half) == {}


def test_giveaway_when_a_number_is_the_target_in_another_unit_then_told(tmp_path: Path) -> None:
    feet = [round(3.2808 * number, 5) for number in NOISE]
    noisy = [number + DICE.gauss(0, 0.3) for number in NOISE]
    columns = {**SOUND, "feet": feet, "noisy": noisy}
    assert hints(tmp_path, columns, target_attributes=["level"])["target-giveaway"]["columns"] == ["feet"]


def test_classes_when_rare_or_uneven_then_told(tmp_path: Path) -> None:
    rare = ["maybe", *CLASSES[1:]]
    found = of_flood(tmp_path, flood=rare)
    assert "1 class of the target has one row only, such as 'maybe'" in found["single-row-classes"]["message"]
    assert set(found) == {"single-row-classes", "class-imbalance"}
    uneven = ["yes", "yes", *["no"] * (ROWS - 2)]
    found = of_flood(tmp_path, flood=uneven)
    assert set(found) == {"class-imbalance"}
    assert "'no' has 99.0 % of the rows, 'yes' has 2" in found["class-imbalance"]["message"]


@pytest.mark.parametrize(
    ("name", "cells", "said"),
    [
        ("contact", ["ada@example.org", "x"], "1 of 2 values looked at has a mail address"),
        ("reach", ["+49 30 901820", "(030) 90182-0"], "2 of 2 values looked at are telephone numbers"),
        ("call", ["555-123-4567", "555.765.4321"], "2 of 2 values looked at are telephone numbers"),
        ("Geburtsdatum", ["a", "b"], "by its name"),
        ("prénom", ["a", "b"], "by its name"),
        ("E-Mail", ["a", "b"], "by its name"),
    ],
)
def test_personal_data_when_it_looks_so_then_told(
    tmp_path: Path, name: str, cells: list[str], said: str
) -> None:
    hint = hints(tmp_path, {name: cells, "flood": ["no", "yes"]})["personal-data"]
    assert said in hint["message"]
    assert hint["column_count"] == 1


def test_personal_data_when_dates_addresses_or_numbers_then_none(tmp_path: Path) -> None:
    columns = {
        "day": ["01.02.2020", "03.04.2021"],
        "iso": ["2020-01-02", "2021-03-04"],
        "host": ["192.168.0.1", "10.20.30.40"],
        "user": ["@ada", "at example.org"],
        "count": ["4915112345678", "30901820111"],
        "mailbox": ["a", "b"],
    }
    assert "personal-data" not in hints(tmp_path, columns)


def test_hints_when_rows_are_many_then_it_is_said_how_many_were_looked_at(tmp_path: Path) -> None:
    rows = 50_000
    table = pa.table(
        {
            "number": pa.array(range(rows)),
            "again": pa.array([*range(rows - 1), 0]),
            "mail": [f"p{number}@example.org" for number in range(rows)],
        }
    )
    pq.write_table(table, tmp_path / "table")
    found = profiled(request_for(tmp_path, (tmp_path / "table").read_bytes(), "parquet"))[0]["hints"]
    by_slug = {hint["slug"]: hint for hint in found}
    assert by_slug["id-features"]["columns"] == ["number", "mail"]
    assert 5_000 <= by_slug["id-features"]["rows_looked_at"] <= 10_000
    assert "rows that were looked at" in by_slug["id-features"]["message"]
    # What is equal in all rows is known of all.
    assert "duplicate-columns" not in by_slug


def test_hints_when_rows_are_sparse_then_those_of_statistics(tmp_path: Path) -> None:
    request = request_for(tmp_path, SPARSE.replace("{}\n", "{3 x}\n").replace("REAL", "REAL"), "arff")
    assert profiled(request)[0]["hints"] == []
    constant = request_for(tmp_path, SPARSE.replace("{0 1, 3 y}", "{0 1}"), "arff")
    assert [hint["columns"] for hint in profiled(constant)[0]["hints"]] == [["d"]]


@pytest.mark.long
def test_hints_when_there_are_20_000_columns_then_each_kind_is_bounded(tmp_path: Path) -> None:
    width = 20_000
    cells = [str(number % 3) for number in range(width)]
    lines = [",".join(f"x{number}" for number in range(width)), *[",".join(cells)] * 12]
    table = profiled(request_for(tmp_path, "\n".join(lines) + "\n"))[0]
    found = {hint["slug"]: hint for hint in table["hints"]}
    assert found["constant-columns"]["column_count"] == width
    assert len(found["constant-columns"]["columns"]) == MOST_NAMES
    assert len(str(table["hints"])) < 10_000


CELL = st.one_of(
    st.sampled_from(["", "?", "NA", "1", "1.5", "1e400", "-0", "inf", "nan", "a@b.co", "+49 30 12345", "x"]),
    st.integers(-(10**20), 10**20).map(str),
    st.text(max_size=12),
)
NAME = st.one_of(st.sampled_from(["id", "email", "target", "", "a b", "a_b"]), st.text(max_size=10))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_hints_when_tables_are_odd_then_never_an_error(tmp_path: Path, data: st.DataObject) -> None:
    names = data.draw(st.lists(NAME, min_size=1, max_size=5))
    rows = data.draw(
        st.lists(st.lists(CELL, min_size=len(names), max_size=len(names)), min_size=1, max_size=8)
    )
    rows *= data.draw(st.sampled_from([1, 1, 40]))
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerows([names, *rows])
    # Refusals of the whole table are not of the hints: these tables have the shape of one.
    request = request_for(tmp_path, file.getvalue(), target_attributes=names[-1:])
    assert_profiled_as_before(request)


def assert_profiled_as_before(request: Any) -> None:
    from app.tabular.types import TabularError

    try:
        profile(request)
    except TabularError:
        return
    found = read_profile(request.target).table["hints"]
    assert len({hint["slug"] for hint in found}) == len(found)
    for hint in found:
        assert hint["message"].endswith(".")
        assert hint["advice"].endswith(".")
        assert hint["rows_looked_at"] > 0
