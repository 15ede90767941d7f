"""Which store of bytes belongs to the database: an id in `store_marks`, which stands in the store as well.

An empty folder takes and gives bytes as well as any: only the id shows that it is another disk, or none. Where the two
differ nothing is written to the store, removed from it, or missed in it.
"""

import asyncio
import secrets
import time
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import Database, now_of, upsert
from app.db.reader import ReadStatement, Row
from app.db.site_tables import store_marks
from app.db.upload_tables import upload_parts
from app.storage.marks import StoreMark
from app.storage.problems import StorageUnavailableError

KEEP_SECONDS = 5.0
"""How old what a process knows of its store may be, where that is well; what is not is looked at each time."""
MOST_FOLDERS = 10_000
"""Uploads whose bytes one look at the store compares."""
ONLY_ROW = 1
ADVICE = (
    "If it is not mounted, or the settings name another one than before, bring the former one back. If it is to be the "
    "store from now on: openml-web store adopt"
)
_ROW = ReadStatement(
    sa.select(store_marks.c.identity, store_marks.c.is_written).where(store_marks.c.id == ONLY_ROW),
    by_key=True,
)


class MarkedStore(Protocol):
    """What the guard asks of a store."""

    @property
    def mark(self) -> StoreMark:
        """Where its id stands."""

    async def upload_ids(self) -> list[str]:
        """Return the uploads that have bytes there."""


class StoreGuard:
    """Compares the mark of a process' store with that of its database."""

    def __init__(self, database: Database, store: MarkedStore, *, settles: bool = True) -> None:
        """Take both; `settles`: a database that has no store yet gets this one."""
        self._database = database
        self._store = store
        self._settles = settles
        self._well_until = float("-inf")
        self._one = asyncio.Lock()

    async def require(self) -> None:
        """Return if the store is the one of the database, or becomes it, because the database has none yet.

        Raises:
            StorageUnavailableError: it is not, or does not answer; users are told no more than that.
            DatabaseUnavailableError: the database is away, in trouble or full.
        """
        if await self.find_fault():
            raise StorageUnavailableError

    async def find_fault(self) -> str | None:
        """Return what is wrong with the store and what to do, or None.

        Raises:
            StorageError: it does not answer.
            DatabaseUnavailableError: the database is away, in trouble or full.
        """
        async with self._one:
            if time.monotonic() < self._well_until:
                return None
            fault = await self._look()
            if fault is None:
                self._well_until = time.monotonic() + KEEP_SECONDS
            return fault

    async def _look(self) -> str | None:
        row = await self._database.reader.first(_ROW, {})
        if row is None and not self._settles:
            return None
        identity, is_written = row or await _make(self._database)
        found = _decoded(await self._store.mark.read())
        if (found is not None or is_written) and (fault := _difference(found, str(identity))):
            return fault
        return None if is_written else await self._begin(str(identity))

    async def _begin(self, identity: str) -> str | None:
        """Make the store the database's, unless it lacks what the rows of a version before name."""
        named = await get_upload_folders(self._database)
        if named and not named & set(await self._store.upload_ids()):
            return f"The store has no bytes of the {len(named)} uploads that the database names. {ADVICE}"
        if self._settles:
            await self._store.mark.write(identity)
            await _set(self._database, identity)
        return None


async def adopt(database: Database, mark: StoreMark) -> str:
    """Make a store the one of the database, with a new id; return it. Another store is refused from then on.

    Raises:
        StorageError: the store does not take the mark.
        DatabaseUnavailableError: the database is away, in trouble or full.
    """
    identity = _new_identity()
    await mark.write(identity)
    await _set(database, identity)
    return identity


async def find_other(database: Database, mark: StoreMark) -> str | None:
    """Return what is wrong where a store is known not to be the database's; nothing is written.

    Raises:
        StorageError: the store does not answer.
        DatabaseUnavailableError: the database is away, in trouble or full.
    """
    row = await database.reader.first(_ROW, {})
    return _difference(_decoded(await mark.read()), str(row[0])) if row is not None and row[1] else None


async def hand_on(source: Database, target: Database) -> None:
    """Let another database have the same store, where one is known."""
    row = await source.reader.first(_ROW, {})
    if row is not None and row[1]:
        await _set(target, str(row[0]))


async def get_upload_folders(database: Database) -> set[str]:
    """Return where bytes of uploads that are not published are kept, at most 10 000.

    Raises:
        DatabaseUnavailableError: it is away, in trouble or full.
    """
    folder = sa.func.coalesce(upload_parts.c.stored_in, upload_parts.c.upload_id)
    async with database.connection() as connection:
        return set(
            await connection.scalars(
                sa.select(folder).where(upload_parts.c.length > 0).distinct().limit(MOST_FOLDERS)
            )
        )


def _decoded(content: bytes | None) -> str | None:
    """Return the id of a mark; None for what is none."""
    text = (content or b"").decode("ascii", errors="replace").strip()
    return text if text.isalnum() else None


def _difference(found: str | None, identity: str) -> str | None:
    if found == identity:
        return None
    if found is None:
        return (
            f"The store is not the one of the database: it has no id, where {identity} is expected. {ADVICE}"
        )
    return f"The store belongs to another database (its id is {found}, not {identity}). {ADVICE}"


async def _make(database: Database) -> Row:
    """Record an id that the store has to get; of several processes that do so at once, the first counts."""
    made = _new_identity()

    async def insert(session: AsyncSession) -> None:
        values = {"id": ONLY_ROW, "identity": made, "is_written": False, "created_at": now_of(session)}
        # What another process has written meanwhile stays.
        await upsert(session, store_marks, values, update={"id": ONLY_ROW})

    await database.unit(insert)
    row = await database.reader.first(_ROW, {})
    assert row is not None  # noqa: S101 - it was just committed
    return row


async def _set(database: Database, identity: str) -> None:
    """Record the id of a store that has it."""

    async def write(session: AsyncSession) -> None:
        known = {"identity": identity, "is_written": True}
        values = {"id": ONLY_ROW, "created_at": now_of(session), **known}
        await upsert(session, store_marks, values, update=known)

    await database.unit(write)


def _new_identity() -> str:
    return secrets.token_hex(16)
