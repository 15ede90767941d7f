"""Users' pictures in S3-compatible storage, which several machines share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import obstore
from obstore.exceptions import NotFoundError
from obstore.store import S3Store

from app.core.clock import utc_now
from app.storage.pictures import LocalPictures, name_in, path_of
from app.storage.problems import StorageUnavailableError
from app.storage.s3_store import PAGE, store_faults


class S3Pictures:
    """Users' pictures as objects `pictures/{name}`, each under a random name and never changed."""

    def __init__(self, store: S3Store, folder: Path) -> None:
        self._store = store
        self._local = LocalPictures(folder)

    @asynccontextmanager
    async def spool(self) -> AsyncIterator[BinaryIO]:
        """Yield a local file without a name, for bytes on their way in."""
        async with self._local.spool() as file:
            yield file

    async def save(self, name: str, content: bytes) -> None:
        """Keep a picture; it is there as a whole or not at all."""
        with store_faults("put"):
            await obstore.put_async(self._store, _picture(name), content, use_multipart=False)

    async def read(self, name: str) -> bytes | None:
        """Return the picture, or None."""
        try:
            with store_faults("get"):
                answer = await obstore.get_async(self._store, _picture(name))
                return bytes(await answer.bytes_async())
        except (FileNotFoundError, NotFoundError):
            return None

    async def delete(self, name: str) -> None:
        """Remove the picture; nothing there is fine. While the store is away it stays until the janitor finds it."""
        with suppress(StorageUnavailableError), store_faults("delete"):
            await obstore.delete_async(self._store, [_picture(name)])

    async def older_than(self, seconds: float) -> list[str]:
        """Return the names of the pictures that were written so long ago, by the store's clock."""
        moment = utc_now() - timedelta(seconds=seconds)
        names: list[str] = []
        with store_faults("list"):
            async for page in obstore.list(self._store, "pictures", chunk_size=PAGE):
                names += [meta["path"].rsplit("/", 1)[-1] for meta in page if meta["last_modified"] < moment]
        return [name for name in names if name_in(path_of(name))]


def _picture(name: str) -> str:
    if not name_in(path_of(name)):
        raise ValueError("not a picture's name")
    return f"pictures/{name}"
