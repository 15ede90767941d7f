"""What only a store on the network can do: be wrong, be away, stall, and be mended. The server is real."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
import obstore
import pytest
from pydantic import ValidationError

from app.core.settings import Settings, SettingsError
from app.resources import open_resources
from app.storage.parts import Part
from app.storage.problems import StorageFullError, StorageUnavailableError
from app.storage.s3 import PUTS_AT_ONCE, S3PartWriter, S3Storage, open_s3
from app.storage.s3_store import PAGE
from tests.conftest import Person, Running, eventually
from tests.forwarder import Forwarder
from tests.imaging import samples
from tests.s3_server import S3Server
from tests.small_disk import small_disk

MEBIBYTE = 1 << 20
A, B, C = (letter * 32 for letter in "abc")


@pytest.fixture
async def line(s3_server: S3Server) -> AsyncIterator[Forwarder]:
    """The line to the store, which can be cut and mended."""
    async with Forwarder("127.0.0.1", s3_server.port) as forwarder:
        yield forwarder


@pytest.fixture
def settings(
    tmp_path: Path, migrated_sqlite: Path, sandbox_url: str, s3: dict[str, str], line: Forwarder
) -> Settings:
    database = tmp_path / "openml.db"
    database.write_bytes(migrated_sqlite.read_bytes())
    place = {
        **s3,
        "aws_endpoint_url": f"http://127.0.0.1:{line.port}",
        "data_dir": str(tmp_path / "var"),
        "database_uri": f"sqlite:///{database}",
        "openml_server": sandbox_url,
    }
    return Settings(_env_file=None, **place)  # type: ignore[arg-type]  # read as from the environment


@pytest.fixture
async def storage(settings: Settings) -> S3Storage:
    return (await open_s3(settings))[0]


# --- the start


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"storage_url": "https://bucket.example.org"}, "Write s3://bucket"),
        ({"storage_url": "s3://no-such-bucket"}, "no such bucket"),
        ({"aws_secret_access_key": "another"}, "SignatureDoesNotMatch"),
        ({"aws_access_key_id": "unknown"}, "InvalidAccessKeyId"),
        ({"aws_access_key_id": "reader-key"}, "AccessDenied"),
        ({"aws_secret_access_key": ""}, "set both, or neither"),
        ({"aws_endpoint_url": "store.example.org"}, "write an address with its scheme"),
        ({"aws_endpoint_url": "http://127.0.0.1:1"}, "does not answer.*ConnectionRefused"),
        ({"storage_allow_http": "false"}, "STORAGE_ALLOW_HTTP"),
    ],
)
async def test_start_when_the_store_is_wrong_then_refused_with_what_to_change(
    settings: Settings, s3: dict[str, str], wrong: dict[str, str], text: str
) -> None:
    values = {**s3, **wrong, "data_dir": str(settings.data_dir)}
    values["database_uri"] = settings.database_uri.get_secret_value()
    with pytest.raises((SettingsError, ValidationError), match=text) as caught:
        async with open_resources(Settings(_env_file=None, **values)):  # type: ignore[arg-type]  # as above
            pass
    assert s3["aws_secret_access_key"] not in str(caught.value)


async def test_start_when_the_address_is_of_another_server_then_not_called_a_missing_bucket(
    settings: Settings, s3: dict[str, str], sandbox_url: str
) -> None:
    values = {**s3, "aws_endpoint_url": sandbox_url, "data_dir": str(settings.data_dir)}
    with pytest.raises(SettingsError, match=r"does not answer as a store does: .*40[45]"):
        await open_s3(Settings(_env_file=None, **values))  # type: ignore[arg-type]  # as above


async def test_start_when_the_address_says_where_the_bucket_stands_then_asked_for_there(
    settings: Settings, s3: dict[str, str]
) -> None:
    # In the host it would need a name server; in the path the store would look for tests/tests, were it added again.
    values = {**s3, "aws_endpoint_url": f"{s3['aws_endpoint_url']}/{{bucket}}"}
    plain = Settings(_env_file=None, data_dir=settings.data_dir, **s3)  # type: ignore[arg-type]  # as above
    there = Settings(_env_file=None, data_dir=settings.data_dir, **values)  # type: ignore[arg-type]  # as above

    storage, _ = await open_s3(there)
    async with storage.writer(A, 0) as writer:
        await writer.write(b"1,2")
        await writer.flush()

    assert await (await open_s3(plain))[0].upload_ids() == [A]


async def test_start_when_the_store_is_right_then_it_leaves_nothing_there(storage: S3Storage) -> None:
    assert await storage.upload_ids() == []
    assert await obstore.list(storage._store).collect_async() == []
    assert await storage.free_bytes() is None


# --- away, and back


async def test_flush_when_the_line_is_cut_in_its_middle_then_503_and_nothing_is_lost(
    storage: S3Storage, line: Forwarder
) -> None:
    content = os.urandom(40 * MEBIBYTE)
    async with storage.writer(A, 0) as writer:
        await writer.write(content)
        before = line.passed
        flush = asyncio.ensure_future(writer.flush())
        await line.has_passed(before + 6 * MEBIBYTE)
        await line.cut()
        with pytest.raises(StorageUnavailableError) as caught:
            await flush
        assert caught.value.status == 503
        assert caught.value.headers["Retry-After"]
        await line.mend()
        parts = await writer.flush()
    await storage.compose(A, parts, lambda _done: None)
    assert storage.path(A, "source").read_bytes() == content


async def test_compose_when_the_line_is_cut_then_503_and_the_next_time_it_works(
    storage: S3Storage, line: Forwarder
) -> None:
    content = os.urandom(30 * MEBIBYTE)
    async with storage.writer(A, 0) as writer:
        await writer.write(content)
        parts = await writer.flush()
    reached: list[int] = []
    before = line.passed
    composing = asyncio.ensure_future(storage.compose(A, parts, reached.append))
    await line.has_passed(before + 2 * MEBIBYTE)
    await line.cut()
    with pytest.raises(StorageUnavailableError):
        await composing
    assert list(storage.path(A, "source").parent.iterdir()) == []
    await line.mend()
    await storage.compose(A, parts, lambda _done: None)
    assert storage.path(A, "source").read_bytes() == content


@pytest.mark.long
async def test_writers_when_the_store_stalls_then_each_is_told_in_time_and_may_try_again(
    settings: Settings, s3_server: S3Server
) -> None:
    timings = settings.timings.but(storage_timeout_seconds=0.5)
    storage, _ = await open_s3(settings.model_copy(update={"timings": timings}))
    ids = [f"{number:032x}" for number in range(3 * PUTS_AT_ONCE)]
    async with AsyncExitStack() as stack, asyncio.timeout(120):
        writers = [await stack.enter_async_context(storage.writer(upload_id, 0)) for upload_id in ids]
        for upload_id, writer in zip(ids, writers, strict=True):
            await writer.write(upload_id.encode())
        s3_server.pause()
        try:
            told = await asyncio.gather(*(writer.flush() for writer in writers), return_exceptions=True)
        finally:
            s3_server.resume()
        assert {type(answer) for answer in told} == {StorageUnavailableError}
        parts = await asyncio.gather(*(_flush_at_last(writer) for writer in writers))
    for upload_id, stored in list(zip(ids, parts, strict=True))[:: PUTS_AT_ONCE - 1]:
        await storage.compose(upload_id, stored, lambda _done: None)
        assert storage.path(upload_id, "source").read_bytes() == upload_id.encode()


async def _flush_at_last(writer: S3PartWriter) -> Sequence[Part]:
    """Flush again until the store has taken it: half a second may be short on a busy machine."""
    while True:
        with suppress(StorageUnavailableError):
            return await writer.flush()


async def test_flush_when_cancelled_then_the_turn_is_free_again(
    storage: S3Storage, s3_server: S3Server
) -> None:
    async def has_turns(count: int) -> bool | None:
        return storage._turns._value == count or None

    async with storage.writer(A, 0) as writer:
        await writer.write(b"bytes")
        s3_server.pause()
        try:
            flush = asyncio.ensure_future(writer.flush())
            await eventually(lambda: has_turns(PUTS_AT_ONCE - 1))
            flush.cancel()
            with pytest.raises(asyncio.CancelledError):
                await flush
        finally:
            s3_server.resume()
        await eventually(lambda: has_turns(PUTS_AT_ONCE))
        parts = await writer.flush()
    await storage.compose(A, parts, lambda _done: None)
    assert storage.path(A, "source").read_bytes() == b"bytes"


async def test_delete_when_the_store_is_away_then_left_to_the_janitor(
    storage: S3Storage, line: Forwarder
) -> None:
    async with storage.writer(A, 0) as writer:
        await writer.write(b"bytes")
        await storage.compose(A, await writer.flush(), lambda _done: None)
    await line.cut()
    await storage.delete(A)
    assert not storage.path(A, "source").exists()
    with pytest.raises(StorageUnavailableError):
        await storage.upload_ids()
    await line.mend()
    assert await storage.upload_ids() == [A]
    await storage.delete(A)
    assert await storage.upload_ids() == []


# --- many objects


async def test_listing_when_an_upload_has_more_objects_than_a_page_then_all_are_found_and_deleted(
    storage: S3Storage,
) -> None:
    names = [f"uploads/{B}/{number:020d}-0123456789abcdef" for number in range(PAGE + 5)]
    for first in range(0, len(names), 100):
        await asyncio.gather(
            *(obstore.put_async(storage._store, name, b"x") for name in names[first : first + 100])
        )
    for upload_id in (A, C):
        await obstore.put_async(storage._store, f"uploads/{upload_id}/{0:020d}-0123456789abcdef", b"x")
    assert await storage.upload_ids() == [A, B, C]
    await storage.delete(B)
    assert await storage.upload_ids() == [A, C]


# --- a full disk


@pytest.fixture
def a_small_disk(settings: Settings) -> Iterator[None]:
    """Four mebibytes, where bytes gather and files are composed."""
    with small_disk(settings.data_dir, mebibytes=4):
        yield


@pytest.mark.usefixtures("a_small_disk")
async def test_writer_when_the_disk_is_full_then_507_and_what_was_flushed_is_whole(
    storage: S3Storage,
) -> None:
    async with storage.writer(A, 0) as writer:
        await writer.write(b"x" * MEBIBYTE)
        parts = await writer.flush()
        with pytest.raises(StorageFullError):
            await writer.write(b"y" * 5 * MEBIBYTE)
        with pytest.raises(StorageFullError):
            await writer.flush()
    digests = await storage.compose(A, parts, lambda _done: None)
    assert digests.length == MEBIBYTE


@pytest.mark.usefixtures("a_small_disk")
async def test_compose_when_the_disk_is_full_then_507_and_the_room_is_given_back(storage: S3Storage) -> None:
    parts: list[Part] = []
    for start in range(3):
        async with storage.writer(A, start * 2 * MEBIBYTE) as writer:
            await writer.write(bytes(2 * MEBIBYTE))
            parts += await writer.flush()
    with pytest.raises(StorageFullError):
        await storage.compose(A, parts, lambda _done: None)
    assert list(storage.path(A, "source").parent.iterdir()) == []


# --- over HTTP


async def test_picture_when_kept_in_the_store_then_served_and_503_while_it_is_away(
    app: Running, person: Person, line: Forwarder
) -> None:
    async def change() -> httpx.Response:
        return await app.client.post(
            "/image", headers=person.headers, files={"file": ("me.jpg", samples.of_a_camera())}
        )

    path = (await change()).json()["image"]
    served = await app.client.get(path)
    assert served.status_code == 200
    assert served.headers["content-type"] == "image/jpeg"
    assert not list((app.resources.settings.data_dir / "pictures").glob("??/*"))
    await line.cut()
    for answer in (await change(), await app.client.get(path)):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert answer.json()["type"].endswith("/storage-unavailable")
    await line.mend()
    assert (await app.client.get(path)).content == served.content
