"""`make run` and nothing else: three tables are published, found, looked at, loaded, and made a task and a collection.

First on our own pages, then, started again with the frontend's build on the same folder, on that.
"""

import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Page, expect

from app.core.limits import LIMITS
from tests.browser import test_embedded_index as build
from tests.browser import test_standin_build as build_forms
from tests.browser.conftest import OpenPage, Seen
from tests.browser.test_catalogue_pages import look_well, shows
from tests.browser.test_own_pages import fill_upload, open_signed_in
from tests.conftest import eventually, find_free_port, wait_until_up
from tests.uploads.test_data_upload import CSV

pytestmark = pytest.mark.asyncio(loop_scope="session")

RIVERS = ("ouse", "aire", "nidd")
FREE, NAMED = "Public Domain (CC0)", "Attribution (CC BY)"


@dataclass
class Development:
    """`make run` in a folder of its own, which is stopped and started again with other settings."""

    folder: Path
    port: int = field(default_factory=find_free_port)
    sandbox_port: int = field(default_factory=find_free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, **settings: str) -> None:
        rates = ",".join(f"{name}=1000000/hour" for name in LIMITS)
        ports = {"PORT": str(self.port), "SANDBOX_PORT": str(self.sandbox_port)}
        command = [sys.executable, "-m", "app.cli", "dev"]
        # Other tests start services without an index.
        inherited = {name: value for name, value in environ.items() if name != "SEARCH_INDEX"}
        environment = {**inherited, **ports, "RATE_LIMITS": rates, **settings}
        self.process = subprocess.Popen(command, cwd=self.folder, env=environment)
        wait_until_up(f"{self.url}/health/ready", self.process)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            assert self.process.wait(60) == 0
            self.process = None


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    made = Development(tmp_path_factory.mktemp("development"))
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def site(development: Development) -> str:
    """The address of what `make run` starts."""
    return development.url


@pytest.mark.long
async def test_newcomer_when_there_is_make_run_alone_then_everything_on_own_pages_and_on_the_build(
    open_page: OpenPage, ada: str, development: Development, http: httpx.AsyncClient, seen: Seen
) -> None:
    word = f"dales{secrets.token_hex(3)}"
    page = await open_page("/")
    await shows(page, "/", "Nothing is published here yet")
    await look_well(page, "empty")
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    for river in RIVERS:
        await publish(page, river, word)
    task, suite = await use_own_pages(page, http, word)

    development.stop()
    development.start(SPA_DIR=str(build_forms.BUILD))
    page = await open_page("/auth/sign-in")
    await build_forms.sign_in(page, ada)
    await use_build(page, http, word, task, suite)
    seen.complaints[:] = [each for each in seen.complaints if build_forms.FRAME_WARNING not in each]


async def publish(page: Page, river: str, word: str) -> None:
    """Publish a table; each has a row more than the one before."""
    rows = "".join(f"S{row},{row}.5,no\n" for row in range(RIVERS.index(river)))
    await page.goto("/auth/upload-dataset")
    await fill_upload(page, f"{river}.csv", CSV + rows.encode())
    await page.get_by_label("Description").fill(f"Levels of the {river} in the {word}.")
    await page.get_by_label("Licence").select_option(FREE if river == "ouse" else NAMED)
    await page.get_by_label("Target column").fill("flood")
    await page.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.get_by_text("Your dataset is on OpenML")).to_be_visible()


async def use_own_pages(page: Page, http: httpx.AsyncClient, word: str) -> tuple[str, str]:
    """Return the addresses of the task and of the collection that are made."""
    await shows(page, f"/search?q={word}", "3 found")
    await shows(page, f"/search?q={word}", NAMED)
    await page.get_by_role("complementary", name="Narrow down").get_by_role("link", name=NAMED).click()
    await expect(page.get_by_role("heading", name="2 found")).to_be_visible()
    await page.get_by_role("link", name="aire").click()
    await shows(page, page.url, "target")
    await expect(page.get_by_role("region", name="Table of rows")).to_contain_text("Wharfe")
    link = await page.get_by_role("link", name="CSV", exact=True).get_attribute("href")
    file = await http.get(str(link), follow_redirects=True)
    assert file.text.splitlines()[0].replace('"', "") == CSV.decode().splitlines()[0]

    await page.get_by_label("Target column").fill("flood")
    await page.get_by_role("button", name="Make the task").click()
    task = await page.locator("#make-task [data-note] a").get_attribute("href")
    await shows(page, str(task), "aire")
    await shows(page, page.url, "flood")

    await page.goto(f"/search?q={word}&licence={FREE}")
    await page.get_by_label("Pick dataset").first.check()
    await page.goto("/search?type=task&q=aire")
    await page.get_by_label("Pick task").first.check()
    await page.get_by_label("Name").fill(f"Suite {word}")
    await page.get_by_label("Description").fill("Two rivers.")
    await page.get_by_role("button", name="Make the collection").click()
    suite = await page.locator("#collect-form [data-note] a").get_attribute("href")
    await shows(page, str(suite), "2 tasks")
    for river in ("aire", "ouse"):
        await expect(page.get_by_role("link", name=f"Supervised Classification on {river}")).to_be_visible()
    return str(task), str(suite)


async def use_build(page: Page, http: httpx.AsyncClient, word: str, task: str, suite: str) -> None:
    """The same on the build, and what was made on our own pages."""
    listed = f"/search?type=data&status=active&query={word}"
    await build.shows(page, listed, count="3")
    assert len(await build.found(page, f"{listed}&licence={FREE}")) == 1
    assert len(await build.found(page, f"{listed}&qualities.NumberOfInstances=gte_5")) == 1
    await page.goto(listed)
    await page.locator("#results a", has_text="nidd").click()
    await page.wait_for_url("**/search?type=data&id=*")
    number = int(page.url.rpartition("=")[2])
    await build.shows(page, f"/d/{number}", title="nidd", description=word, features_count="3 Features")
    charts = page.frame_locator("#analysis")
    await expect(charts.get_by_role("heading", name="flood")).to_be_visible()
    described = await http.get(str(await page.locator("#json").get_attribute("href")))
    file = await http.get(urlsplit(described.json()["data_set_description"]["url"]).path)
    assert file.text.startswith("@RELATION")

    await build.shows(page, task, task="10-fold Crossvalidation")
    await build.shows(page, suite, title=f"Suite {word}", included="2 data, 2 tasks")
    second = await build.made(
        http, "/upload-task", page, dataset_id=number, task_type="classification", target_name="flood"
    )
    await page.goto("/auth/upload-collection-tasks")
    await build_forms.fill(page, description="One river.", collectionname=f"Nidd {word}", taskids=str(second))
    await build_forms.press(page, "Upload collection")
    await expect(page.get_by_role("heading", name="OpenML")).to_be_visible()
    await build.shows(page, f"/t/{second}", task="10-fold Crossvalidation")

    async def listed_collection() -> bool | None:
        return f"Nidd {word}" in await build.found(page, "/search?type=study") or None

    await eventually(listed_collection)
