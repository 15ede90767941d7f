"""Statements on `uploads` and `upload_events`: rows for an upload, and for a step of one."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import metrics, tracing
from app.core.errors import ProblemError
from app.db.engine import call_after_commit, row_count
from app.db.reader import Reader, ReadStatement
from app.db.tables import users
from app.db.upload_states import (
    CAN_EXPIRE,
    CAN_STOP,
    COUNTS_AS_PUBLISHED,
    ENDED,
    HAS_OUTCOME,
    Actor,
    Condition,
    IllegalStepError,
    Transition,
    UploadState,
    steps_to,
)
from app.db.upload_tables import upload_events, uploads
from app.db.upload_values import NewUpload, Outcome, Owner, Upload, as_kept

log = structlog.get_logger(__name__)

OF_STEPS = frozenset({"state", "available_at", "lease_owner"})
"""Columns that `set_state` writes of itself."""
_DESCRIPTION = ReadStatement(
    sa.select(uploads.c.description).where(uploads.c.id == sa.bindparam("upload_id"))
)
_OUTCOME = ReadStatement(
    sa.select(
        uploads.c.state,
        uploads.c.dataset_id,
        uploads.c.duplicate_of,
        uploads.c.error,
        uploads.c.warnings,
        uploads.c.repairs,
    ).where(uploads.c.id == sa.bindparam("upload_id")),
    by_key=True,
)
_OWNER = ReadStatement(
    sa.select(users.c.session_hash, users.c.active).where(users.c.id == sa.bindparam("user_id")), by_key=True
)
_PUBLISHER = ReadStatement(
    sa.select(uploads.c.user_id).where(uploads.c.dataset_id == sa.bindparam("dataset_id")).limit(1)
)
_COLUMNS = tuple(uploads.c[name] for name in Upload._fields)
_ADD_EVENT = sa.insert(upload_events)
_UPLOAD = sa.select(*_COLUMNS).where(uploads.c.id == sa.bindparam("upload_id"))


async def add_upload(session: AsyncSession, new: NewUpload) -> None:
    """Begin an upload whose bytes are about to come."""
    values = as_kept(new._asdict())
    # The name's end says what it is.
    values["file_name"] = new.file_name[-255:]
    await session.execute(sa.insert(uploads).values(state=UploadState.RECEIVING, received_bytes=0, **values))
    await _add_event(session, new.id, UploadState.RECEIVING, new.created_at)
    call_after_commit(session, partial(metrics.UPLOAD_STEPS.add, UploadState.RECEIVING))


async def get_by_idempotency_key(session: AsyncSession, key: str) -> Upload | None:
    """Return the upload that was begun with the key."""
    row = (await session.execute(sa.select(*_COLUMNS).where(uploads.c.idempotency_key == key))).first()
    return Upload._make(row) if row else None


async def get_duplicate(
    session: AsyncSession, user_id: int, *, sha256: str, name: str | None
) -> Upload | None:
    """Return the user's earliest upload of the same bytes under the same name that is published, or on its way.

    One that waits for such an upload itself does not count.
    """
    # Sorted here: to spare the sorting, SQLite would read all of the user's by their date.
    statement = sa.select(uploads.c.created_at, uploads.c.id, uploads.c.dataset_name).where(
        uploads.c.user_id == user_id,
        uploads.c.received_sha256 == sha256,
        uploads.c.state.in_(COUNTS_AS_PUBLISHED),
        sa.or_(uploads.c.state != UploadState.RECEIVED, uploads.c.duplicate_of.is_(None)),
    )
    # MariaDB compares without regard to case.
    duplicates = [row for row in await session.execute(statement) if row.dataset_name == name]
    return await get_upload(session, min(duplicates).id) if duplicates else None


async def set_values(
    session: AsyncSession,
    upload_id: str,
    values: Mapping[str, Any],
    *,
    only_in: Collection[UploadState],
    lease_owner: str | None = None,
) -> bool:
    """Change columns of the upload; False if it is in none of the states any more, or `lease_owner` has lost it."""
    _require_no_step(values)
    mine = sa.and_(uploads.c.id == upload_id, uploads.c.state.in_(only_in))
    if lease_owner is not None:
        mine = sa.and_(mine, uploads.c.lease_owner == lease_owner)
    return row_count(await session.execute(sa.update(uploads).where(mine).values(as_kept(values)))) == 1


async def get_upload(session: AsyncSession, upload_id: str) -> Upload | None:
    """Return the upload, or None."""
    row = (await session.execute(_UPLOAD, {"upload_id": upload_id})).first()
    return Upload._make(row) if row else None


async def get_outcome(reader: Reader, upload_id: str) -> Outcome | None:
    """Return the outcome of an upload, outside of a transaction."""
    row = await reader.first(_OUTCOME, {"upload_id": upload_id})
    if row is None:
        return None
    state, dataset_id, duplicate_of, error, warnings, repairs = row
    lists = (json.loads(text or "null") or [] for text in (warnings, repairs))
    return Outcome(state, dataset_id, duplicate_of, json.loads(error or "null"), *lists)


async def get_description(reader: Reader, upload_id: str) -> str:
    """Return what is said of the dataset as JSON, outside of a transaction; it may have a mebibyte."""
    row = await reader.first(_DESCRIPTION, {"upload_id": upload_id})
    return (row and row[0]) or "{}"


async def get_owner(reader: Reader, user_id: int) -> Owner | None:
    """Return the uploader's API key and whether the account is active, or None if there is no such account."""
    row = await reader.first(_OWNER, {"user_id": user_id})
    return Owner(row[0], active=row[1] == 1) if row else None


