"""Our own pages, as people use them: in Chromium, on the real service, with the mails it writes."""

import io
import json
import secrets
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.async_api import FilePayload, Page, expect

from tests.browser.conftest import (
    MOST_BYTES,
    OpenPage,
    Seen,
    accessibility,
    find_link,
    in_database,
    picture,
    weight,
)
from tests.conftest import LONG, PASSWORD, eventually
from tests.uploads.test_data_upload import CSV

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOKEN = "sessionStorage.getItem('openml-access-token')"
WITHOUT_LOGIN = [
    "/",
    "/auth/sign-up",
    "/auth/sign-in",
    "/auth/confirmation-token",
    "/auth/reset-password",
    "/software-licences",
]
WITH_LOGIN = [
    "/auth/profile-page",
    "/auth/edit-profile",
    "/auth/security",
    "/auth/upload-dataset",
    "/auth/my-uploads",
]
DARK = {"/auth/sign-up", "/auth/upload-dataset"}
"""What `make test` looks at in the dark as well; `make test-long` looks at all."""


async def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    await page.get_by_label("E-mail address or user name").fill(email)
    await page.get_by_label("Password").fill(password)
    # Until the page's script listens, the button is disabled and Enter does nothing.
    await expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_enabled()
    await page.keyboard.press("Enter")


async def open_signed_in(open_page: OpenPage, email: str, path: str) -> Page:
    page = await open_page(path)
    await page.wait_for_url("**/auth/sign-in?*")
    await sign_in(page, email)
    await page.wait_for_url(f"**{path}")
    return page


async def fill_upload(page: Page, name: str, content: bytes) -> None:
    file: FilePayload = {"name": name, "mimeType": "text/csv", "buffer": content}
    await page.get_by_label("File", exact=True).set_input_files(file)
    await page.get_by_label("Look at it before").uncheck()
    await page.get_by_label("Description").fill("Daily river levels.")


async def test_everything_when_new_here_then_from_sign_up_to_an_active_dataset_and_out(
    open_page: OpenPage, http: httpx.AsyncClient
) -> None:
    email = f"{secrets.token_hex(4)}@example.org"
    page = await open_page("/")
    await page.get_by_role("main").get_by_role("link", name="Sign up").click()

    await page.get_by_role("button", name="Sign up").click()
    first_name = page.get_by_label("First name")
    await expect(first_name).to_be_focused()
    await expect(first_name).to_have_attribute("aria-invalid", "true")
    await first_name.fill("Ada")
    await page.get_by_label("Last name").fill("Lovelace")
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("Password", exact=True).fill("password")
    await page.get_by_role("button", name="Sign up").click()
    await expect(page.locator("#password-error")).to_contain_text("first that anybody would try")
    await expect(page.get_by_label("Password", exact=True)).to_be_focused()
    assert await accessibility(page) == []
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign up").click()
    await expect(page.get_by_text("Look into your mailbox")).to_be_visible()

    await page.get_by_role("link", name="Open the mailbox").click()
    await page.wait_for_url("**/dev/mailbox")
    await eventually(lambda: find_link(http, email, "confirm-page"))
    await page.reload()
    await page.get_by_role("article").filter(has_text=email).get_by_role("link").click()
    await page.get_by_role("button", name="Confirm my e-mail address").click()
    await page.get_by_role("main").get_by_role("link", name="Sign in").click()
    await sign_in(page, email)
    await expect(page.get_by_text("Ada Lovelace")).to_be_visible()
    token = await page.evaluate(TOKEN)
    assert (await http.get("/profile", headers={"Authorization": f"Bearer {token}"})).status_code == 200

    await page.get_by_role("navigation").get_by_role("link", name="Publish").click()
    await fill_upload(page, "river levels.csv", CSV)
    await expect(page.get_by_label("Name", exact=True)).to_have_value("river-levels")
    await expect(page.locator("#columns option")).to_have_count(3)
    await page.get_by_label("Target column").fill("flood")
    await page.get_by_label("Mail me when").check()
    await page.get_by_role("button", name="Publish").click()
    await expect(page.get_by_text("Your dataset is on OpenML")).to_be_visible()
    await expect(page.locator(".steps .done")).to_have_count(4)
    assert await accessibility(page) == []
    dataset = await page.get_by_role("link", name="Open dataset").get_attribute("href")

    await page.get_by_role("navigation").get_by_role("link", name="My uploads").click()
    await expect(page.get_by_role("list").get_by_text("Active", exact=True)).to_be_visible()
    assert await page.get_by_role("link", name="on OpenML").get_attribute("href") == dataset
    assert await accessibility(page) == []

    exported = (await http.get("/export", headers={"Authorization": f"Bearer {token}"})).json()
    assert exported["uploads"][0]["description"]["notify"] is True

    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert await page.evaluate(TOKEN) is None
    assert (await http.get("/profile", headers={"Authorization": f"Bearer {token}"})).status_code == 401


