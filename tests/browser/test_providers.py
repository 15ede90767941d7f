"""Signing in with a provider, in Chromium, at a real one."""

import secrets
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import OpenPage, Seen, accessibility, find_link, picture
from tests.browser.test_own_pages import TOKEN, open_signed_in
from tests.browser.test_second_factor import code, switch_on
from tests.conftest import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANOTHER_STYLE = "https://cdn.jsdelivr.net/**"
"""What the provider's page fetches from elsewhere."""


@pytest.fixture
def provider(seen: Seen, real_provider: str) -> str:
    seen.provider = real_provider
    return real_provider


async def know(provider: str, subject: str, **claims: object) -> None:
    """Let the provider know somebody."""
    async with httpx.AsyncClient(base_url=provider) as http:
        assert (await http.put(f"/users/{subject}", json=claims)).status_code == 204


async def consent(page: Page, provider: str, subject: str) -> None:
    """Say at the provider who one is."""
    await page.wait_for_url(f"{provider}/**")
    await page.get_by_placeholder("sub").fill(subject)
    await page.get_by_role("button", name="Authorize").click()


async def without_style(route: Route) -> None:
    await route.fulfill(body="", content_type="text/css")


async def open_without_style(open_page: OpenPage, seen: Seen, path: str) -> Page:
    page = await open_page(path)
    page.remove_listener("request", seen.on_request)
    await page.context.route(ANOTHER_STYLE, without_style)
    page.on("request", lambda request: None if "jsdelivr" in request.url else seen.on_request(request))
    return page


async def test_sign_in_when_with_a_provider_then_by_keyboard_on_a_phone_and_no_token_in_an_address(
    open_page: OpenPage, seen: Seen, provider: str
) -> None:
    subject, email = secrets.token_hex(4), f"{secrets.token_hex(4)}@example.org"
    await know(provider, subject, email=email, email_verified=True, name="Ada Lovelace")
    page = await open_without_style(open_page, seen, "/auth/sign-in?next=/auth/security")
    await page.set_viewport_size({"width": 360, "height": 740})
    addresses: list[str] = []
    page.on("framenavigated", lambda frame: addresses.append(frame.url))
    button = page.get_by_role("button", name="Continue with Campus")
    await expect(button).to_be_enabled()
    assert await accessibility(page) == []
    await picture(page, "sign-in-provider")

    await button.focus()
    await page.keyboard.press("Enter")
    await consent(page, provider, subject)

    await page.wait_for_url("**/auth/security")
    await expect(page.get_by_text(f"Campus: {email}")).to_be_visible()
    token = str(await page.evaluate(TOKEN))
    assert not any(token in address for address in addresses)
    assert await page.evaluate("document.cookie") == ""
    assert await page.context.cookies(page.url) == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    assert await accessibility(page) == []
    await page.get_by_role("button", name=f"Take Campus {email} away").click()
    await expect(page.get_by_text("Nothing else opens your account")).to_be_visible()
    await expect(page.get_by_text("You have no password.")).to_be_visible()
    assert await accessibility(page) == []


@pytest.mark.long
async def test_sign_in_when_the_provider_confirms_no_address_then_a_mail_does(
    open_page: OpenPage, seen: Seen, provider: str, http: httpx.AsyncClient
) -> None:
    subject, email = secrets.token_hex(4), f"{secrets.token_hex(4)}@example.org"
    await know(provider, subject)
    page = await open_without_style(open_page, seen, "/auth/sign-up")
    await page.get_by_role("button", name="Continue with Campus").click()
    await consent(page, provider, subject)

    await expect(page.get_by_role("heading", name="Your e-mail address")).to_be_focused()
    assert urlsplit(page.url).query == ""
    assert await accessibility(page) == []
    await picture(page, "provider-address")
    await page.get_by_role("textbox", name="E-mail address").fill(email)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Look into your mailbox")).to_be_visible()
    assert await accessibility(page) == []

    link = await eventually(lambda: find_link(http, email, "/auth/oauth/"))
    await page.goto(link)
    assert await accessibility(page) == []
    await page.get_by_role("button", name="Continue with Campus").click()
    await consent(page, provider, subject)
    await page.wait_for_url("**/auth/profile-page")
    await expect(page.get_by_text(email)).to_be_visible()


@pytest.mark.long
async def test_sign_in_when_the_account_asks_for_a_code_then_it_comes_after_the_provider_and_the_browser_stays(
    open_page: OpenPage, seen: Seen, provider: str
) -> None:
    subject, email = secrets.token_hex(4), f"{secrets.token_hex(4)}@example.org"
    await know(provider, subject, email=email, email_verified=True, name="Ada Lovelace")
    page = await open_without_style(open_page, seen, "/auth/sign-in?next=/auth/security")
    await page.get_by_role("button", name="Continue with Campus").click()
    await consent(page, provider, subject)
    await page.wait_for_url("**/auth/security")
    secret, _ = await switch_on(page)
    await page.get_by_role("button", name="I have kept them").click()
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/auth/sign-in?*")

    await page.get_by_label("Stay signed in").check()
    await page.get_by_role("button", name="Continue with Campus").click()
    await consent(page, provider, subject)

    field = page.get_by_label("Code of your authenticator app, or a recovery code")
    await expect(field).to_be_focused()
    assert await page.evaluate(TOKEN) is None
    await expect(page.get_by_text("password is right")).to_have_count(0)
    assert await accessibility(page) == []
    await field.fill(code(secret, steps=1))
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/auth/profile-page")
    another = await page.context.new_page()
    await another.goto(page.url)
    await expect(another.get_by_text(email)).to_be_visible()

    await another.get_by_role("button", name="Delete my account").click()
    dialog = another.get_by_role("dialog", name="Delete your account?")
    await expect(dialog.get_by_label("Your password")).to_be_hidden()
    await dialog.get_by_role("button", name="Delete my account").click()
    await expect(another.get_by_text("Your account is deleted.")).to_be_visible()


@pytest.mark.long
async def test_security_when_an_account_is_linked_then_listed_and_taken_away(
    open_page: OpenPage, seen: Seen, provider: str, ada: str
) -> None:
    subject = secrets.token_hex(4)
    await know(provider, subject)

    async def plain(path: str) -> Page:
        return await open_without_style(open_page, seen, path)

    page = await open_signed_in(plain, ada, "/auth/security")
    await page.get_by_role("button", name="Link Campus").click()
    await consent(page, provider, subject)

    await page.wait_for_url("**/auth/security")
    await expect(page.get_by_text(f"Campus: {subject}")).to_be_visible()
    assert await accessibility(page) == []
    await page.get_by_role("button", name=f"Take Campus {subject} away").click()
    await expect(page.get_by_text(f"Campus {subject} opens your account no more")).to_be_visible()
    await expect(page.get_by_role("heading", name="Linked accounts")).to_be_focused()


@pytest.mark.long
async def test_sign_in_when_denied_or_forged_then_said_and_nothing_opens(
    open_page: OpenPage, seen: Seen, provider: str
) -> None:
    page = await open_without_style(open_page, seen, "/auth/sign-in")
    await page.get_by_role("button", name="Continue with Campus").click()
    await page.wait_for_url(f"{provider}/**")
    await page.get_by_role("button", name="Deny").click()
    await expect(page.get_by_text("You did not let us know who you are")).to_be_visible()
    assert await accessibility(page) == []

    await page.goto("/auth/oauth/campus/callback?code=forged&state=forged&iss=x")
    await expect(page.get_by_role("region", name="That did not work")).to_be_focused()
    assert urlsplit(page.url).query == ""
    assert await page.evaluate(TOKEN) is None
