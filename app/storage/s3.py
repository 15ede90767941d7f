"""Upload bytes in S3-compatible storage, which several machines share.

A part of a source is an object `uploads/{id}/{start}-{random}`, written once and never changed. Bytes gather in a file
without a name in `DATA_DIR`, so that a thousand writers need little memory; a process that crashes leaves at most
objects that no row names. Working files (the composed source, its ARFF) are local to the machine at work on the upload.
"""

import asyncio
import secrets
import shutil
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import obstore
import structlog
from obstore.exceptions import NotFoundError
from obstore.store import S3Store

from app.core.settings import Settings
from app.storage.faults import disk_faults
from app.storage.local import folders_in, free_on
from app.storage.parts import Digests, Part, Stage
from app.storage.problems import BytesLostError, StorageUnavailableError
from app.storage.s3_files import Composition, Spool, keep_newest, remove_fetched
from app.storage.s3_marks import S3Mark
from app.storage.s3_pictures import S3Pictures
from app.storage.s3_store import PAGE, Trial, connect, store_faults, try_out

log = structlog.get_logger(__name__)

GATHERED_BYTES = 1 << 15
"""Bytes that a writer keeps in memory before a thread writes them to its file."""
BLOCK_BYTES = 5 << 20
"""Largest request to the store, either way: what memory holds of a part, and the least that S3 takes as a piece."""
PIECE_BYTES = 1 << 20
"""What a thread reads of a spool at once, for an object that is sent in several requests."""
OBJECT_BYTES = 64 << 20
"""Where a part ends and the next begins: a writer never has more on the local disk."""
PUTS_AT_ONCE = 8
READS_AT_ONCE = 4
"""Blocks that one composition asks for ahead."""
_AFTER_ALL_PARTS = "~"
"""Sorts behind the name of every part: where a listing goes on at the next upload."""


class S3PartWriter:
    """Gathers bytes on the local disk, and makes objects of them."""

    def __init__(self, storage: "S3Storage", upload_id: str, start: int) -> None:
        self._storage = storage
        self._upload_id = upload_id
        self._start = start
        self._gathered = bytearray()
        self._spool = storage.new_spool()
        self._disk: asyncio.Future[None] | None = None
        self._stored: list[Part] = []
        self._returned: list[Part] = []
        self.length = 0

    async def write(self, chunk: bytes) -> None:
        """Add bytes.

        Raises:
            StorageUnavailableError: the store did not take what was due; `flush` tries again.
            StorageFullError: the local disk is full; nothing more can be written or flushed.
        """
        await self._settle()
        self._gathered += chunk
        self.length += len(chunk)
        if len(self._gathered) >= GATHERED_BYTES:
            await self._spill()
        if self._spool.length >= OBJECT_BYTES:
            await self._store()

    async def flush(self) -> Sequence[Part]:
        """Bring what is new into the store; return its parts, and once more those of the flush before.

        Nobody tells the writer whether the rows of that flush were written, and to write them again changes nothing.

        Raises:
            StorageUnavailableError: the store did not take it; the bytes are still here, for another `flush`.
            StorageFullError: the local disk is full.
        """
        await self._settle()
        await self._store()
        parts, self._returned, self._stored = self._returned + self._stored, self._stored, []
        return parts

    async def discard(self) -> None:
        """Remove the objects; what is not one yet goes with the writer."""
        await self._storage.remove(
            [_object(self._upload_id, part.name) for part in self._returned + self._stored]
        )

    async def _store(self) -> None:
        """Make one object of what is new, if anything is."""
        if self._spool.length:
            await self._spill()
        length = self._spool.length or len(self._gathered)
        if not length:
            return
        name = f"{self._start:020d}-{secrets.token_hex(8)}"
        await self._storage.put(_object(self._upload_id, name), self._spool, bytes(self._gathered))
        # No await from here to the swap: what is counted as stored and what is dropped are the same bytes.
        self._stored.append(Part(self._start, name, length))
        self._start += length
        self._gathered = bytearray()
        full, self._spool = self._spool, self._storage.new_spool()
        self._disk = asyncio.ensure_future(asyncio.to_thread(full.close))
        await self._settle()

    async def close(self) -> None:
        """Drop what was not flushed."""
        if self._disk is not None:
            await asyncio.gather(self._disk, return_exceptions=True)
        await asyncio.to_thread(self._spool.close)

    async def _spill(self) -> None:
        block, self._gathered = self._gathered, bytearray()
        if block:
            self._disk = asyncio.ensure_future(asyncio.to_thread(self._spool.append, block))
            await self._settle()

    async def _settle(self) -> None:
        """Wait for the thread, which goes on when the request is cancelled; if it failed, so does all that follows."""
        if self._disk is not None:
            with disk_faults(self._storage.spool_folder):
                await asyncio.shield(self._disk)


