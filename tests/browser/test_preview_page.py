"""The page on which people look at a table before it is published, and the way there over a bad line."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import MOST_BYTES, OpenPage, Seen, accessibility, picture, weight
from tests.browser.test_own_pages import SHADOWS, TOKEN, open_signed_in, sign_in
from tests.forwarder import Forwarder

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROWS = "".join(
    f"{number:03},river {number},{number * 0.7 % 9:.1f},{'n/a?' if number == 17 else number % 4},"
    f"{['low', 'high', 'flood'][number % 3]},{2000 + number % 20}\n"
    for number in range(120)
)
MESSY = f"gauge,Fluß,level,wärme,stage,year\n{ROWS}".encode()


async def send_and_look(page: Page, content: bytes, name: str = "river levels.csv") -> None:
    """Send a file from the upload page, and wait until its preview can be used."""
    await page.get_by_label("File", exact=True).set_input_files(
        {"name": name, "mimeType": "text/csv", "buffer": content}
    )
    await page.get_by_role("button", name="Send it and look").click()
    await page.wait_for_url("**/dashboard/data-upload?uuid=*")
    await expect(page.locator("#publish:enabled")).to_have_text("Publish")


@pytest.mark.long
async def test_messy_table_when_its_types_are_corrected_then_published_with_them(
    open_page: OpenPage, ada: str, sandbox_url: str
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    await send_and_look(page, MESSY)

    warmth = page.locator(".column").filter(has=page.get_by_role("heading", name="wärme"))
    await expect(warmth).to_contain_text("row 18 has 'n/a?', which is no number")
    await expect(warmth).to_contain_text("Published as warme")
    real = page.get_by_label("Type of wärme").get_by_role("option", name="number (real)")
    await expect(real).to_be_disabled()
    await require_histograms(page)
    await expect(page.locator("#remarks")).to_contain_text("is published as")
    await expect(page.locator("#hint-list")).to_contain_text(
        "1 feature has another value in each of 120 rows"
    )
    await expect(page.locator("#hint-list b")).to_have_text(["gauge"])
    await picture(page, "preview-light")
    assert await accessibility(page) == []

    await page.get_by_label("Type of year").select_option("nominal")
    await expect(page.locator("#announce")).to_contain_text("Saved: year is category")
    await page.get_by_label("Type of wärme").select_option("nominal")
    await page.get_by_label("Role of stage").select_option("target")
    await expect(page.locator("#roles")).to_contain_text("stage")
    await page.get_by_label("Role of gauge").select_option("id")
    await expect(page.locator("#roles")).to_contain_text("gauge")
    await page.get_by_label("Role of level").select_option("ignore")
    await page.get_by_role("button", name="Ignored: level").click()
    await expect(page.get_by_label("Role of level")).to_have_value("")
    await page.get_by_text("The first rows").click()
    await expect(page.locator("#row-table tbody tr")).to_have_count(20)
    await page.get_by_label("Find a column").fill("YEA")
    await expect(page.locator(".column")).to_have_count(1)

    await page.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.get_by_label("Description")).to_be_focused()
    await page.get_by_label("Description").fill("Levels of rivers.")
    await page.get_by_role("button", name="Save for later").click()
    await expect(page.get_by_text("You find it again")).to_be_visible()
    await page.reload()
    await expect(page.get_by_label("Type of year")).to_have_value("nominal")
    await expect(page.get_by_label("Description")).to_have_value("Levels of rivers.")
    for scheme, width in (("dark", 375), ("dark", 320)):
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": width, "height": 800})
        hidden = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(hidden) == 0
        await picture(page, f"preview-{scheme}-{width}")
    assert await accessibility(page, "color-contrast") == []

    await page.get_by_role("button", name="Publish", exact=True).press("Enter")
    await expect(page.get_by_text("Your dataset is on OpenML")).to_be_visible()
    await expect(page.locator(".steps .done")).to_have_count(5)
    await picture(page, "preview-published")
    assert await accessibility(page) == []
    types = await published_types(page, sandbox_url)
    assert types["year"] == types["warme"] == types["stage"] == "nominal"
    assert types["level"] == "numeric"


async def require_histograms(page: Page) -> None:
    """A scale and an axis are seen, and the same is said in words."""
    await expect(page.get_by_role("img", name="Histogram")).to_have_count(2)
    level = page.locator(".column").filter(has=page.get_by_role("heading", name="level"))
    words = await level.get_by_role("img").get_attribute("aria-label")
    assert words is not None
    assert words.startswith("Histogram: 20 bars, from 0 to 9. The tallest is 8, from")
    assert await level.locator(".histogram text").all_text_contents() == ["8", "0", "9"]
    assert await page.evaluate(SHADOWS) == []


async def published_types(page: Page, sandbox_url: str) -> dict[str, str]:
    """The types of the columns of the dataset that the page links to, as OpenML has them."""
    link = await page.get_by_role("link", name="Open dataset").get_attribute("href")
    assert link is not None
    async with httpx.AsyncClient(base_url=sandbox_url) as openml:
        features = (await openml.get(f"/api/v1/json/data/features/{link.rpartition('/')[2]}")).json()
    return {each["name"]: each["data_type"] for each in features["data_features"]["feature"]}


@pytest.mark.long
async def test_upload_when_it_failed_without_a_preview_then_what_was_said_of_columns_can_be_taken_back(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    await page.locator("#file").set_input_files(
        {"name": "n.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,x\n2,y\n"}
    )
    await page.locator("#look").uncheck()
    await page.locator("#dataset_name").fill("no-preview")
    await page.locator("#description").fill("Small.")
    await page.locator("#def_tar_att").fill("c")
    await page.locator("#upload button.primary").click()
    await page.get_by_text("Correct it here").click()

    await expect(page.locator("#given")).to_be_visible()
    await picture(page, "preview-none")
    assert await accessibility(page) == []
    await page.get_by_role("button", name="Target: c. Take it away").click()
    await expect(page.locator("#announce")).to_have_text("Taken away: target c.")
    await expect(page.locator("#given")).to_be_hidden()
    await page.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.locator("#state")).to_contain_text("ublished")


@pytest.mark.long
async def test_upload_when_it_failed_then_corrected_and_tried_again_or_cancelled_from_the_list(
    open_page: OpenPage, ada: str, http: httpx.AsyncClient
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    await send_and_look(page, b"a,b\n1,x\n2,y\n3,x\n", "small.csv")
    token = await page.evaluate(TOKEN)
    upload = urlsplit(page.url).query.partition("=")[2]
    labels = {"attributes": {"b": {"nominal": ["x"]}}, "description": "Small.", "def_tar_att": "a"}
    auth = {"Authorization": f"Bearer {token}"}
    assert (await http.post(f"/uploads/{upload}/publish", json=labels, headers=auth)).status_code == 202

    await expect(page.get_by_text("It was not published")).to_be_visible()
    await expect(page.locator("#outcome")).to_contain_text("'y' is not one of the column's labels")
    await picture(page, "preview-failed")
    assert await accessibility(page) == []
    await page.get_by_role("button", name="Show column b").click()
    await expect(page.locator(".column")).to_have_count(1)
    await page.get_by_label("Type of b").select_option("string")
    await expect(page.locator("#announce")).to_contain_text("Saved: b is text")
    await page.reload()
    await page.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.get_by_text("Your dataset is on OpenML")).to_be_visible()

    await page.goto("/auth/upload-dataset")
    await send_and_look(page, b"a,b\n1,x\n2,y\n4,x\n", "other.csv")
    await page.get_by_label("Description").fill("Typed before the session ended.")
    await http.post("/logout", headers=auth)
    await page.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.get_by_text("Your session has ended.")).to_be_visible()
    await sign_in(page, ada)
    await expect(page.get_by_label("Description")).to_have_value("Typed before the session ended.")
    await page.goto("/auth/my-uploads")
    await page.get_by_role("button", name="Cancel other").click()
    await picture(page, "my-uploads-cancel")
    await page.get_by_role("dialog").get_by_role("button", name="Cancel the upload").click()
    await expect(page.get_by_text("Cancelled", exact=True)).to_be_visible()


@pytest.mark.long
async def test_upload_when_only_another_file_helps_then_said_so_and_nothing_to_try_again(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    await page.get_by_label("File", exact=True).set_input_files(
        {"name": "paper.csv", "mimeType": "text/csv", "buffer": b"%PDF-1.7 "}
    )
    await page.get_by_role("button", name="Send it and look").click()
    await page.wait_for_url("**/dashboard/data-upload?uuid=*")

    await expect(page.locator("#outcome")).to_contain_text("Correct the file, then send it again.")
    await expect(page.locator("#outcome")).to_contain_text("a PDF document")
    await expect(page.get_by_role("link", name="Send a file")).to_be_visible()
    await expect(page.get_by_role("button", name="Try again")).to_be_hidden()


@pytest.mark.long
async def test_upload_when_another_one_of_its_file_is_under_way_then_led_there(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    other, upload = "ab" * 16, {"state": "received", "dataset_id": None, "dataset_url": None}

    async def repeat(route: Route) -> None:
        """Answer as the service does in the moment in which the other one is on its way."""
        answer = await route.fetch()
        changed = {**(await answer.json()), **upload, "duplicate_of": other}
        await route.fulfill(response=answer, json=changed)

    await send_and_look(page, b"a,b\n1,x\n2,y\n", "twice.csv")
    await page.route("**/uploads/*/events", lambda route: route.fulfill(status=204))
    await page.route(f"**/uploads/{page.url.rpartition('=')[2]}", repeat)
    await page.reload()

    await expect(page.get_by_text("You are publishing this file already")).to_be_visible()
    link = page.get_by_role("link", name="See how that one fares")
    assert await link.get_attribute("href") == f"/dashboard/data-upload?uuid={other}"
    await page.unroute_all(behavior="ignoreErrors")


@pytest.mark.long
async def test_preview_when_signed_out_or_unknown_then_led_to_sign_in_or_told(
    open_page: OpenPage, ada: str, seen: Seen, http: httpx.AsyncClient
) -> None:
    page = await open_page(f"/dashboard/data-upload?uuid={'0' * 32}")
    await page.wait_for_url("**/auth/sign-in?*")
    await sign_in(page, ada)
    await page.wait_for_url("**/dashboard/data-upload?uuid=0*")
    await expect(page.get_by_text("You have no such upload")).to_be_visible()
    await page.goto("/dashboard/data-upload?uuid=none")
    await expect(page.get_by_text("names no upload")).to_be_visible()
    assert 50_000 < await weight(page, "/dashboard/data-upload?uuid=none", seen, http) < MOST_BYTES


@pytest.mark.long
async def test_preview_when_the_frontend_frames_it_then_signing_in_is_for_the_window_and_the_head_is_gone(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_page("/auth/sign-in")
    framing = f"<title>x</title><iframe src='/dashboard/data-upload?uuid={'0' * 32}'></iframe>"
    await page.route("**/framing", lambda route: route.fulfill(body=framing, content_type="text/html"))
    await page.goto("/framing")
    await page.wait_for_url("**/auth/sign-in?next=*framing")
    await sign_in(page, ada)
    await page.wait_for_url("**/framing")

    inside = page.frame_locator("iframe")
    await expect(inside.get_by_text("You have no such upload")).to_be_visible()
    await expect(inside.get_by_role("banner")).to_be_hidden()
    await expect(inside.get_by_role("link", name="Your uploads")).to_have_attribute("target", "_top")


@pytest_asyncio.fixture(loop_scope="session")
async def bad_line(site: str) -> AsyncIterator[Forwarder]:
    async with Forwarder("127.0.0.1", urlsplit(site).port or 0) as line:
        yield line


@pytest.mark.long
async def test_upload_when_the_line_breaks_and_the_page_is_loaded_again_then_goes_on_where_it_stopped(
    open_page: OpenPage, ada: str, seen: Seen, bad_line: Forwarder, tmp_path: Path
) -> None:
    file = tmp_path / "large.csv"
    file.write_bytes(b"a,b\n" + (b"1," + b"x" * 1997 + b"\n") * 10_000)
    seen.site = f"http://127.0.0.1:{bad_line.port}"
    page = await open_signed_in(open_page, ada, f"{seen.site}/auth/upload-dataset")
    await page.get_by_label("File", exact=True).set_input_files(file)
    before = bad_line.passed
    await page.get_by_role("button", name="Send it and look").click()
    await bad_line.has_passed(before + 9_000_000)
    await bad_line.cut()
    await expect(page.get_by_text("The line is broken")).to_be_visible()
    await picture(page, "upload-line-broken")
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_text("Paused. What was sent is safe")).to_be_visible()
    await bad_line.mend()

    page.on("dialog", lambda dialog: dialog.accept())
    await page.reload()
    await expect(page.get_by_text("Not sent to its end: large.csv")).to_be_visible()
    assert await accessibility(page) == []
    await page.get_by_label("File", exact=True).set_input_files(file)
    await expect(page.locator("#chosen")).to_contain_text("of it are here from before")
    before = bad_line.passed
    await page.get_by_role("button", name="Send it and look").click()
    await page.wait_for_url("**/dashboard/data-upload?uuid=*")
    assert bad_line.passed - before < 13_000_000
    await expect(page.locator("#facts")).to_contain_text("10,000 rows")
