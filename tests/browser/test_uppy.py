"""Uppy on a page of another origin: preflights, and what pages may read of answers, are for the browser to judge."""

import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Request

from tests.conftest import eventually
from tests.service import Site
from tests.service import serving_site as serving_uploads

CSV = "c0,c1\n" + "".join(f"{number},{number % 3}\n" for number in range(20_000))
PAGE = '<!doctype html><title>Elsewhere</title><link rel="icon" href="data:,"><script src="uppy.js"></script>'

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as its base names it
        """Say nothing."""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, tus_js: Path) -> Iterator[str]:
    """An origin with a page that has Uppy, bundled as sites do it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "index.html").write_text(PAGE)
    bundled = [*("--bundle", "--format=iife", "--global-name=uploads"), f"--outfile={folder / 'uppy.js'}"]
    esbuild = tus_js / "node_modules" / ".bin" / "esbuild"
    subprocess.run([str(esbuild), "uppy.mjs", "--log-level=error", *bundled], cwd=tus_js, check=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            shutil.rmtree(folder)


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, sandbox_url: str, elsewhere: str
) -> Iterator[Site]:
    """The service, which lets that origin in."""
    folder = tmp_path_factory.mktemp("uploads")
    with serving_uploads(folder, migrated_sqlite, sandbox_url, CORS_ORIGINS=elsewhere) as found:
        yield found


MODES: list[dict[str, Any]] = [
    {"chunkSize": 50_000},
    {"parallelUploads": 3},
    {"uploadDataDuringCreation": True},
]


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [{}, *(pytest.param(each, marks=pytest.mark.long) for each in MODES)],
    ids=str,
)
async def test_uppy_when_its_page_is_elsewhere_then_published_once_with_an_id_for_each_request(
    browser: Browser, service: Site, elsewhere: str, *, options: dict[str, Any]
) -> None:
    name = f"levels-{secrets.token_hex(4)}"
    context = await browser.new_context()
    seen: list[Request] = []
    try:
        page = await context.new_page()
        page.on("request", lambda request: seen.append(request))  # noqa: PLW0108 - it hangs a mark on it
        await page.goto(f"{elsewhere}/index.html")
        arguments = [f"{service.url}/uploads", service.api_key, name, CSV, options]
        done = await page.evaluate("arguments => uploads.send(...arguments)", arguments)
    finally:
        await context.close()

    assert done["errors"] == []
    [url] = done["urls"]
    assert url.startswith(f"{service.url}/uploads/")
    ours = [
        request for request in seen if request.url.startswith(service.url) and request.method != "OPTIONS"
    ]
    assert ours
    assert all("x-request-id" in request.headers for request in ours)
    async with httpx.AsyncClient(headers=service.headers, timeout=30) as client:

        async def active() -> dict[str, Any] | None:
            found: dict[str, Any] = (await client.get(url)).json()
            assert found["state"] != "failed", found["error"]
            return found if found["state"] == "active" else None

        upload = await eventually(active, seconds=60)
        listed = (await client.get(f"{service.url}/uploads")).json()["uploads"]
    assert (upload["dataset_name"], upload["size"]) == (name, len(CSV))
    assert [found["id"] for found in listed if found["dataset_name"] == name] == [upload["id"]]
