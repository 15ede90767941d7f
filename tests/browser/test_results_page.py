"""`/dashboard/task|flow|run|study/ID` in Chromium: results of runs, by keyboard, eye and ear."""

from typing import Literal

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage, accessibility, picture
from tests.sent_results import send_results
from tests.upstream import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="session")
SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]


@pytest.mark.long
async def test_results_when_opened_then_they_are_drawn_and_axe_finds_nothing(
    open_page: OpenPage, sandbox_url: str
) -> None:
    async with httpx.AsyncClient(base_url=sandbox_url, timeout=60) as client:
        flows = {"weka.J48": [4, 1, 2, 5, 3], "weka.ZeroR": [10]}
        sent = await send_results(Upstream(client), ("a" * 32, "b" * 32), flows)
    page = await open_page(f"/dashboard/task/{sent.task}")

    await expect(page.get_by_role("img", name="5 results from 0.7500 to 0.9500")).to_be_visible(
        timeout=30_000
    )
    await page.get_by_label("Measure").select_option("kappa")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_text("Kappa, more is better")).to_be_visible()
    for path in (f"task/{sent.task}", f"flow/{sent.flows[0]}", f"run/{sent.runs[0]}", f"study/{sent.study}"):
        page = await open_page(f"/dashboard/{path}")
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            assert await accessibility(page) == []
            await picture(page, f"results-{path.partition('/')[0]}-{scheme}")
