"""What every place for upload bytes promises, asked of a folder and of a real S3 server."""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from app.core.settings import Settings
from app.storage.parts import Digests, Part, PartWriter, UploadStorage
from app.storage.problems import StorageError

MEBIBYTE = 1 << 20
A, B, C = (letter * 32 for letter in "abc")


def some_bytes(length: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(length)  # noqa: S311 - bytes that can be made again


async def add(storage: UploadStorage, upload_id: str, start: int, content: bytes) -> Sequence[Part]:
    """Send one request's bytes."""
    async with storage.writer(upload_id, start) as writer:
        await writer.write(content)
        return await writer.flush()


async def compose(storage: UploadStorage, upload_id: str, parts: Sequence[Part]) -> Digests:
    return await storage.compose(upload_id, parts, lambda _done: None)


def rows_of(*flushes: Sequence[Part]) -> list[Part]:
    """Return what the table holds after these were recorded: one row for each start, the newest."""
    rows = {part.start: part for parts in flushes for part in parts}
    return [rows[start] for start in sorted(rows)]


async def test_file_when_it_comes_in_one_request_then_composed_exactly(storage: UploadStorage) -> None:
    content = some_bytes(3 * MEBIBYTE + 17)
    reached: list[int] = []
    async with storage.writer(A, 0) as writer:
        for at in range(0, len(content), 50_001):
            await writer.write(content[at : at + 50_001])
        parts = await writer.flush()
    assert writer.length == len(content)
    digests = await storage.compose(A, parts, reached.append)
    assert storage.path(A, "source").read_bytes() == content
    assert digests == Digests(
        len(content),
        hashlib.md5(content, usedforsecurity=False).hexdigest(),
        hashlib.sha256(content).hexdigest(),
    )
    assert reached == sorted(reached)
    assert reached[-1] == len(content)


async def test_file_when_it_is_empty_then_composed(storage: UploadStorage) -> None:
    async with storage.writer(A, 0) as writer:
        assert not await writer.flush()
    assert (await compose(storage, A, [])).length == 0
    assert storage.path(A, "source").read_bytes() == b""


async def test_writer_when_flushed_now_and_then_then_every_byte_has_one_part(storage: UploadStorage) -> None:
    content = some_bytes(400_000)
    flushes = []
    async with storage.writer(A, 0) as writer:
        for at, end in ((0, 5), (5, 200_000), (200_000, 200_000), (200_000, 400_000)):
            await writer.write(content[at:end])
            flushes.append(await writer.flush())
    rows = rows_of(*flushes)
    assert sum(part.length for part in rows) == len(content)
    await compose(storage, A, rows)
    assert storage.path(A, "source").read_bytes() == content


async def test_writer_when_the_row_of_a_flush_was_not_written_then_the_next_one_names_it_again(
    storage: UploadStorage,
) -> None:
    async with storage.writer(A, 0) as writer:
        await writer.write(b"first,")
        await writer.flush()
        await writer.write(b"second")
        rows = rows_of(await writer.flush())
    await compose(storage, A, rows)
    assert storage.path(A, "source").read_bytes() == b"first,second"


async def test_upload_when_another_process_goes_on_then_composed_exactly(
    storage: UploadStorage, open_storage: Callable[[], Awaitable[UploadStorage]]
) -> None:
    first = await add(storage, A, 0, b"one machine, ")
    other = await open_storage()
    second = await add(other, A, 13, b"another machine")
    await compose(other, A, rows_of(first, second))
    assert other.path(A, "source").read_bytes() == b"one machine, another machine"


async def test_two_writers_when_at_the_same_offset_then_neither_touches_the_others_bytes(
    storage: UploadStorage,
) -> None:
    async with storage.writer(A, 0) as one, storage.writer(A, 0) as two:
        await asyncio.gather(one.write(b"1" * 100_000), two.write(b"2" * 100_000))
        of_one, of_two = await asyncio.gather(one.flush(), two.flush())
    assert of_one != of_two
    await compose(storage, A, of_two)
    assert storage.path(A, "source").read_bytes() == b"2" * 100_000


async def test_writer_when_it_dies_before_a_flush_then_its_bytes_do_not_count_and_can_be_removed(
    storage: UploadStorage,
) -> None:
    parts = await add(storage, A, 0, b"kept")
    with suppress(ConnectionError):
        async with storage.writer(A, 4) as writer:
            await writer.write(b"not acknowledged" * 10_000)
            raise ConnectionError
    rest = await add(storage, A, 4, b" and sent again")
    await compose(storage, A, rows_of(parts, rest))
    assert storage.path(A, "source").read_bytes() == b"kept and sent again"
    await storage.delete(A)
    assert await storage.upload_ids() == []


async def test_writer_when_the_request_is_cancelled_then_what_came_can_still_be_flushed(
    storage: UploadStorage,
) -> None:
    content = some_bytes(500_000)
    kept: list[Part] = []

    async def receive(writer: PartWriter) -> None:
        for at in range(0, len(content), 40_000):
            await writer.write(content[at : at + 40_000])
            if at == 400_000:
                asyncio.current_task().cancel()  # type: ignore[union-attr]  # there is one

    async with storage.writer(A, 0) as writer:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.ensure_future(receive(writer))
        kept += await writer.flush()
        taken = writer.length
    assert taken > 400_000
    await compose(storage, A, kept)
    assert storage.path(A, "source").read_bytes() == content[:taken]


@pytest.mark.parametrize("count", [3, 500])
async def test_upload_when_it_came_in_many_requests_then_composed_in_order(
    storage: UploadStorage, count: int
) -> None:
    pieces = [b"%d;" % number for number in range(count)]
    starts = [sum(map(len, pieces[:number])) for number in range(count)]
    parts: list[Part] = []
    for first in range(0, count, 50):
        batch = zip(starts[first : first + 50], pieces[first : first + 50], strict=True)
        added = await asyncio.gather(*(add(storage, A, start, piece) for start, piece in batch))
        parts += [part for one in added for part in one]
    digests = await compose(storage, A, parts)
    assert storage.path(A, "source").read_bytes() == b"".join(pieces)
    assert digests.sha256 == hashlib.sha256(b"".join(pieces)).hexdigest()


async def test_compose_when_repeated_after_a_crash_then_the_same(storage: UploadStorage) -> None:
    parts = rows_of(await add(storage, A, 0, b"one,"), await add(storage, A, 4, b"two"))
    first = await compose(storage, A, parts)
    assert await compose(storage, A, parts) == first
    assert storage.path(A, "source").read_bytes() == b"one,two"


async def test_compose_when_two_workers_do_it_at_once_then_the_file_is_exact(storage: UploadStorage) -> None:
    pieces = [some_bytes(MEBIBYTE + number, number) for number in range(6)]
    parts: list[Part] = []
    at = 0
    for piece in pieces:
        parts += await add(storage, A, at, piece)
        at += len(piece)

    # One of them has lost its lease, and does not know it yet; it may find its work taken from under it.
    found = await asyncio.gather(*(compose(storage, A, parts) for _ in range(3)), return_exceptions=True)

    expected = hashlib.sha256(b"".join(pieces)).hexdigest()
    assert {each.sha256 for each in found if isinstance(each, Digests)} <= {expected}
    assert (await compose(storage, A, parts)).sha256 == expected
    assert storage.path(A, "source").read_bytes() == b"".join(pieces)


async def test_compose_when_parts_came_with_other_uploads_then_one_file_also_after_a_crash(
    storage: UploadStorage,
) -> None:
    pieces = {A: some_bytes(MEBIBYTE + 3, 1), B: some_bytes(7, 2)}
    parts: list[Part] = []
    at = 0
    for upload_id, piece in pieces.items():
        added = await add(storage, upload_id, 0, piece)
        parts += [Part(at + part.start, part.name, part.length, upload_id) for part in added]
        at += len(piece)

    for _ in range(2):
        digests = await compose(storage, C, parts)
        assert digests.sha256 == hashlib.sha256(b"".join(pieces.values())).hexdigest()
    assert storage.path(C, "source").read_bytes() == b"".join(pieces.values())
    for upload_id in (A, B, C):
        await storage.delete(upload_id)
    assert await storage.upload_ids() == []


async def test_compose_when_a_part_is_not_as_long_as_recorded_then_refused(storage: UploadStorage) -> None:
    first, (second,) = await add(storage, A, 0, b"first,"), await add(storage, A, 6, b"second")
    with pytest.raises(StorageError):
        await compose(storage, A, [*first, Part(second.start, second.name, second.length + 1)])
    assert not storage.path(A, "source").exists()


async def test_compose_when_a_part_is_missing_then_refused(storage: UploadStorage) -> None:
    parts = await add(storage, A, 0, b"first,")
    with pytest.raises(StorageError):
        await compose(storage, A, [*parts, Part(6, f"{6:020d}-0123456789abcdef.part", 3)])
    assert not storage.path(A, "source").exists()


async def test_delete_when_there_are_others_then_only_this_upload_is_gone(storage: UploadStorage) -> None:
    parts: Sequence[Part] = []
    for upload_id in (A, C, B):
        parts = await add(storage, upload_id, 0, b"bytes")
        await add(storage, upload_id, 5, b"of a request that was cut off")
        await compose(storage, upload_id, parts)
    assert sorted(await storage.upload_ids()) == [A, B, C]
    await storage.delete(B)
    await storage.delete("d" * 32)
    assert sorted(await storage.upload_ids()) == [A, C]
    assert not storage.path(B, "source").exists()
    with pytest.raises(StorageError):
        await compose(storage, B, parts)


@pytest.mark.long
async def test_file_of_200_mb_when_streamed_then_memory_stays_bounded(
    storage: UploadStorage, settings: Settings
) -> None:
    block, count = some_bytes(MEBIBYTE), 200
    expected = hashlib.sha256()
    for _ in range(count):
        expected.update(block)
    before = resident_bytes()
    most = 0
    flushes = []
    async with storage.writer(A, 0) as writer:
        for number in range(count):
            await writer.write(block)
            if number % 50 == 49:
                flushes.append(await writer.flush())
            most = max(most, resident_bytes())
    digests = await storage.compose(A, rows_of(*flushes), lambda _done: None)
    most = max(most, resident_bytes())
    assert digests.sha256 == expected.hexdigest()
    assert most - before < 100 * MEBIBYTE
    if settings.storage_url:
        assert not list((settings.data_dir / "spool").iterdir())


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_working_file_when_kept_then_other_machines_fetch_it_until_the_upload_is_deleted(
    storage: UploadStorage, open_storage: Callable[[], Awaitable[UploadStorage]], settings: Settings
) -> None:
    assert await storage.fetch("ab12", "profile") is None
    path = storage.path("ab12", "profile")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"line\n" * 100_000)
    await storage.keep("ab12", "profile")
    if settings.storage_url:
        path.unlink()  # As on a machine that did not make it.

    fetched = await (await open_storage()).fetch("ab12", "profile")
    assert fetched is not None
    assert fetched.read_bytes() == b"line\n" * 100_000
    await storage.delete("ab12")
    assert await storage.fetch("ab12", "profile") is None


@pytest.mark.long
async def test_writer_when_its_task_is_cancelled_while_it_writes_then_a_flush_has_the_bytes_in_order(
    storage: UploadStorage,
) -> None:
    content = some_bytes(4 * MEBIBYTE)
    async with storage.writer(A, 0) as writer:
        is_half = asyncio.Event()

        async def send() -> None:
            for at in range(0, len(content), 65_536):
                if at > len(content) // 2:
                    is_half.set()
                await writer.write(content[at : at + 65_536])
                await asyncio.sleep(0)

        sending = asyncio.create_task(send())
        await is_half.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        parts = rows_of(await writer.flush())
        length = writer.length
    digests = await compose(storage, A, parts)
    assert (digests.length, digests.sha256) == (length, hashlib.sha256(content[:length]).hexdigest())
