"""Charts and rows on a dataset's page: of what is kept of its file, whatever strangers wrote into it."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.core.settings import Settings
from app.published.service import COPY, STATISTICS
from app.tabular.statistics.computing import compute
from app.tabular.statistics.requests import FileRequest
from app.web.catalogue.charts import chart_of, number
from app.web.catalogue.contents import Contents, WantedPart, find_contents
from app.web.catalogue.documents import read_dataset
from tests.conftest import running
from tests.web.pages.test_catalogue import EVIL, fill, get, iris

WIDTH = 20_000
MD5 = "0123456789abcdef" * 2
LABEL = EVIL.replace("\u202e", "")  # ARFF has no word for it.


def cells_of(row: int) -> str:
    level, label = ("?" if row % 4 == 0 else row * 1000), ("low" if row % 3 else QUOTED)
    return f"{level},{label},'<b>{row}</b> {'é' * 300}',{'ab'[row % 2]}\n"


QUOTED = "'" + LABEL.replace("'", "\\'") + "'"
ATTRIBUTES = ["level numeric", f"{QUOTED} {{low,{QUOTED}}}", "note string", "class {a,b}"]
HEAD = "".join(f"@attribute {each}\n" for each in ATTRIBUTES)
ARFF = f"@relation r\n{HEAD}@data\n" + "".join(map(cells_of, range(130)))


def place(settings: Settings, number: int, ending: str) -> Path:
    return settings.data_dir / "published" / f"{number}-{MD5}.{ending}"


def keep(settings: Settings, number: int, text: str, target: str = "") -> None:
    """Compute what is kept of a file, where the service keeps it."""
    source, copy, told = (place(settings, number, ending) for ending in ("source", COPY, STATISTICS))
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text, encoding="utf-8")
    compute(FileRequest("statistics", copy, source, told, target_attribute=target))
    source.unlink()


def wide_arff() -> str:
    """Three sparse rows of 20 000 columns."""
    head = "\n".join(f"@attribute c{index} numeric" for index in range(WIDTH))
    rows = ("{" + ",".join(f"{at} {at + row}" for at in range(0, WIDTH, 97)) + "}" for row in range(3))
    return f"@relation w\n{head}\n@data\n" + "\n".join(rows) + "\n"


@pytest.fixture
def settings(site_settings: Settings) -> Settings:
    """A site without a build, and with nothing behind it."""
    found = site_settings.model_copy(update={"spa_dir": "", "search_index": True})
    known: dict[str, Any] = {"md5_checksum": MD5, "uploader": EVIL}
    features = [{"name": f"c{index}", "type": "numeric"} for index in range(1000)]
    fill(
        found,
        iris(processing_date="2026-11-30 10:00:00", **known),
        iris(62, features=features, **known),
        iris(63, format="CSV", **known),
        iris(64, **known | {"url": "https://elsewhere.example.org/data/iris.arff"}),
        iris(65, **known | {"md5_checksum": ""}),
        iris(66, **known),
    )
    return found


def tables(text: str) -> str:
    return text.partition('id="contents"')[2].partition('id="load"')[0]


async def test_page_when_a_file_was_looked_at_then_charts_rows_and_files_of_it(settings: Settings) -> None:
    keep(settings, 61, ARFF, "class")
    keep(settings, 62, wide_arff())
    async with running(settings) as site:
        first, later = await get(site, "/d/61"), await get(site, "/d/61?rows=10")
        wide, last = await get(site, "/d/62"), await get(site, "/d/62?columns=400")
        await asyncio.to_thread(place(settings, 61, STATISTICS).unlink)
        gone = await get(site, "/d/61")

    shown = tables(first)
    assert "Histogram of 20 bars from 1000 to 129,000. The tallest is" in shown
    assert '<span class="value"><bdi>low</bdi></span><span class="count">66.2 %</span>' in shown
    assert "33 (25.4 %)" in shown
    assert "Rows 1 to 10 of 130" in shown
    assert ">missing</span>" in shown
    assert "&lt;b&gt;1&lt;/b&gt; éé" in shown
    assert "éé …" in shown, "a long text is cut"
    assert "Rows 91 to 100 of 130" in later
    assert "That is as far as this page goes" in later
    assert 'href="/datasets/61/download?format=jsonl"' in first
    assert " kB, as it was published" in first
    assert '<time datetime="2026-11-30">' in first
    assert "Page 1 of 400" in wide
    assert "<bdi>c49</bdi>" in wide
    assert "19,970 columns more are left out" in wide
    assert "<bdi>c19999</bdi>" in last, "the server tells of a thousand columns, the file has all"
    assert 'data-state="unasked"' in gone


async def test_page_when_nothing_is_kept_then_it_says_so_at_once_and_offers_to_look(
    settings: Settings,
) -> None:
    async with running(settings) as site:
        text = await get(site, "/d/61")
        assert 'data-state="unasked"' in text
        assert 'rel="nofollow" href="/d/61?look=1#contents"' in text
        assert 'id="rows"' not in text
        assert not place(settings, 61, "").parent.exists(), "opening a page asks for nothing"
        for number, why in ((63, "&#39;CSV&#39;"), (64, "another server"), (65, "no checksum")):
            refused = await get(site, f"/d/{number}?look=1")
            assert why in tables(refused)
            assert "download?format=" not in tables(refused)
        # There is no OpenML behind this site: what fails is said, without a script as well.
        asked = await get(site, "/d/66?look=1")
        assert 'data-state="problem"' in asked
        assert "OpenML" in tables(asked)


def test_private_dataset_when_shown_then_its_file_is_not_asked_for() -> None:
    dataset = read_dataset(iris(visibility="private").document)

    assert asyncio.run(find_contents(dataset, WantedPart(look=True), None, _at_once)).state == "private"  # type: ignore[arg-type]  # not asked


async def _at_once(function: Callable[..., Contents], *arguments: object) -> Contents:
    return function(*arguments)


def figures(tmp_path: Path, column: str, cells: str) -> dict[str, Any]:
    source, target = tmp_path / "source.arff", tmp_path / "statistics"
    source.write_text(f"@relation r\n@attribute {column}\n@data\n{cells}\n", encoding="utf-8")
    compute(FileRequest("statistics", tmp_path / "copy", source, target))
    found: dict[str, Any] = json.loads(target.read_text(encoding="utf-8").splitlines()[2])
    return found


@pytest.mark.parametrize(
    ("column", "cells", "note", "bars"),
    [
        ("x numeric", "1\n1\n1", "mean 1 ± 0", None),
        ("x numeric", "1e308\n-1e308", "mean 0", []),
        ("x numeric", "?\n?", "every cell is missing", []),
        ("x {a,b,c,d,e}", "d\na\na\nb\nc", "and 1 other", ["a", "d", "b"]),
        ("x string", "'a b'\n'c d'", "3 characters each", []),
        ("x string", "a\na\nbcd", "1 to 3 characters, 1.667 on average", ["a", "bcd"]),
        ("x date 'yyyy'", "2001\n1999", "from 1999 to 2001", []),
        ("x string", "''\n''", "0 characters each", ["(empty)"]),
    ],
)
def test_chart_when_of_each_kind_then_what_fits_it(
    tmp_path: Path, column: str, cells: str, note: str, bars: list[str] | None
) -> None:
    chart = chart_of(figures(tmp_path, column, cells), {"rows": 3, "sample_rows": 3})

    assert (chart.note, [each.label for each in chart.bars]) == (note, bars or [])
    assert bool(chart.path) is bool(chart.words) is (bars is None)


def test_chart_when_of_a_histogram_then_the_tallest_bar_is_as_tall_as_the_picture(tmp_path: Path) -> None:
    chart = chart_of(figures(tmp_path, "x numeric", "0\n0\n0\n0\n20\n7"), {"rows": 6, "sample_rows": 6})

    assert chart.path.startswith("M0 40v-40h7V40z")
    assert chart.path.count("v-10h7") == 2
    assert (chart.width, chart.ends) == (160, ("0", "20"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(2009.0, "2009"), (12_345.0, "12,345"), (0.123_456_78, "0.123457"), (1e300, "1e+300"), (-3.0, "-3")],
)
def test_number_when_shown_then_as_people_read_it(value: float, text: str) -> None:
    assert number(value) == text
