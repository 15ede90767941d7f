"""What is shown of uploads: read without what clients may make large, many rows at a time."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.upload_states import UploadState
from app.db.upload_tables import upload_events, uploads
from app.db.upload_values import LIST_BYTES, Description, KnownReading, Upload, UploadProgress

LARGEST_JSON = 2 * LIST_BYTES
"""Characters of a list or an error that are read; what rows keep is shorter, but for those of an older version."""


MOST_EVENTS = 500
"""Most steps of one upload that are shown: each retry adds some."""


class UploadView(NamedTuple):
    """An upload's row, but for what only its own page shows, or only a worker needs."""

    id: str
    user_id: int
    state: str
    file_name: str
    format: str
    dataset_name: str | None
    total_bytes: int | None
    received_bytes: int | None
    received_sha256: str | None
    publish_requested: bool
    is_partial: bool
    expires_at: datetime | None
    duplicate_of: str | None
    row_count: int | None
    column_count: int | None
    dataset_id: int | None
    created_at: datetime
    finished_at: datetime | None
    progress: UploadProgress | None
    warnings: list[str] | None
    repairs: list[dict[str, str]] | None
    error: dict[str, Any] | None


class UploadEvent(NamedTuple):
    """A step that an upload has taken."""

    id: int
    state: str
    at: datetime
    detail: str | None


def _column(name: str) -> Any:  # noqa: ANN401 - SQLAlchemy's expressions share no useful base
    column = uploads.c[name]
    if not isinstance(column.type, sa.JSON):
        return column
    return sa.case((sa.func.length(column) <= LARGEST_JSON, column)).label(name)


_VIEW = tuple(_column(name) for name in UploadView._fields)
_ROW = tuple(uploads.c[name] for name in Upload._fields)


async def get_view(session: AsyncSession, upload_id: str, *, user_id: int) -> UploadView | None:
    """Return one of a user's uploads, or None."""
    mine = sa.and_(uploads.c.id == upload_id, uploads.c.user_id == user_id)
    row = (await session.execute(sa.select(*_VIEW).where(mine))).first()
    return UploadView._make(row) if row else None


async def get_said(session: AsyncSession, upload_id: str) -> tuple[Description, KnownReading]:
    """Return what is said of an upload's dataset, and how its file is read."""
    statement = sa.select(uploads.c.description, uploads.c.reading).where(uploads.c.id == upload_id)
    row = (await session.execute(statement)).one()
    return row.description or Description(), row.reading or KnownReading()


async def get_page_of_user(
    session: AsyncSession,
    user_id: int,
    *,
    limit: int,
    before: UploadView | None = None,
    states: Collection[UploadState] | None = None,
) -> list[UploadView]:
    """Return at most `limit` uploads of a user, newest first; only older ones than `before`, in the given states.

    Parts that were joined are not among them: what they became is.
    """
    shown = sa.and_(uploads.c.user_id == user_id, uploads.c.state != UploadState.JOINED)
    statement = sa.select(*_VIEW).where(shown)
    if states:
        statement = statement.where(uploads.c.state.in_(states))
    if before is not None:
        # SQLite begins there in the index by the first condition only.
        older = sa.or_(uploads.c.created_at < before.created_at, uploads.c.id < before.id)
        statement = statement.where(uploads.c.created_at <= before.created_at, older)
    newest_first = statement.order_by(uploads.c.created_at.desc(), uploads.c.id.desc()).limit(limit)
    return [UploadView._make(row) for row in await session.execute(newest_first)]


async def get_ids_of_user(session: AsyncSession, user_id: int) -> list[str]:
    """Return all uploads of a user, oldest first."""
    statement = sa.select(uploads.c.id).where(uploads.c.user_id == user_id).order_by(uploads.c.created_at)
    return list((await session.scalars(statement)).all())


async def get_of_user(session: AsyncSession, user_id: int, *, only: Collection[str]) -> list[Upload]:
    """Return everything that is kept of those uploads of a user that are named."""
    mine = sa.and_(uploads.c.user_id == user_id, uploads.c.id.in_(only))
    return [Upload._make(row) for row in await session.execute(sa.select(*_ROW).where(mine))]


async def get_events(session: AsyncSession, upload_id: str, *, after: int = 0) -> list[UploadEvent]:
    """Return the upload's latest steps, oldest first; only those with a greater number than `after`."""
    statement = (
        sa.select(*(upload_events.c[name] for name in UploadEvent._fields))
        .where(upload_events.c.upload_id == upload_id, upload_events.c.id > after)
        .order_by(upload_events.c.id.desc())
        .limit(MOST_EVENTS)
    )
    return [UploadEvent._make(row) for row in (await session.execute(statement)).all()[::-1]]


async def get_dataset_ids(session: AsyncSession, upload_ids: Collection[str]) -> dict[str, int | None]:
    """Return which datasets the uploads became."""
    statement = sa.select(uploads.c.id, uploads.c.dataset_id).where(uploads.c.id.in_(upload_ids))
    return {row[0]: row[1] for row in await session.execute(statement)}