@pytest.mark.long
async def test_pages_when_shown_in_either_scheme_then_axe_finds_nothing_and_they_weigh_little(
    open_page: OpenPage, administrator: str, seen: Seen, http: httpx.AsyncClient
) -> None:
    page = await open_page("/")
    await page.evaluate("document.querySelector('main').append(document.createElement('img'))")
    assert "image-alt" in str(await accessibility(page)), "axe looks, and sees"
    without_login = [
        *WITHOUT_LOGIN,
        "/auth/reset-page/?token=0",
        "/dev/mailbox",
        "/auth/confirm-page/?token=0",
    ]
    for path in without_login:
        await check(page, path)
    await page.goto("/auth/sign-in")
    await sign_in(page, administrator)
    await page.wait_for_url("**/auth/profile-page")
    for path in WITH_LOGIN:
        await check(page, path)
    authorization = {"Authorization": f"Bearer {await page.evaluate(TOKEN)}"}
    begun = await http.post("/uploads", json={"file_name": "a.csv", "size": 9}, headers=authorization)
    for path in ("/admin", "/admin/person?id=1", f"/admin/upload?id={begun.headers['location'][-32:]}"):
        await check(page, path)
    for path in (*WITHOUT_LOGIN, *WITH_LOGIN, "/admin"):
        assert 10_000 < await weight(page, path, seen, http) < MOST_BYTES, path


async def check(page: Page, path: str) -> None:
    """Look at a page as on a desk in the light, and as on a telephone in the dark."""
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size({"width": 1100, "height": 800})
    await page.goto(path)
    await expect(page.locator("#loading:visible, button:disabled:visible")).to_have_count(0)
    name = page.url.partition("?")[0].rstrip("/").rpartition("/")[2]
    name = "start" if ":" in name else name
    await fits(page)
    assert await page.evaluate(SHADOWS) == []
    await picture(page, f"{name}-light")
    assert await accessibility(page) == []

    await page.emulate_media(color_scheme="dark")
    await page.set_viewport_size({"width": 320, "height": 800})
    await fits(page)
    await page.set_viewport_size({"width": 375, "height": 800})
    await picture(page, f"{name}-dark")
    # The dark pages differ from the light ones by their colours, and one style sheet has them all.
    if LONG or path in DARK:
        assert await accessibility(page, "color-contrast") == []


SHADOWS = """[...document.querySelectorAll("input, select, textarea, button, output, fieldset, object")]
    .flatMap((control) => [control.name, control.id])
    .filter((name) => name && name !== "name" && name in HTMLFormElement.prototype)"""
"""Names of controls that hide a property of their form's from the page's own script, such as `form.dataset`.

But for `name`: fields are called as in the API, and no form of ours has a name.
"""


async def fits(page: Page) -> None:
    hidden = await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert hidden == 0, f"{page.url} scrolls sideways"


