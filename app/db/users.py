"""Statements on OpenML's `users`, `users_groups` and `groups`."""

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from app.db.reader import Reader, ReadStatement
from app.db.results import inserted_id
from app.db.tables import revoked_tokens, users, users_groups

MEMBERS_GROUP = 2
"""`groups.id` of "General User (read-write)"."""


class _Nocase(sa.ColumnElement[str]):
    """A column that compares without regard to case, on any collation the table may have."""

    inherit_cache = True
    type = sa.String()

    def __init__(self, column: sa.ColumnElement[str]) -> None:
        self.column = column


@compiles(_Nocase)
def _compile_nocase(element: _Nocase, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's signature
    # MySQL's users table has a collation without case already, and a function call would lose the index.
    return compiler.process(element.column, **options)


@compiles(_Nocase, "sqlite")
def _compile_nocase_sqlite(element: _Nocase, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    return f"{compiler.process(element.column, **options)} COLLATE NOCASE"


class Account(NamedTuple):
    """A user as a signed-in request needs it. NULLs of the shared table are made empty strings; `active` is 0 or 1."""

    id: int
    username: str
    email: str
    first_name: str
    last_name: str
    bio: str
    image: str
    api_key: str | None
    active: int


class Credentials(NamedTuple):
    """What a login is checked against."""

    id: int
    username: str
    email: str
    password_hash: str
    active: int


def _text(column: sa.Column[Any]) -> sa.Label[str]:
    return sa.func.coalesce(column, "").label(column.name)


_ACTIVE = (sa.func.coalesce(users.c.active, 0) == 1).label("active")

_ACCOUNT = ReadStatement(
    sa.select(
        users.c.id,
        users.c.username,
        users.c.email,
        _text(users.c.first_name),
        _text(users.c.last_name),
        _text(users.c.bio),
        _text(users.c.image),
        users.c.session_hash,
        _ACTIVE,
        revoked_tokens.c.jti,
    )
    .select_from(users.outerjoin(revoked_tokens, revoked_tokens.c.jti == sa.bindparam("jti")))
    .where(users.c.id == sa.bindparam("user_id")),
    by_key=True,
    pack=True,
)

_CREDENTIALS_COLUMNS = (users.c.id, users.c.username, users.c.email, users.c.password, _ACTIVE)
_LOGIN: sa.BindParameter[str] = sa.bindparam("login")
_BY_LOGIN = ReadStatement(
    sa.select(*_CREDENTIALS_COLUMNS)
    .where(_Nocase(users.c.username) == _LOGIN)
    .order_by(sa.desc(_ACTIVE), users.c.id)
    .limit(1)
)
_BY_EMAIL = ReadStatement(
    sa.select(*_CREDENTIALS_COLUMNS)
    .where(_Nocase(users.c.email) == _LOGIN)
    .order_by(sa.desc(_ACTIVE), users.c.id)
    .limit(1)
)


async def get_account(reader: Reader, *, user_id: int, jti: str) -> tuple[Account, bool] | None:
    """Return the user and whether the access token `jti` was revoked, in one round trip."""
    row = await reader.first(_ACCOUNT, {"user_id": user_id, "jti": jti})
    if row is None:
        return None
    *account, revoked = row
    return Account._make(account), revoked is not None


async def get_credentials(reader: Reader, login: str) -> Credentials | None:
    """Return the user whose name is `login`, or else whose e-mail address it is.

    Names come first: the table lets one account's name be another's address.
    """
    row = await reader.first(_BY_LOGIN, {"login": login}) or await reader.first(_BY_EMAIL, {"login": login})
    return Credentials._make(row) if row else None


async def is_taken(session: AsyncSession, email: str) -> bool:
    """Say whether any account has this address, as its e-mail or as its name."""
    either = sa.or_(_Nocase(users.c.email) == email, _Nocase(users.c.username) == email)
    return await session.scalar(sa.select(users.c.id).where(either).limit(1)) is not None


async def add_user(
    session: AsyncSession,
    *,
    email: str,
    password_hash: str,
    first_name: str,
    last_name: str,
    api_key: str,
    ip_address: str,
    active: bool,
    now: datetime,
) -> int:
    """Insert an account whose name is its address, as the SPA's accounts are, and return its id.

    Every column without a default is written, and selectors stay NULL: they are unique on the real server.

    Raises:
        sqlalchemy.exc.IntegrityError: name and address are taken, or the API key is.
    """
    statement = sa.insert(users).values(
        ip_address=ip_address,
        username=email,
        email=email,
        password=password_hash,
        created_on=int(now.timestamp()),
        active=int(active),
        first_name=first_name,
        last_name=last_name,
        company="",
        phone="",
        country="",
        image="",
        bio="",
        core="false",
        session_hash=api_key,
    )
    result = await session.execute(statement)
    return inserted_id(result)


async def set_active(session: AsyncSession, user_id: int) -> None:
    """Let the user log in."""
    await session.execute(sa.update(users).where(users.c.id == user_id).values(active=1))


async def add_to_members(session: AsyncSession, user_id: int) -> None:
    """Put the user in OpenML's read-write group, unless some group has them already."""
    row = sa.select(users_groups.c.id).where(users_groups.c.user_id == user_id).limit(1)
    if await session.scalar(row) is None:
        await session.execute(sa.insert(users_groups).values(user_id=user_id, group_id=MEMBERS_GROUP))


async def set_password(session: AsyncSession, user_id: int, *, old_hash: str, new_hash: str) -> None:
    """Replace the password hash, unless somebody changed it meanwhile."""
    unchanged = sa.and_(users.c.id == user_id, users.c.password == old_hash)
    await session.execute(sa.update(users).where(unchanged).values(password=new_hash))


async def set_last_login(session: AsyncSession, user_id: int, now: datetime) -> None:
    """Note a login, as the PHP server does."""
    statement = sa.update(users).where(users.c.id == user_id)
    await session.execute(statement.values(last_login=int(now.timestamp())))


async def set_api_key(session: AsyncSession, user_id: int, *, api_key: str) -> None:
    """Replace the API key; the old one stops working here and on OpenML, which reads the same column.

    Its date is the database's own clock, as it is when PHP writes it.
    """
    statement = sa.update(users).where(users.c.id == user_id)
    await session.execute(
        statement.values(session_hash=api_key, session_hash_date=sa.func.current_timestamp())
    )


async def get_api_key(session: AsyncSession, user_id: int) -> str | None:
    """Return the user's API key on OpenML."""
    key: str | None = await session.scalar(sa.select(users.c.session_hash).where(users.c.id == user_id))
    return key
