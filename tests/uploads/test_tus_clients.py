"""Clients of tus that others wrote, each with what it does differently: parts at once, checksums, Java."""

import asyncio
import json
import re
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
from tusclient.client import TusClient

from tests.bad_line import digest_of, write_csv
from tests.conftest import IN_CI, eventually
from tests.service import Site, serving_site
from tests.uploads.clients import run

SIZE = 400_000
DOCS = Path(__file__).parents[2] / "docs" / "resumable.md"
JAVA = Path(__file__).parent / "tus_java" / "Tus.java"
PATIENCE_SECONDS = 60

pytestmark = pytest.mark.timeout(180)


class Elsewhere(SimpleHTTPRequestHandler):
    """A server of pages at another origin."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as its base names it
        """Say nothing."""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Another origin, and the folder that it serves."""
    folder = tmp_path_factory.mktemp("elsewhere")
    handler = partial(Elsewhere, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", folder
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    migrated_sqlite: Path,
    sandbox_url: str,
    elsewhere: tuple[str, Path],
) -> Iterator[Site]:
    folder, origin = tmp_path_factory.mktemp("tus"), elsewhere[0]
    with serving_site(folder, migrated_sqlite, sandbox_url, CORS_ORIGINS=origin) as found:
        yield found


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("table") / "levels.csv", SIZE)


@pytest.fixture
def name() -> str:
    return f"levels-{secrets.token_hex(4)}"


async def published(site: Site, name: str, table: Path) -> dict[str, Any]:
    """The one upload of that name, once it is active and has been compared with the table."""
    async with httpx.AsyncClient(base_url=site.url, headers=site.headers, timeout=30) as client:

        async def active() -> dict[str, Any] | None:
            answer = await client.get("/uploads", params={"limit": 100})
            [found] = [upload for upload in answer.json()["uploads"] if upload["dataset_name"] == name]
            assert found["state"] != "failed", found["error"]
            return dict(found) if found["state"] == "active" else None

        upload = await eventually(active, seconds=PATIENCE_SECONDS)
    assert upload["sha256"] == digest_of(table)
    return upload


async def tus_js_client(
    folder: Path, site: Site, table: Path, name: str, **options: Any
) -> list[dict[str, Any]]:
    arguments = [str(folder / "upload.mjs"), f"{site.url}/uploads", str(table), name, json.dumps(options)]
    printed = await run("node", *arguments, api_key=site.api_key)
    return [json.loads(line) for line in printed.splitlines()]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"parallelUploads": 4}, marks=pytest.mark.long),
        {"parallelUploads": 3, "chunkSize": 50_000, "metadataForPartialUploads": {"filename": "part"}},
        pytest.param({"uploadDataDuringCreation": True}, marks=pytest.mark.long),
        pytest.param({"uploadDataDuringCreation": True, "chunkSize": 100_000}, marks=pytest.mark.long),
        pytest.param({"uploadDataDuringCreation": True, "parallelUploads": 2}, marks=pytest.mark.long),
        {"uploadLengthDeferred": True, "chunkSize": 150_000},
        pytest.param({"overridePatchMethod": True, "addRequestId": True}, marks=pytest.mark.long),
    ],
    ids=str,
)
async def test_tus_js_client_when_it_sends_in_its_ways_then_published_once(
    site: Site, tus_js: Path, table: Path, name: str, *, options: dict[str, Any]
) -> None:
    [done] = await tus_js_client(tus_js, site, table, name, **options)

    upload = await published(site, name, table)
    assert done["url"] == f"{site.url}/uploads/{upload['id']}"


@pytest.mark.parametrize("parts", [1, pytest.param(2, marks=pytest.mark.long)])
async def test_tus_js_client_when_another_process_resumes_then_only_the_rest_is_sent(
    site: Site, tus_js: Path, table: Path, name: str, tmp_path: Path, *, parts: int
) -> None:
    options = {"chunkSize": 60_000, "parallelUploads": parts, "urls": str(tmp_path / "urls.json")}
    begun = await tus_js_client(tus_js, site, table, name, abortAfter=60_000, **options)
    assert "url" not in begun[-1]

    resumed, done = await tus_js_client(tus_js, site, table, name, removeFingerprintOnSuccess=True, **options)

    assert len(resumed["resumed"]) == parts or isinstance(resumed["resumed"], str)
    upload = await published(site, name, table)
    assert done["url"] == f"{site.url}/uploads/{upload['id']}"
    assert json.loads((tmp_path / "urls.json").read_text()) == {}, "nothing is left to resume by mistake"


async def test_tuspy_when_it_sends_its_own_checksums_then_published_once(
    site: Site, table: Path, name: str
) -> None:
    client = TusClient(f"{site.url}/uploads", headers=site.headers)
    metadata = {
        "filename": table.name,
        "dataset_name": name,
        "description": "Levels.",
        "def_tar_att": "c1",
        "publish": "true",
    }
    with table.open("rb") as stream:
        uploader = client.uploader(
            file_stream=stream, metadata=metadata, chunk_size=90_000, upload_checksum=True
        )
        await asyncio.to_thread(uploader.upload)

    await published(site, name, table)


@pytest.mark.long
@pytest.mark.parametrize("client", ["url", "http"])
async def test_java_when_it_sends_chunks_and_an_empty_one_at_the_end_then_published_once(
    site: Site, table: Path, name: str, tmp_path: Path, *, client: str
) -> None:
    if shutil.which("javac") is None:
        (pytest.fail if IN_CI else pytest.skip)("needs a JDK")
    compiled = await asyncio.to_thread(
        subprocess.run, ["javac", "-d", str(tmp_path), str(JAVA)], capture_output=True, text=True, check=False
    )
    assert compiled.returncode == 0, compiled.stderr
    arguments = [client, f"{site.url}/uploads", str(table), name, "150000"]
    url = await run("java", "-cp", str(tmp_path), "Tus", *arguments, api_key=site.api_key)

    upload = await published(site, name, table)
    assert url.strip() == f"{site.url}/uploads/{upload['id']}"


async def test_events_when_followed_as_the_docs_say_then_every_change_until_the_end(
    site: Site, tus_js: Path, table: Path, name: str, tmp_path: Path
) -> None:
    [code] = re.findall(r"```js\n(/\*\*.*?)```", DOCS.read_text(), re.DOTALL)
    program = (
        f"{code}\nconst [url, key] = process.argv.slice(2)\n"
        "await follow(url, { 'X-API-Key': key }, (upload) => console.log(upload.state))\n"
    )
    script = tmp_path / "follow.mjs"
    script.write_text(program)
    [done] = await tus_js_client(tus_js, site, table, name)

    printed = await run("node", str(script), done["url"], site.api_key, api_key=site.api_key)

    states = printed.split()
    assert states[-1] == "active"
    assert (await run("node", str(script), done["url"], site.api_key, api_key=site.api_key)).split()[
        -1
    ] == "active"
    await published(site, name, table)
