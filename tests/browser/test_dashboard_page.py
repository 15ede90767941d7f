"""`/dashboard/data/ID` in Chromium: the charts of a dataset, whose names and labels are what strangers wrote."""

from typing import Literal

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage, accessibility, picture
from tests.upstream import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="session")
EVIL = "<img src=x onerror=alert(1)>"
ROWS = 60
SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
HEAD = f"""@relation rivers
@attribute level numeric
@attribute flow numeric
@attribute '{EVIL}' {{low,'{EVIL}'}}
@attribute flood {{no,yes}}
@data
"""


def line(row: int) -> str:
    level = "?" if row % 9 == 0 else row * row % 17
    return f"{level},{row * 1.5},{'low' if row % 3 else repr(EVIL)},{'yes' if row % 2 else 'no'}\n"


ARFF = HEAD + "".join(map(line, range(ROWS)))


@pytest.mark.long
async def test_charts_when_the_page_is_opened_then_drawn_with_figures_and_nothing_runs(
    open_page: OpenPage, sandbox_url: str
) -> None:
    async with httpx.AsyncClient(base_url=sandbox_url, timeout=60) as client:
        dataset_id = await Upstream(client).publish("a" * 32, arff=ARFF)
    page = await open_page(f"/dashboard/data/{dataset_id}")

    await expect(page.get_by_role("heading", name="The table")).to_be_visible(timeout=30_000)
    await expect(page.get_by_role("heading", name=EVIL)).to_be_visible()
    assert await page.locator("img[src=x]").count() == 0
    for name in ("level by class", "Box plot of level", "Correlations of 2", "Missing cells of 1"):
        await expect(page.get_by_role("img", name=name)).to_be_visible()
    await page.get_by_role("button", name="Draw").click()
    await expect(page.get_by_role("img", name="Scatter plot of 53 rows")).to_be_visible()
    for details in await page.locator("details").all():
        await details.evaluate("each => { each.open = true; }")
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        assert await accessibility(page) == []
        await picture(page, f"charts-{scheme}")


async def test_charts_when_there_is_no_such_dataset_then_said_so(open_page: OpenPage) -> None:
    page = await open_page("/dashboard/data/2000000000")

    await expect(page.get_by_text("OpenML has no such dataset")).to_be_visible()
