"""Every flow of the frontend's build, in Chromium: the build that `tests/web/pages` serves, on the real service.

The build (`tests/web/pages/build`) is written by hand. It has the layout, placeholders, requests and quirks of the
official one; a test here says what people see of it, and which requests it took.
"""

import io
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import FilePayload, Page, expect

from app.core.tokens import TokenSigner
from tests.browser.conftest import OpenPage, Seen, find_link, picture, serving_site
from tests.conftest import NO_CERTIFICATES, PASSWORD, PATIENCE_SECONDS, eventually
from tests.forwarder import Forwarder
from tests.servers import serving
from tests.uploads.test_data_upload import CSV
from tests.upstream import Upstream
from tests.web.search.elastic import SearchServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("refusals")]

BUILD = Path(__file__).parents[1] / "web" / "pages" / "build"
SECRET = "a secret of thirty-two bytes or more"
TOKEN = "localStorage.getItem('token')"
NEW_PASSWORD = "eight winds blow south"
SEARCH = "POST /es/data/data/_search 200"
PEOPLE = range(1, 30)
FRAME_WARNING = "An iframe which has both allow-scripts and allow-same-origin for its sandbox attribute"
KEEP_FORM = """() => {
    const send = XMLHttpRequest.prototype.send;
    XMLHttpRequest.prototype.send = function (body) {
        if (body instanceof FormData) window.sentForm = new Response(body).text();
        return send.call(this, body);
    };
}"""
"""What a browser makes of a form with files is not to be had from outside."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def search_line() -> AsyncIterator[Forwarder]:
    """The line to a search server that knows a dataset and people; a test may cut it."""
    server = SearchServer(version=6)
    iris = {
        "data_id": 61,
        "name": "iris",
        "status": "active",
        "visibility": "public",
        "runs": 9,
        "date": "2014",
    }
    shown = {"description": "Flowers", "features": [], "qualities": {}, "tags": [], "uploader": "Ada L"}
    server.put("data", "61", **iris, **shown)
    suite = {"name": "OpenML benchmark suite", "date": "2019", "description": "", "uploader": "Ada L"}
    server.put("study", "99", study_id=99, visibility="public", **suite)
    for number in PEOPLE:
        server.put(
            "user", str(number), user_id=number, first_name="Ada", datasets_uploaded=3, visibility="public"
        )
    async with serving(server.app) as url:
        address = urlsplit(url)
        assert address.hostname is not None
        assert address.port is not None
        async with Forwarder(address.hostname, address.port) as line:
            yield line


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, sandbox_url: str, search_line: Forwarder
) -> Iterator[str]:
    """The address of a service with the build, the sandbox and the search server."""
    with serving_site(
        tmp_path_factory.mktemp("build"),
        migrated_sqlite,
        SPA_DIR=str(BUILD),
        OPENML_SERVER=sandbox_url,
        ELASTICSEARCH_SERVER=f"http://127.0.0.1:{search_line.port}/",
        APP_SECRET_KEY=SECRET,
    ) as url:
        yield url


@pytest.fixture
def refusals(seen: Seen) -> Iterator[set[str]]:
    """The answers of 400 and above that the test means to provoke; any other, or one that stays away, fails it."""
    expected: set[str] = set()
    yield expected
    assert {answer for answer in seen.answers if int(answer[-3:]) >= 400} == expected


async def answered(seen: Seen, answer: str, *, times: int = 1) -> None:
    """Wait until a request was answered so, so many times."""

    async def look() -> bool | None:
        return seen.answers.count(answer) >= times or None

    await eventually(look)
    assert seen.answers.count(answer) == times


async def fill(page: Page, **values: str) -> None:
    """Fill the fields of a form by their names."""
    for name, value in values.items():
        await page.locator(f"#{name}").fill(value)


async def press(page: Page, name: str) -> None:
    await page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


async def try_to_sign_in(page: Page, email: str, password: str) -> None:
    await fill(page, email=email, password=password)
    await press(page, "Sign in")


async def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    """Sign in on the page that asks for it, and be shown as signed in."""
    await try_to_sign_in(page, email, password)
    await page.wait_for_url("**/auth/profile-page")
    await expect(page.locator("#initials")).to_be_visible()


async def headers(page: Page) -> dict[str, str]:
    return {"Authorization": f"Bearer {await page.evaluate(TOKEN)}"}


async def test_account_when_new_then_confirmed_by_its_mail_and_signed_in_over_reloads(
    open_page: OpenPage, http: httpx.AsyncClient, seen: Seen
) -> None:
    email = f"{secrets.token_hex(4)}@example.org"
    page = await open_page("/")
    await page.get_by_role("link", name="Sign Up").click()
    person = {"fname": "Grace", "lname": "Hopper", "email": email, "password": PASSWORD}
    await fill(page, **person)
    await press(page, "Sign up for OpenML")
    await page.wait_for_url("**/auth/sign-in")

    await try_to_sign_in(page, email, "wrong password")
    await expect(page.get_by_role("alert")).to_have_text("Wrong username or password")
    await try_to_sign_in(page, email, PASSWORD)
    await expect(page.get_by_role("alert")).to_contain_text("User not confirmed")
    await picture(page, "build-not-confirmed")
    first = await eventually(lambda: find_link(http, email, "confirm-page"))
    await page.get_by_role("link", name="(resend activation token)").click()
    await page.wait_for_url("**/auth/confirmation-token")
    await fill(page, email=email)
    await press(page, "Send")
    await answered(seen, "POST /send-confirmation-token 200")

    async def newer() -> str | None:
        link = await find_link(http, email, "confirm-page")
        return link if link != first else None

    await page.goto(await eventually(newer))
    await page.wait_for_url("**/auth/sign-in")
    await answered(seen, "POST /confirmation 200", times=2)

    await page.goto("/auth/sign-up")
    await fill(page, **person)
    await press(page, "Sign up for OpenML")
    await expect(page.get_by_role("alert")).to_have_text("User already exists")

    await page.goto("/auth/sign-in")
    await sign_in(page, email)
    await expect(page.locator("#initials")).to_have_text("GH")
    await expect(page.locator("#name")).to_contain_text("Grace Hopper, ID: ")
    await expect(page.locator("#uploads")).to_have_text("3")
    await page.goto("/feedback")
    await expect(page.locator("#initials")).to_have_text("GH")
    await page.reload()
    await expect(page.locator("#initials")).to_have_text("GH")
    verified = await http.get("/verifytoken", headers=await headers(page))
    assert (verified.status_code, verified.reason_phrase, verified.text) == (200, "OK", "token-valid")


@pytest.mark.long
async def test_profile_when_picture_key_and_address_change_then_kept_and_shown(
    open_page: OpenPage, ada: str, http: httpx.AsyncClient, seen: Seen, refusals: set[str]
) -> None:
    page = await open_page("/auth/sign-in")
    await sign_in(page, ada)
    await page.get_by_role("link", name="Edit profile").click()
    await expect(page.locator("#fname")).to_have_value("Ada")

    await fill(page, bio="Notes on an engine \N{EM DASH} \N{SNOWMAN}", fname="Augusta")
    await page.locator("#image").set_input_files(orange_picture())
    await press(page, "Save changes")
    await page.wait_for_url("**/auth/profile-page")
    await answered(seen, "POST /image 200")
    assert seen.answers.count("POST /profile 200") == 1

    await page.reload()
    await expect(page.locator("#name")).to_contain_text("Augusta Lovelace")
    avatar = page.locator("#avatar")
    await expect(avatar).to_have_js_property("naturalWidth", 300)
    assert str(await avatar.get_attribute("src")).startswith("/imgs/")
    await picture(page, "build-profile")
    profile = (await http.get("/profile", headers=await headers(page))).json()
    assert profile["bio"] == "Notes on an engine \N{EM DASH} \N{SNOWMAN}"

    shown = page.locator("#api-key")
    await expect(shown).not_to_have_text("Loading...")
    old = await shown.inner_text()
    await press(page, "Reset")
    await expect(shown).not_to_have_text(old)
    key = await shown.inner_text()
    assert (await http.get("/api-key", headers=await headers(page))).json() == {"apikey": key}
    await change_address(page, http, seen, ada)
    await page.goto("/auth/confirm-page/?token=0000")
    await answered(seen, "POST /confirmation 400")
    await expect(page.get_by_role("main")).to_have_text("")
    refusals.add("POST /confirmation 400")


async def change_address(page: Page, http: httpx.AsyncClient, seen: Seen, old: str) -> None:
    """The mail to the new address leads through the build, too."""
    new = f"new-{old}"
    await page.goto("/auth/edit-profile")
    await expect(page.locator("#email")).to_have_value(old)
    await fill(page, email=new)
    await press(page, "Save changes")
    await page.wait_for_url("**/auth/profile-page")
    # Opened in a browser that knows nobody.
    await page.evaluate("localStorage.clear()")
    await page.goto(await eventually(lambda: find_link(http, new, "confirm-page")))
    await page.wait_for_url("**/auth/sign-in")
    await answered(seen, "POST /confirmation 200", times=2)
    assert (await http.post("/login", json={"email": new, "password": PASSWORD})).json().keys() == {
        "access_token"
    }


def orange_picture() -> FilePayload:
    painted = io.BytesIO()
    Image.new("RGBA", (300, 200), "orange").save(painted, "PNG")
    return {"name": "My Pic.png", "mimeType": "image/png", "buffer": painted.getvalue()}


async def choose(page: Page, name: str, content: bytes) -> None:
    file: FilePayload = {"name": name, "mimeType": "text/csv", "buffer": content}
    await page.locator("#dataset").set_input_files(file)


async def test_dataset_when_uploaded_then_edited_and_made_a_task_and_a_part_of_collections(
    open_page: OpenPage,
    ada: str,
    http: httpx.AsyncClient,
    seen: Seen,
    *,
    refusals: set[str],
    sandbox_url: str,
) -> None:
    page = await open_page("/auth/sign-in")
    await sign_in(page, ada)

    await page.get_by_role("link", name="Upload").click()
    await fill(page, datasetname="rivers", description="Daily river levels.", def_tar_att="flood")
    await choose(page, "rivers.docx", b"PK")
    await press(page, "Upload dataset")
    await expect(page.get_by_role("alert")).to_have_text("Data format not supported")
    await expect(page.get_by_text("Your Dataset is uploading")).to_be_visible()
    await picture(page, "build-format-not-supported")
    await page.reload()
    await fill(page, datasetname="rivers", description="Daily river levels.", def_tar_att="flood")
    await choose(page, "rivers.csv", CSV)
    await page.evaluate(KEEP_FORM)
    await press(page, "Upload dataset")
    await page.wait_for_url("**/search?type=data&status=active&sort=date")
    await check_form(page)
    await expect(page.locator("#results")).to_contain_text("iris")
    dataset_id = await active_dataset(http, await headers(page))

    await edit_as_owner(page, http, seen, dataset_id)
    await edit_as_stranger(page, http, sandbox_url)
    task_id = await make_task(page, seen, dataset_id)
    await make_collections(page, seen, task_id)

    await page.goto("/auth/my-uploads")
    await expect(page.get_by_role("list").get_by_text("Active", exact=True)).to_be_visible()
    refusals |= {"POST /data-edit 422", "POST /upload-collection-tasks 422"}


async def check_form(page: Page) -> None:
    """The file comes first, and the metadata is a file, too: as the official build sends it."""
    body: str = await page.evaluate("window.sentForm")
    file = body.index('name="dataset"; filename="rivers.csv"')
    assert 0 < file < body.index('name="metadata"; filename="blob"')
    assert '"licence":false' in body


async def active_dataset(http: httpx.AsyncClient, headers: dict[str, str]) -> int:
    async def look() -> int | None:
        (upload, *_) = (await http.get("/uploads", headers=headers)).json()["uploads"]
        return int(upload["dataset_id"]) if upload["state"] == "active" else None

    return await eventually(look)


async def edit_as_owner(page: Page, http: httpx.AsyncClient, seen: Seen, dataset_id: int) -> None:
    await page.goto(f"/auth/data-edit?id={dataset_id}")
    await expect(page.locator("#description")).to_have_value("Daily river levels.")
    await expect(page.locator("#default_target_attribute")).to_have_value("flood")
    await fill(page, description="Weekly river levels.", ignore_attribute="no such column")
    await press(page, "Edit Dataset")
    await expect(page.get_by_role("alert")).to_have_text("Cannot edit")
    await fill(page, ignore_attribute="station")
    await press(page, "Edit Dataset")
    # Success shows nothing.
    await answered(seen, "POST /data-edit 200")
    described = (await http.get(f"/api/v1/json/data/{dataset_id}")).json()["data_set_description"]
    assert described["description"] == "Weekly river levels."
    assert described["ignore_attribute"] == "station"


async def edit_as_stranger(page: Page, http: httpx.AsyncClient, sandbox_url: str) -> None:
    async with httpx.AsyncClient(
        base_url=sandbox_url, timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES
    ) as client:
        dataset_id = await Upstream(client).publish(secrets.token_hex(16))
    await page.goto(f"/auth/data-edit?id={dataset_id}")
    await expect(page.locator("#description")).not_to_have_value("")
    await expect(page.locator("#default_target_attribute")).to_have_count(0)
    citation = f"Nobody, {secrets.token_hex(4)}."
    await fill(page, citation=citation)
    await press(page, "Edit Dataset")
    await expect(page.get_by_role("heading", name="OpenML")).to_be_visible()
    described = (await http.get(f"/api/v1/json/data/{dataset_id}")).json()["data_set_description"]
    assert described["citation"] == citation


async def make_task(page: Page, seen: Seen, dataset_id: int) -> int:
    """The page breaks over its own list; what it would have sent works."""
    await page.goto("/auth/upload-task")
    async with page.expect_event("pageerror"):
        await press(page, "Upload task")
    seen.complaints.remove("script: Cannot read properties of undefined (reading 'value')")
    task = {
        "dataset_id": str(dataset_id),
        "task_type": "classification",
        "target_name": "flood",
        "evaluation_measure": "predictive_accuracy",
    }
    send = (
        "data => standIn.request('POST', '/upload-task', {data: data, headers: standIn.bearer()})"
        ".then(response => response.data)"
    )
    made: dict[str, Any] = await page.evaluate(send, task)
    again: dict[str, Any] = await page.evaluate(send, task)
    assert (made["msg"], again["msg"]) == ("task uploaded", "task exists")
    assert again["id"] == made["id"]
    return int(made["id"])


async def make_collections(page: Page, seen: Seen, task_id: int) -> None:
    await page.goto("/auth/upload-collection-tasks")
    await fill(page, description="Tasks on rivers.", collectionname="River suite", taskids="one, two")
    await press(page, "Upload collection")
    await expect(page.get_by_role("alert")).to_have_text("Could not upload collection")
    await fill(page, taskids=f" {task_id}")
    await press(page, "Upload collection")
    await expect(page.get_by_role("heading", name="OpenML")).to_be_visible()
    await answered(seen, "POST /upload-collection-tasks 200")

    await page.goto("/auth/upload-collection-runs")
    await fill(
        page, description="Runs on rivers.", collectionname="River study", run_ids="1, 2,3", benchmark="23"
    )
    await press(page, "Upload collection")
    await expect(page.get_by_role("heading", name="OpenML")).to_be_visible()
    await answered(seen, "POST /upload-collection-runs 200")


@pytest.mark.long
async def test_feedback_when_its_address_is_opened_then_a_page_and_what_is_sent_a_mail(
    open_page: OpenPage, http: httpx.AsyncClient, seen: Seen
) -> None:
    page = await open_page("/feedback")
    await page.reload()
    text = f"Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n {secrets.token_hex(4)}"
    await fill(page, email="", feedback=text)
    await press(page, "Send feedback")

    await expect(page.get_by_role("alert")).to_have_text("Thank you. We'll get back to you")
    assert seen.answers.count("GET /feedback 200") == 2

    async def arrived() -> bool | None:
        return text in (await http.get("/dev/mailbox")).text or None

    await eventually(arrived)


async def test_script_when_it_gets_into_the_page_then_not_run_for_the_token_lies_there(
    open_page: OpenPage, seen: Seen
) -> None:
    page = await open_page("/")
    inject = """() => {
        const script = document.createElement("script");
        script.text = "window.stolen = true";
        document.body.append(script);
        return window.stolen;
    }"""
    async with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        assert await page.evaluate(inject) is None
    assert len(seen.complaints) == 1
    seen.complaints.clear()


@pytest.mark.long
async def test_password_when_forgotten_then_the_mail_leads_to_a_new_one_and_old_tokens_are_dead(
    open_page: OpenPage, ada: str, http: httpx.AsyncClient, seen: Seen, refusals: set[str]
) -> None:
    page = await open_page("/auth/sign-in")
    await sign_in(page, ada)
    old = await headers(page)

    elsewhere = await open_page("/auth/sign-in")
    await elsewhere.get_by_role("link", name="Forgot password").click()
    await elsewhere.wait_for_url("**/auth/reset-password")
    await fill(elsewhere, email=ada)
    await press(elsewhere, "Reset password")
    await elsewhere.wait_for_url("**/auth/sign-in")
    await elsewhere.goto(await eventually(lambda: find_link(http, ada, "reset-page")))
    await answered(seen, "POST /forgot-token 200")
    await fill(elsewhere, password=NEW_PASSWORD, confirm="something else")
    await press(elsewhere, "Reset password")
    await elsewhere.wait_for_url("**/auth/sign-in")
    # Asked about once more after the reset, when the link is used up.
    await answered(seen, "POST /forgot-token 400")

    assert (await http.get("/verifytoken", headers=old)).status_code == 401
    await page.reload()
    await expect(page.get_by_role("link", name="Sign In")).to_be_visible()
    expired = {"GET /verifytoken 401", "GET /profile 401", "GET /api-key 401"}
    for refusal in expired:
        await answered(seen, refusal)
    await expect(page.locator("#name")).to_have_text("Anonymous, ID: unknown")
    await try_to_sign_in(elsewhere, ada, PASSWORD)
    await expect(elsewhere.get_by_role("alert")).to_have_text("Wrong username or password")
    await sign_in(elsewhere, ada, NEW_PASSWORD)
    refusals |= {"POST /forgot-token 400", *expired}


@pytest.mark.long
async def test_sign_out_when_the_token_is_good_or_has_expired_then_it_works_and_the_token_is_dead(
    open_page: OpenPage, ada: str, http: httpx.AsyncClient, seen: Seen, refusals: set[str]
) -> None:
    page = await open_page("/auth/sign-in")
    await sign_in(page, ada)
    await page.get_by_role("button", name="Sign Out").click()

    await expect(page.get_by_role("link", name="Sign In")).to_be_visible()
    assert (await http.get("/profile", headers=await headers(page))).json()["msg"] == "Token has been revoked"
    await page.goto("/")
    await answered(seen, "GET /verifytoken 401")
    await expect(page.get_by_role("link", name="Sign In")).to_be_visible()

    await page.goto("/auth/sign-in")
    await sign_in(page, ada)
    user_id = (await http.get("/profile", headers=await headers(page))).json()["id"]
    expired, _ = TokenSigner(SECRET, lifetime=timedelta(seconds=-1)).issue(user_id)
    await page.evaluate("token => localStorage.setItem('token', token)", expired)
    answer = await http.get("/verifytoken", headers=await headers(page))
    assert (answer.status_code, answer.json()["msg"]) == (401, "Token has expired")
    await page.get_by_role("button", name="Sign Out").click()
    await expect(page.get_by_role("link", name="Sign In")).to_be_visible()
    refusals.add("GET /verifytoken 401")


@pytest.mark.long
async def test_short_link_when_opened_then_the_dataset_with_its_counts_files_and_frame(
    open_page: OpenPage, site: str, seen: Seen, refusals: set[str]
) -> None:
    page = await open_page("/d/61")

    assert page.url == f"{site}/search?type=data&sort=runs&id=61"
    await expect(page.locator("#title")).to_have_text("iris")
    await expect(page.get_by_role("complementary").first).to_contain_text("benchmark 1")
    assert await page.locator("#xml").get_attribute("href") == "/api/v1/data/61"
    frame = page.frame_locator("#analysis")
    # The search server of this test knows a dataset that the OpenML server has not.
    await expect(frame.get_by_text("OpenML has no such dataset")).to_be_visible()
    await answered(seen, "GET /croissant/dataset/61 404")
    (warning,) = seen.complaints
    assert FRAME_WARNING in warning
    seen.complaints.clear()
    await picture(page, "build-dataset")
    refusals |= {"GET /croissant/dataset/61 404", "GET /datasets/61/statistics 404"}

    gone = await open_page("/t/424242/")
    await expect(gone.locator("#missing")).to_contain_text("No task with id 424242 found")
    unknown = await open_page("/no/such/page")
    await expect(unknown.get_by_role("heading")).to_have_text("404")


@pytest.mark.long
async def test_search_when_its_server_goes_away_then_an_empty_list_and_no_storm(
    open_page: OpenPage, http: httpx.AsyncClient, seen: Seen, search_line: Forwarder
) -> None:
    page = await open_page("/search?type=data&sort=runs")
    await expect(page.locator("#count")).to_have_text("1")
    await expect(page.locator("#results")).to_have_text("iris")
    assert seen.answers.count(SEARCH) == 1

    await search_line.cut()
    try:
        await page.reload()
        await expect(page.locator("#count")).to_have_text("0")
        await page.goto("/search?type=data&id=61")
        await expect(page.locator("#missing")).to_be_visible()
        await picture(page, "build-search-away")
        await page.wait_for_load_state("networkidle")
    finally:
        await search_line.mend()

    assert seen.answers.count(SEARCH) == 2

    async def is_back() -> bool | None:
        return (await http.get("/es/data/data/61")).json()["found"] or None

    await eventually(is_back)
