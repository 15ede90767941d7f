"""Bytes that rows name, wherever they rest, each by one name: what a backup holds, and what moves between stores.

Names are those of the objects in a bucket: `uploads/{upload}/{part}`, `uploads/{upload}/profile{version}`,
`pictures/{picture}`.
"""

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from app.core.system import write_through
from app.storage.faults import disk_faults

BLOCK_BYTES = 1 << 20
_NAME = re.compile(r"uploads/[0-9a-z]{1,64}/[0-9a-z.-]{1,64}|pictures/[0-9a-f]{32}\.(?:png|jpg)", re.ASCII)


def is_object_name(name: str) -> bool:
    """Return whether it is a name of ours, none of which leaves the place that it is in."""
    return _NAME.fullmatch(name) is not None and ".." not in name


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that a row names.

    Attributes:
        name: where they are.
        length: how many of those that are there count; None: all.
        upload_id: the upload whose source they are a part of, where that may have been put together.
        start: where they begin in that source.
    """

    name: str
    length: int | None = None
    upload_id: str = ""
    start: int = 0


class Checksum(NamedTuple):
    """What can be told of bytes: how many, and their SHA-256 in hexadecimal."""

    length: int
    sha256: str


class ObjectStore(Protocol):
    """A place that has bytes by name."""

    def read(self, one: Stored) -> AsyncIterator[bytes]:
        """Yield the bytes, or as many as are there; FileNotFoundError, before the first, if there are none."""

    async def write(self, name: str, blocks: AsyncIterator[bytes], length: int | None) -> None:
        """Keep bytes, durably, as a whole or not at all; `length` is how many they will be, where that is known."""

    async def length(self, name: str) -> int | None:
        """Return how many bytes there are by the name; None if it names none."""


async def copy(one: Stored, source: ObjectStore, target: ObjectStore) -> Checksum:
    """Copy bytes, and return their checksum.

    Raises:
        FileNotFoundError: they are not there, or fewer than there have to be.
    """
    length, sha256 = 0, hashlib.sha256()

    async def blocks() -> AsyncGenerator[bytes, None]:
        nonlocal length
        async for block in source.read(one):
            length += len(block)
            sha256.update(block)
            yield block
        if one.length not in {None, length}:
            raise FileNotFoundError(one.name)

    async with aclosing(blocks()) as copied:
        await target.write(one.name, copied, one.length)
    return Checksum(length, sha256.hexdigest())


async def checksum(one: Stored, store: ObjectStore) -> Checksum:
    """Return the checksum of what is there.

    Raises:
        FileNotFoundError: nothing is.
    """
    length, sha256 = 0, hashlib.sha256()
    async for block in store.read(one):
        length += len(block)
        sha256.update(block)
    return Checksum(length, sha256.hexdigest())


class LocalObjects:
    """A folder. In `DATA_DIR` pictures are spread over 256 more, and uploads may have been put together."""

    def __init__(self, root: Path, *, spread: bool) -> None:
        self._root = root
        self._spread = spread

    async def read(self, one: Stored) -> AsyncIterator[bytes]:
        """Yield the bytes. While a part is added to its upload's source it is in one of three places; see `compose`."""
        with await asyncio.to_thread(self._open, one) as file:
            left = one.length
            while block := await asyncio.to_thread(
                file.read, BLOCK_BYTES if left is None else min(left, BLOCK_BYTES)
            ):
                left = None if left is None else left - len(block)
                yield block

    async def write(self, name: str, blocks: AsyncIterator[bytes], length: int | None) -> None:  # noqa: ARG002 - as others
        """Keep bytes in a file that gets its name once they are durable."""
        path = self._path(name)
        draft = path.with_name(f"{secrets.token_hex(8)}.draft")
        with disk_faults(path):
            file = await asyncio.to_thread(_create, draft)
        try:
            with file:
                async for block in blocks:
                    with disk_faults(path):
                        await asyncio.to_thread(file.write, block)
                with disk_faults(path):
                    await asyncio.to_thread(_write_through, file)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    async def length(self, name: str) -> int | None:
        """Return how many bytes there are by the name; None if it names none."""
        try:
            return (await asyncio.to_thread(self._path(name).stat)).st_size
        except FileNotFoundError:
            return None

    def _open(self, one: Stored) -> BinaryIO:
        places = [(self._path(one.name), 0)]
        if one.upload_id:
            source = self._root / "uploads" / one.upload_id / "source"
            places += [(source.with_name("source.growing"), one.start), (source, one.start)]
        for path, start in places:
            try:
                file = path.open("rb", buffering=0)
            except FileNotFoundError:
                continue
            if os.fstat(file.fileno()).st_size >= start + (one.length or 0):
                file.seek(start)
                return file
            file.close()
        raise FileNotFoundError(one.name)

    def _path(self, name: str) -> Path:
        if not is_object_name(name):
            raise ValueError("not a name of ours")
        kind, _, rest = name.partition("/")
        return (
            self._root / kind / rest[:2] / rest if self._spread and kind == "pictures" else self._root / name
        )


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _write_through(file: BinaryIO) -> None:
    file.flush()
    write_through(file.fileno())
