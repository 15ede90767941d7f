"""The bytes in a bucket by name, for backups and moves."""

import asyncio
from collections.abc import AsyncIterator

import obstore
from obstore.exceptions import NotFoundError
from obstore.store import S3Store

from app.core.settings import Settings
from app.storage.objects import BLOCK_BYTES, Stored
from app.storage.s3_marks import S3Mark
from app.storage.s3_store import connect, store_faults, try_out

SMALLEST_PIECE_BYTES = 5 << 20
MOST_PIECES = 9_000
"""S3 takes 10 000 for one object."""
LONGEST_UNKNOWN_BYTES = 1 << 36


class S3Objects:
    """A prefix of a bucket."""

    def __init__(self, store: S3Store) -> None:
        self.mark = S3Mark(store)
        self._store = store

    async def read(self, one: Stored) -> AsyncIterator[bytes]:
        """Yield the bytes."""
        try:
            with store_faults("get"):
                answer = await obstore.get_async(self._store, one.name)
                left = answer.meta["size"] if one.length is None else one.length
                async for block in answer.stream(min_chunk_size=BLOCK_BYTES):
                    yield bytes(block)[:left]
                    left -= min(left, len(block))
        except NotFoundError as error:
            raise FileNotFoundError(one.name) from error

    async def write(self, name: str, blocks: AsyncIterator[bytes], length: int | None) -> None:
        """Make an object of bytes, in as many requests as it takes."""
        piece = max(SMALLEST_PIECE_BYTES, (length or LONGEST_UNKNOWN_BYTES) // MOST_PIECES)
        with store_faults("put"):
            await obstore.put_async(self._store, name, blocks, chunk_size=piece, max_concurrency=2)

    async def length(self, name: str) -> int | None:
        """Return how many bytes there are by the name; None if it names none."""
        try:
            with store_faults("get"):
                return (await obstore.head_async(self._store, name))["size"]
        except (FileNotFoundError, NotFoundError):
            return None


async def open_s3_objects(settings: Settings) -> S3Objects:
    """Return the store of `STORAGE_URL`, after an object was written, read and removed there.

    Raises:
        SettingsError: the address is wrong, or the store is not there, or does not take the key; the text says which.
    """
    store = await asyncio.to_thread(connect, settings)
    await try_out(store, settings)
    return S3Objects(store)
