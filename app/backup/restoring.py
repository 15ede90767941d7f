"""Restores a backup into an empty database and an empty store, and compares it with both."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.backup.folder import Backup
from app.backup.making import Say
from app.backup.rows import StorableRows, compare, fill, known_tables, require_empty
from app.backup.site import BackupError, Site
from app.db import outbox, upload_queues
from app.db.engine import Database
from app.db.migrations import migrate
from app.db.revisions import REVISIONS, find_schema
from app.db.snapshots import count_rows, filling, set_last_ids
from app.db.store_marks import adopt
from app.db.tables import users
from app.storage.objects import ObjectStore, Stored, checksum, copy

IDS_LEFT_OUT = 1000
"""Numbers that the site may have given to users, mails and events since the backup was made: what was issued to one of
them must not mean another."""
HELD = "held when a backup was restored: it may have been sent since that was made; `openml-web mail retry` sends it"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and what is done about the time since the backup was made.

    Attributes:
        rows: how many.
        files: how many.
        held: mails that were to be sent, and are not.
        looked_for: uploads that are looked for at OpenML before they are sent.
        has_users: whether there is anybody in `users`.
    """

    rows: int
    files: int
    held: int
    looked_for: int
    has_users: bool


async def restore(backup: Backup, site: Site, say: Say) -> Restored:
    """Restore a backup that was verified; where it fails, nothing is in the database, and it can be repeated.

    Raises:
        BackupError: the target is not empty, or is not as the backup afterwards; or the backup is of another version.
        DatabaseUnavailableError: the database is away, in trouble or full.
        StorageError: the store of the bytes, or the disk, is.
    """
    manifest, database = backup.manifest, site.database
    if manifest.revision not in REVISIONS:
        raise BackupError(
            f"The backup was made by a newer version ({manifest.version}). Restore it with that one."
        )
    tables = known_tables(list(manifest.rows))
    await _prepare(database, manifest.revision)
    async with filling(database) as connection:
        await require_empty(connection, tables)
    files = 0
    for one, sha256 in backup.files():
        await put(one, backup.objects, site.objects, sha256)
        files += 1
    say(f"{files} files are restored.")
    await database.learn()
    rows = StorableRows(backup, database)
    async with filling(database) as connection:
        await require_empty(connection, tables)
        await fill(connection, tables, rows)
        counts = await compare(connection, tables, rows)
        held, looked_for = await _settle(database, connection)
        has_users = await count_rows(connection, users) > 0
    async with filling(database) as connection:
        await set_last_ids(
            connection, {name: number + IDS_LEFT_OUT for name, number in manifest.last_ids.items()}
        )
    await migrate(database.engine)
    await adopt(database, site.mark)
    return Restored(sum(counts.values()), files, held, looked_for, has_users)


async def put(one: Stored, source: ObjectStore, target: ObjectStore, sha256: str | None = None) -> int:
    """Copy one object and verify it; return its length in bytes. A whole one already there is not copied again.

    Raises:
        BackupError: the copy differs from the source, or from `sha256`.
        FileNotFoundError: the source does not have it.
    """
    there = await target.length(one.name)
    if sha256 is None and there is not None:
        # Written as a whole, by a move that was interrupted.
        wanted = await source.length(one.name) if one.length is None else one.length
        if there == wanted:
            return there
    copied = await copy(one, source, target)
    if await checksum(Stored(one.name), target) != copied or sha256 not in {None, copied.sha256}:
        raise BackupError(
            f"{one.name} is not what was copied. Look at the disk, or the store, and try it again."
        )
    return copied.length


async def _prepare(database: Database, revision: str) -> None:
    present = (await find_schema(database.engine)).revision
    if present not in {None, revision}:
        raise BackupError(
            f"The database is at revision {present}, the backup was made at {revision}. Name an empty database in "
            "DATABASE_URI: its tables are made by this command."
        )
    await migrate(database.engine, to=revision)


async def _settle(database: Database, connection: AsyncConnection) -> tuple[int, int]:
    """Hold mails, and mark uploads to be looked for at OpenML, in the same transaction; return the number of each."""
    session = AsyncSession(connection, info={"clock": database})
    held = await outbox.hold_waiting(session, now=database.now(), reason=HELD)
    return held, await upload_queues.look_before_sending(session)