async def set_state(
    session: AsyncSession,
    upload_id: str,
    state: UploadState,
    *,
    by: Actor,
    now: datetime,
    lease_owner: str | None = None,
    available_at: datetime | None = None,
    detail: str | None = None,
    values: Mapping[str, Any] | None = None,
) -> bool:
    """Take a step of `TRANSITIONS` and write the event; False if the row does not allow it, or the lease is lost.

    Args:
        session: whose transaction it is part of.
        upload_id: of the upload.
        state: where it goes.
        by: who takes the step.
        now: by the database's clock.
        lease_owner: of those that hold a lease.
        available_at: releases the row for the next step; without it the lease is kept.
        detail: what the event says of it.
        values: columns that change with it.

    Raises:
        IllegalStepError: there is no such step, whatever the row says.
    """
    steps = steps_to(state, by)
    if by.holds_lease != (lease_owner is not None):
        raise IllegalStepError(f"{by} {'needs the owner of its' if by.holds_lease else 'has no'} lease")
    _require_no_step(values or {})
    mine = sa.and_(uploads.c.id == upload_id, sa.or_(*(_allows(step, now) for step in steps)))
    if lease_owner is not None:
        mine = sa.and_(mine, uploads.c.lease_owner == lease_owner)
    changes: dict[str, Any] = {"state": state, **as_kept(values or {})}
    if available_at is not None:
        changes |= {"available_at": available_at, "lease_owner": None, "attempts": 0}
    if state in ENDED:
        changes |= {"finished_at": now, "lease_owner": None}
    if traceparent := tracing.traceparent():
        # What follows belongs to the request, or to the work, that let it go on.
        changes["traceparent"] = traceparent
    if row_count(await session.execute(sa.update(uploads).where(mine).values(changes))) == 0:
        await _require_legal(session, upload_id, steps, lease_owner)
        return False
    await _add_event(session, upload_id, state, now, detail)
    call_after_commit(session, partial(metrics.UPLOAD_STEPS.add, state))
    if state == UploadState.FAILED and (error := changes.get("error")):
        user_id = await session.scalar(sa.select(uploads.c.user_id).where(uploads.c.id == upload_id))
        call_after_commit(session, partial(_tell_failure, upload_id, user_id, error["slug"]))
    return True


