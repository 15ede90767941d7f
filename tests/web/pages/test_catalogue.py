"""The pages of what is published: what they show, what nobody's text can do to them, and where they lead."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import pytest

from app.core.settings import Settings
from app.index.store import Put, Store, path_in
from app.openml.fields import with_changes
from app.web.catalogue.documents import read_dataset
from app.web.catalogue.reuse import bibtex
from app.web.catalogue.texts import first_words, render_markdown, web_address
from tests.conftest import Running, running

EVIL = "</title></script>]]>\"'><script>alert(1)</script><img src=x onerror=alert(1)>\u202egnp.exe{{7*7}}"
EVIL_LINKS = "[a](javascript:alert(1)) <javascript:alert(2)> [b](data:text/html,x) ![c](javascript:alert(3))"
NOISE: list[Any] = [
    None,
    True,
    -1,
    1e308,
    "",
    EVIL,
    [],
    [EVIL, None, [1]],
    {"name": EVIL},
    [{"tag": [EVIL]}],
    {"a": {}},
]
"""What a field of a hostile document may be."""


def iris(number: int = 61, **others: Any) -> Put:
    document = {
        "data_id": number,
        "name": "iris",
        "exact_name": "iris",
        "version": 1,
        "status": "active",
        "format": "ARFF",
        "licence": "Attribution (CC BY)",
        "date": "2026-11-29 10:00:00",
        "uploader_id": 7,
        "creator": ["R. A. Fisher"],
        "description": "# Iris\n\nSepals **and** petals, see https://example.org/iris.\n\n|a|b|\n|-|-|\n|1|2|",
        "url": "http://127.0.0.1:9/data/v1/download/5/iris.arff",
        "default_target_attribute": "class",
        "tags": [{"tag": "uci", "uploader": "0"}],
        "qualities": {"NumberOfInstances": 150, "NumberOfFeatures": 5, "NumberOfClasses": 3},
        "features": [{"name": "class", "type": "nominal", "target": "1", "missing": 0, "distinct": 3}],
        **others,
    }
    return Put("data", str(number), document, public=others.get("visibility", "public") == "public")


TASK = {
    "task_id": 59,
    "tasktype": {"tt_id": 1, "name": "Supervised Classification"},
    "source_data": {"data_id": 61, "name": "iris"},
    "target_feature": "class",
    "estimation_procedure": {"proc_id": 1, "name": "10-fold Crossvalidation"},
}
STUDY = {
    "study_id": 99,
    "name": "A suite",
    "alias": "suite",
    "study_type": "task",
    "description": "Of **tasks**.",
}
ADA = {"user_id": 7, "first_name": "Ada", "last_name": "Lovelace", "bio": "Engines", "country": "UK"}


@pytest.fixture
def settings(site_settings: Settings) -> Settings:
    """A site without a build, and with nothing behind it."""
    return site_settings.model_copy(
        update={"spa_dir": "", "search_index": True, "pass_on": ("reads", "files")}
    )


def fill(settings: Settings, *puts: Put, members: dict[str, list[int]] | None = None) -> None:
    store = Store(path_in(settings.data_dir))
    with store.writing():
        store.put(puts)
        store.set_members(99, members or {})
    store.close()


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Running]:
    """A site whose index holds a dataset in two versions, a task, a collection and a person."""
    others = (Put("task", "59", TASK), Put("study", "99", STUDY), Put("user", "7", ADA))
    newer = iris(62, version=2, status="in_preparation")
    mine = iris(63, name="diary", exact_name="diary", visibility="private")
    fill(settings, iris(), newer, mine, *others, members={"task": [59], "data": [61]})
    async with running(settings) as found:
        yield found


class Page(HTMLParser):
    """What a page is made of, as a browser reads it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.data = ""
        self._in_data = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_data = ("type", "application/ld+json") in attrs
        self.tags.add(tag if tag != "script" or self._in_data or dict(attrs).get("src") else "inline script")
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.data += data if self._in_data else ""

    def handle_endtag(self, tag: str) -> None:
        self._in_data = self._in_data and tag != "script"

    def assert_harmless(self) -> None:
        assert not self.tags & {"inline script", "img src", "style", "iframe", "object"}
        assert not [name for name, _ in self.attributes if name.startswith("on") or name == "style"]
        addresses = [value for name, value in self.attributes if name in {"href", "src", "action", "content"}]
        assert not [
            each for each in addresses if re.match(r"\s*(javascript|data|vbscript):", each, re.IGNORECASE)
        ]


