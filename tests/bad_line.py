"""A table that is published over a line that is cut again and again: whatever sends it, OpenML has it once, whole.

`make uploads-1g` makes it a gigabyte.
"""

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from app.tabular.convert import convert
from app.tabular.types import ConversionRequest
from tests.conftest import eventually
from tests.forwarder import Forwarder
from tests.service import Site

SIZE = int(os.environ.get("UPLOADS_BYTES", "6_000_000"))
CUT_AFTER = int(os.environ.get("UPLOADS_CUT_AFTER", "524_288"))
PATIENCE_SECONDS = 60 + SIZE / 1_000_000

Send = Callable[[str, Path, str, str], Awaitable[None]]
"""Publishes a file: the server's root, the file, the dataset's name, the API key."""


async def publish_over_a_bad_line(
    site: Site, tmp_path: Path, send: Send, *, size: int = SIZE, cut_after: int = CUT_AFTER
) -> None:
    """Have a table of `size` bytes published over a line that breaks every `cut_after` bytes, and look what came."""
    file, name = write_csv(tmp_path / "levels.csv", size), f"levels-{secrets.token_hex(4)}"
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

    async with Forwarder("127.0.0.1", site.port, cut_after=cut_after) as line:
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
    assert line.cuts >= size // cut_after - 1
    print(  # noqa: T201 - the figures of `make uploads-1g`
        f"\n{send.__qualname__.partition('.')[0]}: {size} bytes, {line.cuts} cuts, {line.lost_answers} lost answers, "
        f"sent after {sent:.1f} s, active after {active:.1f} s, MD5 {expected.arff_md5} as converted here"
    )


async def active_upload(client: httpx.AsyncClient, name: str) -> dict[str, Any] | None:
    """The one upload whose bytes all came; a client whose creation was not answered may have begun another."""
    found: list[dict[str, Any]] = (await client.get("/uploads")).json()["uploads"]
    [upload] = [upload for upload in found if upload["dataset_name"] == name and upload["received_bytes"]]
    assert upload["state"] != "failed", upload["error"]
    return upload if upload["state"] == "active" else None


def write_csv(path: Path, size: int) -> Path:
    """Write a wide table of `size` bytes or a little more: numbers, texts, missing values."""
    columns = 60
    text = "the river at its gauge, " * 4
    row = ",".join(
        f"{number}.{number:02d}" if number % 3 == 1 else f'"{text}"' for number in range(columns - 1)
    )
    lines = "".join(f"{number},{row}\n" for number in range(199)) + "," * (columns - 1) + "\n"
    with path.open("w") as file:
        file.write(",".join(f"c{number}" for number in range(columns)) + "\n")
        while file.tell() < size:
            file.write(lines)
    return path


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
