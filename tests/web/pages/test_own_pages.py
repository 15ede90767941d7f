"""What our own pages promise before any script runs; tests/browser shows the rest in Chromium."""

import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request

from app import __version__
from app.core.licences import find_licences
from app.core.settings import Settings
from app.web.mailbox import is_open
from tests.conftest import Running, eventually

PREVIEW = "/dashboard/data-upload"
PAGES = [
    "/auth/sign-up",
    "/auth/sign-in",
    "/auth/confirmation-token",
    "/auth/reset-password",
    "/auth/reset-page",
    "/auth/profile-page",
    "/auth/edit-profile",
    "/auth/security",
    "/auth/undo",
    "/auth/upload-dataset",
    "/auth/my-uploads",
    PREVIEW,
]


@pytest.fixture
def settings(tmp_path: Path, migrated_sqlite: Path, sandbox_url: str) -> Settings:
    """One kind of database: these pages never ask it anything."""
    shutil.copy(migrated_sqlite, tmp_path / "openml.db")
    return Settings(_env_file=None, data_dir=tmp_path, openml_server=sandbox_url)


class Inline(HTMLParser):
    """What a page says inside itself that a strict policy would refuse, and its buttons that send a form."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.active_writers: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in given):
            self.found.append(tag)
        self.found += [name for name in given if name == "style" or name.startswith("on")]
        if tag == "button" and given.get("type") != "button":
            self.active_writers.append("disabled" in given)
        if tag == "form" and given.get("method") != "post":
            self.found.append("a form whose values would go into the address")


async def test_pages_when_fetched_then_nothing_inline_and_no_form_works_without_its_script(
    app: Running,
) -> None:
    for path in PAGES:
        page = await app.client.get(path)
        assert page.status_code == 200, path
        assert (await app.client.get(f"{path}/")).text == page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        framed_by = "'self'" if path == PREVIEW else "'none'"
        assert policy.endswith(f"; frame-ancestors {framed_by}")
        assert page.headers["cache-control"] == "no-store"
        inline = Inline()
        inline.feed(page.text)
        assert inline.found == [], path
        assert all(inline.active_writers), f"{path}: a click would send the form before its script is there"
        assert bool(inline.active_writers) == ("<form" in page.text)
        assert "<noscript><p" in page.text


async def test_scripts_when_fetched_again_then_checked_anew_and_not_sent_twice(app: Running) -> None:
    first = await app.client.get("/assets/js/page.js")
    again = await app.client.get("/assets/js/page.js", headers={"If-None-Match": first.headers["etag"]})

    assert first.headers["content-type"].startswith("text/javascript")
    assert (first.headers["cache-control"], again.status_code) == ("no-cache", 304)


def test_script_when_it_imports_then_the_file_is_there_and_no_markup_is_made_of_text() -> None:
    scripts = sorted((Path(__file__).parents[3] / "app/web/static/js").glob("*.js"))
    assert len(scripts) > 10
    for script in scripts:
        text = script.read_text()
        for name in re.findall(r'from "(.+?)"', text):
            assert (script.parent / name).is_file(), f"{script.name}: {name}"
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text)


async def test_upload_page_when_it_offers_kinds_of_files_then_those_that_are_taken(app: Running) -> None:
    page = (await app.client.get("/auth/upload-dataset")).text
    limits = (await app.client.get("/limits")).json()
    assert all(f".{suffix}" in page for suffix in ("csv", "parquet", "jsonl.gz"))
    assert f'accept="{",".join(limits["suffixes"])}"' in page


async def test_licences_when_opened_then_what_the_command_lists_and_each_page_leads_there(
    app: Running,
) -> None:
    page = await app.client.get("/software-licences")
    assert page.headers["content-security-policy"].endswith("frame-ancestors 'none'")
    rows = re.findall(r'<tr><th scope="row">(.+)</th><td>(.+)</td><td>(.+)</td></tr>', page.text)
    listed = [(each.name, each.version, each.summary) for each in find_licences()]
    assert [tuple(map(unescape, row)) for row in rows] == listed
    assert ("openml-web", __version__, "BSD-3-Clause") in listed
    assert 'href="/software-licences"' in (await app.client.get("/auth/sign-in")).text


# --- the mailbox

LOCAL: dict[str, Any] = {"host": "127.0.0.1:5000", "client": "127.0.0.1"}


def asking(*, client: str, host: str, headers: Any = ()) -> Request:
    """A request as it arrives."""
    return Request(
        {"type": "http", "headers": [(b"host", host.encode()), *headers], "client": (client, 40000)}
    )


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost", "LOCALHOST:80", "[::1]:5000"])
async def test_mailbox_when_asked_by_somebody_at_the_machine_then_open(tmp_path: Path, host: str) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)
    for client in ("127.0.0.1", "::1"):
        assert await is_open(asking(client=client, host=host), settings)


@pytest.mark.parametrize(
    ("request_changes", "settings"),
    [
        ({}, {"smtp_server": "mail.example.org"}),
        ({}, {"host": "0.0.0.0"}),
        ({}, {"host": "::"}),
        ({}, {"public_url": "https://dev.example.org"}),
        ({}, {"email_server": "dev.example.org"}),
        ({"client": "192.0.2.7"}, {}),
        ({"host": "evil.example"}, {}),
        ({"host": "evil.example:5000"}, {}),
        ({"host": "localhost.evil.example"}, {}),
        ({"host": "127.0.0.1.evil.example"}, {}),
        ({"host": "[half"}, {}),
        ({"host": ""}, {}),
        ({"headers": [(b"x-forwarded-for", b"192.0.2.7")]}, {}),
        ({"headers": [(b"forwarded", b"for=192.0.2.7")]}, {}),
        ({"headers": [(b"via", b"1.1 proxy")]}, {}),
    ],
)
async def test_mailbox_when_anybody_else_might_look_then_shut(
    tmp_path: Path, request_changes: dict[str, Any], settings: dict[str, Any]
) -> None:
    request = asking(**{**LOCAL, **request_changes})
    assert not await is_open(request, Settings(_env_file=None, data_dir=tmp_path, **settings))


async def test_mailbox_when_in_production_then_shut(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None,
        data_dir=tmp_path,
        environment="production",
        app_secret_key="a secret of thirty-two bytes or more",
        openml_server="https://www.openml.org/",
        smtp_server="mail.example.org",
        email_sender="noreply@example.org",
        public_url="http://127.0.0.1:5000",
        allow_plain_http=True,
    )
    # What production would not start with is put back here, so that this one word decides.
    without_mail = settings.model_copy(update={"smtp_server": ""})
    assert not await is_open(asking(**LOCAL), without_mail)
    assert await is_open(asking(**LOCAL), without_mail.model_copy(update={"environment": "development"}))


async def test_mailbox_when_open_then_it_links_our_own_addresses_only_and_escapes_the_rest(
    app: Running,
) -> None:
    text = "Look: http://127.0.0.1:5000/x and http://evil.example/ <script>alert(1)</script>"
    await app.client.post("/feedback", json={"email": "", "feedback": text})
    here = httpx.URL("http://127.0.0.1:5000/dev/mailbox")

    async def page() -> str | None:
        found = await app.client.get(here)
        return found.text if "OpenML website feedback" in found.text else None

    shown = await eventually(page)
    assert '<a href="http://127.0.0.1:5000/x">' in shown
    assert 'href="http://evil.example' not in shown
    assert "<script>alert" not in shown
    assert "/dev/mailbox" in (await app.client.get(here.join("/"))).text
    assert (await app.client.get("/dev/mailbox")).status_code == 404, "under another name it is not there"
    assert "/dev/mailbox" not in (await app.client.get("/")).text