async def get(site: Running, path: str, **headers: str) -> str:
    answer = await site.client.get(path, headers=headers)
    assert answer.status_code == 200, (path, answer.text[:2000])
    Page(answer.text).assert_harmless()
    assert len(answer.content) < 200_000
    return str(answer.text)


async def test_dataset_when_shown_then_all_that_is_known_of_it(site: Running) -> None:
    text = await get(site, "/d/61")
    for piece in (
        *("<bdi>iris</bdi>", "150 rows", "5 columns", "CC BY", "<strong>and</strong>", "<bdi>class</bdi>"),
        *('href="https://example.org/iris"', 'href="/t/59"', 'href="/s/99"', 'href="/d/62"', "R. A. Fisher"),
        *(
            "get_dataset(61)",
            "@misc{openml-data-61,",
            'href="/search?tag=uci"',
            'href="/u/7"',
            "Ada Lovelace",
        ),
        "https://creativecommons.org/licenses/by/4.0/",
        f'href="{site.resources.settings.site_url}/data/v1/download/5/iris.arff"',
        f'<link rel="canonical" href="{site.resources.settings.site_url}/d/61">',
    ):
        assert piece in text, piece
    data = json.loads(Page(text).data)
    assert (data["@type"], data["name"], data["license"][-4:]) == ("Dataset", "iris", "4.0/")
    assert "still processing" in await get(site, "/d/62")


def test_summary_when_something_was_changed_for_openml_then_of_what_its_author_wrote() -> None:
    told = with_changes("Petals.", [{"column": "", "change": "A line was left out.", "reason": ""}])

    dataset = read_dataset({"description": told})

    assert (dataset.summary, "A line was left out." in dataset.description) == ("Petals.", True)


async def test_search_when_asked_then_found_by_a_word_filtered_and_paged(site: Running) -> None:
    assert 'href="/d/61"' in (found := await get(site, "/search?q=petals"))
    assert "/d/62" not in found, "what is not active is not searched unasked"
    assert "/d/62" in await get(site, "/search?q=petals&status=any")
    assert "Nothing has all of these words" in await get(site, "/search?q=nothingofthekind")
    for query in (
        "licence=Attribution+(CC+BY)",
        "size=*-1000",
        "tag=uci",
        "uploader_id=7",
        "study_id=99",
        "target=more",
    ):
        assert 'href="/d/61"' in await get(site, f"/search?{query}"), query
    for query in (
        "licence=MIT",
        "size=1000-10000",
        "tag=none",
        "uploader_id=8",
        "target=two",
        "target=number",
    ):
        assert 'href="/d/61"' not in await get(site, f"/search?{query}"), query
    assert 'href="/t/59"' in await get(site, "/search?type=task&data_id=61")
    assert 'href="/s/99"' in await get(site, "/search?type=benchmark&study_type=task")
    assert 'href="/u/7"' in await get(site, "/search?type=user&q=ada")
    many = "&".join(f"tag={number}" for number in range(99))
    for odd in (
        "page=9999999999999999999",
        "page=-1",
        "sort=x",
        "type=flow",
        "size=1-",
        "target=x",
        "data_id=x",
        "q=%00%ff",
        many,
    ):
        await get(site, f"/search?{odd}")


async def test_things_when_opened_then_each_has_its_page_and_the_official_addresses_lead_there(
    site: Running,
) -> None:
    assert "10-fold Crossvalidation" in await get(site, "/t/59")
    assert "Of <strong>tasks</strong>" in (collection := await get(site, "/s/99"))
    assert 'href="/t/59"' in collection
    assert 'href="/d/61"' in (person := await get(site, "/u/7"))
    assert "diary" not in person
    assert await get(site, "/b/99") == collection == await get(site, "/s/99/")
    assert await get(site, "/search?type=data&sort=runs&id=61") == await get(site, "/d/061")
    assert 'href="/d/61"' in (start := await get(site, "/"))
    assert "<strong>1</strong> dataset<" in start


async def test_private_dataset_when_anybody_asks_then_404_and_in_no_list(site: Running) -> None:
    missing = await site.client.get("/d/64", headers={"Accept": "text/html"})
    private = await site.client.get("/d/63", headers={"Accept": "text/html"})
    assert (missing.status_code, private.status_code) == (404, 404)
    assert private.text.replace("63", "64") == missing.text
    for path in ("/", "/search?status=any", "/u/7", "/sitemap-data-1.xml"):
        assert "diary" not in (await site.client.get(path)).text
    assert "/d/63" not in await get(site, "/search?q=diary&status=any")


