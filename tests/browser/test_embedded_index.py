"""The frontend's build on the index that the service keeps: no search server, and everything is found."""

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from app.core.limits import LIMITS
from tests.browser.conftest import OpenPage, Seen, picture, serving_site
from tests.browser.test_standin_build import (
    BUILD,
    FRAME_WARNING,
    choose,
    fill,
    headers,
    press,
    sign_in,
)
from tests.conftest import eventually, run_sandbox
from tests.uploads.test_data_upload import CSV

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, sandbox_url: str) -> Iterator[str]:
    """The address of a service with the build, the sandbox and its own index."""
    with serving_site(
        tmp_path_factory.mktemp("indexed"),
        migrated_sqlite,
        SPA_DIR=str(BUILD),
        OPENML_SERVER=sandbox_url,
        SEARCH_INDEX="true",
        APP_SECRET_KEY="a secret of thirty-two bytes or more",
        RATE_LIMITS=",".join(f"{name}=1000000/hour" for name in LIMITS),
    ) as url:
        yield url


async def shows(page: Page, address: str, **texts: str) -> None:
    """Open an address again until it shows these texts: the index follows within a second or two."""

    async def look() -> bool | None:
        await page.goto(address)
        await page.wait_for_load_state("networkidle")
        found = [page.locator(f"#{name.replace('_', '-')}").first for name in texts]
        seen = [await each.inner_text() if await each.count() else "" for each in found]
        return all(text in shown for text, shown in zip(texts.values(), seen, strict=True)) or None

    await eventually(look)


async def publish(page: Page, name: str, description: str) -> None:
    await page.goto("/auth/upload-dataset")
    await fill(page, datasetname=name, description=description, def_tar_att="flood")
    await choose(page, "rivers.csv", CSV)
    await press(page, "Upload dataset")
    await page.wait_for_url("**/search?type=data&status=active&sort=date")


@pytest.fixture(scope="module")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own, whose users have the numbers that they have here."""
    with run_sandbox(tmp_path_factory.mktemp("sandbox")) as url:
        yield url


async def found(page: Page, address: str) -> list[str]:
    await page.goto(address)
    await expect(page.locator("#count")).to_be_visible()
    return await page.locator("#results li").all_inner_texts()


async def finds(page: Page, address: str, expected: list[str]) -> None:
    """Wait until a list shows these."""

    async def look() -> bool | None:
        return await found(page, address) == expected or None

    await eventually(look)


async def made(http: httpx.AsyncClient, path: str, page: Page, **body: Any) -> int:
    answer = await http.post(path, json=body, headers=await headers(page))
    assert answer.status_code == 200, answer.text
    number: int = answer.json()["id"]
    return number


@pytest.mark.long
async def test_frontend_when_there_is_no_search_server_then_lists_counts_and_every_page(
    open_page: OpenPage, ada: str, http: httpx.AsyncClient, seen: Seen
) -> None:
    word = f"wharfedale{secrets.token_hex(3)}"
    page = await open_page("/auth/sign-in")
    await sign_in(page, ada)
    me = (await http.get("/profile", headers=await headers(page))).json()["id"]
    for name in ("rivers-a", "rivers-b"):
        await publish(page, f"{name}-{word}", f"Levels of the {word}.")
        await asyncio.sleep(1.1)  # OpenML's dates are whole seconds.

    listed = f"/search?type=data&status=active&sort=date&query={word}"
    await shows(page, listed, count="2")
    # Their dates come with their descriptions, a moment after their names.
    await finds(page, listed, [f"rivers-b-{word}", f"rivers-a-{word}"])
    await finds(page, f"{listed}&order=asc", [f"rivers-a-{word}", f"rivers-b-{word}"])
    assert len(await found(page, f"/search?type=data&uploader_id={me}")) == 2
    assert await found(page, f"{listed}&qualities.NumberOfInstances=gte_4") == []
    assert len(await found(page, f"{listed}&qualities.NumberOfInstances=between_2_4")) == 2
    # While somebody types.
    assert len(await found(page, f"/search?type=data&query=name:rivers AND {word[:-1]}*")) == 2
    assert await found(page, f"/search?type=data&query=(((%22{word}") != []
    await expect(page.locator("aside").first.locator("[data-type=data]")).to_contain_text("data ")
    await picture(page, "indexed-list")

    await page.goto(listed)
    await page.locator("#results a").first.click()
    await page.wait_for_url("**/search?type=data&id=*")
    number = page.url.rpartition("=")[2]
    await shows(
        page,
        f"/d/{number}",
        title=f"rivers-b-{word}",
        features_count="3 Features",
        uploader="Ada Lovelace",
        description=word,
        qualities="NumberOfInstances 3",
        features="flood (target) nominal",
    )
    charts = page.frame_locator("#analysis")
    await expect(charts.get_by_role("heading", name="flood")).to_be_visible()
    await expect(charts.get_by_role("img", name="Box plot of")).to_be_visible()
    await picture(page, "indexed-dataset")
    task = await made(
        http, "/upload-task", page, dataset_id=int(number), task_type="classification", target_name="flood"
    )
    suite = await made(
        http,
        "/upload-collection-tasks",
        page,
        collectionname="Rivers suite",
        description="x",
        taskids=str(task),
    )
    await shows(page, f"/t/{task}", task="10-fold Crossvalidation", tags=f"study_{suite}")
    await shows(page, f"/s/{suite}", title="Rivers suite", included="1 data, 1 tasks")
    assert len(await found(page, f"/search?type=task&tags=study_{suite}")) == 1
    assert f"rivers-b-{word}" in await found(page, f"/search?type=data&tags=study_{suite}")
    await shows(page, f"/u/{me}", title="Ada", uploads_of="2 datasets, 1 tasks")
    await shows(page, "/auth/profile-page", uploads="2")
    versions = await found(
        page, f"/search?type=data&sort=version&status=any&order=asc&exact_name=rivers-a-{word}"
    )
    assert versions == [f"rivers-a-{word}"]
    await page.goto("/d/4711999")
    await expect(page.locator("#missing")).to_contain_text("No data with id 4711999 found")

    searches = [answer for answer in seen.answers if "/es/" in answer]
    assert len(searches) > 20
    assert {answer[-3:] for answer in searches} == {"200"}
    seen.complaints[:] = [each for each in seen.complaints if FRAME_WARNING not in each]
