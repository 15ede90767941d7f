"""The contents of a backup: the configured database, and the files that its rows name."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.core.settings import Settings, missing_extra
from app.db.engine import Database
from app.db.snapshots import read_rows, tables_to_copy
from app.db.tables import users
from app.db.upload_tables import upload_parts, uploads
from app.storage.local import LocalMark, require_writable
from app.storage.marks import StoreMark
from app.storage.objects import LocalObjects, ObjectStore, Stored
from app.storage.pictures import name_in

PICTURES, UPLOADS = "pictures", "uploads"


class BackupError(OperatorError):
    """It cannot be backed up, restored or moved; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Site:
    """A database, the store of the bytes that its rows name, and the mark of that store."""

    database: Database
    objects: ObjectStore
    mark: StoreMark

    @property
    def tables(self) -> list[sa.Table]:
        """The tables that are this site's own: with MySQL, those with OpenML's layout belong to OpenML."""
        return tables_to_copy(with_openml=self.database.is_sqlite)


@asynccontextmanager
async def open_site(settings: Settings) -> AsyncIterator[Site]:
    """Open what the settings name.

    Raises:
        SettingsError: the settings are wrong, or the store does not work.
    """
    database = Database(settings)
    try:
        await database.look_at_clock()
        yield Site(database, *await _open_objects(settings))
    finally:
        await database.close()


async def _open_objects(settings: Settings) -> tuple[ObjectStore, StoreMark]:
    if not settings.storage_url:
        await require_writable(settings.data_dir / UPLOADS)
        return LocalObjects(settings.data_dir, spread=True), LocalMark(settings.data_dir / UPLOADS)
    try:
        from app.storage.s3_objects import open_s3_objects  # noqa: PLC0415 - an extra
    except ImportError:
        raise missing_extra("STORAGE_URL", "s3") from None
    objects = await open_s3_objects(settings)
    return objects, objects.mark


async def find_named(connection: AsyncConnection) -> AsyncIterator[Stored]:
    """Yield all bytes that rows name: parts of uploads, their previews, and pictures.

    A source that was put together is named by its parts, which it can be made of again; an ARFF file by none, for it is
    made again of the source.
    """
    columns = [column.name for column in upload_parts.columns]
    async for rows in read_rows(connection, upload_parts, columns):
        for row in rows:
            part = dict(zip(columns, row, strict=True))
            upload_id, folder = str(part["upload_id"]), part["stored_in"] or part["upload_id"]
            yield Stored(
                f"{UPLOADS}/{folder}/{part['name']}",
                int(part["length"] or 0),
                upload_id,
                int(part["start"] or 0),
            )
    has_parts = sa.column("id").in_(sa.select(upload_parts.c.upload_id))
    async for rows in read_rows(connection, uploads, ["id", "reading"], where=has_parts):
        for previewed, reading in rows:
            # As `preview_version` of a row.
            found = json.loads(str(reading or "null")) or {}
            if found.get("choices"):
                yield Stored(f"{UPLOADS}/{previewed}/profile{found['choices']}")
    async for rows in read_rows(connection, users, ["id", "image"]):
        for _user_id, image in rows:
            if picture := name_in(str(image or "")):
                yield Stored(f"{PICTURES}/{picture}")
