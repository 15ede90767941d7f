"""Private datasets: read with their owner's key when the owner looks, and kept for the owner's eyes alone."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog

from app.index.sources import Sources
from app.index.store import OWN, Put
from app.index.writer import Writer
from app.openml.errors import RefusedError

log = structlog.get_logger(__name__)


class Owners:
    """Keeps the private datasets of those who look."""

    def __init__(self, writer: Writer, sources: Sources) -> None:
        self._writer = writer
        self._store = writer.store
        self._sources = sources

    async def follow(self) -> bool:
        """Read the private datasets of who has looked since the last call; say whether there was anybody.

        Raises:
            OpenMLError: OpenML cannot be read.
        """

        def take() -> list[str]:
            with self._store.writing():
                return self._store.take_wanted(OWN)

        users = await self._writer.run(take)
        for user_id in users:
            try:
                await self._read(int(user_id))
            except RefusedError as error:
                log.info("private datasets cannot be read", user=user_id, reason=str(error))
        return bool(users)

    async def note_gone(self, kind: str, document_id: str, known: Mapping[str, Any]) -> None:
        """Follow what is not shown to everybody: an account that is closed, or a private dataset that was changed."""
        if kind == "user":
            await self._forget(await self._known(int(document_id)))
        elif kind == "data" and known.get("visibility") == "private" and known.get("uploader_id"):
            await self._read(int(known["uploader_id"]))

    async def _read(self, user_id: int) -> None:
        numbers, key = await self._sources.private_datasets(user_id)
        known = await self._known(user_id)
        await self._forget(known - {str(number) for number in numbers})
        for number in numbers:
            if str(number) not in known or await self._may_be_processed(number):
                await self._keep(await self._sources.private_dataset(number, user_id, key))

    async def _known(self, user_id: int) -> set[str]:
        return set(await self._writer.run(partial(self._store.private_of, "data", user_id)))

    async def _may_be_processed(self, number: int) -> bool:
        """Say whether OpenML may have done since what it does with a new dataset."""
        document = await self._writer.run(partial(self._store.get, "data", str(number))) or {}
        return document.get("status") != "active"

    async def _keep(self, put: Put) -> None:
        await self._writer.put([put], 0)

    async def _forget(self, numbers: set[str]) -> None:
        def delete() -> None:
            with self._store.writing():
                for number in numbers:
                    self._store.delete("data", number)

        if numbers:
            await self._writer.run(delete)
