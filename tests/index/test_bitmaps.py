"""Bitmaps beside what they stand for: SQL over the same rows, and plain sorting and counting."""

import random
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.index.bitmaps import BLOCK, Bitmaps, bitmap_of, code_of, code_of_number, newest, newest_bits
from app.index.clauses import ClauseReader
from app.index.fields import as_moment
from app.index.lucene import read_text
from app.index.reading import open_reader
from app.index.search import visible
from app.index.store import Put, Store, path_in
from app.web.search_query import TYPES, QueryRefusedError, translate
from tests.index.conftest import fill
from tests.index.test_fuzz import Made

HALF = "\\ud800"
"""As `repr` writes half a character, which SQLite does not take."""
STATUSES = ("active", "in_preparation", None)
NUMBERS = (None, 0, 1, 2, 3, 150, 150.5, -1, -2.5, 1e300, 2**53, "62", "x")
DATES = (
    "2014-04-06 23:23:39",
    "2014-04-06T23:23:39",
    "2015-01-01",
    "99999-01-01",
    "7",
    None,
    "2014-04-06 00:00:00",
)


def documents(count: int, chance: random.Random) -> list[Put]:
    return [
        Put(
            "data",
            str(number),
            {
                "data_id": number,
                "name": chance.choice(["iris", "iris flowers", "anneal", "ä", "", None]),
                "status": chance.choice(STATUSES),
                "runs": chance.choice(NUMBERS),
                "date": chance.choice(DATES),
                "uploader_id": chance.choice([7, 8, None]),
                "licence": chance.choice(["Public", "CC0", None]),
                "tags": [{"tag": chance.choice(["uci", "study_99"])}],
                "qualities": {"NumberOfInstances": chance.choice(NUMBERS)},
            },
            public=chance.random() < 0.8,
        )
        for number in range(1, count + 1)
    ]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(path_in(tmp_path_factory.mktemp("bitmaps")), documents(300, random.Random(1)))  # noqa: S311 - the same each time


def test_conditions_when_made_by_chance_then_bitmaps_find_what_sql_finds(path: Path) -> None:
    made, asked = Made(7), 0
    with closing(open_reader(path)) as connection:
        bitmaps = Bitmaps(connection)
        for number in range(250):
            try:
                question = translate({"query": made.clause(0)}, ("data",), viewer_id=None, is_embedded=True)
            except QueryRefusedError:
                continue
            kinds = TYPES if number % 4 == 0 else ("data",)
            reader = ClauseReader(kinds, read_text)
            if HALF in str(question):
                continue
            condition = reader.read(question["query"]).without_match(reader.words)
            statement = f"SELECT row FROM entry WHERE {condition.sql}"
            rows = bitmap_of(row for (row,) in connection.execute(statement, condition.values))
            mask = condition.mask(bitmaps)
            assert rows & ~mask == 0, question
            assert not condition.is_exact or rows == mask, question
            asked += condition.is_exact
    assert asked > 60


@pytest.mark.parametrize("viewer", [None, 7, 8])
def test_visible_when_some_are_private_then_the_viewers_own_and_public_ones(
    path: Path, viewer: int | None
) -> None:
    with closing(open_reader(path)) as connection:
        found = visible(("data", "task"), viewer, "words_data").mask(Bitmaps(connection))
        rows = connection.execute("SELECT row FROM entry WHERE shelf > 0 OR owner = ?", (viewer,))
        assert found == bitmap_of(row for (row,) in rows)


@pytest.mark.parametrize("column", ["runs", "date", "name", "instances"])
@pytest.mark.parametrize("way", ["DESC", "ASC"])
def test_top_when_sorted_then_the_first_of_sqls_order(path: Path, column: str, way: str) -> None:
    order = f"{column} {way} NULLS LAST, row DESC"
    with closing(open_reader(path)) as connection:
        bitmaps = Bitmaps(connection)
        sorted_rows = [row for (row,) in connection.execute(f"SELECT row FROM entry ORDER BY {order}")]
        for count in (1, 2, 10, 77, 299, 300, 500):
            found = bitmaps.top(bitmaps.everything(), [(column, way == "DESC")], count, 1000)
            assert bitmap_of(sorted_rows[:count]) & ~found == 0, (column, count)
            if column != "name":
                assert found.bit_count() == min(count, 300)


