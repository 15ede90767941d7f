"""Upload bytes in a folder of `DATA_DIR`: one folder an upload, one file a part, one a stage."""

import asyncio
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from app.core.concurrency import BoundedExecutor
from app.core.system import write_through
from app.core.tasks import open_file
from app.storage.faults import disk_faults, log_fault
from app.storage.marks import LONGEST_MARK, MARK_NAME
from app.storage.parts import Digests, Part, Stage
from app.storage.problems import StorageError, StorageFullError, StorageUnavailableError

LARGEST_BUFFER_BYTES = 1 << 20
SMALLEST_BUFFER_BYTES = 1 << 13
BUFFERS_BYTES = 1 << 23
"""What all writers of a process gather before threads write it: few hops for one client, little memory for many."""
STEP_BYTES = 1 << 26
"""What a thread copies and hashes in one go; in between a worker can be stopped."""
WHOLE_FILES_AT_ONCE, WHOLE_FILES_QUEUE = 2, 1000
"""Files that are put together or hashed: processors are what they take, and workers at most as many as wait."""
COPY_BYTES = 1 << 20
DROPPED_BYTES = 1 << 22
"""Parts from here on are dropped as soon as they are added; to wait for the disk after each small one takes long."""

TRIAL_BYTES = 4096


class LocalMark:
    """The file `store-id` in the folder of uploads: that folder, or one above it, may be a disk of its own."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / MARK_NAME

    async def read(self) -> bytes | None:
        """Return the mark, or None."""
        try:
            return await asyncio.to_thread(_read_mark, self._path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageUnavailableError(
                f"{self._path} cannot be read: {error.strerror or error}."
            ) from None

    async def write(self, identity: str) -> None:
        """Set the mark; the folder is made if it is not there."""
        with disk_faults(self._path):
            await asyncio.to_thread(_write_mark, self._path, identity.encode("ascii"))


class LocalPartWriter:
    """Writes one part; the disk never touches the event loop."""

    def __init__(self, file: FileIO, start: int, name: str, buffer_bytes: Callable[[], int]) -> None:
        self._file = file
        self._start = start
        self._name = name
        self._buffer = bytearray()
        self._buffer_bytes = buffer_bytes
        self._full = False
        self._writing: asyncio.Future[None] | None = None
        self.length = 0

    async def write(self, chunk: bytes) -> None:
        """Add bytes.

        Raises:
            StorageFullError: the disk is full; nothing more can be written or flushed.
        """
        self._buffer += chunk
        self.length += len(chunk)
        if len(self._buffer) >= self._buffer_bytes():
            await self._empty_buffer(_write)

    async def flush(self) -> Sequence[Part]:
        """Bring every byte to the disk; return the part, which has grown.

        Raises:
            StorageFullError: the disk is full.
        """
        await self._empty_buffer(_write_through)
        return [Part(self._start, self._name, self.length)] if self.length else []

    async def discard(self) -> None:
        """Remove the part. A thread that still writes has it open, and the last of it goes with that."""
        self._buffer = bytearray()
        path = Path(str(self._file.name))
        with disk_faults(path):
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _empty_buffer(self, write: Callable[[FileIO, bytearray], None]) -> None:
        if self._full:
            raise StorageFullError
        if self._writing is not None:
            # Its task was cancelled; the thread was not, and bytes must not overtake others.
            await asyncio.wait({self._writing})
            if self._writing.exception() is not None:
                raise StorageFullError
        block, self._buffer = self._buffer, bytearray()
        self._writing = asyncio.ensure_future(asyncio.to_thread(write, self._file, block))
        try:
            await asyncio.shield(self._writing)
            self._writing = None
        except OSError as error:
            # Some of the block may be in the file: its length says nothing any more.
            self._full = True
            log_fault("upload bytes cannot be written", error, Path(str(self._file.name)))
            raise StorageFullError from None


class LocalStorage:
    """The folder."""

    is_on_this_disk = True

    def __init__(self, root: Path) -> None:
        self.mark = LocalMark(root)
        self._root = root
        self._writers = 0
        # Of 64 MiB at a time: in the threads that all share, whoever sends bytes would wait for whole files.
        self._whole_files = BoundedExecutor(
            "whole-files", threads=WHOLE_FILES_AT_ONCE, queue=WHOLE_FILES_QUEUE
        )

    def path(self, upload_id: str, stage: Stage, version: str = "") -> Path:
        """Return where the file of this stage is, or will be."""
        return self._root / upload_id / f"{stage}{version}"

    @asynccontextmanager
    async def writer(self, upload_id: str, start: int) -> AsyncIterator[LocalPartWriter]:
        """Yield a writer for a new part."""
        name = f"{start:020d}-{secrets.token_hex(8)}.part"
        path = self._root / upload_id / name
        with disk_faults(path):
            file = await asyncio.to_thread(_create, path)
        self._writers += 1
        try:
            yield LocalPartWriter(file, start, name, self._buffer_bytes)
        finally:
            self._writers -= 1
            await asyncio.shield(asyncio.to_thread(_close, file))

    async def compose(
        self, upload_id: str, parts: Sequence[Part], on_progress: Callable[[int], None]
    ) -> Digests:
        """Make `source` of the parts: the first becomes the file, the others are added to it; then hash it."""
        source = self.path(upload_id, "source")
        folders = {part.stored_in or upload_id: self._root / (part.stored_in or upload_id) for part in parts}
        paths = [folders[part.stored_in or upload_id] / part.name for part in parts]
        length = sum(part.length for part in parts)
        growing = source.with_name("source.growing")
        with disk_faults(growing):
            if not await asyncio.to_thread(source.exists):
                await asyncio.to_thread(_begin_growing, growing, list(zip(paths[:1], parts[:1], strict=True)))
                at = parts[0].length if parts else 0
                for path, part in zip(paths[1:], parts[1:], strict=True):
                    await self._add(growing, at, path, part.length)
                    at += part.length
                await asyncio.to_thread(_finish_growing, growing, source, folders.values(), length)
            digests = await self._hash(source, on_progress)
        if digests.length != length:
            raise StorageError(f"{digests.length} bytes are on the disk where {length} were recorded")
        return digests

    async def _add(self, growing: Path, at: int, part: Path, length: int) -> None:
        """Add a part, and drop it once its bytes are durable: the disk need not hold the file twice."""
        if await asyncio.to_thread(_is_in, growing, at + length, part):
            return
        with (
            await open_file(part) as source,
            await open_file(growing, "r+b") as target,
        ):
            target.seek(at)
            left = length
            while left:
                step = min(left, STEP_BYTES)
                await self._whole_files.run(_copy, source, target, step)
                left -= step
            if length >= DROPPED_BYTES:
                await asyncio.to_thread(_drop_added, target, part)

    async def _hash(self, path: Path, on_progress: Callable[[int], None]) -> Digests:
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        length = 0
        with await open_file(path) as file:
            while step := await self._whole_files.run(_hash_step, file, (md5, sha256)):
                length += step
                on_progress(length)
        return Digests(length, md5.hexdigest(), sha256.hexdigest())

    async def keep(self, upload_id: str, stage: Stage, version: str = "") -> None:
        """Do nothing: all who see this folder see the file."""

    async def fetch(self, upload_id: str, stage: Stage, version: str = "") -> Path | None:
        """Return the file's path if it is there."""
        path = self.path(upload_id, stage, version)
        return path if await asyncio.to_thread(path.is_file) else None

    async def drop(self, upload_id: str, stage: Stage, version: str = "") -> None:
        """Remove a file that was kept; nothing there is fine."""
        await asyncio.to_thread(self.path(upload_id, stage, version).unlink, missing_ok=True)

    async def delete(self, upload_id: str) -> None:
        """Remove every byte of the upload; nothing there is fine."""
        await asyncio.to_thread(shutil.rmtree, self._root / upload_id, ignore_errors=True)

    async def upload_ids(self) -> list[str]:
        """Return the uploads that have bytes here."""
        with disk_faults(self._root):
            return await asyncio.to_thread(folders_in, self._root)

    async def free_bytes(self) -> int | None:
        """Return how much is free on the disk of the folder."""
        return await self.working_bytes()

    async def check(self) -> None:
        """Return if the folder takes bytes.

        Raises:
            StorageUnavailableError: it does not; the text says why.
        """
        try:
            await require_writable(self._root)
        except StorageError as error:
            raise StorageUnavailableError(f"The folder of uploads takes no bytes: {error}.") from None

    async def working_bytes(self) -> int:
        """Return how much is free on the disk of the folder."""
        with disk_faults(self._root):
            return await asyncio.to_thread(free_on, self._root)

    def composing_bytes(self, parts: Sequence[Part]) -> int:
        """Return the length of the longest part that is there twice for a while."""
        return max((part.length for part in parts[1:]), default=0)

    def _buffer_bytes(self) -> int:
        share = BUFFERS_BYTES // max(self._writers, 1)
        return max(SMALLEST_BUFFER_BYTES, min(share, LARGEST_BUFFER_BYTES))


