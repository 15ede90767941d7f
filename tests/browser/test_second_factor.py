"""A second factor in Chromium: set up with the QR code that the page shows, used, and lost."""

import io
from urllib.parse import parse_qs, urlsplit

import pytest
import zxingcpp
from PIL import Image
from playwright.async_api import Page, expect

from app.core.clock import utc_now
from app.core.totp import code_at, step_at
from tests.browser.conftest import OpenPage, accessibility, picture
from tests.browser.test_own_pages import fits, open_signed_in, sign_in
from tests.second_factors import secret_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def scan(page: Page) -> bytes:
    """The secret in the QR code, as a camera sees it."""
    shown = Image.open(io.BytesIO(await page.locator("#codes-qr svg").screenshot()))
    (found,) = zxingcpp.read_barcodes(shown)
    return secret_of(parse_qs(urlsplit(found.text).query)["secret"][0])


def code(secret: bytes, *, steps: int = 0) -> str:
    return code_at(secret, step_at(utc_now()) + steps)


async def switch_on(page: Page) -> tuple[bytes, list[str]]:
    """Set an app up by the QR code that the page shows; return its secret and the recovery codes."""
    await expect(page.locator("#codes-state")).to_have_text("Off.")
    await page.get_by_role("button", name="Set up an app").click()
    field = page.get_by_label("Type the code that the app shows now")
    await expect(field).to_be_focused()
    assert await field.get_attribute("autocomplete") == "one-time-code"
    assert await field.get_attribute("inputmode") == "numeric"
    secret = await scan(page)
    assert await accessibility(page) == []
    await picture(page, "second-factor-offer")
    await page.get_by_text("No camera? Type it.").click()
    assert secret_of(await page.locator("#codes-secret").inner_text()) == secret

    await field.fill("000 00")
    await page.keyboard.press("Enter")
    await expect(page.locator("#codes-code-error")).to_be_visible()
    await field.fill(code(secret))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Your recovery codes")).to_be_focused()
    return secret, await page.locator("#codes-list li").all_inner_texts()


async def keep(page: Page, recovery: list[str]) -> None:
    """Download and print the recovery codes, and put them away."""
    assert await accessibility(page) == []
    await picture(page, "second-factor-recovery-codes")
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download them").click()
    assert set(recovery) <= set((await (await download.value).path()).read_text().splitlines())
    await page.emulate_media(media="print")
    await expect(page.locator("#codes-list")).to_be_visible()
    for gone in ("header.top", "#password-title", "#codes-actions", "#codes-copy"):
        await expect(page.locator(gone)).to_be_hidden()
    await page.emulate_media(media="screen")
    await page.get_by_role("button", name="I have kept them").click()
    assert recovery[0] not in await page.content()
    await expect(page.locator("#codes-state")).to_contain_text("10 recovery codes are left")


async def test_second_factor_when_set_up_from_the_qr_code_then_asked_for_and_a_recovery_code_helps(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/security")
    secret, recovery = await switch_on(page)
    assert len(set(recovery)) == 10
    await keep(page, recovery)

    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/auth/sign-in?*")
    await page.set_viewport_size({"width": 320, "height": 640})
    await sign_in(page, ada)
    second = page.get_by_label("Code of your authenticator app, or a recovery code")
    await expect(second).to_be_focused()
    await fits(page)
    assert await accessibility(page) == []
    await picture(page, "second-factor-sign-in-phone")
    await second.fill("000000")
    await page.keyboard.press("Enter")
    await expect(page.locator("#code-error")).to_contain_text("wrong")
    await expect(second).to_be_focused()
    await second.fill(code(secret, steps=1))
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/auth/profile-page")

    await page.goto("/auth/sign-in")
    await sign_in(page, ada)
    await page.get_by_role("button", name="I have a recovery code").click()
    await expect(second).to_be_focused()
    await second.fill(recovery[0].upper())
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/auth/profile-page")

    await page.goto("/auth/security")
    await fits(page)
    await expect(page.locator("#codes-state")).to_contain_text("9 recovery codes are left")
    await page.get_by_role("button", name="Make new recovery codes").click()
    await page.get_by_role("button", name="Make new ones").click()
    await expect(page.locator("#codes-list li")).to_have_count(10)
    await page.get_by_role("button", name="I have kept them").click()
    await page.get_by_role("button", name="Remove the app …").click()
    assert await accessibility(page) == []
    await page.get_by_role("dialog").get_by_role("button", name="Remove the app").click()
    await expect(page.locator("#codes-state")).to_have_text("Off.")