@pytest.mark.long
async def test_upload_when_refused_then_said_where_and_the_form_keeps_what_was_typed(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")

    await fill_upload(page, "river.csv", CSV)
    await page.get_by_label("Name", exact=True).fill("two words")
    await page.get_by_role("button", name="Publish").click()
    await expect(page.get_by_label("Name", exact=True)).to_be_focused()
    await expect(page.locator("#dataset_name-error")).to_contain_text("without spaces")
    await expect(page.get_by_label("Description")).to_have_value("Daily river levels.")
    await picture(page, "upload-field-error")

    await page.get_by_label("Name", exact=True).fill("river")
    await page.get_by_text("More about it").click()
    await page.get_by_label("Language").fill("English, mostly")
    await page.get_by_text("More about it").click()
    await page.get_by_role("button", name="Publish").click()
    await expect(page.get_by_label("Language")).to_be_focused()
    await page.get_by_label("Language").fill("")

    await fill_upload(page, "river.csv", CSV + b"Derwent,1,2,3\n")
    await page.get_by_role("button", name="Publish").click()
    await expect(page.get_by_text("The dataset was not published")).to_be_visible()
    await expect(page.locator("#outcome")).to_contain_text("Row 4")
    await expect(page.locator(".steps .stopped")).to_have_count(1)
    await picture(page, "upload-refused")
    assert await accessibility(page) == []
    await page.get_by_role("button", name="Back to the form").click()
    await expect(page.get_by_label("Description")).to_have_value("Daily river levels.")

    dropped = await page.evaluate_handle(
        "() => { const drag = new DataTransfer(); drag.items.add(new File(['PK'], 'river.docx')); return drag; }"
    )
    await page.locator("#drop").dispatch_event("drop", {"dataTransfer": dropped})
    await expect(page.locator("#chosen")).to_have_text("river.docx, 2 bytes")
    await page.get_by_role("button", name="Publish").click()
    await expect(page.locator("#file-error")).to_contain_text("cannot be read. A file of .csv")

    await page.get_by_role("navigation").get_by_role("link", name="My uploads").click()
    # What was refused before its bytes never became an upload.
    await expect(page.get_by_role("list").get_by_text("Failed", exact=True)).to_have_count(1)
    await expect(page.locator("#list")).to_contain_text("4 cells")
    await page.set_viewport_size({"width": 375, "height": 800})
    await picture(page, "my-uploads-failed")
    assert await accessibility(page) == []


@pytest.mark.long
async def test_upload_when_the_session_has_ended_then_what_was_typed_outlives_the_sign_in(
    open_page: OpenPage, ada: str, http: httpx.AsyncClient
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    await fill_upload(page, "river.csv", CSV)
    token = await page.evaluate(TOKEN)
    await http.post("/logout", headers={"Authorization": f"Bearer {token}"})

    await page.get_by_role("button", name="Publish").click()
    await expect(page.get_by_text("Your session has ended.")).to_be_visible()
    await sign_in(page, ada)

    await expect(page.get_by_text("Here is what you had typed")).to_be_visible()
    await expect(page.get_by_label("Description")).to_have_value("Daily river levels.")
    await page.reload()
    await expect(page.get_by_text("Here is what you had typed")).to_be_hidden()


@pytest.mark.long
async def test_upload_when_bytes_take_long_then_progress_grows_and_cancel_ends_it(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_signed_in(open_page, ada, "/auth/upload-dataset")
    network = await page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 200_000}
    await network.send("Network.emulateNetworkConditions", slow)

    await fill_upload(page, "large.csv", b"a,b\n" + b"1,2\n" * 1_000_000)
    await page.get_by_role("button", name="Publish").click()
    bar = page.get_by_role("progressbar")
    values: list[float] = []
    while len(values) < 3:
        value = float(await bar.get_attribute("value") or await bar.evaluate("bar => bar.value"))
        if value not in values:
            values.append(value)
    assert values == sorted(values)
    assert values[-1] < 100
    await picture(page, "upload-under-way")
    assert await accessibility(page) == []
    await page.get_by_role("button", name="Cancel").click()

    await expect(page.get_by_text("The upload was cancelled.")).to_be_visible()
    await expect(page.get_by_label("Name", exact=True)).to_have_value("large")


@pytest.mark.long
async def test_password_when_forgotten_then_reset_by_mail_and_old_sessions_are_over(
    open_page: OpenPage, ada: str, http: httpx.AsyncClient
) -> None:
    elsewhere = await open_signed_in(open_page, ada, "/auth/my-uploads")
    page = await open_page("/auth/sign-in")
    await sign_in(page, ada, "wrong")
    await expect(page.get_by_text("Wrong username or password")).to_be_visible()
    await page.get_by_role("link", name="Forgotten password?").click()
    await page.get_by_label("E-mail address", exact=True).fill(ada)
    await page.get_by_role("button", name="Send the mail").click()
    await expect(page.get_by_text("Look into your mailbox")).to_be_visible()
    link = await eventually(lambda: find_link(http, ada, "reset-page"))

    await page.goto(link)
    await page.get_by_label("New password").fill("eight winds blow south")
    await page.get_by_label("Show the password").check()
    await expect(page.get_by_label("New password")).to_have_attribute("type", "text")
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_text("Your password is changed.")).to_be_visible()
    await sign_in(page, ada, "eight winds blow south")
    await page.wait_for_url("**/auth/profile-page")

    await elsewhere.reload()
    await expect(elsewhere.get_by_text("Your session has ended.")).to_be_visible()
    await page.goto(link)
    await expect(page.get_by_text("This link does not work any more")).to_be_visible()


@pytest.mark.long
async def test_account_when_looked_after_then_key_sessions_profile_export_and_deletion_work(
    open_page: OpenPage, ada: str, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    await open_signed_in(open_page, ada, "/auth/my-uploads")
    page = await open_signed_in(open_page, ada, "/auth/profile-page")

    await page.get_by_role("button", name="Show the key").click()
    await expect(page.locator("#key")).to_be_visible()
    old = await page.locator("#key").inner_text()
    await page.get_by_role("button", name="Make a new one").click()
    dialog = page.get_by_role("dialog")
    assert await accessibility(page) == []
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await page.get_by_role("button", name="Make a new one").click()
    await dialog.get_by_role("button", name="Make a new key").click()
    await expect(page.get_by_text("You have a new key.")).to_be_visible()
    assert await page.locator("#key").inner_text() not in {old, ""}

    await expect(page.locator("#sessions li")).to_have_count(2)
    await page.get_by_role("button", name="End the session").click()
    await expect(page.locator("#sessions li")).to_have_count(1)
    await expect(page.locator("#events")).to_contain_text("Logged in")

    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="Download my data").click()
    download = await waiting.value
    await download.save_as(tmp_path / "data.json")
    assert json.loads((tmp_path / "data.json").read_text())["account"]["email"] == ada

    await page.get_by_role("link", name="Edit profile").click()
    await edit_profile(page)
    await page.get_by_role("link", name="Back to your account").click()
    await expect(page.get_by_text("Augusta Lovelace")).to_be_visible()

    await page.get_by_role("button", name="Delete my account").click()
    await dialog.get_by_label("Your password").fill("wrong")
    await dialog.get_by_role("button", name="Delete my account").click()
    await expect(dialog.locator(".error")).to_contain_text("wrong")
    await dialog.get_by_label("Your password").fill(PASSWORD)
    await dialog.get_by_role("button", name="Delete my account").click()
    await expect(page.get_by_text("Your account is deleted.")).to_be_visible()
    answer = await http.post("/token", data={"username": ada, "password": PASSWORD})
    assert answer.status_code == 400


async def edit_profile(page: Page) -> None:
    """Change everything of Ada's profile with the one form that there is."""
    await expect(page.locator("main form")).to_have_count(1)
    await expect(page.get_by_label("First name")).to_have_value("Ada")
    await page.get_by_label("First name").fill("Augusta")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved.")).to_be_visible()
    orange = io.BytesIO()
    Image.new("RGB", (300, 200), "orange").save(orange, "PNG")
    for name, content in (("nonsense.png", b"nonsense"), ("me.png", orange.getvalue())):
        file: FilePayload = {"name": name, "mimeType": "image/png", "buffer": content}
        await page.get_by_label("A new picture").set_input_files(file)
        await page.get_by_label("About you").fill(f"With {name}.")
        await page.get_by_role("button", name="Save").click()
        if name == "nonsense.png":
            await expect(page.locator("#file-error")).to_contain_text("is not a PNG")
            await expect(page.locator("#file-error")).to_contain_text("Everything else is saved.")
    await expect(page.get_by_text("Saved.")).to_be_visible()
    await expect(page.locator("#face img")).to_have_js_property("naturalWidth", 300)
    await expect(page.get_by_label("About you")).to_have_value("With me.png.")
    await page.get_by_label("Remove the picture").check()
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("#face")).to_have_text("AL")
    await expect(page.get_by_text("Saved.")).to_be_visible()


