"""Clients as their makers publish them, and our own command, over a line that is cut again and again.

`make uploads-1g` sends a gigabyte with each of them.
"""

import asyncio
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tusclient.client import TusClient

from app.tabular.convert import convert
from app.tabular.types import ConversionRequest
from tests.conftest import IN_CI, eventually
from tests.forwarder import Forwarder
from tests.service import Site, serving_site

SIZE = int(os.environ.get("UPLOADS_BYTES", "6_000_000"))
CUT_AFTER = int(os.environ.get("UPLOADS_CUT_AFTER", "524_288"))
PATIENCE_SECONDS = 60 + SIZE / 1_000_000
TUS_JS = Path(__file__).parent / "tus_js"
ARTIFACTS = Path(__file__).parents[2] / "artifacts"

Send = Callable[[str, Path, str, str], Awaitable[None]]
"""Publishes a file: the server's root, the file, the dataset's name, the API key."""

pytestmark = pytest.mark.timeout(120 + SIZE / 1_000_000)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, sandbox_url: str) -> Iterator[Site]:
    with serving_site(tmp_path_factory.mktemp("clients"), migrated_sqlite, sandbox_url) as found:
        yield found


@pytest.fixture(scope="session")
def tus_js() -> Path:
    """The script that drives tus-js-client, in a folder where that is installed as it is locked."""
    if shutil.which("npm") is None:
        (pytest.fail if IN_CI else pytest.skip)("tus-js-client needs node and npm")
    lock = hashlib.sha256((TUS_JS / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = ARTIFACTS / f"tus-js-{lock}"
    if not folder.exists():
        draft = ARTIFACTS / f"tus-js-{secrets.token_hex(4)}"
        draft.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(TUS_JS / name, draft)
        arguments = ["--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            ["npm", "ci", *arguments], cwd=draft, capture_output=True, text=True, check=False
        )
        if done.returncode:
            (pytest.fail if IN_CI else pytest.skip)(f"tus-js-client cannot be installed: {done.stderr}")
        draft.rename(folder)
    shutil.copy(TUS_JS / "upload.mjs", folder)
    return folder / "upload.mjs"


async def test_tuspy_when_the_line_is_cut_again_and_again_then_published_once(
    site: Site, tmp_path: Path
) -> None:
    async def send(server: str, file: Path, name: str, api_key: str) -> None:
        client = TusClient(f"{server}/uploads", headers={"X-API-Key": api_key})
        metadata = {
            "filename": file.name,
            "dataset_name": name,
            "description": "Levels.",
            "def_tar_att": "c1",
            "publish": "true",
        }
        with file.open("rb") as stream:
            uploader = client.uploader(
                file_stream=stream,
                metadata=metadata,
                chunk_size=4 * CUT_AFTER,
                # It counts them anew for each chunk only, and none ends before the file does.
                retries=20 + SIZE // CUT_AFTER,
                retry_delay=0.1,
            )
            await asyncio.to_thread(uploader.upload)

    await publish_over_a_bad_line(site, tmp_path, send)


async def test_tus_js_client_when_the_line_is_cut_again_and_again_then_published_once(
    site: Site, tmp_path: Path, tus_js: Path
) -> None:
    async def send(server: str, file: Path, name: str, api_key: str) -> None:
        await run("node", str(tus_js), f"{server}/uploads", str(file), name, api_key=api_key)

    await publish_over_a_bad_line(site, tmp_path, send)


async def test_command_when_the_line_is_cut_again_and_again_then_published_once(
    site: Site, tmp_path: Path
) -> None:
    async def send(server: str, file: Path, name: str, api_key: str) -> None:
        command = [sys.executable, "-m", "app.cli", "upload", str(file), "--name", name]
        await run(*command, "--description", "Levels.", "--target", "c1", "--server", server, api_key=api_key)

    await publish_over_a_bad_line(site, tmp_path, send)


async def run(*command: str, api_key: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "OPENML_APIKEY": api_key},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()


async def publish_over_a_bad_line(site: Site, tmp_path: Path, send: Send) -> None:
    file, name = write_csv(tmp_path / "levels.csv"), f"levels-{secrets.token_hex(4)}"
    request = ConversionRequest(
        source=file,
        target=tmp_path / "levels.arff",
        format="csv",
        relation=name,
        target_attributes=("c1",),
    )
    expected = await asyncio.to_thread(convert, request)
    request.target.unlink()
    begun = time.monotonic()

    async with Forwarder("127.0.0.1", site.port, cut_after=CUT_AFTER) as line:
        await send(f"http://127.0.0.1:{line.port}", file, name, site.api_key)
    sent = time.monotonic() - begun
    async with httpx.AsyncClient(base_url=site.url, headers=site.headers, timeout=30) as client:
        published = await eventually(lambda: active_upload(client, name), seconds=PATIENCE_SECONDS)
    active = time.monotonic() - begun

    assert published["sha256"] == digest_of(file)
    async with httpx.AsyncClient(base_url=site.sandbox_url, timeout=30) as openml:
        listed = await openml.get(f"/api/v1/json/data/list/data_name/{name}/status/all")
        datasets = listed.json()["data"]["dataset"]
        described = await openml.get(f"/api/v1/json/data/{published['dataset_id']}")
    assert [int(dataset["did"]) for dataset in datasets] == [published["dataset_id"]]
    assert described.json()["data_set_description"]["md5_checksum"] == expected.arff_md5
    assert line.cuts >= SIZE // CUT_AFTER - 1
    print(  # noqa: T201 - the figures of `make uploads-1g`
        f"\n{send.__qualname__.partition('.')[0]}: {SIZE} bytes, {line.cuts} cuts, {line.lost_answers} lost answers, "
        f"sent after {sent:.1f} s, active after {active:.1f} s, MD5 {expected.arff_md5} as converted here"
    )


async def active_upload(client: httpx.AsyncClient, name: str) -> dict[str, Any] | None:
    """The one upload whose bytes all came; a client whose creation was not answered may have begun another."""
    found: list[dict[str, Any]] = (await client.get("/uploads")).json()["uploads"]
    [upload] = [upload for upload in found if upload["dataset_name"] == name and upload["received_bytes"]]
    assert upload["state"] != "failed", upload["error"]
    return upload if upload["state"] == "active" else None


def write_csv(path: Path) -> Path:
    """Write a wide table of `SIZE` bytes or a little more: numbers, texts, missing values."""
    columns = 60
    text = "the river at its gauge, " * 4
    row = ",".join(
        f"{number}.{number:02d}" if number % 3 == 1 else f'"{text}"' for number in range(columns - 1)
    )
    lines = "".join(f"{number},{row}\n" for number in range(199)) + "," * (columns - 1) + "\n"
    with path.open("w") as file:
        file.write(",".join(f"c{number}" for number in range(columns)) + "\n")
        while file.tell() < SIZE:
            file.write(lines)
    return path


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