def _create(path: Path) -> FileIO:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return FileIO(path, "x")


def _close(file: FileIO) -> None:
    """Close the part; an empty one is deleted."""
    if os.fstat(file.fileno()).st_size == 0:
        with suppress(FileNotFoundError):
            Path(str(file.name)).unlink()
    file.close()


def _write(file: FileIO, block: bytearray) -> None:
    view = memoryview(block)
    while view:
        view = view[file.write(view) :]


def _write_through(file: FileIO, block: bytearray) -> None:
    _write(file, block)
    write_through(file.fileno())


def _begin_growing(growing: Path, first: Sequence[tuple[Path, Part]]) -> None:
    """Make the first part the file that grows; it may be that already, and longer, if a worker died over it.

    Or sleeps: what it still does when it wakes puts the same bytes to the same places.
    """
    if not growing.exists():
        growing.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if first:
            first[0][0].rename(growing)
        else:
            growing.touch(mode=0o600)
    if first and growing.stat().st_size < first[0][1].length:
        raise OSError("a part is shorter than was recorded")


def _is_in(growing: Path, end: int, part: Path) -> bool:
    """Say whether an earlier worker has appended the part already: only then is its file gone."""
    return not part.exists() and growing.stat().st_size >= end


def _drop_added(target: BinaryIO, part: Path) -> None:
    target.flush()
    os.fsync(target.fileno())
    part.unlink(missing_ok=True)


