"""Statements on `reports`: what users tell administrators of a dataset, a user or an upload."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import inserted_id, now_of, row_count
from app.db.site_tables import reports


class Report(NamedTuple):
    """What somebody reported."""

    id: int
    reporter_id: int
    kind: str
    subject: str
    text: str
    created_at: datetime
    closed_at: datetime | None


_COLUMNS = tuple(reports.c[name] for name in Report._fields)


async def add_report(session: AsyncSession, reporter_id: int, *, kind: str, subject: str, text: str) -> int:
    """Keep a report; return its number."""
    values = {
        "reporter_id": reporter_id,
        "kind": kind,
        "subject": subject,
        "text": text,
        "created_at": now_of(session),
    }
    return inserted_id(await session.execute(sa.insert(reports).values(values)))


async def get_reports(session: AsyncSession, *, only_open: bool, limit: int) -> list[Report]:
    """Return the latest reports, newest first."""
    statement = sa.select(*_COLUMNS).order_by(reports.c.id.desc()).limit(limit)
    if only_open:
        statement = statement.where(reports.c.closed_at.is_(None))
    return _read(await session.execute(statement))


async def get_of_user(session: AsyncSession, user_id: int, *, limit: int) -> list[Report]:
    """Return what a user has reported, newest first."""
    statement = sa.select(*_COLUMNS).where(reports.c.reporter_id == user_id)
    return _read(await session.execute(statement.order_by(reports.c.id.desc()).limit(limit)))


async def close_report(session: AsyncSession, report_id: int) -> Report | None:
    """Note that a report needs nobody any more, and return it; None if there is no such open one."""
    mine = sa.and_(reports.c.id == report_id, reports.c.closed_at.is_(None))
    row = (await session.execute(sa.select(*_COLUMNS).where(mine))).first()
    closing = sa.update(reports).where(mine).values(closed_at=now_of(session))
    if row is None or row_count(await session.execute(closing)) == 0:
        return None
    return Report._make(row)


async def delete_of_user(session: AsyncSession, user_id: int) -> None:
    """Forget what a user has reported."""
    await session.execute(sa.delete(reports).where(reports.c.reporter_id == user_id))


async def delete_before(session: AsyncSession, before: datetime) -> int:
    """Forget reports of before the given time, open ones too; return how many."""
    return row_count(await session.execute(sa.delete(reports).where(reports.c.created_at < before)))


def _read(rows: sa.Result[tuple[object, ...]]) -> list[Report]:
    return [Report._make(row) for row in rows]
