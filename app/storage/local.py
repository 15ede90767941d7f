"""Upload bytes in a folder of `DATA_DIR`: one folder an upload, one file a stage."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Literal

Stage = Literal["source", "arff"]

FLUSH_BYTES = 1 << 20
"""Bytes gathered before a thread writes and hashes them: fewer hops, and a bounded buffer a client."""


@dataclass(frozen=True, slots=True)
class Digests:
    """What was written: its length in bytes, and its hashes in hexadecimal."""

    length: int
    md5: str
    sha256: str


class SpoolWriter:
    """Writes one file, hashing on the way; the disk and the hashes never touch the event loop."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._buffer = bytearray()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self.length = 0

    async def write(self, chunk: bytes) -> None:
        """Add bytes."""
        self._buffer += chunk
        self.length += len(chunk)
        if len(self._buffer) >= FLUSH_BYTES:
            block, self._buffer = self._buffer, bytearray()
            await asyncio.to_thread(self._write, block)

    async def finish(self) -> Digests:
        """Bring every byte to the disk, and say what was written."""
        await asyncio.to_thread(self._finish)
        return Digests(self.length, self._md5.hexdigest(), self._sha256.hexdigest())

    def _write(self, block: bytearray) -> None:
        view = memoryview(block)
        while view:
            view = view[self._file.write(view) :]
        self._md5.update(block)
        self._sha256.update(block)

    def _finish(self) -> None:
        self._write(self._buffer)
        os.fsync(self._file.fileno())


class LocalStorage:
    """The folder. Ids are ours (hexadecimal), so that no name a client chose ever becomes a path."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, upload_id: str, stage: Stage) -> Path:
        """Return where the file of this stage is, or will be."""
        return self._root / upload_id / stage

    @asynccontextmanager
    async def writer(self, upload_id: str, stage: Stage) -> AsyncIterator[SpoolWriter]:
        """Yield a writer for a new file."""
        path = self.path(upload_id, stage)
        file = await asyncio.to_thread(_create, path)
        try:
            yield SpoolWriter(file)
        finally:
            await asyncio.to_thread(file.close)

    async def delete(self, upload_id: str) -> None:
        """Remove every byte of the upload; nothing there is fine."""
        await asyncio.to_thread(shutil.rmtree, self._root / upload_id, ignore_errors=True)

    async def upload_ids(self) -> list[str]:
        """Return the uploads that have bytes here."""
        return await asyncio.to_thread(_folders, self._root)


def _create(path: Path) -> FileIO:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return FileIO(path, "w")


def _folders(root: Path) -> list[str]:
    return [entry.name for entry in root.iterdir() if entry.is_dir()] if root.exists() else []
