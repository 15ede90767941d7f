"""Online backup: a consistent snapshot of the rows, and all files that they name.

Bytes go once no row names them any more. So the bytes are copied while a snapshot of the database is open; where one
that it names is gone, a newer snapshot does not name it, and is taken: what is left to copy then is what came since.
Once nothing is missing the rows are written down, of the same snapshot.
"""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from app import __version__
from app.backup.folder import Backup, Draft, Manifest
from app.backup.site import BackupError, Site, find_named
from app.db.revisions import SchemaStatus, schema_of
from app.db.snapshots import columns_of, last_ids, read_rows, snapshot
from app.db.store_marks import find_other

ROUNDS = 30
Say = Callable[[str], object]


async def make_backup(site: Site, folder: Path, say: Say) -> Backup:
    """Write a backup into a folder that is not there yet, or go on with one that was not finished.

    Raises:
        BackupError: it cannot be made; the text says why.
        DatabaseUnavailableError: the database is away or in trouble.
        StorageError: the store of the bytes, or the disk, is.
    """
    if fault := await find_other(site.database, site.mark):
        raise BackupError(f"{fault} Nothing was copied.")
    draft = Draft(folder)
    with draft.opened():
        missing: set[str] = set()
        for _ in range(ROUNDS):
            moment = site.database.now().isoformat()
            async with snapshot(site.database) as connection:
                revision = await require_current(connection)
                before, missing = missing, await _copy_named(site, connection, draft)
                # What is missing of this snapshot as well as of an older one is not gone since, but lost.
                if missing <= before:
                    rows = await _write_rows(site, connection, draft)
                    manifest = Manifest(
                        version=__version__,
                        revision=revision,
                        has_users=site.database.is_sqlite,
                        moment=moment,
                        rows=rows,
                        last_ids=await last_ids(connection, list(rows)),
                        files=draft.files,
                        bytes=draft.bytes,
                        lost=sorted(missing),
                    )
                    draft.finish(manifest)
                    return Backup(folder)
            say(f"{len(missing)} files went while they were copied; what came since is copied now.")
    raise BackupError(
        f"Uploads end faster than they are copied, {ROUNDS} times over. Try it again when less is uploaded, or with "
        "`openml-web maintenance on`; what was copied is kept."
    )


async def require_current(connection: AsyncConnection) -> str:
    """Return the revision of the database.

    Raises:
        BackupError: it is not that of this version, which may not know all tables and columns.
    """
    schema = await connection.run_sync(schema_of)
    if schema.status is not SchemaStatus.CURRENT or schema.revision is None:
        raise BackupError(f"{schema.describe()} Only the version that a database is of knows all of it.")
    return schema.revision


async def _copy_named(site: Site, connection: AsyncConnection, draft: Draft) -> set[str]:
    """Copy what rows name and is not copied; return the names of what is not there."""
    missing: set[str] = set()
    draft.begin_round()
    async for one in find_named(connection):
        try:
            await draft.take(one, site.objects)
        except FileNotFoundError:
            missing.add(one.name)
    return missing


async def _write_rows(site: Site, connection: AsyncConnection, draft: Draft) -> dict[str, int]:
    """Write down every table; return how many rows each has."""
    rows: dict[str, int] = {}
    for table in site.tables:
        columns = await columns_of(connection, table)
        rows[table.name] = await draft.write_table(table.name, columns, read_rows(connection, table, columns))
    return rows
