"""Clients as their makers publish them, and our own command, over a line that is cut again and again.

`make uploads-1g` sends a gigabyte with each of them.
"""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tusclient.client import TusClient

from tests.bad_line import CUT_AFTER, SIZE, publish_over_a_bad_line
from tests.service import Site, serving_site
from tests.uploads.clients import run

pytestmark = pytest.mark.timeout(120 + SIZE / 1_000_000)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, sandbox_url: str) -> Iterator[Site]:
    with serving_site(tmp_path_factory.mktemp("clients"), migrated_sqlite, sandbox_url) as found:
        yield found


@pytest.mark.long
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


@pytest.mark.long
async def test_tus_js_client_when_the_line_is_cut_again_and_again_then_published_once(
    site: Site, tmp_path: Path, tus_js: Path
) -> None:
    async def send(server: str, file: Path, name: str, api_key: str) -> None:
        await run("node", str(tus_js / "upload.mjs"), f"{server}/uploads", str(file), name, api_key=api_key)

    await publish_over_a_bad_line(site, tmp_path, send)


@pytest.mark.long
async def test_command_when_the_line_is_cut_again_and_again_then_published_once(
    site: Site, tmp_path: Path
) -> None:
    async def send(server: str, file: Path, name: str, api_key: str) -> None:
        command = [sys.executable, "-m", "app.cli", "upload", str(file), "--name", name]
        await run(*command, "--description", "Levels.", "--target", "c1", "--server", server, api_key=api_key)

    await publish_over_a_bad_line(site, tmp_path, send)