async def test_sign_in_when_next_is_another_site_then_one_stays_here(
    open_page: OpenPage, ada: str, site: str
) -> None:
    page = await open_page("/auth/sign-in")
    tried = ("//example.org/x", "https://example.org/", "javascript:alert(1)")
    for wanted in tried if LONG else tried[:1]:
        await page.goto(f"/auth/sign-in?next={wanted}")
        await sign_in(page, ada)
        await page.wait_for_url("**/auth/profile-page")
        assert page.url.startswith(site)


NEXT_PAGES = [
    "/.//example.org/x",
    "/..//example.org/",
    "/x/../..//example.org",
    "/%2e//example.org/",
    "/\\example.org/",
    "\\\\example.org/",
    "/\t/example.org/",
    "//example.org",
    "http:example.org",
    "https:example.org",
    "https://example.org@127.0.0.1/",
    "http://[",
    "javascript:alert(1)",
    "data:text/html,x",
    "blob:x",
]


async def test_next_page_when_spelled_to_lead_elsewhere_then_it_is_of_this_site(
    open_page: OpenPage, site: str
) -> None:
    page = await open_page("/auth/sign-in")
    ask = """async (wanted) => {
        const { nextPage } = await import("/assets/js/session.js");
        history.replaceState(null, "", "?" + new URLSearchParams({ next: wanted }));
        return new URL(nextPage(), location).href;
    }"""
    for wanted in NEXT_PAGES:
        assert (await page.evaluate(ask, wanted)).startswith(f"{site}/"), wanted
    assert await page.evaluate(ask, "/auth/my-uploads?x=1") == f"{site}/auth/my-uploads?x=1"


