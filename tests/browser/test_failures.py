"""Every call that a page makes fails once: what went wrong is seen where it happened, and not only read out."""

import json
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect
from playwright.async_api import TimeoutError as NotInTimeError

from tests.browser.conftest import OpenPage
from tests.conftest import PASSWORD, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SAID = {"refused": "Come back later, please.", "broken": "cannot be reached"}
SEEN = """([text, isAnywhere]) => {
    const isSeen = (element) => {
        const box = element.getBoundingClientRect();
        return box.width > 40 && box.height > 10 && (isAnywhere || (box.bottom > 0 && box.top < innerHeight))
            && element.checkVisibility({ visibilityProperty: true, opacityProperty: true })
            && !element.closest(".visually-hidden");
    };
    const places = document.querySelectorAll("[role=alert], [role=status], .error");
    return [...places].some((element) => element.textContent.includes(text) && isSeen(element));
}"""
"""Whether a text is seen in the window (or anywhere on the page), where a screen reader reads out what is new."""


class Action(NamedTuple):
    """Something that people do, and the call that fails then: its method, and the end of its path."""

    method: str
    path: str
    do: Callable[[Page], Awaitable[object]]
    says: str | None = None
    """What is said whatever went wrong; else what the service said."""


def click(name: str, *, inside: str = "main, header, dialog[open]") -> Callable[[Page], Awaitable[object]]:
    return lambda page: page.locator(inside).get_by_role("button", name=name).first.click()


def choose(label: str, value: str) -> Callable[[Page], Awaitable[object]]:
    async def do(page: Page) -> None:
        select = page.get_by_label(label, exact=True)
        await select.scroll_into_view_if_needed()
        await select.select_option(value)

    return do


def fill(label: str, value: str) -> Callable[[Page], Awaitable[object]]:
    return lambda page: page.get_by_label(label, exact=True).fill(value)


def then(*steps: Callable[[Page], Awaitable[object]]) -> Callable[[Page], Awaitable[object]]:
    async def do(page: Page) -> None:
        for step in steps:
            await step(page)

    return do


async def reload(page: Page) -> None:
    await page.reload()


async def send_file(page: Page) -> None:
    await page.get_by_label("File", exact=True).set_input_files(
        {"name": "small.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,x\n2,y\n"}
    )
    await page.get_by_role("button", name="Send it and look").click()


ACCOUNT = [
    Action("POST", "/logout", click("Sign out"), "the service did not hear of it"),
    Action("GET", "/profile", reload),
    Action("GET", "/api-key", click("Show the key")),
    Action("GET", "/sessions", reload),
    Action("GET", "/audit", reload),
    Action("POST", "/api-key", then(click("Make a new one"), click("Make a new key"))),
    Action("DELETE", "/sessions/*", click("End the session")),
    Action("DELETE", "/sessions", click("Sign out everywhere")),
    Action("GET", "/export", click("Download my data")),
    Action(
        "POST",
        "/delete",
        then(
            click("Delete my account …"),
            fill("Your password, to be sure", PASSWORD),
            click("Delete my account", inside="dialog[open]"),
        ),
    ),
]
PROFILE = [
    Action("GET", "/profile", reload),
    Action("POST", "/profile", then(fill("Last name", "Byron"), click("Save"))),
]
UPLOADS = [
    Action("GET", "/uploads", reload),
    Action("GET", "/uploads", click("Show older ones")),
    Action(
        "DELETE", "/uploads/*", then(click("Cancel many"), click("Cancel the upload", inside="dialog[open]"))
    ),
    Action("GET", "/uploads/*", lambda page: page.wait_for_timeout(0), "What stands here may be old"),
    Action("POST", "/uploads/*/retry", click("Publish it once more")),
]
PREVIEW = [
    Action("GET", "/uploads/{id}", reload),
    Action("GET", "/uploads/{id}/events", reload, "We go on as soon as it is back"),
    Action("GET", "/uploads/{id}/preview", reload),
    Action("GET", "/uploads/{id}/preview", click("Columns after")),
    Action("GET", "/uploads/{id}/preview", fill("Find a column", "c1")),
    Action("PATCH", "/uploads/{id}", choose("Type of c1", "string")),
    Action("PATCH", "/uploads/{id}", choose("Role of c1", "target")),
    Action("PATCH", "/uploads/{id}", click("Target: c0")),
    Action("PATCH", "/uploads/{id}", click("Save for later")),
    Action("POST", "/uploads/{id}/publish", then(fill("Description", "Many."), click("Publish"))),
    Action(
        "DELETE",
        "/uploads/{id}",
        then(click("Cancel the upload"), click("Cancel the upload", inside="dialog[open]")),
    ),
]
PERSON = then(
    fill("First name", "Ada"),
    fill("Last name", "L"),
    fill("E-mail address", "a@example.org"),
    fill("Password", PASSWORD),
)
NEW_HERE = {
    "/auth/sign-in": Action(
        "POST",
        "/token",
        then(fill("E-mail address or user name", "a"), fill("Password", "b"), click("Sign in")),
    ),
    "/auth/sign-up": Action("POST", "/signup", then(PERSON, click("Sign up"))),
    "/auth/confirmation-token": Action(
        "POST",
        "/send-confirmation-token",
        then(fill("E-mail address", "a@example.org"), click("Send the mail")),
    ),
    "/auth/reset-password": Action(
        "POST", "/forgotpassword", then(fill("E-mail address", "a@example.org"), click("Send the mail"))
    ),
    "/auth/reset-page/?token=0": Action(
        "POST", "/*", then(fill("New password", PASSWORD), click("Change the password"))
    ),
}
SENDING = [
    Action("POST", "/uploads", send_file),
    Action("PATCH", "/uploads/*", send_file, "The line is broken"),
]


