"""Statements on `uploads` and `upload_events`: the story of each upload, one row an upload and one an event."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import Database
from app.db.queue import Queue
from app.db.reader import Reader, ReadStatement
from app.db.results import row_count
from app.db.tables import upload_events, uploads, users


class UploadState(StrEnum):
    """Where an upload stands. Each state is reached once, in this order; `failed` from any before `active`."""

    RECEIVING = "receiving"
    RECEIVED = "received"
    CHECKED = "checked"
    CONVERTED = "converted"
    SENDING = "sending"
    PUBLISHED = "published"
    PROCESSING = "processing"
    ACTIVE = "active"
    FAILED = "failed"


TO_PUBLISH = Queue(
    uploads, [UploadState.RECEIVED, UploadState.CHECKED, UploadState.CONVERTED, UploadState.SENDING]
)
TO_WATCH = Queue(uploads, [UploadState.PUBLISHED, UploadState.PROCESSING])
HAS_OUTCOME = frozenset(
    {UploadState.PUBLISHED, UploadState.PROCESSING, UploadState.ACTIVE, UploadState.FAILED}
)
"""States in which the person who uploaded can be told how it ended."""


class Upload(NamedTuple):
    """An upload's row."""

    id: str
    user_id: int
    state: str
    file_name: str
    format: str
    description: dict[str, Any] | None
    received_bytes: int | None
    received_md5: str | None
    received_sha256: str | None
    arff_bytes: int | None
    arff_md5: str | None
    arff_format: str | None
    row_count: int | None
    column_count: int | None
    warnings: list[str] | None
    repairs: list[dict[str, str]] | None
    sent_at: datetime | None
    newest_before: int | None
    dataset_id: int | None
    error: dict[str, Any] | None
    attempts: int
    created_at: datetime
    finished_at: datetime | None


class UploadEvent(NamedTuple):
    """A step that an upload has taken."""

    state: str
    at: datetime


class Outcome(NamedTuple):
    """What whoever waits for an upload wants to know."""

    state: str
    dataset_id: int | None
    error: dict[str, Any] | None
    warnings: list[str]
    repairs: list[dict[str, str]]


class Owner(NamedTuple):
    """Who published: whether they still may, and their key on OpenML."""

    api_key: str | None
    active: bool


_OUTCOME = ReadStatement(
    sa.select(
        uploads.c.state, uploads.c.dataset_id, uploads.c.error, uploads.c.warnings, uploads.c.repairs
    ).where(uploads.c.id == sa.bindparam("upload_id")),
    by_key=True,
)
_PUBLISHER = ReadStatement(
    sa.select(uploads.c.user_id).where(uploads.c.dataset_id == sa.bindparam("dataset_id")).limit(1)
)
_COLUMNS = tuple(uploads.c[name] for name in Upload._fields)


async def add_upload(
    session: AsyncSession,
    *,
    upload_id: str,
    user_id: int,
    file_name: str,
    format: str,  # noqa: A002 - the column's and OpenML's word
    owner: str,
    now: datetime,
    lease: timedelta,
) -> None:
    """Begin an upload whose bytes are about to come."""
    await session.execute(
        sa.insert(uploads).values(
            id=upload_id,
            user_id=user_id,
            state=UploadState.RECEIVING,
            # Its end says what it is.
            file_name=file_name[-255:],
            format=format,
            lease_owner=owner,
            available_at=now + lease,
            created_at=now,
        )
    )
    await _add_event(session, upload_id, UploadState.RECEIVING, now)


async def get_upload(session: AsyncSession, upload_id: str) -> Upload | None:
    """Return the upload, or None."""
    row = (await session.execute(sa.select(*_COLUMNS).where(uploads.c.id == upload_id))).first()
    return Upload._make(row) if row else None


async def get_outcome(reader: Reader, upload_id: str) -> Outcome | None:
    """Return how the upload stands, without a transaction: people wait on this."""
    row = await reader.first(_OUTCOME, {"upload_id": upload_id})
    if row is None:
        return None
    state, dataset_id, error, warnings, repairs = row
    lists = (json.loads(text or "null") or [] for text in (warnings, repairs))
    return Outcome(state, dataset_id, json.loads(error or "null"), *lists)


async def get_owner(session: AsyncSession, user_id: int) -> Owner | None:
    """Return what publishing needs to know of the uploader, or None if the account is gone."""
    statement = sa.select(users.c.session_hash, users.c.active).where(users.c.id == user_id)
    row = (await session.execute(statement)).first()
    return Owner(row[0], active=row[1] == 1) if row else None


