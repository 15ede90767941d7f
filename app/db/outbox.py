"""Statements on `outbox`: mails queued in the transaction that causes them, and sent by the worker."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import Database, notify_after_commit, now_of, row_count
from app.db.queue import Queue
from app.db.tables import outbox
from app.events.notifications import OUTBOX


class MailState(StrEnum):
    """What may have become of a mail."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


PENDING, SENT, FAILED = MailState

TO_SEND = Queue(outbox, [PENDING])


class OutboxMail(NamedTuple):
    """A mail to be sent: which one, to whom, and what its text needs."""

    id: int
    kind: str
    recipient: str
    parameters: dict[str, Any]
    attempts: int
    created_at: datetime
    traceparent: str | None


class MailRecord(NamedTuple):
    """What became of a mail."""

    id: int
    created_at: datetime
    kind: str
    recipient: str
    state: str
    attempts: int
    finished_at: datetime | None
    available_at: datetime
    last_error: str | None


async def add_mail(
    session: AsyncSession, *, kind: str, recipient: str, parameters: Mapping[str, Any], now: datetime
) -> None:
    """Queue a mail; it goes out if, and only if, the transaction is committed."""
    values = {
        "kind": kind,
        "recipient": recipient,
        "parameters": dict(parameters),
        "state": PENDING,
        "available_at": now,
        "created_at": now,
    }
    await session.execute(sa.insert(outbox).values(values))


async def queue_mail(session: AsyncSession, kind: str, recipient: str, **parameters: str | int) -> None:
    """Queue a mail that is due now, and notify the workers once the transaction is committed."""
    await add_mail(session, kind=kind, recipient=recipient, parameters=parameters, now=now_of(session))
    notify_after_commit(session, OUTBOX)


async def claim_mail(
    database: Database, *, lease_owner: str, now: datetime, lease: timedelta
) -> OutboxMail | None:
    """Take the next mail that is due."""
    if not await TO_SEND.exists(database.reader, now):
        return None

    async def claim(session: AsyncSession) -> OutboxMail | None:
        mail_id = await TO_SEND.claim(session, lease_owner=lease_owner, now=now, lease=lease)
        if mail_id is None:
            return None
        columns = (outbox.c[name] for name in OutboxMail._fields)
        row = (await session.execute(sa.select(*columns).where(outbox.c.id == mail_id))).one()
        return OutboxMail._make(row)

    return await database.unit(claim)


async def set_sent(session: AsyncSession, mail_id: int, *, lease_owner: str, now: datetime) -> bool:
    """Mark the mail as sent and delete its parameters; False if `lease_owner` has lost it."""
    values = {"state": SENT, "finished_at": now, "last_error": None, "parameters": {}}
    return await TO_SEND.finish(session, mail_id, lease_owner=lease_owner, values=values)


async def set_failed(
    session: AsyncSession, mail_id: int, *, now: datetime, error: str, lease_owner: str | None = None
) -> bool:
    """Give up on the mail; `error` is for the operator. False if it is not `lease_owner`'s, or not nobody's."""
    values = {"state": FAILED, "finished_at": now, "last_error": error[:500]}
    return await TO_SEND.finish(session, mail_id, lease_owner=lease_owner, values=values)


async def set_retry(
    session: AsyncSession, mail_id: int, *, lease_owner: str, at: datetime, error: str
) -> bool:
    """Try again at the given time; False if `lease_owner` has lost the mail."""
    values = {"last_error": error[:500]}
    return await TO_SEND.give_back(session, mail_id, lease_owner=lease_owner, at=at, values=values)


async def delete_mail(session: AsyncSession, mail_id: int, *, lease_owner: str) -> bool:
    """Drop a row that has done its work; False if `lease_owner` has lost it."""
    return await TO_SEND.remove(session, mail_id, lease_owner=lease_owner)


async def list_mails(session: AsyncSession, *, recipient: str, state: str, limit: int) -> list[MailRecord]:
    """Return the latest mails, newest first; an empty `recipient` or `state` means any."""
    statement = sa.select(*(outbox.c[name] for name in MailRecord._fields))
    if recipient:
        statement = statement.where(outbox.c.recipient == recipient)
    if state:
        statement = statement.where(outbox.c.state == state)
    rows = await session.execute(statement.order_by(outbox.c.id.desc()).limit(limit))
    return [MailRecord._make(row) for row in rows]


async def retry_mails(session: AsyncSession, *, mail_id: int | None, now: datetime) -> int:
    """Make a failed mail, or all of them, due again at once; return how many."""
    chosen = outbox.c.state == FAILED if mail_id is None else outbox.c.id == mail_id
    values = {"state": PENDING, "available_at": now, "attempts": 0, "finished_at": None}
    unsent = sa.and_(chosen, outbox.c.state != SENT, outbox.c.lease_owner.is_(None))
    return row_count(await session.execute(sa.update(outbox).where(unsent).values(values)))


async def hold_waiting(session: AsyncSession, *, now: datetime, reason: str) -> int:
    """Give up on every mail that is to be sent, whoever has it, until an operator retries it; return how many."""
    values = {"state": FAILED, "finished_at": now, "last_error": reason, "lease_owner": None}
    held = sa.update(outbox).where(outbox.c.state == PENDING).values(values)
    return row_count(await session.execute(held))


async def forget_recipient(session: AsyncSession, recipient: str) -> None:
    """Drop every mail to the address, sent or not."""
    await session.execute(sa.delete(outbox).where(outbox.c.recipient == recipient))


async def delete_finished(session: AsyncSession, before: datetime) -> int:
    """Forget mails that ended before the given time; return how many."""
    return row_count(await session.execute(sa.delete(outbox).where(outbox.c.finished_at < before)))
