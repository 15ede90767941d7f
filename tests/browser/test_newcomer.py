"""Somebody new, with a telephone, no mouse, a name outside Latin and an international address: from first to last."""

import itertools
import json
import secrets
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, accessibility, find_link, picture
from tests.browser.test_own_pages import fill_upload, open_signed_in
from tests.browser.test_preview_page import send_and_look
from tests.conftest import PASSWORD, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

TABLE = "gauge,level,stage\n" + "".join(
    f"G{row},{row * 7 % 90 / 10 - 2},{['low', 'high'][row % 2]}\n" for row in range(80)
)
MOST_KEYS = 80
FOCUS = """(element) => {
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    return style.outlineStyle !== "none" && box.top < innerHeight && box.bottom > 0;
}"""


class Keyboard:
    """Somebody who has a keyboard and nothing else, and looks at each page on the way."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._number = itertools.count(1)

    async def go_to(self, wanted: Locator) -> None:
        """Press Tab until what is wanted has the focus, and can be seen to have it."""
        await expect(wanted).to_be_enabled()
        for _ in range(MOST_KEYS):
            if await wanted.evaluate("element => element === document.activeElement"):
                assert await wanted.evaluate(FOCUS), "where one is cannot be seen"
                return
            await self._page.keyboard.press("Tab")
        raise AssertionError(f"the keyboard does not reach {wanted}")

    async def press(self, wanted: Locator, key: str = "Enter") -> None:
        await self.go_to(wanted)
        await self._page.keyboard.press(key)

    async def write(self, label: str, text: str) -> None:
        """Fill a field, as an input method does."""
        await self.go_to(self._page.get_by_label(label, exact=True))
        await self._page.keyboard.press("Control+a")
        await self._page.keyboard.insert_text(text)

    async def look(self, name: str) -> None:
        """Whether everything fits and axe finds nothing; a picture is kept."""
        hidden = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await self._page.evaluate(hidden) == 0, f"{self._page.url} scrolls sideways"
        await picture(self._page, f"newcomer-{next(self._number):02}-{name}")
        assert await accessibility(self._page) == []


@pytest.mark.long
async def test_everything_when_new_with_a_telephone_and_no_mouse_then_from_sign_up_to_deletion(
    open_page: OpenPage, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    page = await open_page("/")
    await page.set_viewport_size({"width": 360, "height": 740})
    keyboard = Keyboard(page)
    name = secrets.token_hex(4)

    await sign_up(page, keyboard, http, name)
    await publish(page, keyboard, tmp_path)
    await look_after_the_account(page, keyboard, tmp_path)

    await keyboard.press(page.get_by_role("button", name="Delete my account …"))
    await keyboard.write("Your password, to be sure", PASSWORD)
    await keyboard.look("delete")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Your account is deleted.")).to_be_visible()
    await keyboard.look("deleted")
    for address in (f"{name}@bücher.example", f"{name}@xn--bcher-kva.example"):
        answer = await http.post("/token", data={"username": address, "password": PASSWORD})
        assert answer.status_code == 400


async def sign_up(page: Page, keyboard: Keyboard, http: httpx.AsyncClient, name: str) -> None:
    main = page.get_by_role("main")
    await keyboard.look("start")
    await keyboard.press(main.get_by_role("link", name="Sign up"))
    await keyboard.write("First name", "Łukasz")
    await keyboard.write("Last name", "李")
    await keyboard.write("E-mail address", f"{name}@bücher.example")
    await keyboard.write("Password", PASSWORD)
    await keyboard.look("sign-up")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Look into your mailbox")).to_be_visible()
    await expect(page.locator("#signed-up [data-address]")).to_have_text(f"{name}@bücher.example")
    await keyboard.look("signed-up")

    await keyboard.press(page.get_by_role("link", name="Open the mailbox"))
    await page.wait_for_url("**/dev/mailbox")
    await eventually(lambda: find_link(http, name, "confirm-page"))
    await page.reload()
    letter = page.get_by_role("article").filter(has_text=name)
    await expect(letter).to_contain_text(f"To {name}@bücher.example")
    await keyboard.look("mailbox")
    await keyboard.press(letter.get_by_role("link"))
    await keyboard.press(page.get_by_role("button", name="Confirm my e-mail address"))
    await keyboard.press(main.get_by_role("link", name="Sign in"))
    await keyboard.write("E-mail address or user name", f"{name}@xn--bcher-kva.example")
    await keyboard.write("Password", PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Łukasz 李")).to_be_visible()
    await expect(page.locator("#email")).to_have_text(f"{name}@bücher.example")
    await keyboard.look("account")


async def publish(page: Page, keyboard: Keyboard, folder: Path) -> None:
    table = folder / "Wasserstände.csv"
    table.write_text(TABLE)
    await keyboard.press(page.get_by_role("navigation").get_by_role("link", name="Publish"))
    async with page.expect_file_chooser() as waiting:
        await keyboard.press(page.get_by_label("File", exact=True))
    await (await waiting.value).set_files(table)
    await expect(page.locator("#chosen")).to_contain_text("Wasserstände.csv")
    await keyboard.look("upload")
    await keyboard.press(page.get_by_role("button", name="Send it and look"))
    await page.wait_for_url("**/dashboard/data-upload?uuid=*")
    await expect(page.locator("#publish:enabled")).to_have_text("Publish")
    await keyboard.look("preview")
    await keyboard.go_to(page.get_by_label("Role of stage"))
    await page.keyboard.type("target")
    await expect(page.locator("#roles")).to_contain_text("Target: stage")
    await keyboard.write("Description", "Levels of a river.")
    await keyboard.press(page.get_by_role("button", name="Publish", exact=True))
    await expect(page.get_by_text("Your dataset is on OpenML")).to_be_visible()
    await keyboard.look("published")
    await keyboard.press(page.get_by_role("navigation").get_by_role("link", name="My uploads"))
    await expect(page.get_by_role("list").get_by_text("Active", exact=True)).to_be_visible()
    await keyboard.look("my-uploads")


async def look_after_the_account(page: Page, keyboard: Keyboard, folder: Path) -> None:
    await keyboard.press(page.get_by_role("navigation").get_by_role("link", name="Account"))
    await keyboard.press(page.get_by_role("link", name="Edit profile"))
    await expect(page.get_by_label("Last name")).to_have_value("李")
    await keyboard.write("About you (optional)", "我測量河流。")
    await keyboard.look("edit-profile")
    await keyboard.press(page.get_by_role("button", name="Save"))
    await expect(page.get_by_text("Saved.")).to_be_visible()
    await keyboard.press(page.get_by_role("link", name="Back to your account"))
    await expect(page.locator("#bio")).to_have_text("我測量河流。")
    await keyboard.press(page.get_by_role("button", name="Show the key"))
    async with page.expect_download() as waiting:
        await keyboard.press(page.get_by_role("button", name="Download my data"))
    await (await waiting.value).save_as(folder / "data.json")
    exported = json.loads((folder / "data.json").read_text())
    assert exported["account"]["last_name"] == "李"


@pytest.mark.long
async def test_file_when_published_before_then_each_page_publishes_it_once_more(
    open_page: OpenPage, ada: str
) -> None:
    content = TABLE.encode()
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    links = []

    async def require_a_new_dataset() -> None:
        await expect(page.get_by_text("Your dataset is on OpenML")).to_be_visible()
        links.append(await page.get_by_role("link", name="Open dataset").get_attribute("href"))

    await fill_upload(page, "again.csv", content)
    await page.get_by_label("Target column").fill("stage")
    await page.get_by_role("button", name="Publish", exact=True).click()
    await require_a_new_dataset()

    # On the page that sends it: the file is still chosen.
    await page.goto("/auth/upload-dataset")
    await fill_upload(page, "again.csv", content)
    await page.get_by_label("Target column").fill("stage")
    await page.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.get_by_text("It is on OpenML already")).to_be_visible()
    await picture(page, "duplicate-upload")
    assert await accessibility(page) == []
    await page.get_by_role("button", name="Publish it once more").click()
    await require_a_new_dataset()

    # On the page that shows it: its bytes are here.
    await page.goto("/auth/upload-dataset")
    await send_and_look(page, content, "again.csv")
    await page.get_by_label("Description").fill("Once more.")
    await page.get_by_label("Role of stage").select_option("target")
    await expect(page.locator("#roles")).to_contain_text("stage")
    await page.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.get_by_text("It is on OpenML already")).to_be_visible()
    await picture(page, "duplicate-preview")
    assert await accessibility(page) == []
    await page.get_by_role("button", name="Publish it once more").click()
    await require_a_new_dataset()

    # From the list, where the bytes of the second one are gone: only the file is missing.
    await page.goto("/auth/my-uploads")
    await picture(page, "duplicate-my-uploads")
    assert await accessibility(page) == []
    await page.get_by_role("button", name="Publish it once more").click()
    await page.wait_for_url("**/auth/upload-dataset?again=*")
    await expect(page.get_by_text("choose again.csv again")).to_be_visible()
    await expect(page.get_by_label("Description")).to_have_value("Daily river levels.")
    await expect(page.get_by_label("Publish it even if")).to_be_checked()
    await picture(page, "duplicate-again")
    await page.get_by_label("File", exact=True).set_input_files(
        {"name": "again.csv", "mimeType": "text/csv", "buffer": content}
    )
    await page.get_by_role("button", name="Publish", exact=True).click()
    await require_a_new_dataset()
    assert len(set(links)) == 4
