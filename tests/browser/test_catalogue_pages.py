"""The pages of what is published, in Chromium: from a table to its page, and to a task and a collection of it."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from app.core.limits import LIMITS
from tests.browser.conftest import OpenPage, accessibility, picture, serving_site
from tests.browser.test_own_pages import open_signed_in
from tests.conftest import eventually, run_sandbox
from tests.uploads.test_data_upload import CSV
from tests.upstream import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service keeps everything."""
    return tmp_path_factory.mktemp("catalogue")


@pytest.fixture(scope="module")
def site(folder: Path, migrated_sqlite: Path, sandbox_url: str) -> Iterator[str]:
    """The address of a service without a build, with the sandbox and its own index."""
    with serving_site(
        folder,
        migrated_sqlite,
        OPENML_SERVER=sandbox_url,
        SEARCH_INDEX="true",
        RATE_LIMITS=",".join(f"{name}=1000000/hour" for name in LIMITS),
    ) as url:
        yield url


async def shows(page: Page, address: str, text: str) -> None:
    """Open an address again until it shows the text: the index follows within a second or two."""

    async def look() -> bool | None:
        await page.goto(address)
        return text in await page.locator("main").inner_text() or None

    await eventually(look)


@pytest.fixture(scope="module")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own, whose users have the numbers that they have here."""
    with run_sandbox(tmp_path_factory.mktemp("sandbox")) as url:
        yield url


DIARY = "@RELATION diary\n@ATTRIBUTE '<b>mood</b>' {low,high}\n@ATTRIBUTE flood {no,yes}\n@DATA\nlow,no\nhigh,yes\n"


@pytest.mark.long
async def test_private_dataset_when_its_owner_looks_then_shown_and_to_nobody_else(
    open_page: OpenPage, ada: str, http: httpx.AsyncClient, sandbox_url: str
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/profile-page")
    token = await page.evaluate("sessionStorage.getItem('openml-access-token')")
    signed_in = {"Authorization": f"Bearer {token}"}
    me = (await http.get("/profile", headers=signed_in)).json()["id"]
    key = (await http.get("/api-key", headers=signed_in)).json()["apikey"]
    async with httpx.AsyncClient(base_url=sandbox_url, timeout=60) as client:
        about = "Dear &lt;i&gt;me&lt;/i&gt;"
        number = await Upstream(client).publish(
            key, arff=DIARY, visibility="private", name="diary", description=about
        )

    for address in ("/auth/my-uploads", f"/u/{me}"):
        await page.goto(address)
        await expect(page.locator("#own-list")).to_contain_text("diary")
    await look_well(page, "own")
    await page.locator("#own-list").get_by_role("link", name="diary").click()
    await expect(page.get_by_role("heading", level=1, name="diary")).to_be_visible()
    await expect(page.locator("#private")).to_contain_text("Dear <i>me</i>")
    await expect(page.locator("#private-columns")).to_contain_text("<b>mood</b> (nominal)")
    await look_well(page, "private")
    stranger = await open_page(f"/u/{me}")
    await expect(stranger.locator("#own")).to_be_hidden()
    await stranger.goto(f"/d/{number}")
    await expect(stranger.get_by_role("heading", level=1, name="No such dataset")).to_be_visible()
    assert "diary" not in await stranger.content()
    owners = await http.get(f"/d/{number}", headers=signed_in)
    assert (owners.status_code, owners.headers["cache-control"]) == (200, "private, no-cache")
    assert 'content="noindex"' in owners.text
    assert "application/ld+json" not in owners.text


async def look_well(page: Page, name: str) -> None:
    """Whether axe finds nothing and everything fits, on a desktop and a phone, in light and dark."""
    for width, scheme in ((1100, "light"), (360, "dark")):
        await page.set_viewport_size({"width": width, "height": 800})
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        hidden = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(hidden) == 0, f"{page.url} scrolls sideways"
        assert await accessibility(page) == []
        await picture(page, f"catalogue-{name}-{width}-{scheme}")
    await page.set_viewport_size({"width": 1100, "height": 800})
    await page.emulate_media(color_scheme="light")


@pytest.mark.long
async def test_newcomer_when_a_table_is_published_then_found_looked_at_made_a_task_and_a_collection(
    open_page: OpenPage, ada: str, http: httpx.AsyncClient
) -> None:
    word = f"wharfedale{secrets.token_hex(3)}"
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    await page.get_by_label("File", exact=True).set_input_files(
        {"name": f"{word}.csv", "mimeType": "text/csv", "buffer": CSV}
    )
    await page.get_by_label("Look at it before").uncheck()
    await page.get_by_label("Description").fill(f"Levels of the **{word}**, [daily](https://example.org/).")
    await page.get_by_label("Target column").fill("flood")
    await page.get_by_role("button", name="Publish").click()
    await expect(page.get_by_text("Your dataset is on OpenML")).to_be_visible()

    await page.goto("/")
    await look_well(page, "start")
    await shows(page, f"/search?q={word[:-2]}", word)
    await page.goto("/")
    await page.get_by_label("Search", exact=True).fill(word)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="1 found")).to_be_visible()
    await look_well(page, "search")
    await page.get_by_role("link", name=word).click()
    await expect(page.get_by_role("heading", level=1, name=word)).to_be_visible()
    await shows(page, page.url, "flood")
    await expect(page.locator(".prose strong")).to_have_text(word)
    await expect(page.locator("#yours")).to_contain_text("You published this")
    await expect(page.get_by_role("table").first).to_contain_text("target")
    await expect(page.get_by_role("region", name="Table of rows")).to_contain_text("Wharfe")
    await expect(page.get_by_role("img", name="Histogram of")).to_be_visible()
    await look_well(page, "dataset")
    file = await page.get_by_role("link", name="Download ARFF").get_attribute("href")
    assert (await http.get(file or "")).text.startswith("@RELATION")

    await page.get_by_label("Target column").fill("flood")
    await page.get_by_role("button", name="Make the task").click()
    await page.get_by_role("link", name="task ", exact=False).first.wait_for()
    task = await page.locator("#make-task [data-note] a").get_attribute("href")
    assert task is not None
    await shows(page, task, "flood")
    await look_well(page, "task")

    await shows(page, f"/search?type=task&q={word}", word)
    await page.get_by_label("Pick").first.check()
    await page.get_by_label("Name").fill(f"Suite {word}")
    await page.get_by_label("Description").fill("Of one task.")
    await look_well(page, "collect")
    await page.get_by_role("button", name="Make the collection").click()
    suite = await page.locator("#collect-form [data-note] a").get_attribute("href")
    assert suite is not None
    await shows(page, suite, word)
    await look_well(page, "collection")
    await pick_the_dataset(page, word, task, suite)
    await page.goto("/search?type=user")
    await page.get_by_role("link", name="Ada Lovelace").first.click()
    await look_well(page, "person")


async def pick_the_dataset(page: Page, word: str, task: str, suite: str) -> None:
    """A dataset that is picked stands for its task: the one that there is."""
    await page.goto(f"/search?q={word}")
    await page.get_by_label("Pick").first.check()
    await expect(page.locator("#picked")).to_have_text("1 dataset is picked.")
    await page.get_by_label("Name").fill(f"Picked {word}")
    await page.get_by_label("Description").fill("Of one dataset.")
    await page.get_by_role("button", name="Make the collection").click()
    second = await page.locator("#collect-form [data-note] a").get_attribute("href")
    assert second not in {None, suite}
    await shows(page, str(second), "Tasks")
    assert await page.get_by_role("link", name=word).first.get_attribute("href") == task