def test_counts_when_asked_then_the_commonest_first(path: Path) -> None:
    with closing(open_reader(path)) as connection:
        bitmaps = Bitmaps(connection)
        for column in ("status", "runs", "licence", "owner", "date"):
            values = [value for (value,) in connection.execute(f"SELECT {column} FROM entry")]
            expected = Counter(value for value in values if value is not None)
            assert dict(bitmaps.counts(bitmaps.everything(), column, 100)) == expected
            (first,) = bitmaps.counts(bitmaps.everything(), column, 1)
            assert first[1] == max(expected.values())
            assert bitmaps.counts(0, column, 10) == []


def test_rows_when_changed_or_removed_then_bitmaps_follow(tmp_path: Path) -> None:
    chance = random.Random(2)  # noqa: S311 - the same each time
    store = Store(path_in(tmp_path))
    kept: dict[str, Any] = {}
    for _ in range(10):
        with store.writing():
            for put in chance.sample(documents(60, chance), 10):
                kept[put.id] = put
                store.put([put])
            if gone := chance.choice(list(kept)):
                store.delete("data", gone)
                del kept[gone]
    with closing(open_reader(store.path)) as connection:
        bitmaps = Bitmaps(connection)
        for status in ("active", "in_preparation"):
            expected = sum(put.document["status"] == status for put in kept.values())
            assert bitmaps.labelled("status", status).bit_count() == expected
        assert bitmaps.everything().bit_count() == len(kept)
    with store.writing():
        store.clear()
    with closing(open_reader(store.path)) as connection:
        assert Bitmaps(connection).everything() == 0
    store.close()


def test_rows_when_in_several_blocks_then_all_are_found(tmp_path: Path) -> None:
    store = Store(path_in(tmp_path))
    with store.writing():
        # So many documents would take minutes.
        for row in (1, BLOCK - 1, BLOCK, 3 * BLOCK + 5):
            store._bitmaps.put(row, {"shelf": 1, "runs": row})
    with closing(open_reader(store.path)) as connection:
        bitmaps = Bitmaps(connection)
        assert newest(bitmaps.everything(), 10) == [3 * BLOCK + 5, BLOCK, BLOCK - 1, 1]
        assert newest(bitmaps.compare("runs", ">=", code_of("runs", BLOCK)), 10) == [3 * BLOCK + 5, BLOCK]
    store.close()


def test_codes_when_of_numbers_then_in_their_order() -> None:
    chance = random.Random(3)  # noqa: S311 - the same each time
    numbers = [chance.uniform(-1, 1) * 10.0 ** chance.randint(-300, 300) for _ in range(500)] + [
        0.0,
        -0.0,
        1,
        -1,
    ]
    assert sorted(numbers) == sorted(numbers, key=code_of_number)
    assert code_of_number(0.0) == code_of_number(-0.0) != 0


def test_newest_when_bits_are_few_or_many_then_the_last_ones() -> None:
    rows = bitmap_of([5, 64, 1000, 70_000])
    assert newest(rows, 2) == [70_000, 1000]
    assert newest(0, 5) == []
    assert [newest_bits(rows, count).bit_count() for count in (0, 1, 3, 9)] == [0, 1, 3, 4]


@pytest.mark.parametrize(
    ("text", "early", "late"),
    [
        ("2014", "2014-01-01 00:00:00", "2014-12-31 23:59:59"),
        ("2014-05-01", "2014-05-01 00:00:00", "2014-05-01 23:59:59"),
        ("2014-05-01T10:00:00.123Z", "2014-05-01 10:00:00", "2014-05-01 10:00:00"),
        ("99999-01-01", None, None),
        ("2014-13-01", None, None),
        ("٢٠١٤", None, None),
        ("now", None, None),
    ],
)
def test_moments_when_partly_told_then_their_beginning_or_end(
    text: str, early: str | None, late: str | None
) -> None:
    assert (as_moment(text), as_moment(text, is_late=True)) == (early, late)
