"""The mark of a store that is a prefix of a bucket."""

import obstore
from obstore.exceptions import NotFoundError
from obstore.store import S3Store

from app.storage.marks import LONGEST_MARK, MARK_NAME
from app.storage.s3_store import store_faults


class S3Mark:
    """The object `store-id`, beside those of uploads and pictures."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    async def read(self) -> bytes | None:
        """Return the mark, nothing of what is too long for one, or None."""
        try:
            with store_faults("get"):
                answer = await obstore.get_async(self._store, MARK_NAME)
                if answer.meta["size"] > LONGEST_MARK:
                    return b""
                return bytes(await answer.bytes_async())
        except (FileNotFoundError, NotFoundError):
            return None

    async def write(self, identity: str) -> None:
        """Set the mark."""
        with store_faults("put"):
            await obstore.put_async(self._store, MARK_NAME, identity.encode("ascii"), use_multipart=False)