async def test_my_uploads_when_signed_in_on_the_frontend_then_open_and_signing_out_ends_both(
    open_page: OpenPage, ada: str, http: httpx.AsyncClient
) -> None:
    answer = await http.post("/token", data={"username": ada, "password": PASSWORD})
    page = await open_page("/")
    await page.evaluate("token => localStorage.setItem('token', token)", answer.json()["access_token"])

    await page.goto("/auth/my-uploads")
    await expect(page.get_by_text("Nothing yet.")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert await page.evaluate("localStorage.getItem('token')") is None


async def test_administration_when_used_then_the_password_is_asked_for_and_what_is_done_is_said(
    open_page: OpenPage, administrator: str, site_folder: Path
) -> None:
    page = await open_signed_in(open_page, administrator, "/admin")
    await expect(page.get_by_role("heading", name="People")).to_be_visible()
    assert await accessibility(page) == []
    in_database(site_folder, "UPDATE sessions SET created_at = '2020-01-01 00:00:00.000000'")

    await page.get_by_label("Text", exact=True).fill("A talk at noon.")
    await page.get_by_role("button", name="Tell everybody").click()
    await expect(page.get_by_role("dialog", name="Confirm that it is you")).to_be_visible()
    assert await accessibility(page) == []
    await page.get_by_role("textbox", name="Password").fill("another one")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("The password is wrong")).to_be_visible()
    await page.get_by_role("textbox", name="Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Everybody is told.")).to_be_visible()
    await page.reload()
    await expect(page.locator("#notices")).to_have_text("A talk at noon.")
    await page.get_by_role("button", name="End: A talk at noon.").click()
    await expect(page.locator("#told")).to_have_text("None.")

    other = f"{secrets.token_hex(4)}@example.org"
    body = {"first_name": "Charles", "last_name": "B", "email": other, "password": PASSWORD}
    assert (await page.request.post("/signup", data=body)).ok
    await page.get_by_label("Name, e-mail address or number").fill(other)
    await page.get_by_role("button", name="Find").click()
    await page.locator("#people").get_by_role("link").click()
    await page.get_by_role("button", name="Confirm").click()
    await page.get_by_label("Why").fill("The mail did not arrive.")
    await page.get_by_role("button", name="Do it").click()
    await expect(page.get_by_text("Account confirmed.")).to_be_visible()
    await expect(page.locator("#events")).to_contain_text("The mail did not arrive.")
    assert await accessibility(page) == []