class Made(NamedTuple):
    """Somebody with uploads of each kind: the token, and the ids."""

    token: str
    ready: str


@pytest_asyncio.fixture(loop_scope="session")
async def made(http: httpx.AsyncClient, ada: str) -> Made:
    answers = [await http.post("/token", data={"username": ada, "password": PASSWORD}) for _ in range(2)]
    token = answers[1].json()["access_token"]
    http.headers["Authorization"] = f"Bearer {token}"
    for _ in range(26):
        begun = await http.post("/uploads", json={"file_name": "old.csv", "size": 9})
        await http.delete(f"/uploads/{begun.json()['id']}")
    table = b"a,b\n1,x\n2,y\n"
    described = {"dataset_name": "twice", "description": "Small.", "def_tar_att": "b"}
    for _ in range(2):
        await send(http, "twice.csv", table, described, publish=True)
    columns = [f"c{number}" for number in range(60)]
    wide = "\n".join([",".join(columns), *(",".join(map(str, range(row, row + 60))) for row in range(9))])
    ready = await send(http, "many.csv", wide.encode(), {"dataset_name": "many", "def_tar_att": "c0"})
    del http.headers["Authorization"]
    return Made(token, ready)


async def send(
    http: httpx.AsyncClient, name: str, content: bytes, metadata: dict[str, str], *, publish: bool = False
) -> str:
    body = {"file_name": name, "size": len(content), "metadata": metadata, "publish": publish}
    upload = (await http.post("/uploads", json=body)).json()["id"]
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": "0",
        "Content-Type": "application/offset+octet-stream",
    }
    assert (await http.patch(f"/uploads/{upload}", content=content, headers=headers)).status_code == 204

    async def is_there() -> bool:
        state = (await http.get(f"/uploads/{upload}")).json()["state"]
        return state in {"ready", "active", "duplicate"}

    await eventually(is_there)
    return str(upload)


@pytest.mark.long
@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize(
    ("path", "actions"),
    [
        ("/auth/profile-page", ACCOUNT),
        ("/auth/edit-profile", PROFILE),
        ("/auth/my-uploads", UPLOADS),
        ("/dashboard/data-upload?uuid={id}", PREVIEW),
        ("/auth/upload-dataset", SENDING),
    ],
)
async def test_call_when_it_fails_then_everybody_sees_so_where_it_happened(
    open_page: OpenPage, made: Made, path: str, actions: list[Action], kind: str
) -> None:
    page = await open_page("/")
    for action in actions:
        await page.goto("/")
        await page.evaluate("token => sessionStorage.setItem('openml-access-token', token)", made.token)
        await fail_once(page, path.format(id=made.ready), action, kind, id=made.ready)


@pytest.mark.long
@pytest.mark.parametrize("kind", SAID)
async def test_call_when_it_fails_before_anybody_signed_in_then_it_is_seen_as_well(
    open_page: OpenPage, kind: str
) -> None:
    page = await open_page("/")
    for path, action in NEW_HERE.items():
        await fail_once(page, path, action, kind)


async def fail_once(page: Page, path: str, action: Action, kind: str, **names: str) -> None:
    """Open the page, do something while the service fails so, and wait until that is seen."""
    await page.set_viewport_size({"width": 1100, "height": 500})
    if path.startswith("/auth/reset-page"):
        # Else the link is found dead before anything can be done.
        await page.route("**/forgot-token", lambda route: route.abort())
    await page.goto(path)
    await expect(page.locator("#loading:visible, form button:disabled:visible")).to_have_count(0)

    async def fail(route: Route) -> None:
        if route.request.method != action.method:
            await route.fallback()
        elif kind == "broken":
            await route.abort()
        else:
            problem = {"type": "about:blank", "status": 503, "detail": SAID[kind]}
            await route.fulfill(status=503, body=json.dumps(problem), content_type="application/problem+json")

    end = action.path.format(**names)
    await page.route(f"**{end}{'?*' if 'preview' in end else ''}", fail)
    if action.method == "GET" and end == "/uploads":
        await page.route("**/uploads?*", fail)
    await action.do(page)
    try:
        seen = [action.says or SAID[kind], action.do is reload]
        await page.wait_for_function(SEEN, arg=seen, timeout=20_000)
    except NotInTimeError:
        raise AssertionError(f"{path}: {action.method} {action.path} failed, and nobody saw it") from None
    await page.unroute_all(behavior="ignoreErrors")