class S3Storage:
    """A prefix of a bucket, and a folder for working files. Ids are ours: no text of a client becomes a name."""

    is_on_this_disk = False

    def __init__(self, store: S3Store, folder: Path, *, turn_seconds: float) -> None:
        self.mark = S3Mark(store)
        self._store = store
        self._folder = folder
        # What other machines have made; no janitor looks after a machine that only serves.
        self._fetched = folder.with_name("fetched")
        self.spool_folder = folder.with_name("spool")
        self._turn_seconds = turn_seconds
        self._turns = asyncio.Semaphore(PUTS_AT_ONCE)
        self._trial = Trial(store)

    @asynccontextmanager
    async def writer(self, upload_id: str, start: int) -> AsyncIterator[S3PartWriter]:
        """Yield a writer for the bytes from `start` on; what it did not flush is discarded."""
        writer = S3PartWriter(self, upload_id, start)
        try:
            yield writer
        finally:
            await writer.close()

    async def compose(
        self, upload_id: str, parts: Sequence[Part], on_progress: Callable[[int], None]
    ) -> Digests:
        """Download the parts, in order, to the local source file, hashing on the way.

        Raises:
            StorageUnavailableError: the store does not answer.
            BytesLostError: a part is missing, or not as long as it was.
            StorageFullError: the local disk is full.
        """
        path = self.path(upload_id, "source")
        composed = Composition(path.with_name(f"source.{secrets.token_hex(4)}"))
        try:
            with disk_faults(path):
                await asyncio.to_thread(composed.open)
                async with aclosing(self._blocks(upload_id, parts)) as blocks:
                    async for block in blocks:
                        await asyncio.to_thread(composed.append, block)
                        on_progress(composed.length)
                await asyncio.to_thread(composed.finish, path)
        except BaseException:
            await asyncio.to_thread(composed.drop)
            raise
        return composed.digests()

    def path(self, upload_id: str, stage: Stage, version: str = "") -> Path:
        """Return where the local file of this stage is, or will be."""
        return self._folder / upload_id / f"{stage}{version}"

    async def keep(self, upload_id: str, stage: Stage, version: str = "") -> None:
        """Make an object of a working file of this machine, for the others.

        Raises:
            StorageUnavailableError: the store does not answer.
        """
        with store_faults("put"):
            path = self.path(upload_id, stage, version)
            await obstore.put_async(self._store, _object(upload_id, path.name), path)

    async def fetch(self, upload_id: str, stage: Stage, version: str = "") -> Path | None:
        """Return the working file's path, and download it first if another machine has made it.

        Raises:
            StorageUnavailableError: the store does not answer.
            StorageFullError: the local disk is full.
        """
        made = self.path(upload_id, stage, version)
        path = self._fetched / f"{upload_id}-{made.name}"
        for known in (made, path):
            if await asyncio.to_thread(known.is_file):
                return known
        draft = Composition(path.with_name(secrets.token_hex(16)))
        try:
            with store_faults("get"):
                answer = await obstore.get_async(self._store, _object(upload_id, made.name))
                with disk_faults(path):
                    await asyncio.to_thread(draft.open)
                    async for block in answer.stream(min_chunk_size=PIECE_BYTES):
                        await asyncio.to_thread(draft.append, block)
                    await asyncio.to_thread(draft.finish, path)
                    await asyncio.to_thread(keep_newest, self._fetched)
        except (FileNotFoundError, NotFoundError):
            return None
        finally:
            await asyncio.to_thread(draft.drop)
        return path

    async def drop(self, upload_id: str, stage: Stage, version: str = "") -> None:
        """Remove an object that was kept, and this machine's file of it; nothing there is fine."""
        path = self.path(upload_id, stage, version)
        await self.remove([_object(upload_id, path.name)])
        for known in (path, self._fetched / f"{upload_id}-{path.name}"):
            await asyncio.to_thread(known.unlink, missing_ok=True)

    async def delete(self, upload_id: str) -> None:
        """Remove every object of the upload, and this machine's working files; none of them need exist.

        While the store is away its objects stay, for the janitor to remove.
        """
        with suppress(StorageUnavailableError), store_faults("delete"):
            async for page in obstore.list(self._store, _object(upload_id), chunk_size=PAGE):
                await obstore.delete_async(self._store, [meta["path"] for meta in page])
        await asyncio.to_thread(shutil.rmtree, self._folder / upload_id, ignore_errors=True)
        await asyncio.to_thread(remove_fetched, self._fetched, upload_id)

    async def upload_ids(self) -> list[str]:
        """Return the uploads that have objects in the store, or working files on this machine."""
        ids = set(await asyncio.to_thread(folders_in, self._folder))
        after = _object("")
        with store_faults("list"):
            # Not by delimiter: some stores go on naming folders whose objects are gone.
            while page := await anext(
                obstore.list(self._store, "uploads", offset=after, chunk_size=PAGE), None
            ):
                found = [meta["path"].split("/")[1] for meta in page]
                ids.update(found)
                if len(page) < PAGE:
                    break
                after = _object(found[-1], _AFTER_ALL_PARTS)
        return sorted(ids)

    async def free_bytes(self) -> int | None:
        """Return None: a bucket has no limit that we know."""
        return None

    async def check(self) -> None:
        """Return if the store answers and takes bytes.

        Raises:
            StorageUnavailableError: it does not; the text says why.
        """
        await self._trial.check()

    async def working_bytes(self) -> int:
        """Return how much is free on this machine's disk."""
        with disk_faults(self._folder):
            return await asyncio.to_thread(free_on, self._folder)

    def composing_bytes(self, parts: Sequence[Part]) -> int:
        """Return the length of the file: its parts are not on this machine."""
        return sum(part.length for part in parts)

    def new_spool(self) -> Spool:
        """Return an empty spool on the local disk."""
        return Spool(self.spool_folder)

    async def put(self, path: str, spool: Spool, gathered: bytes) -> None:
        """Make an object of the spool's bytes, or of those gathered where nothing was spooled.

        Only `PUTS_AT_ONCE` have bytes in memory at the same time; the others wait, with theirs on the disk.
        """
        async with self._turn() as deadline:
            with store_faults("put"):
                if spool.length > BLOCK_BYTES:
                    # Each of its requests has its own time.
                    deadline.reschedule(None)
                    await obstore.put_async(
                        self._store,
                        path,
                        _pieces(spool),
                        chunk_size=BLOCK_BYTES,
                        max_concurrency=1,
                    )
                else:
                    body = await asyncio.to_thread(spool.read, 0, spool.length) if spool.length else gathered
                    await obstore.put_async(self._store, path, body, use_multipart=False)

    async def remove(self, paths: Sequence[str]) -> None:
        """Remove objects; while the store is away they stay until the upload goes."""
        if paths:
            with suppress(StorageUnavailableError), store_faults("delete"):
                await obstore.delete_async(self._store, paths)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[asyncio.Timeout]:
        """Wait for a turn, and end it: all within the time that a request to the store has, unless that is changed."""
        try:
            async with asyncio.timeout(self._turn_seconds) as deadline, self._turns:
                yield deadline
        except TimeoutError:
            raise StorageUnavailableError from None

    async def _blocks(self, upload_id: str, parts: Sequence[Part]) -> AsyncGenerator[obstore.Bytes, None]:
        """Yield the parts' bytes in order, asking for a few blocks ahead."""
        ahead: deque[asyncio.Task[obstore.Bytes]] = deque()
        try:
            for part, first, last in _ranges(parts):
                ahead.append(asyncio.create_task(self._read(upload_id, part, first, last)))
                if len(ahead) == READS_AT_ONCE:
                    yield await ahead.popleft()
            while ahead:
                yield await ahead.popleft()
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    async def _read(self, upload_id: str, part: Part, first: int, last: int) -> obstore.Bytes:
        try:
            with store_faults("get"):
                answer = await obstore.get_async(
                    self._store,
                    _object(part.stored_in or upload_id, part.name),
                    options={"range": (first, last)},
                )
                block = await answer.bytes_async()
        except (FileNotFoundError, NotFoundError):
            log.error("a part is missing in the store", upload=upload_id, part=part.name)  # noqa: TRY400 - no fault of the code
            raise BytesLostError from None
        if answer.meta["size"] != part.length or len(block) != last - first:
            log.error("a part has another length in the store", upload=upload_id, part=part.name)
            raise BytesLostError
        return block


