"""Debian's Chromium on the service as an operator starts it. Whatever a page fetches from elsewhere fails the test."""

import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import Browser, ConsoleMessage, Page, Request, Response, async_playwright, expect

from app.core.limits import LIMITS
from tests.conftest import (
    IN_CI,
    LONG,
    NO_CERTIFICATES,
    PASSWORD,
    PATIENCE_SECONDS,
    eventually,
    find_free_port,
    wait_until_up,
)
from tests.oidc.real_provider import real_provider as real_provider  # noqa: PLC0414 - a fixture

ARTIFACTS = Path(__file__).parents[2] / "artifacts" / "pages"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MILLISECONDS = PATIENCE_SECONDS * 1000
MOST_BYTES = 130_000
"""Of a page with its files, before they are packed."""
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        reason = "Chromium is not installed (Debian: apt-get install chromium), or set CHROMIUM to its path"
        if IN_CI:
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


@contextmanager
def serving_site(folder: Path, database: Path, **settings: str) -> Iterator[str]:
    """Start the service on a copy of a migrated database; yield its address. Its mails stay in the folder."""
    shutil.copy(database, folder / "openml.db")
    port = str(find_free_port())
    environment = {**os.environ, "DATA_DIR": str(folder), "PORT": port, **settings}
    command = [sys.executable, "-m", "app.cli", "serve"]
    with subprocess.Popen(command, env=environment) as process:
        url = f"http://127.0.0.1:{port}"
        wait_until_up(f"{url}/health/live", process)
        try:
            yield url
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service keeps everything."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="session")
def site(site_folder: Path, migrated_sqlite: Path, sandbox_url: str, real_provider: str) -> Iterator[str]:
    """The address of a service as people start it for development, with a provider to sign in with."""
    campus = {"name": "Campus", "issuer": real_provider, "client_id": "openml", "client_secret": "any"}
    settings = {
        "OPENML_SERVER": sandbox_url,
        # Everybody whom the tests sign up comes from one address.
        "RATE_LIMITS": ",".join(f"{name}=1000000/hour" for name in LIMITS),
        "SIGN_IN_PROVIDERS": json.dumps({"campus": campus}),
    }
    with serving_site(site_folder, migrated_sqlite, **settings) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def http(site: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=site, timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def ada(http: httpx.AsyncClient) -> str:
    """The address of somebody who has signed up and confirmed it."""
    email = f"{secrets.token_hex(4)}@example.org"
    person = {"first_name": "Ada", "last_name": "Lovelace", "email": email, "password": PASSWORD}
    assert (await http.post("/signup", json=person)).json() == {"msg": "User created"}
    link = await eventually(lambda: find_link(http, email, "confirm-page"))
    assert (await http.post("/confirmation", json={"url": link})).status_code == 200
    return email


def in_database(folder: Path, statement: str, *values: object) -> None:
    """Change something in the database of a service that runs on SQLite."""
    with closing(sqlite3.connect(folder / "openml.db", timeout=PATIENCE_SECONDS)) as connection, connection:
        connection.execute(statement, values)


@pytest.fixture
def administrator(ada: str, site_folder: Path) -> str:
    """The address of somebody who has signed up, and whom OpenML has among its administrators."""
    into_group = "INSERT INTO users_groups (user_id, group_id) SELECT id, 1 FROM users WHERE email = ?"
    in_database(site_folder, into_group, ada)
    return ada


async def find_link(client: httpx.AsyncClient, email: str, kind: str) -> str | None:
    """The link in the latest mail to somebody, as the mailbox page shows it."""
    for letter in (await client.get("/dev/mailbox")).text.split("<article")[1:]:
        if email in letter and kind in letter:
            return letter.partition('<a href="')[2].partition('"')[0]
    return None


@dataclass
class Seen:
    """What a browser's pages have done that they must not, and the files they are made of."""

    site: str
    provider: str = ""
    """Another server that pages may lead to."""
    complaints: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    answers: list[str] = field(default_factory=list)
    """What was asked for and with which status it was answered, e.g. `POST /login 200`."""

    def on_console(self, message: ConsoleMessage) -> None:
        # The browser itself reports each refusal of the service, which pages show to people.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.complaints.append(f"console: {message.text}")

    def on_request(self, request: Request) -> None:
        led_away = bool(self.provider) and request.url.startswith(f"{self.provider}/")
        if not led_away and not request.url.startswith((f"{self.site}/", "blob:", "data:")):
            self.complaints.append(f"fetched from elsewhere: {request.url}")
        path = urlsplit(request.url).path
        if path.startswith("/assets/") or request.is_navigation_request():
            self.files.add(path)

    def on_response(self, response: Response) -> None:
        path = urlsplit(response.url).path
        self.answers.append(f"{response.request.method} {path} {response.status}")


OpenPage = Callable[..., Awaitable[Page]]


@pytest.fixture
def seen(site: str) -> Iterator[Seen]:
    found = Seen(site)
    yield found
    assert found.complaints == []


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser, site: str, seen: Seen) -> AsyncIterator[OpenPage]:
    """Open a page in a fresh profile: no cookie, no storage, no cache."""
    contexts = []

    async def open_one(path: str) -> Page:
        context = await browser.new_context(
            base_url=site,
            viewport={"width": 1100, "height": 800},
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        page = await context.new_page()
        page.on("console", seen.on_console)
        page.on("pageerror", lambda error: seen.complaints.append(f"script: {error}"))
        page.on("request", seen.on_request)
        page.on("response", seen.on_response)
        await page.goto(path)
        return page

    yield open_one
    for context in contexts:
        await context.close()


async def weight(page: Page, path: str, seen: Seen, http: httpx.AsyncClient) -> int:
    """Load a page, and return of how many bytes it and its files are, before they are packed."""
    seen.files.clear()
    await page.goto(path, wait_until="networkidle")
    return sum([len((await http.get(file)).content) for file in seen.files])


async def accessibility(page: Page, *rules: str) -> list[str]:
    """Return what axe-core finds wrong, by the rules of WCAG 2.2 AA and its own of good practice, or by some."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE_FILE_PATH.read_text())
    options = {"runOnly": rules or WCAG, "resultTypes": ["violations"]}
    found: dict[str, Any] = await page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{urlsplit(page.url).path} [{violation['impact']}] {violation['id']}: {node['html'][:120]} "
        f"{node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


async def picture(page: Page, name: str, *, full_page: bool = True) -> None:
    """Keep what the page looks like, where there is time for it."""
    if not LONG:
        return
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=full_page)
