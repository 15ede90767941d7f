"""Changing one's picture: the bytes are received and redrawn first, then the row names the new picture."""

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit
from app.accounts.audit import AuditKind
from app.core.bodies import PartEnd, PartEvent, PartStart
from app.core.clients import Client
from app.core.errors import BodyTooLargeError, MalformedBodyError, UnauthorizedError, ValidationFailedError
from app.db import users
from app.db.engine import Database
from app.imaging import PictureRedrawer
from app.storage.pictures import PictureStorage, name_in, new_name, path_of

PART = "file"
"""What the SPA calls it."""


async def change_picture(
    database: Database,
    pictures: PictureStorage,
    redrawer: PictureRedrawer,
    *,
    user_id: int,
    events: AsyncIterator[PartEvent],
    limit_bytes: int,
    client: Client,
) -> str:
    """Take the picture of a form and return the path that it is served at.

    No database connection is held while bytes move or the picture is redrawn.

    Raises:
        BodyTooLargeError: the file is larger than the limit.
        ValidationFailedError: the form has no picture.
        PictureRefusedError: it cannot be used.
        TooBusyError: too many pictures wait to be redrawn.
    """
    async with pictures.spool() as file:
        await _receive(events, file, limit=limit_bytes)
        redrawn = await redrawer.redraw(file)
    name = new_name(redrawn.suffix)
    try:
        await pictures.save(name, redrawn.content)
        await _point_to(database, pictures, user_id, path_of(name), client)
    except BaseException:
        # No row names it; were this process to end right here, the janitor would find it.
        await pictures.delete(name)
        raise
    return path_of(name)


async def remove_picture(database: Database, pictures: PictureStorage, user_id: int, client: Client) -> None:
    """Leave the user without a picture; one without stays so."""
    await _point_to(database, pictures, user_id, "", client)


async def _receive(events: AsyncIterator[PartEvent], file: BinaryIO, *, limit: int) -> None:
    length: int | None = None
    async for event in events:
        if isinstance(event, PartStart) and event.name == PART:
            if length is not None:
                raise MalformedBodyError("The form has two files; send one.")
            length = await _copy_part(events, file, limit=limit)
    if not length:
        raise ValidationFailedError.for_fields(
            [{"field": PART, "message": f"Send a picture in the part `{PART}`."}]
        )


async def _copy_part(events: AsyncIterator[PartEvent], file: BinaryIO, *, limit: int) -> int:
    length = 0
    async for event in events:
        if isinstance(event, PartEnd):
            break
        if isinstance(event, bytes):
            length += len(event)
            if length > limit:
                raise BodyTooLargeError.of_file(limit)
            await asyncio.to_thread(file.write, event)
    await asyncio.to_thread(file.flush)
    return length


async def _point_to(
    database: Database, pictures: PictureStorage, user_id: int, path: str, client: Client
) -> None:
    """Let the user's row name another picture, and remove the one before when that is certain."""

    async def change(session: AsyncSession) -> str:
        before = await users.set_image(session, user_id, path)
        if before is None:
            raise UnauthorizedError("This account is not active", error="invalid_token")
        await audit.write(session, user_id, AuditKind.PICTURE_CHANGED, client)
        return before

    before = await database.unit(change)
    if name := name_in(before):
        await pictures.delete(name)
