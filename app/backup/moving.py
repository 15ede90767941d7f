"""Migration of a stopped site: rows to another database, files to another store."""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.backup.making import require_current
from app.backup.restoring import put
from app.backup.rows import SnapshotRows, StorableRows, compare, fill, require_empty
from app.backup.site import BackupError, Site, find_named
from app.db import worker_heartbeats
from app.db.engine import Database
from app.db.migrations import migrate
from app.db.snapshots import filling, last_ids, set_last_ids, snapshot
from app.db.store_marks import adopt, hand_on
from app.db.upload_states import HOLDS_BYTES
from app.db.upload_tables import upload_parts, uploads
from app.storage.marks import StoreMark
from app.storage.objects import ObjectStore

STOP_FIRST = "Stop `openml-web serve` and every worker, then run this again; what was copied is kept."
NOTHING_STAYS = (
    "Nothing was written to the new database. If that row changed while it was copied, the service still runs: stop "
    "`openml-web serve` and every worker, then run this again."
)


class Unfinished(NamedTuple):
    """Uploads that have not come to their end, and the bytes that are kept of those and of ones that failed."""

    uploads: int
    bytes: int


class Moved(NamedTuple):
    """Files that rows name, how many bytes they have, and names of those that are nowhere."""

    files: int
    bytes: int
    lost: tuple[str, ...]


async def find_unfinished(connection: AsyncConnection) -> Unfinished:
    """Return the unfinished uploads; they are moved in their present state, and continue afterwards."""
    under_way = sa.select(sa.func.count()).where(uploads.c.state.in_(HOLDS_BYTES))
    kept = sa.select(sa.func.coalesce(sa.func.sum(upload_parts.c.length), 0))
    return Unfinished(int(await connection.scalar(under_way) or 0), int(await connection.scalar(kept) or 0))


async def require_stopped(database: Database) -> None:
    """Return if no worker process has a recent heartbeat.

    Raises:
        BackupError: one has.
    """
    now = database.now()
    found = [each for each in await worker_heartbeats.get_recent(database.reader, now) if each.is_fresh(now)]
    if found:
        raise BackupError(f"A worker runs: process {found[0].pid} on {found[0].host}. {STOP_FIRST}")


async def move_database(source: Site, target: Database) -> dict[str, int]:
    """Copy all rows into an empty database, and compare them; return how many each table has.

    Raises:
        BackupError: the target is not empty, or the rows are not the same, or somebody still writes to the source.
        DatabaseUnavailableError: a database is away, in trouble or full.
    """
    await require_stopped(source.database)
    tables = source.tables
    await migrate(target.engine)
    await target.learn()
    async with filling(target) as connection:
        await require_empty(connection, tables)
        async with snapshot(source.database) as origin:
            await require_current(origin)
            await fill(connection, tables, StorableRows(SnapshotRows(origin), target))
            numbers = await last_ids(origin, [table.name for table in tables])
        # Another snapshot, so that what was written to the source meanwhile is a difference.
        async with snapshot(source.database) as origin:
            try:
                counts = await compare(connection, tables, StorableRows(SnapshotRows(origin), target))
            except BackupError as error:
                raise BackupError(f"{error} {NOTHING_STAYS}") from None
    async with filling(target) as connection:
        await set_last_ids(connection, numbers)
    return counts


async def move_store(source: Site, target: ObjectStore) -> Moved:
    """Copy all files that rows name to another store, and verify them; files already there are not copied again.

    Raises:
        BackupError: bytes are not the same there, or somebody still writes to the source.
        DatabaseUnavailableError: the database is away or in trouble.
        StorageError: a store, or the disk, is.
    """
    await require_stopped(source.database)
    before = await _copy_named(source, target)
    moved = await _copy_named(source, target)
    if moved != before:
        raise BackupError(f"Bytes came while they were copied. {STOP_FIRST}")
    return moved


async def settle_store(before: Database, after: Database, mark: StoreMark | None) -> None:
    """Let the database that is used from now on name its store; `mark` is that of a new one.

    The former store is refused then, should anything be started with the old settings.
    """
    if mark is not None:
        await adopt(after, mark)
    else:
        await hand_on(before, after)


async def _copy_named(source: Site, target: ObjectStore) -> Moved:
    files, total, lost = 0, 0, list[str]()
    async with snapshot(source.database) as connection:
        async for one in find_named(connection):
            try:
                total += await put(one, source.objects, target)
                files += 1
            except FileNotFoundError:
                lost.append(one.name)
    return Moved(files, total, tuple(lost))