async def open_s3(settings: Settings) -> tuple[S3Storage, S3Pictures]:
    """Return both on the store of `STORAGE_URL`, after an object was written, read and removed there.

    Raises:
        SettingsError: the address is wrong, or the store is not there, or does not take the key; the text says which.
    """
    store = await asyncio.to_thread(connect, settings)
    await try_out(store, settings)
    storage = S3Storage(
        store, settings.data_dir / "uploads", turn_seconds=settings.timings.storage_timeout_seconds
    )
    return storage, S3Pictures(store, settings.data_dir / "pictures")


def _object(upload_id: str, name: str = "") -> str:
    return f"uploads/{upload_id}/{name}".rstrip("/")


async def _pieces(spool: Spool) -> AsyncIterator[bytes]:
    at = 0
    while block := await asyncio.to_thread(spool.read, at, PIECE_BYTES):
        at += len(block)
        yield block


def _ranges(parts: Sequence[Part]) -> Iterator[tuple[Part, int, int]]:
    """Yield the blocks of each part: where they begin in it, and end."""
    follows = 0
    for part in parts:
        if part.start != follows:
            log.error("the parts of an upload do not follow each other", part=part.name, expected=follows)
            raise BytesLostError
        follows += part.length
        for first in range(0, part.length, BLOCK_BYTES):
            yield part, first, min(first + BLOCK_BYTES, part.length)
