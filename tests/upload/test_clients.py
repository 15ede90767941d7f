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
from collections.abc import Iterator
from pathlib import Path

import pytest
from tusclient.client import TusClient

from tests.bad_line import CUT_AFTER, SIZE, publish_over_a_bad_line
from tests.conftest import IN_CI
from tests.service import Site, serving_site

TUS_JS = Path(__file__).parent / "tus_js"
ARTIFACTS = Path(__file__).parents[2] / "artifacts"

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
