"""API tokens and trusted publishers on the page of one's security, as people use them."""

from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage, accessibility, in_database
from tests.browser.test_own_pages import open_signed_in
from tests.conftest import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="session")
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
SUBJECT = "repo:a-rather-long-organisation-name/and-a-repository-of-it:ref:refs/heads/main"


async def test_tokens_when_made_shown_once_and_revoked_on_a_phone_then_the_page_leads_through_it(
    open_page: OpenPage, http: httpx.AsyncClient, ada: str, site_folder: Path
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/security")
    await page.set_viewport_size({"width": 360, "height": 740})
    long_ago = "UPDATE sessions SET created_at = '2020-01-01 00:00:00.000000', reauthenticated_at = NULL"
    in_database(site_folder, long_ago)

    # By the keyboard alone.
    await page.get_by_text("Make a token").focus()
    await page.keyboard.press("Enter")
    await page.get_by_label("What uses it").fill("river pipeline")
    upload = page.get_by_role("checkbox", name="upload:")
    await upload.focus()
    await page.keyboard.press("Space")
    await expect(upload).to_be_checked()
    await expect(page.get_by_label("How long it works")).to_have_value("90")
    await page.get_by_role("button", name="Make the token").focus()
    await page.keyboard.press("Enter")
    dialog = page.locator("#confirm-dialog")
    await dialog.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")

    shown = page.locator("#new-token")
    await expect(shown).to_be_focused()
    token = await page.locator("#new-token-text").text_content()
    headers = {"Authorization": f"Bearer {token}"}
    assert (await http.get("/uploads", headers=headers)).status_code == 200
    await page.get_by_role("button", name="I have it").click()
    await expect(shown).to_be_hidden()
    assert str(token) not in await page.content()
    await page.reload()
    await expect(page.locator("#tokens")).to_contain_text("last used")
    assert str(token) not in await page.content()

    await page.get_by_text("Trust the jobs of a repository").click()
    await page.get_by_label("Subject").fill("repo:*/levels")
    await page.get_by_role("button", name="Trust these jobs").click()
    await expect(page.locator("#publisher-subject-error")).to_contain_text("write them without *")
    await page.get_by_label("Subject").fill(SUBJECT)
    await page.get_by_label("Further claims").fill("repository_owner_id: 4711\n")
    assert await accessibility(page) == []
    await page.get_by_role("button", name="Trust these jobs").click()
    await expect(page.locator("#publishers")).to_contain_text("repository_owner_id: 4711")
    assert await page.evaluate(OVERFLOW) == 0
    assert await accessibility(page) == []

    await page.get_by_role("button", name=f"Remove {SUBJECT}").click()
    await expect(page.locator("#publishers-status")).to_contain_text("trusted no more")
    await page.get_by_role("button", name="Revoke river pipeline").click()
    await expect(page.locator("#tokens-status")).to_contain_text("works no more")
    await expect(page.locator("#tokens-title")).to_be_focused()
    assert (await http.get("/uploads", headers=headers)).status_code == 401