def _tell_failure(upload_id: str, user_id: int | None, problem: str) -> None:
    metrics.UPLOAD_FAILURES.add(problem)
    log.warning("upload failed", upload=upload_id, user=user_id, problem=problem)


async def set_failed(
    session: AsyncSession,
    upload_id: str,
    problem: ProblemError,
    *,
    by: Actor,
    now: datetime,
    lease_owner: str | None = None,
    values: Mapping[str, Any] | None = None,
) -> bool:
    """Take the step to `failed` as `set_state` does; the row keeps the problem, and the event its text."""
    return await set_state(
        session,
        upload_id,
        UploadState.FAILED,
        by=by,
        now=now,
        lease_owner=lease_owner,
        detail=problem.detail,
        values={**(values or {}), "error": problem.record()},
    )


def _require_no_step(values: Mapping[str, Any]) -> None:
    if found := OF_STEPS & values.keys():
        raise IllegalStepError(f"{', '.join(sorted(found))} changes with a step only")


def _allows(step: Transition, now: datetime) -> sa.ColumnElement[bool]:
    """Return the condition that a row stands where the step begins, and that all holds that must."""
    begins = uploads.c.state == step.before
    return begins if step.condition is None else sa.and_(begins, HOLDS[step.condition](now))


async def _require_legal(
    session: AsyncSession, upload_id: str, steps: Sequence[Transition], lease_owner: str | None
) -> None:
    """Raise `IllegalStepError` where the lease is held, but the table has no such step from the upload's state."""
    if lease_owner is None:
        return
    statement = sa.select(uploads.c.state).where(
        uploads.c.id == upload_id, uploads.c.lease_owner == lease_owner
    )
    stands = await session.scalar(statement)
    if stands is not None and stands not in {step.before for step in steps}:
        raise IllegalStepError(f"no step of {steps[0].actor} leads from {stands} to {steps[0].after}")


async def are_taken(session: AsyncSession, dataset_ids: Collection[int]) -> set[int]:
    """Return those of the datasets that an upload of ours is known to have made."""
    statement = sa.select(uploads.c.dataset_id).where(uploads.c.dataset_id.in_(dataset_ids))
    return set((await session.scalars(statement)).all())


async def get_publisher(reader: Reader, dataset_id: int) -> int | None:
    """Return who published the dataset here; None if it was published elsewhere, 0 if the account is gone."""
    row = await reader.first(_PUBLISHER, {"dataset_id": dataset_id})
    return int(row[0]) if row else None


def is_interrupted(now: datetime) -> sa.ColumnElement[bool]:
    """Return the condition that the bytes of an upload of one request stopped coming, for its receiver is gone."""
    return sa.and_(
        uploads.c.state == UploadState.RECEIVING,
        uploads.c.expires_at.is_(None),
        uploads.c.available_at < now,
    )


def is_expired(now: datetime) -> sa.ColumnElement[bool]:
    """Return the condition that an upload's owner did not come back in time."""
    return sa.and_(uploads.c.state.in_(CAN_EXPIRE), uploads.c.expires_at < now)