async def test_page_when_asked_again_then_304_until_it_changes_and_head_has_no_body(
    site: Running, settings: Settings
) -> None:
    for path in ("/", "/d/61", "/search?q=iris", "/t/59", "/s/99", "/u/7"):
        first = await site.client.get(path)
        known = {"If-None-Match": first.headers["etag"]}
        again = await site.client.get(path, headers=known)
        assert (again.status_code, again.content) == (304, b""), path
        assert first.headers["cache-control"] == "no-cache"
        assert "Authorization" in first.headers["vary"]
        assert first.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        head = await site.client.head(path)
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", first.headers["etag"])
    first = await site.client.get("/d/61")
    await asyncio.to_thread(fill, settings, iris(licence="MIT"))
    changed = await site.client.get("/d/61", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert "MIT" in changed.text


async def test_hostile_documents_when_shown_then_nothing_runs_and_nothing_fails(settings: Settings) -> None:
    kinds = {"data": iris().document, "task": TASK, "study": STUDY, "user": ADA}
    numbers = {"data": "data_id", "task": "task_id", "study": "study_id", "user": "user_id"}
    puts = [
        Put(kind, str(number), dict.fromkeys(document, value) | {numbers[kind]: number})
        for number, value in enumerate(NOISE, 100)
        for kind, document in kinds.items()
    ]
    puts += [
        iris(
            7,
            name=EVIL,
            exact_name=EVIL,
            description=f"{EVIL}\n\n# {EVIL}\n\n{EVIL_LINKS}",
            licence=EVIL,
            citation=EVIL,
            creator=[EVIL, EVIL_LINKS],
            format=EVIL,
            status=EVIL,
            url="javascript:alert(1)",
            parquet_url="https://a b",
            original_data_url="data:text/html,x",
            paper_url="https://user:secret@example.org/",
            tags=[{"tag": EVIL}],
            qualities={EVIL: 1},
            features=[{"name": EVIL, "type": EVIL, "labels": [EVIL], "target": "1"}],
        ),
    ]  # fmt: skip
    fill(settings, *puts)
    async with running(settings) as site:
        for number, kind in ((n, k) for n in range(100, 100 + len(NOISE)) for k in "dtsu"):
            assert "<script>alert" not in await get(site, f"/{kind}/{number}")
        for kind in ("data", "task", "study", "user"):
            await get(site, f"/search?type={kind}&status=any")
        text = await get(site, "/d/7")
        assert "\u202e" not in text
        assert "{{7*7}}" in text, "no text is a template"
        assert "secret@" not in text
        await get(site, f"/search?q={EVIL_LINKS}&tag=%3Cscript%3E")


def test_markdown_when_hostile_then_text_and_links_of_the_web_alone() -> None:
    for text in (
        EVIL,
        EVIL_LINKS,
        "<div onclick=x>",
        "[x]: javascript:a\n[x]",
        "<https://a\"onclick='x'>",
        "> " * 500,
    ):
        Page(str(render_markdown(text))).assert_harmless()
    assert "<img" not in render_markdown("![a cat](https://example.org/cat.png)")
    assert 'rel="nofollow ugc' in render_markdown("![a cat](https://example.org/cat.png)")
    assert "<h1" not in render_markdown("# One\n\n###### Six")
    assert render_markdown("x" * 50_000).count("x") <= 20_000


@pytest.mark.parametrize(
    "address", ["javascript:x", "//evil", "/d/1", "ftp://x", "https://", "https://[", "http://a\nb"]
)
def test_address_when_it_is_none_of_the_web_then_no_link(address: str) -> None:
    assert web_address(address) == ""


def test_first_words_when_it_is_markdown_then_without_its_marks() -> None:
    begin = "# Iris\n\n> The **best** [set](https://example.org/), a_b.\n\n"
    rest = "| a | b |\n|---|---|\n| 1 | 2 |\n\n---\n\n```r\nlibrary(x)\n```\nMore.\n\nEnd\n===\n"
    assert first_words(begin + rest) == "The best set, a_b. More. End"
    assert first_words("# Iris") == "Iris"
    assert first_words("# Iris\r\nOf\rFisher\r\n") == "Of Fisher"
    assert first_words("```\nx") == "x"
    assert len(first_words("word " * 1000)) < 210


async def test_procedures_when_known_then_offered_by_kind_and_links_only_to_what_is_answered(
    settings: Settings,
) -> None:
    measures = [
        Put(
            "measure",
            str(number),
            {"measure_type": "estimation_procedure", "proc_id": number, "name": EVIL, "task_type": kind},
        )
        for number, kind in ((1, 1), (7, 2), (13, 3))
    ]
    fill(settings, iris(), *measures)
    async with running(settings) as site:
        text = await get(site, "/d/61")
        assert '<option value="1" data-kind="classification">' in text
        assert '<option value="7" data-kind="regression">' in text
        assert 'value="13"' not in text
        assert 'href="/dashboard/data/61"' in text
        assert 'href="/croissant/dataset/61"' in text
        # Only openml.org has the files that its documents name.
        assert '/datasets/61/download?format=parquet"' in text


def test_bibtex_when_names_hold_its_own_characters_then_escaped() -> None:
    entry = bibtex(
        read_dataset(iris(name="a}b_c", creator=["X & {Y"]).document), address="https://example.org/d/61"
    )
    assert "title = {{a\\}b\\_c}}" in entry
    assert "author = {{X \\& \\{Y}}" in entry


async def test_wide_dataset_when_shown_then_a_page_of_columns_that_weighs_little(settings: Settings) -> None:
    labels = [f"label {number} {'x' * 80}" for number in range(50)]
    columns: list[dict[str, Any]] = [
        {"name": f"{'c' * 100}{number}", "type": "nominal"} for number in range(1000)
    ]
    columns[:100] = [{**column, "labels": labels} for column in columns[:100]]
    qualities = {"NumberOfFeatures": 20_000, **{f"Quality{number}": number / 7 for number in range(240)}}
    fill(settings, iris(features=columns, qualities=qualities, description="All *of* it & more. " * 800))
    async with running(settings) as site:
        first, last = await get(site, "/d/61"), await get(site, "/d/61?columns=20")
        assert "The first 1,000 of 20,000" in first
        assert f"{'c' * 100}49<" in first
        assert f"{'c' * 100}50<" not in first
        assert f"{'c' * 100}999<" in last
        assert await get(site, "/d/61?columns=99999999") == last


async def test_index_when_it_is_not_there_yet_then_said_and_never_500(settings: Settings) -> None:
    async with running(settings) as site:
        for path in ("/search", "/d/61", "/t/1", "/s/1", "/u/1", "/sitemap.xml"):
            answer = await site.client.get(path)
            assert answer.status_code == 503, path
            assert answer.headers["retry-after"]
        assert "does not answer now" in (await site.client.get("/search")).text
        assert "index" in (await site.client.get("/sitemap.xml")).json()["detail"]
        assert (await site.client.get("/")).status_code == 200


async def test_empty_site_when_new_then_words_for_the_first_time(settings: Settings) -> None:
    fill(settings)
    async with running(settings) as site:
        assert "Nothing is published here yet" in await get(site, "/")
        assert "Publish the first one" in await get(site, "/search")
        for kind in ("task", "study", "user"):
            assert "nothing of this kind" in await get(site, f"/search?type={kind}")


async def test_sitemap_when_fetched_then_it_names_what_everybody_may_see(site: Running) -> None:
    root = site.resources.settings.site_url
    assert f"Sitemap: {root}/sitemap.xml" in (await site.client.get("/robots.txt")).text
    first = (await site.client.get("/sitemap.xml")).text
    assert f"<loc>{root}/sitemap-data-1.xml</loc>" in first
    listed = await site.client.get("/sitemap-data-1.xml")
    assert listed.headers["content-type"].startswith("application/xml")
    assert f"<url><loc>{root}/d/61</loc><lastmod>2026-11-29</lastmod></url>" in listed.text
    assert "/d/63" not in listed.text
    assert f"{root}/t/59" in (await site.client.get("/sitemap-task-1.xml")).text
    for path in ("/sitemap-data-0.xml", "/sitemap-data-99999.xml", "/sitemap-user-1.xml"):
        assert (await site.client.get(path)).status_code == 404, path


async def test_pages_when_there_is_a_build_or_no_index_then_those_of_others(site_settings: Settings) -> None:
    async with running(site_settings) as site:
        assert (await site.client.get("/d/61")).headers["location"] == "/search?type=data&sort=runs&id=61"
        assert (await site.client.get("/sitemap.xml")).status_code == 404
        assert "Sitemap:" not in (await site.client.get("/robots.txt")).text
    without = site_settings.model_copy(update={"spa_dir": "", "search_index": False})
    async with running(without) as site:
        assert (await site.client.get("/d/61")).headers["location"] == "http://127.0.0.1:9/d/61"
        assert (await site.client.get("/")).status_code == 200
