"""The page that sends a file, over lines that break again and again, or die without a word."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import expect

from tests.bad_line import CUT_AFTER, PATIENCE_SECONDS, SIZE, publish_over_a_bad_line
from tests.browser.conftest import OpenPage, Seen
from tests.browser.test_own_pages import TOKEN, open_signed_in
from tests.forwarder import Forwarder
from tests.service import Site

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120 + SIZE / 1_000_000)]


@pytest.mark.long
async def test_upload_when_the_line_is_cut_again_and_again_then_published_once(
    open_page: OpenPage, ada: str, seen: Seen, sandbox_url: str, tmp_path: Path
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    token = await page.evaluate(TOKEN)
    async with httpx.AsyncClient(base_url=seen.site) as http:
        key = (await http.get("/api-key", headers={"Authorization": f"Bearer {token}"})).json()["apikey"]
    port = urlsplit(seen.site).port or 0

    async def send(server: str, file: Path, name: str, _api_key: str) -> None:
        seen.site = server
        page = await open_signed_in(open_page, ada, f"{server}/auth/upload-dataset")
        await page.get_by_label("File", exact=True).set_input_files(file)
        await page.get_by_label("Look at it before").uncheck()
        await page.get_by_label("Name", exact=True).fill(name)
        await page.get_by_label("Description").fill("Levels.")
        await page.get_by_label("Target").fill("c1")
        await page.get_by_role("button", name="Publish", exact=True).click()
        published = page.get_by_text("Your dataset is on OpenML")
        await expect(published).to_be_visible(timeout=PATIENCE_SECONDS * 1000)

    # Chromium sends again by itself what breaks after some megabytes, from an offset that is past.
    size, cut_after = max(SIZE, 12_000_000), max(CUT_AFTER, 4_000_000)
    site = Site(port, sandbox_url, key)
    await publish_over_a_bad_line(site, tmp_path, send, size=size, cut_after=cut_after)


async def test_upload_when_the_line_dies_without_a_word_then_given_up_and_goes_on(
    open_page: OpenPage, ada: str, seen: Seen, site: str, tmp_path: Path
) -> None:
    file = tmp_path / "levels.csv"
    file.write_bytes(b"a,b\n" + (b"1," + b"x" * 1997 + b"\n") * 2000)
    async with Forwarder("127.0.0.1", urlsplit(site).port or 0, hold_after=3_000_000) as line:
        seen.site = f"http://127.0.0.1:{line.port}"
        page = await open_signed_in(open_page, ada, f"{seen.site}/auth/upload-dataset")
        await page.clock.install()
        await page.get_by_label("File", exact=True).set_input_files(file)
        await page.get_by_role("button", name="Send it and look").click()
        async with asyncio.timeout(30):
            await line.held.wait()
        before = line.passed
        await page.clock.fast_forward(120_000)
        await page.wait_for_url("**/dashboard/data-upload?uuid=*")
        assert line.passed - before < 3_000_000


@pytest.mark.every(2)
@pytest.mark.parametrize(
    ("name", "metadata", "answer"),
    [
        ("levels.csv", "{}", [422, "Some fields need another value"]),
        ("levels.docx", '{"dataset_name": "levels", "description": "d"}', [200, "format not supported"]),
    ],
)
async def test_form_when_refused_long_before_its_end_then_the_browser_is_told_why(
    open_page: OpenPage, ada: str, name: str, metadata: str, answer: list[object]
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    send = """async ([name, metadata, token]) => {
        const form = new FormData();
        form.append("metadata", new Blob([metadata], {type: "application/json"}));
        form.append("dataset", new File([new Uint8Array(60_000_000)], name));
        const headers = {Authorization: `Bearer ${token}`};
        const answer = await fetch("/data-upload", {method: "POST", body: form, headers});
        const told = await answer.json();
        return [answer.status, told.title ?? told.msg];
    }"""

    assert await page.evaluate(send, [name, metadata, await page.evaluate(TOKEN)]) == answer
