"""Checks of storage: each operation is run once with a small file, which is removed again."""

import secrets

from app.core.errors import DatabaseUnavailableError
from app.db.engine import Database
from app.db.store_marks import StoreGuard, get_upload_folders
from app.doctor.diagnosis import Found, Installation, fault, ok
from app.resources import open_storage
from app.storage.parts import UploadStorage
from app.storage.pictures import PictureStorage, new_name
from app.storage.problems import StorageError

CONTENT = b"written by openml-web doctor"
MOST_NAMED = 5
"""Uploads; of more the number is told."""


async def check_stores(installation: Installation) -> Found:
    """Write, read, list and delete an upload and a picture."""
    settings = installation.settings
    uploads, pictures = await open_storage(settings)
    await _try_uploads(uploads)
    await _try_pictures(pictures)
    if installation.database is not None and (wrong := await _compare(installation.database, uploads)):
        yield fault(wrong)
    if installation.database is not None and (lost := await _find_lost(installation.database, uploads)):
        yield fault(
            f"The store lacks bytes of {len(lost)} uploads that are not published: "
            f"{', '.join(sorted(lost)[:MOST_NAMED])}. Is it another folder, disk or bucket than before, or one that "
            "is not mounted? Stop the service, bring the former one back, and start it; what went to the other one "
            "meanwhile has to be copied."
        )
    where = settings.storage_url or str(settings.data_dir)
    free = await uploads.working_bytes()
    yield ok(
        f"{where} takes, returns, lists and deletes uploads and pictures; {free / 1e9:.1f} GB are free in DATA_DIR."
    )


async def _compare(database: Database, storage: UploadStorage) -> str | None:
    """Return what is wrong where the store is not the database's."""
    try:
        return await StoreGuard(database, storage, settles=False).find_fault()
    except DatabaseUnavailableError:
        return None  # Another check says so.


async def _find_lost(database: Database, storage: UploadStorage) -> set[str]:
    """Return the folders that rows name, before and after the store was asked, and that it does not have."""
    try:
        named = await get_upload_folders(database)
        lost = named - set(await storage.upload_ids()) if named else named
        return lost & await get_upload_folders(database) if lost else lost
    except DatabaseUnavailableError:
        return set()  # Another check says so.


async def _try_uploads(storage: UploadStorage) -> None:
    upload_id = secrets.token_hex(16)
    try:
        async with storage.writer(upload_id, 0) as writer:
            await writer.write(CONTENT)
            parts = await writer.flush()
        digests = await storage.compose(upload_id, parts, lambda _: None)
        await storage.keep(upload_id, "source")
        found = await storage.fetch(upload_id, "source")
        if digests.length != len(CONTENT) or found is None:
            raise StorageError("The store of uploads does not return what was written there.")
        if upload_id not in await storage.upload_ids():
            raise StorageError("The store of uploads does not list what was written there.")
    finally:
        await storage.delete(upload_id)
    if await storage.fetch(upload_id, "source") is not None:
        raise StorageError("The store of uploads does not delete what is to be deleted.")


async def _try_pictures(pictures: PictureStorage) -> None:
    name = new_name("png")
    try:
        await pictures.save(name, CONTENT)
        if await pictures.read(name) != CONTENT:
            raise StorageError("The store of pictures does not return what was written there.")
        if name not in await pictures.older_than(-3600):
            raise StorageError("The store of pictures does not list what was written there.")
    finally:
        await pictures.delete(name)
    if await pictures.read(name) is not None:
        raise StorageError("The store of pictures does not delete what is to be deleted.")
