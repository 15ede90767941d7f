"""Passkeys in Chromium, with its virtual authenticators: what they can, what they forget, and a copy of one."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from playwright.async_api import CDPSession, Page, expect

from tests.browser.conftest import OpenPage, accessibility, find_link, picture
from tests.browser.test_own_pages import TOKEN, sign_in
from tests.conftest import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE: Mapping[str, object] = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
"""An authenticator that knows its owner, and keeps passkeys."""


@pytest.fixture
def site(site: str) -> str:
    """The site by its name: browsers bind passkeys to no number."""
    return site.replace("127.0.0.1", "localhost")


class Device:
    """A virtual authenticator of a page."""

    def __init__(self, session: CDPSession, identifier: str) -> None:
        self._session, self._identifier = session, identifier

    @classmethod
    async def on(cls, page: Page, **changes: object) -> "Device":
        session = await page.context.new_cdp_session(page)
        # With its interface, no page could offer passkeys beside names without a click of a person.
        await session.send("WebAuthn.enable", {"enableUI": False})
        added = await session.send("WebAuthn.addVirtualAuthenticator", {"options": {**PHONE, **changes}})
        return cls(session, added["authenticatorId"])

    async def credentials(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._ask("getCredentials"))["credentials"]
        return found

    async def put(self, credential: Mapping[str, Any]) -> None:
        await self._ask("addCredential", credential=credential)

    async def forget(self, credential: Mapping[str, Any]) -> None:
        await self._ask("removeCredential", credentialId=credential["credentialId"])

    async def remove(self) -> None:
        await self._ask("removeVirtualAuthenticator")

    async def verify_user(self, *, is_verified: bool) -> None:
        await self._ask("setUserVerified", isUserVerified=is_verified)

    async def _ask(self, what: str, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self._session.send(
            f"WebAuthn.{what}", {"authenticatorId": self._identifier, **more}
        )
        return answer


async def open_security(page: Page, email: str) -> None:
    await page.goto("/auth/security")
    await page.wait_for_url("**/auth/sign-in?*")
    await sign_in(page, email)
    await page.wait_for_url("**/auth/security")


async def add(page: Page, name: str) -> None:
    await page.get_by_label("Name of the new passkey").fill(name)
    await page.get_by_role("button", name="Add a passkey").click()
    await expect(page.get_by_text("The passkey is added.")).to_be_visible()
    await expect(page.locator("#passkeys li").filter(has_text=name)).to_be_visible()


async def use(page: Page) -> None:
    await page.get_by_role("button", name="Sign in with a passkey").click()


async def forget_session(page: Page) -> None:
    """Go to the sign-in page as somebody else, whose browser offers no passkey before it is asked."""
    await page.add_init_script("delete PublicKeyCredential.isConditionalMediationAvailable")
    await page.evaluate("sessionStorage.clear()")
    await page.goto("/auth/sign-in")


async def test_passkey_when_added_then_signs_in_is_renamed_and_removed(
    open_page: OpenPage, http: httpx.AsyncClient, ada: str
) -> None:
    page = await open_page("/auth/sign-in")
    device = await Device.on(page)
    await open_security(page, ada)
    await expect(page.get_by_text("You have no passkey yet.")).to_be_visible()

    await add(page, "My phone")
    await expect(page.get_by_text("You have one passkey.")).to_be_visible()
    assert await accessibility(page) == []
    await picture(page, "security-passkeys")
    assert [each["isResidentCredential"] for each in await device.credentials()] == [True]

    await forget_session(page)
    await use(page)
    await page.wait_for_url("**/auth/profile-page")
    assert await page.evaluate(TOKEN)

    await page.goto("/auth/security")
    await page.get_by_role("button", name="Rename the passkey My phone").press("Enter")
    name = page.get_by_label("New name")
    await expect(name).to_have_value("My phone")
    await name.fill("My old phone")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("The passkey has its new name.")).to_be_visible()
    await page.get_by_role("button", name="Remove the passkey My old phone").press("Enter")
    await page.get_by_role("button", name="Remove it").press("Enter")
    await expect(page.get_by_text("The passkey is removed.")).to_be_visible()
    await expect(page.get_by_role("heading", name="Passkeys")).to_be_focused()

    # The browser was told, and does not offer it any more.
    async def is_forgotten() -> bool | None:
        return not await device.credentials() or None

    assert await eventually(is_forgotten)
    assert await eventually(lambda: find_link(http, ada, "undo"))


@pytest.mark.long
async def test_session_when_it_began_with_a_passkey_and_stays_then_a_new_tab_is_signed_in(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_page("/auth/sign-in")
    await Device.on(page)
    await open_security(page, ada)
    await add(page, "My phone")
    await forget_session(page)

    await page.get_by_label("Stay signed in").check()
    await use(page)
    await page.wait_for_url("**/auth/profile-page")

    await page.evaluate("sessionStorage.clear()")  # As in a new tab.
    await page.goto("/auth/security")
    await expect(page.get_by_role("heading", name="Passkeys")).to_be_visible()
    assert await page.evaluate(TOKEN)


@pytest.mark.long
async def test_passkeys_when_the_name_is_asked_for_then_offered_there_without_a_click(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_page("/auth/sign-in")
    await Device.on(page)
    await open_security(page, ada)
    await add(page, "My phone")

    await page.evaluate("sessionStorage.clear()")
    await page.goto("/auth/sign-in?next=/auth/my-uploads")

    # A virtual authenticator answers at once what a person would choose from the list of the browser.
    await page.wait_for_url("**/auth/my-uploads")


@pytest.mark.long
async def test_passkey_when_a_copy_of_it_is_used_then_refused_and_said_so(
    open_page: OpenPage, http: httpx.AsyncClient, ada: str
) -> None:
    page = await open_page("/auth/sign-in")
    device = await Device.on(page)
    await open_security(page, ada)
    await add(page, "My key")
    (copy,) = await device.credentials()
    await forget_session(page)
    await use(page)
    await page.wait_for_url("**/auth/profile-page")

    await device.forget(copy)
    await device.put({**copy, "signCount": 0})
    await forget_session(page)
    await use(page)

    await expect(page.get_by_text("its counter has gone back")).to_be_visible()
    assert not await page.evaluate(TOKEN)

    async def mail() -> bool | None:
        return "counter went back" in (await http.get("/dev/mailbox")).text or None

    assert await eventually(mail)


@pytest.mark.long
async def test_security_key_when_it_does_not_know_its_owner_then_second_step_only(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_page("/auth/sign-in")
    key = {"transport": "usb", "hasResidentKey": False, "hasUserVerification": False, "isUserVerified": False}
    device = await Device.on(page, **key)
    await open_security(page, ada)
    await add(page, "Blue key")
    assert [each["isResidentCredential"] for each in await device.credentials()] == [False]
    await page.get_by_label("After my password, ask for a passkey as well").check()
    await expect(page.get_by_text("A passkey is asked for after your password")).to_be_visible()

    await forget_session(page)
    await sign_in(page, ada)
    await expect(page.get_by_text("So far, so good.")).to_be_visible()
    assert await accessibility(page) == []
    await page.get_by_role("button", name="Use a passkey").press("Enter")
    await page.wait_for_url("**/auth/profile-page")


@pytest.mark.long
async def test_passkeys_when_on_two_devices_then_either_signs_in_and_one_is_made_once(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_page("/auth/sign-in")
    phone = await Device.on(page)
    await open_security(page, ada)
    await add(page, "Phone")
    await page.get_by_label("Name of the new passkey").fill("Phone again")
    await page.get_by_role("button", name="Add a passkey").click()
    await expect(page.get_by_text("This device has a passkey for your account already.")).to_be_visible()
    await phone.remove()
    await Device.on(page, transport="usb")
    await add(page, "Key")

    await forget_session(page)
    await use(page)
    await page.wait_for_url("**/auth/profile-page")
    await page.goto("/auth/security")
    await expect(page.locator("#passkeys li").filter(has_text="Phone").get_by_text("never")).to_be_visible()
    await expect(page.locator("#passkeys li").filter(has_text="Key").get_by_text("never")).to_be_hidden()


@pytest.mark.long
async def test_passkey_when_its_owner_is_not_verified_then_it_does_not_sign_in(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_page("/auth/sign-in")
    device = await Device.on(page)
    await open_security(page, ada)
    await add(page, "My phone")
    await device.verify_user(is_verified=False)

    await forget_session(page)
    await use(page)

    await expect(page.get_by_text("Nothing happened: it was called off, or took too long.")).to_be_visible()
    assert not await page.evaluate(TOKEN)


@pytest.mark.long
async def test_page_when_on_a_phone_then_nothing_sticks_out(open_page: OpenPage, ada: str) -> None:
    page = await open_page("/auth/sign-in")
    await Device.on(page)
    await open_security(page, ada)
    await add(page, "A passkey with a name that is as long as a name may be: " + "x" * 40)
    await page.set_viewport_size({"width": 320, "height": 640})

    wide = (
        "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth)"
    )
    assert await page.evaluate(f"{wide}.map(e => e.outerHTML.slice(0, 80))") == []
    assert await accessibility(page) == []
    await picture(page, "security-passkeys-phone")


@pytest.mark.long
async def test_session_when_stale_then_a_passkey_confirms_it(open_page: OpenPage, ada: str) -> None:
    page = await open_page("/auth/sign-in")
    await Device.on(page)
    await open_security(page, ada)
    await add(page, "My phone")
    answers = await page.evaluate(
        """async () => {
            const { call } = await import("/assets/js/api.js");
            const { use } = await import("/assets/js/passkeys.js");
            const passkey = await use(await call("POST", "/auth/passkey/confirm-options"));
            return call("POST", "/reauthenticate", { passkey });
        }"""
    )

    assert "fresh_until" in answers