async def test_keyboard_when_used_alone_then_skip_link_first_and_focus_is_seen(open_page: OpenPage) -> None:
    page = await open_page("/auth/sign-up")
    await page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    await expect(skip).to_be_focused()
    await expect(skip).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    first_name = page.get_by_label("First name")
    await expect(first_name).to_be_focused()
    assert await first_name.evaluate("field => getComputedStyle(field).outlineStyle") == "solid"


@pytest.mark.long
async def test_sign_up_when_the_mail_is_opened_on_another_device_then_the_password_is_chosen_there(
    open_page: OpenPage, http: httpx.AsyncClient
) -> None:
    email = f"{secrets.token_hex(4)}@example.org"
    computer = await open_page("/auth/sign-up")
    for label, text in (("First name", "Ada"), ("Last name", "Lovelace"), ("E-mail address", email)):
        await computer.get_by_label(label).fill(text)
    await computer.get_by_label("Password", exact=True).fill("seven rivers flow south")
    await computer.get_by_role("button", name="Sign up").click()
    await expect(computer.get_by_text("Look into your mailbox")).to_be_visible()

    phone = await open_page(await eventually(lambda: find_link(http, email, "confirm-page")))
    await phone.set_viewport_size({"width": 360, "height": 720})
    await phone.get_by_role("button", name="Confirm my e-mail address").click()
    await expect(phone.get_by_role("heading", name="Choose your password")).to_be_visible()
    assert await accessibility(phone) == []
    await picture(phone, "sign-up-confirmed-elsewhere")
    await phone.get_by_role("link", name="Choose a password").click()
    await phone.get_by_label("New password").fill(PASSWORD)
    await phone.get_by_role("button", name="Change the password").click()
    await phone.wait_for_url("**/auth/sign-in?reason=password-changed")

    await computer.goto("/auth/sign-in")
    await sign_in(computer, email, "seven rivers flow south")
    await expect(computer.get_by_text("Wrong username or password")).to_be_visible()
    await computer.get_by_label("Password").fill(PASSWORD)
    await computer.keyboard.press("Enter")
    await computer.wait_for_url("**/auth/profile-page")


async def test_session_when_it_stays_then_a_new_tab_is_signed_in_and_signing_out_ends_it(
    open_page: OpenPage, ada: str
) -> None:
    page = await open_page("/auth/sign-in")
    await page.get_by_label("Stay signed in").check()
    assert await accessibility(page) == []
    await sign_in(page, ada)
    await page.wait_for_url("**/auth/profile-page")
    assert "openml-refresh" not in await page.evaluate("document.cookie"), "no script reads it"

    await page.evaluate("sessionStorage.clear()")  # As in a new tab.
    await page.goto("/auth/security")
    await expect(page.get_by_role("heading", name="Password")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You are signed out.")).to_be_visible()
    await page.goto("/auth/security")
    await page.wait_for_url("**/auth/sign-in?*")
