"""Statements that find people and their uploads for administrators: any user's, and never a secret."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.charsets import first_unstorable
from app.db.logins import IS_ACTIVE
from app.db.tables import account_states, users
from app.db.upload_states import UploadState
from app.db.upload_tables import uploads

LARGEST_NUMBER = 2**31 - 1
"""Of a user."""


class PersonLine(NamedTuple):
    """A user in a list. NULLs of the shared table are made empty strings."""

    id: int
    username: str
    email: str
    first_name: str
    last_name: str
    active: bool
    closed_at: datetime | None


class UploadLine(NamedTuple):
    """An upload in a list of administrators, and whether a worker has it."""

    id: str
    user_id: int
    state: str
    file_name: str
    dataset_name: str | None
    total_bytes: int | None
    dataset_id: int | None
    attempts: int
    available_at: datetime
    lease_owner: str | None
    quarantined_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


_NAMES = (users.c.username, users.c.email, users.c.first_name, users.c.last_name)
_LINE = tuple(uploads.c[name] for name in UploadLine._fields)


async def find_people(session: AsyncSession, text: str, *, limit: int) -> list[PersonLine]:
    """Return users of whose names or addresses the text is a part, or whose number it is; the newest first.

    It looks at every row of the table.
    """
    wanted: list[sa.ColumnElement[bool]] = []
    # What the table cannot hold nobody has, and MySQL refuses to compare.
    if first_unstorable(text, session.info["charset"]) is None:
        wanted += [column.contains(text, autoescape=True) for column in _NAMES]
    if text.isascii() and text.isdecimal() and int(text) <= LARGEST_NUMBER:
        wanted.append(users.c.id == int(text))
    shown = (sa.func.coalesce(column, "") for column in _NAMES)
    statement = (
        sa.select(users.c.id, *shown, IS_ACTIVE, account_states.c.deactivated_at)
        .outerjoin(account_states, account_states.c.user_id == users.c.id)
        .where(sa.or_(sa.false(), *wanted))
        .order_by(users.c.id.desc())
        .limit(limit)
    )
    return [PersonLine(*row[:5], bool(row[5]), row[6]) for row in await session.execute(statement)]


async def find_uploads(
    session: AsyncSession,
    *,
    limit: int,
    user_id: int | None = None,
    state: UploadState | None = None,
    quarantined: bool = False,
) -> list[UploadLine]:
    """Return the latest uploads, newest first: of everybody or of one user, in any state or in one."""
    statement = sa.select(*_LINE).order_by(uploads.c.created_at.desc(), uploads.c.id.desc()).limit(limit)
    if user_id is not None:
        statement = statement.where(uploads.c.user_id == user_id)
    if state is not None:
        statement = statement.where(uploads.c.state == state)
    if quarantined:
        statement = statement.where(uploads.c.quarantined_at.is_not(None))
    return [UploadLine._make(row) for row in await session.execute(statement)]