async def set_state(
    session: AsyncSession,
    upload_id: str,
    state: UploadState,
    *,
    now: datetime,
    owner: str | None = None,
    available_at: datetime | None = None,
    detail: str | None = None,
    values: Mapping[str, Any] | None = None,
) -> bool:
    """Move the upload on and write the event; False if `owner` no longer has the lease.

    `available_at` releases the row for the next step; without it the lease is kept.
    """
    mine = uploads.c.id == upload_id
    if owner is not None:
        mine = sa.and_(mine, uploads.c.lease_owner == owner)
    changes: dict[str, Any] = {"state": state, **(values or {})}
    if available_at is not None:
        changes |= {"available_at": available_at, "lease_owner": None, "attempts": 0}
    if state in (UploadState.ACTIVE, UploadState.FAILED):
        changes |= {"finished_at": now, "lease_owner": None}
    if row_count(await session.execute(sa.update(uploads).where(mine).values(changes))) == 0:
        return False
    await _add_event(session, upload_id, state, now, detail)
    return True


async def set_retry(session: AsyncSession, upload_id: str, *, owner: str, at: datetime) -> None:
    """Give the row back, to be taken up again at the given time."""
    mine = sa.and_(uploads.c.id == upload_id, uploads.c.lease_owner == owner)
    await session.execute(sa.update(uploads).where(mine).values(available_at=at, lease_owner=None))


async def claim_upload(
    database: Database, queue: Queue, *, owner: str, now: datetime, lease: timedelta
) -> Upload | None:
    """Take the next upload of the queue."""
    if not await queue.exists(database.reader, now):
        return None
    async with database.session() as session:
        upload_id = await queue.claim(session, owner=owner, now=now, lease=lease)
        return await get_upload(session, str(upload_id)) if upload_id is not None else None


async def renew_lease(session: AsyncSession, upload_id: str, *, owner: str, until: datetime) -> bool:
    """Keep the row; False if it has gone to somebody else."""
    return await TO_PUBLISH.renew(session, upload_id, owner=owner, until=until)


async def are_taken(session: AsyncSession, dataset_ids: Collection[int]) -> set[int]:
    """Return those of the datasets that an upload of ours is known to have made."""
    statement = sa.select(uploads.c.dataset_id).where(uploads.c.dataset_id.in_(dataset_ids))
    return set((await session.scalars(statement)).all())


async def get_publisher(reader: Reader, dataset_id: int) -> int | None:
    """Return who published the dataset here; None if it was published elsewhere, 0 if the account is gone."""
    row = await reader.first(_PUBLISHER, {"dataset_id": dataset_id})
    return int(row[0]) if row else None


async def get_interrupted(session: AsyncSession, now: datetime) -> list[str]:
    """Return uploads whose bytes stopped coming and whose receiver is gone."""
    stale = sa.and_(uploads.c.state == UploadState.RECEIVING, uploads.c.available_at < now)
    return list((await session.scalars(sa.select(uploads.c.id).where(stale))).all())


async def get_states(
    session: AsyncSession, upload_ids: Collection[str]
) -> dict[str, tuple[str, datetime | None]]:
    """Return the state and end of those uploads that exist."""
    statement = sa.select(uploads.c.id, uploads.c.state, uploads.c.finished_at).where(
        uploads.c.id.in_(upload_ids)
    )
    return {row[0]: (row[1], row[2]) for row in await session.execute(statement)}


async def forget_user(session: AsyncSession, user_id: int) -> None:
    """Detach a user's uploads from the user, and clear what was said of them."""
    mine = uploads.c.user_id == user_id
    cleared = {"user_id": 0, "file_name": "", "description": None}
    ended = uploads.c.state.in_([UploadState.ACTIVE, UploadState.FAILED])
    await session.execute(sa.update(uploads).where(mine, ended).values(cleared))


async def get_of_user(session: AsyncSession, user_id: int) -> list[Upload]:
    """Return all uploads of a user, oldest first."""
    statement = sa.select(*_COLUMNS).where(uploads.c.user_id == user_id).order_by(uploads.c.created_at)
    return [Upload._make(row) for row in await session.execute(statement)]


async def get_page_of_user(
    session: AsyncSession, user_id: int, *, limit: int, before: Upload | None = None
) -> list[Upload]:
    """Return at most `limit` uploads of a user, newest first; only such as are older than `before`."""
    statement = sa.select(*_COLUMNS).where(uploads.c.user_id == user_id)
    if before is not None:
        same_moment = sa.and_(uploads.c.created_at == before.created_at, uploads.c.id < before.id)
        statement = statement.where(sa.or_(uploads.c.created_at < before.created_at, same_moment))
    newest_first = statement.order_by(uploads.c.created_at.desc(), uploads.c.id.desc()).limit(limit)
    return [Upload._make(row) for row in await session.execute(newest_first)]


async def get_events(session: AsyncSession, upload_id: str) -> list[UploadEvent]:
    """Return the upload's steps, oldest first."""
    statement = (
        sa.select(upload_events.c.state, upload_events.c.at)
        .where(upload_events.c.upload_id == upload_id)
        .order_by(upload_events.c.id)
    )
    return [UploadEvent._make(row) for row in await session.execute(statement)]


async def _add_event(
    session: AsyncSession, upload_id: str, state: UploadState, now: datetime, detail: str | None = None
) -> None:
    values = {"upload_id": upload_id, "state": state, "at": now, "detail": detail[:500] if detail else None}
    await session.execute(sa.insert(upload_events).values(values))