def _copy(source: BinaryIO, target: BinaryIO, length: int) -> None:
    while length:
        block = source.read(min(length, COPY_BYTES))
        if not block:
            raise OSError("a part is shorter than was recorded")
        target.write(block)
        length -= len(block)


def _finish_growing(growing: Path, source: Path, folders: Iterable[Path], length: int) -> None:
    """Give the whole file its name, and drop the parts that are in it now."""
    # What a writer wrote after it lost its turn does not count.
    os.truncate(growing, length)
    with growing.open("rb") as file:
        write_through(file.fileno())
    growing.rename(source)
    for folder in folders:
        if folder == source.parent:
            for part in folder.glob("*.part"):
                part.unlink(missing_ok=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _hash_step(file: BinaryIO, hashes: Sequence["hashlib._Hash"]) -> int:
    done = 0
    while done < STEP_BYTES and (block := file.read(COPY_BYTES)):
        for one in hashes:
            one.update(block)
        done += len(block)
    return done


def folders_in(root: Path) -> list[str]:
    """Return the names of the folders in a folder."""
    return [entry.name for entry in root.iterdir() if entry.is_dir()] if root.exists() else []


async def require_writable(folder: Path) -> None:
    """Return if a folder takes bytes; it is made if it is not there.

    Raises:
        StorageError: it does not; its text is what the system says.
    """
    try:
        await asyncio.to_thread(_write_a_little, folder)
    except OSError as error:
        raise StorageError(error.strerror or str(error)) from None


def _write_a_little(folder: Path) -> None:
    """Write to an unnamed file, which the system removes when it is closed."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(TRIAL_BYTES))


def free_on(root: Path) -> int:
    """Return how many bytes are free on the disk of a folder, which is made if it is not there."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    return shutil.disk_usage(root).free


def _read_mark(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LONGEST_MARK)


def _write_mark(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        write_through(file.fileno())
    draft.replace(path)