HOLDS: dict[Condition, Callable[[datetime], sa.ColumnElement[bool]]] = {
    Condition.WHOLE: lambda _: uploads.c.is_partial.is_(sa.false()),
    Condition.PARTIAL: lambda _: uploads.c.is_partial.is_(sa.true()),
    Condition.REQUESTED: lambda _: uploads.c.publish_requested.is_(sa.true()),
    Condition.UNREQUESTED: lambda _: uploads.c.publish_requested.is_(sa.false()),
    Condition.NOT_SENT: lambda _: sa.and_(uploads.c.sent_at.is_(None), uploads.c.dataset_id.is_(None)),
    Condition.MAYBE_SENT: lambda _: sa.and_(uploads.c.sent_at.is_not(None), uploads.c.dataset_id.is_(None)),
    Condition.ARRIVED: lambda _: uploads.c.dataset_id.is_not(None),
    Condition.UNWANTED: lambda _: uploads.c.cancel_requested.is_(sa.true()),
    Condition.WANTED: lambda _: uploads.c.cancel_requested.is_(sa.false()),
    Condition.INTERRUPTED: is_interrupted,
    Condition.EXPIRED: is_expired,
    Condition.QUARANTINED: lambda _: uploads.c.quarantined_at.is_not(None),
}
"""What each condition of a step means for a row, at a time."""


async def get_ids(session: AsyncSession, which: sa.ColumnElement[bool]) -> list[str]:
    """Return the uploads of which the condition is true."""
    return list((await session.scalars(sa.select(uploads.c.id).where(which))).all())


class UploadEnding(NamedTuple):
    """Where an upload stands: its state, when it ended, and since when its file is in quarantine."""

    state: str
    finished_at: datetime | None
    quarantined_at: datetime | None


async def get_endings(session: AsyncSession, upload_ids: Collection[str]) -> dict[str, UploadEnding]:
    """Return how those uploads stand that are somebody's; of a part that was joined, how the whole does."""
    whole = uploads.alias("whole")
    statement = (
        sa.select(
            uploads.c.id,
            sa.func.coalesce(whole.c.state, uploads.c.state),
            sa.case((whole.c.id.is_not(None), whole.c.finished_at), else_=uploads.c.finished_at),
            sa.func.coalesce(whole.c.quarantined_at, uploads.c.quarantined_at),
        )
        .select_from(uploads.outerjoin(whole, whole.c.id == uploads.c.joined_into))
        .where(uploads.c.id.in_(upload_ids), uploads.c.user_id != 0)
    )
    return {row[0]: UploadEnding(*row[1:]) for row in await session.execute(statement)}


async def forget_user(session: AsyncSession, user_id: int, now: datetime) -> None:
    """Detach a user's uploads from the user, clear what was said of them, and cancel those that OpenML does not have.

    One that is being sent right now keeps what finding it on OpenML takes; it is cancelled if it did not arrive.
    """
    mine = uploads.c.user_id == user_id
    can_stop = await get_ids(session, sa.and_(mine, uploads.c.state.in_(CAN_STOP)))
    cancelled = [
        upload_id
        for upload_id in can_stop
        # A worker may have sent it meanwhile; what follows is for those.
        if await set_state(session, upload_id, UploadState.CANCELLED, by=Actor.DELETION, now=now)
    ]
    log.info("uploads of a deleted account", user_id=user_id, cancelled=cancelled)
    sending = uploads.c.state == UploadState.SENDING
    await session.execute(sa.update(uploads).where(mine, sending).values(cancel_requested=True))
    settled = sa.and_(mine, uploads.c.state.in_(HAS_OUTCOME))
    of_these = upload_events.c.upload_id.in_(sa.select(uploads.c.id).where(settled))
    await session.execute(sa.update(upload_events).where(of_these).values(detail=None))
    # What went wrong, and what was changed, names columns and values.
    said = (
        "description",
        "dataset_name",
        "idempotency_key",
        "tus_metadata",
        "joined_from",
        "error",
        "repairs",
        "warnings",
        "reading",
        "progress",
    )
    cleared = {"user_id": 0, "file_name": "", **dict.fromkeys(said, sa.null())}
    await session.execute(sa.update(uploads).where(settled).values(cleared))


async def _add_event(
    session: AsyncSession, upload_id: str, state: UploadState, now: datetime, detail: str | None = None
) -> None:
    values = {"upload_id": upload_id, "state": state, "at": now, "detail": detail[:500] if detail else None}
    await session.execute(_ADD_EVENT, values)
