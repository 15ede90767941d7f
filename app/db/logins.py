"""Statements on OpenML's `users` by what people call themselves: names, addresses, and how the two are compared."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from app.core.addresses import are_same, spellings
from app.db.charsets import first_unstorable
from app.db.engine import Database, now_of, row_count
from app.db.reader import Reader, ReadStatement
from app.db.sign_in_tables import account_changes
from app.db.tables import users

NAMESAKES = 3
"""Accounts under one name or address that are looked at: each costs a hash at a login, and a mail at a reset."""
LOOKALIKES = 20
"""Rows that the database holds for the same address, of which those with that very address are chosen."""


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


class _Folded(sa.ColumnElement[str]):
    """A text in lower case, to be compared character by character."""

    inherit_cache = True
    type = sa.String()

    def __init__(self, text: sa.ColumnElement[str]) -> None:
        self.text = text


@compiles(_Folded)
def _compile_folded(element: _Folded, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    return f"LOWER(CONVERT({compiler.process(element.text, **options)} USING utf8mb4)) COLLATE utf8mb4_bin"


@compiles(_Folded, "sqlite")
def _compile_folded_sqlite(element: _Folded, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - as above
    return f"{compiler.process(element.text, **options)} COLLATE NOCASE"


def _same_but_for_case(column: sa.Column[Any], text: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Compare as people do. MySQL's collations hold `é` and `e` for one letter: a guesser would have many names."""
    return sa.and_(_Nocase(column) == text, _Folded(column) == _Folded(text))


class Addressee(NamedTuple):
    """An account that a mail may be due to."""

    id: int
    username: str
    email: str
    active: bool
    has_logged_in: bool


class Credentials(NamedTuple):
    """What a login is checked against."""

    id: int
    username: str
    email: str
    password_hash: str
    active: int


IS_ACTIVE = (sa.func.coalesce(users.c.active, 0) == 1).label("active")
"""1 where the account may log in, 0 elsewhere."""

_LOGINS: tuple[sa.BindParameter[str], ...] = (sa.bindparam("login"), sa.bindparam("respelled"))
_HAS_NAME = sa.or_(*(_same_but_for_case(users.c.username, login) for login in _LOGINS))
_HAS_ADDRESS = sa.or_(*(_same_but_for_case(users.c.email, login) for login in _LOGINS))
_COLUMNS = (users.c.id, users.c.username, users.c.email, users.c.password, IS_ACTIVE)
# One statement that looks at every row, for OpenML's table has no index on addresses. Asking for names first and for
# addresses only then would be quicker for those who exist, and tell so by its time.
_BY_LOGIN = ReadStatement(
    sa.select(*_COLUMNS)
    .where(sa.or_(_HAS_NAME, _HAS_ADDRESS))
    .order_by(sa.case((_HAS_NAME, 0), else_=1), sa.desc(IS_ACTIVE), users.c.id)
    .limit(NAMESAKES)
)
_NOTE_LOGIN = (
    sa.update(users)
    .where(users.c.id == sa.bindparam("user_id"), IS_ACTIVE.element)
    .values(last_login=sa.bindparam("moment"))
)
_NOTE_PASSWORD_LOGIN = _NOTE_LOGIN.where(users.c.password == sa.bindparam("password_hash"))
_BY_ID = ReadStatement(sa.select(*_COLUMNS).where(users.c.id == sa.bindparam("user_id")), by_key=True)


async def find_logins(database: Database, login: str) -> list[Credentials]:
    """Return the users whose name or e-mail address is `login`, those with the name first.

    There may be several: the table lets one account's name be another's address, and two have the same address.
    """
    # What the table cannot hold nobody has, and MySQL refuses to compare; the rows are looked at all the same.
    spelled = [text if database.can_store(text) else "" for text in spellings(login)]
    rows = await database.reader.rows(_BY_LOGIN, {"login": spelled[0], "respelled": spelled[1]})
    return [Credentials._make(row) for row in rows]


async def get_credentials(reader: Reader, user_id: int) -> Credentials | None:
    """Return the user of that number."""
    row = await reader.first(_BY_ID, {"user_id": user_id})
    return Credentials._make(row) if row else None


async def note_login(session: AsyncSession, user_id: int, password_hash: str | None, now: datetime) -> bool:
    """Note a login, as the PHP server does; False if the account has another password by now, or is closed.

    Nobody can change either before the transaction ends. Without a hash the password may be any.
    """
    parameters = {"user_id": user_id, "moment": int(now.timestamp())}
    if password_hash is None:
        return row_count(await session.execute(_NOTE_LOGIN, parameters)) == 1
    parameters_of_password = {**parameters, "password_hash": password_hash}
    return row_count(await session.execute(_NOTE_PASSWORD_LOGIN, parameters_of_password)) == 1


async def sample_password_hashes(session: AsyncSession, count: int) -> list[str]:
    """Return the stored hashes of some accounts, drawn at random."""
    random = sa.func.random() if session.get_bind().dialect.name == "sqlite" else sa.func.rand()
    return list(await session.scalars(sa.select(users.c.password).order_by(random).limit(count)))


async def is_taken(session: AsyncSession, name: str, *, but_not: int | None = None) -> bool:
    """Say whether any account, but the one given, has this as its e-mail address or its name, or may have it back."""
    names = _comparable(session, name)
    has = sa.or_(_is_any(users.c.email, names), _is_any(users.c.username, names))
    may_have = sa.and_(
        _is_any(account_changes.c.email, names), account_changes.c.expires_at > now_of(session)
    )
    return any(
        [
            await session.scalar(sa.select(owner).where(found, owner != (but_not or 0)).limit(1)) is not None
            for owner, found in ((users.c.id, has), (account_changes.c.user_id, may_have))
        ]
    )


async def find_addressees(session: AsyncSession, address: str) -> list[Addressee]:
    """Return the accounts with this address, active ones first.

    Where no account has it letter by letter, those that the database holds for the same.
    """
    names = _comparable(session, address)
    has_logged_in = (sa.func.coalesce(users.c.last_login, 0) > 0).label("has_logged_in")
    statement = (
        sa.select(users.c.id, users.c.username, users.c.email, IS_ACTIVE, has_logged_in)
        .where(_is_any(users.c.email, names))
        .order_by(sa.desc(IS_ACTIVE), users.c.id)
        .limit(LOOKALIKES)
    )
    found = [
        Addressee(row[0], row[1], row[2], active=bool(row[3]), has_logged_in=bool(row[4]))
        for row in await session.execute(statement)
    ]
    exact = [each for each in found if are_same(each.email, address)]
    return (exact or found)[:NAMESAKES]


def _comparable(session: AsyncSession, name: str) -> list[str]:
    """Return the spellings of a name that the table could hold; MySQL refuses to compare others."""
    charset = session.info["charset"]
    return [text for text in dict.fromkeys(spellings(name)) if first_unstorable(text, charset) is None]


def _is_any(column: sa.Column[Any], names: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.or_(sa.false(), *(_Nocase(column) == name for name in names))
