"""Statements on OpenML's `users`, `users_groups` and `groups`."""

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from app.core.errors import ValidationFailedError
from app.db.charsets import first_unstorable
from app.db.engine import Database
from app.db.reader import Reader, ReadStatement, utc_from_text
from app.db.results import inserted_id, row_count
from app.db.tables import OPTIONAL_COLUMNS, account_states, revoked_tokens, sessions, users, users_groups

CODES = (
    "activation_selector",
    "activation_code",
    "forgotten_password_selector",
    "forgotten_password_code",
    "forgotten_password_time",
    "remember_selector",
    "remember_code",
)
"""Columns in which other servers keep secrets of theirs. We honour none of them, and void them with the password."""

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


class TokenState(NamedTuple):
    """What became of an access token since it was issued."""

    revoked: bool
    valid_from: datetime | None
    last_seen_at: datetime | None


class Addressee(NamedTuple):
    """An account that a mail may be due to."""

    id: int
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


def _text(column: sa.Column[Any]) -> sa.Label[str]:
    return sa.func.coalesce(column, "").label(column.name)


_ACTIVE = (sa.func.coalesce(users.c.active, 0) == 1).label("active")

_ACCOUNT_COLUMNS = (
    users.c.id,
    users.c.username,
    users.c.email,
    _text(users.c.first_name),
    _text(users.c.last_name),
    _text(users.c.bio),
    _text(users.c.image),
    users.c.session_hash,
    _ACTIVE,
)
"""In the order of `Account`."""

_ACCOUNT = ReadStatement(
    sa.select(
        *_ACCOUNT_COLUMNS,
        revoked_tokens.c.jti,
        account_states.c.tokens_valid_from,
        sessions.c.last_seen_at,
    )
    .select_from(
        users.outerjoin(revoked_tokens, revoked_tokens.c.jti == sa.bindparam("jti"))
        .outerjoin(account_states, account_states.c.user_id == users.c.id)
        .outerjoin(sessions, sessions.c.jti == sa.bindparam("jti"))
    )
    .where(users.c.id == sa.bindparam("user_id")),
    by_key=True,
    pack=True,
)

_LOGIN: sa.BindParameter[str] = sa.bindparam("login")
_HAS_NAME = _same_but_for_case(users.c.username, _LOGIN)
# One statement that looks at every row, for OpenML's table has no index on addresses. Asking for names first and for
# addresses only then would be quicker for those who exist, and tell so by its time.
_CREDENTIALS = ReadStatement(
    sa.select(users.c.id, users.c.username, users.c.email, users.c.password, _ACTIVE)
    .where(sa.or_(_HAS_NAME, _same_but_for_case(users.c.email, _LOGIN)))
    .order_by(sa.case((_HAS_NAME, 0), else_=1), sa.desc(_ACTIVE), users.c.id)
    .limit(1)
)


_BY_API_KEY = ReadStatement(
    sa.select(
        *_ACCOUNT_COLUMNS,
    ).where(users.c.session_hash == sa.bindparam("api_key")),
    pack=True,
)
_PASSWORD = ReadStatement(
    sa.select(users.c.password).where(users.c.id == sa.bindparam("user_id")), by_key=True
)


async def get_account(reader: Reader, *, user_id: int, jti: str) -> tuple[Account, TokenState] | None:
    """Return the user and what became of the access token `jti`, in one round trip."""
    row = await reader.first(_ACCOUNT, {"user_id": user_id, "jti": jti})
    if row is None:
        return None
    *account, revoked_jti, valid_from, last_seen = row
    state = TokenState(revoked_jti is not None, utc_from_text(valid_from), utc_from_text(last_seen))
    return Account._make(account), state


async def get_account_by_api_key(reader: Reader, api_key: str) -> Account | None:
    """Return the user who has this key; it is unique."""
    row = await reader.first(_BY_API_KEY, {"api_key": api_key})
    return Account._make(row) if row else None


async def get_credentials(database: Database, login: str) -> Credentials | None:
    """Return the user whose name is `login`, or else whose e-mail address it is.

    Names come first: the table lets one account's name be another's address.
    """
    # What the table cannot hold nobody has, and MySQL refuses to compare; the rows are looked at all the same.
    row = await database.reader.first(_CREDENTIALS, {"login": login if database.can_store(login) else ""})
    return Credentials._make(row) if row else None


async def note_login(session: AsyncSession, credentials: Credentials, now: datetime) -> bool:
    """Note a login, as the PHP server does; False if the account has another password by now, or is closed.

    Nobody can change either before the transaction ends.
    """
    unchanged = sa.and_(
        users.c.id == credentials.id,
        users.c.password == credentials.password_hash,
        _ACTIVE.element,
    )
    changes = {"last_login": int(now.timestamp())}
    return row_count(await session.execute(sa.update(users).where(unchanged).values(changes))) == 1


async def sample_password_hashes(session: AsyncSession, count: int) -> list[str]:
    """Return the stored hashes of some accounts, drawn at random."""
    random = sa.func.random() if session.get_bind().dialect.name == "sqlite" else sa.func.rand()
    return list(await session.scalars(sa.select(users.c.password).order_by(random).limit(count)))


async def is_taken(session: AsyncSession, name: str, *, but_not: int | None = None) -> bool:
    """Say whether any account, but the one given, has this as its e-mail address or as its name."""
    either = sa.or_(_Nocase(users.c.email) == name, _Nocase(users.c.username) == name)
    statement = sa.select(users.c.id).where(either, users.c.id != but_not if but_not else sa.true()).limit(1)
    return await session.scalar(statement) is not None


async def get_by_email(session: AsyncSession, email: str) -> Addressee | None:
    """Return the account with this address; of several, an active one first."""
    statement = (
        sa.select(
            users.c.id, users.c.email, _ACTIVE, (sa.func.coalesce(users.c.last_login, 0) > 0).label("seen")
        )
        .where(_Nocase(users.c.email) == email)
        .order_by(sa.desc(_ACTIVE), users.c.id)
        .limit(1)
    )
    row = (await session.execute(statement)).first()
    return Addressee(row[0], row[1], active=bool(row[2]), has_logged_in=bool(row[3])) if row else None


async def get_email(session: AsyncSession, user_id: int) -> str | None:
    """Return the account's address."""
    return await session.scalar(sa.select(users.c.email).where(users.c.id == user_id))


async def get_names(session: AsyncSession, user_id: int) -> list[str]:
    """Return what everybody would try first as this account's password: its names and its address."""
    columns = (users.c.username, users.c.email, users.c.first_name, users.c.last_name)
    row = (await session.execute(sa.select(*columns).where(users.c.id == user_id))).first()
    return [name for name in row or () if name]


async def get_password_hash(reader: Reader, user_id: int) -> str | None:
    """Return the stored hash of the account's password."""
    row = await reader.first(_PASSWORD, {"user_id": user_id})
    return str(row[0]) if row else None


async def get_personal_data(session: AsyncSession, user_id: int) -> dict[str, Any]:
    """Return the account's row, without its secrets, and its groups."""
    hidden = {"password", "session_hash", *CODES, *OPTIONAL_COLUMNS}
    columns = [
        # Other servers write what is no member of the enumeration.
        sa.type_coerce(column, sa.String) if isinstance(column.type, sa.Enum) else column
        for column in users.columns
        if column.name not in hidden
    ]
    row = (await session.execute(sa.select(*columns).where(users.c.id == user_id))).mappings().one()
    groups = await session.scalars(
        sa.select(users_groups.c.group_id).where(users_groups.c.user_id == user_id)
    )
    return {**row, "groups": sorted(set(groups.all()))}


async def is_active(session: AsyncSession, user_id: int) -> bool:
    """Say whether the user may log in."""
    return await session.scalar(sa.select(users.c.active).where(users.c.id == user_id)) == 1


async def add_user(
    session: AsyncSession,
    *,
    username: str,
    email: str,
    password_hash: str,
    first_name: str,
    last_name: str,
    api_key: str,
    ip_address: str,
    active: bool,
    now: datetime,
) -> int:
    """Insert an account and return its id.

    Every column without a default is written, and selectors stay NULL: they are unique on the real server.

    Raises:
        sqlalchemy.exc.IntegrityError: name and address are taken, or the API key is.
        ValidationFailedError: the table's character set cannot keep a name.
    """
    require_storable(session, first_name=first_name, last_name=last_name)
    statement = sa.insert(users).values(
        ip_address=ip_address,
        username=username,
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
    return inserted_id(await session.execute(statement))


async def lock_user(session: AsyncSession, user_id: int) -> None:
    """Let whoever else changes the account, or counts what belongs to it, wait until this transaction ends.

    What changes more than one table locks the user first: who meets there does not meet in another order elsewhere.
    """
    await session.execute(sa.select(users.c.id).where(users.c.id == user_id).with_for_update())


async def set_active(session: AsyncSession, user_id: int, *, active: bool) -> None:
    """Let the user log in, or no longer."""
    await _set(session, user_id, active=int(active))


async def add_to_members(session: AsyncSession, user_id: int) -> None:
    """Put the user in OpenML's read-write group, unless some group has them already."""
    row = sa.select(users_groups.c.id).where(users_groups.c.user_id == user_id).limit(1)
    if await session.scalar(row) is None:
        await session.execute(sa.insert(users_groups).values(user_id=user_id, group_id=MEMBERS_GROUP))


async def upgrade_password_hash(session: AsyncSession, user_id: int, *, old_hash: str, new_hash: str) -> None:
    """Replace the hash of the same password, unless somebody changed the password meanwhile."""
    unchanged = sa.and_(users.c.id == user_id, users.c.password == old_hash)
    await session.execute(sa.update(users).where(unchanged).values(password=new_hash))


async def set_new_password(session: AsyncSession, user_id: int, password_hash: str) -> None:
    """Replace the password, and void whatever other servers wrote to reset it or to remember the user."""
    nothing = dict.fromkeys(CODES)
    await _set(session, user_id, password=password_hash, **nothing)


async def set_profile(
    session: AsyncSession, user_id: int, *, first_name: str, last_name: str, bio: str
) -> None:
    """Change what people see of each other.

    Raises:
        ValidationFailedError: the table's character set cannot keep a text.
    """
    require_storable(session, first_name=first_name, last_name=last_name, bio=bio)
    await _set(session, user_id, first_name=first_name, last_name=last_name, bio=bio)


async def set_email(session: AsyncSession, user_id: int, email: str) -> None:
    """Change the address. The name stays, even where it is the old address: people log in with it."""
    await _set(session, user_id, email=email)


async def set_image(session: AsyncSession, user_id: int, path: str) -> str | None:
    """Change the picture and return the address of the one before; None if the account is closed.

    The row is locked: of two changes at the same time, each finds another picture before its own.
    """
    row = (
        await session.execute(
            sa.select(users.c.image).where(users.c.id == user_id, users.c.active == 1).with_for_update()
        )
    ).first()
    if row is None:
        return None
    await _set(session, user_id, image=path)
    return row[0] or ""


async def get_image(session: AsyncSession, user_id: int) -> str:
    """Return the address of the picture, and let nobody change it meanwhile."""
    statement = sa.select(_text(users.c.image)).where(users.c.id == user_id).with_for_update()
    return await session.scalar(statement) or ""


async def get_images(session: AsyncSession, prefix: str) -> set[str]:
    """Return the addresses of all pictures that begin so."""
    statement = sa.select(users.c.image).where(users.c.image.startswith(prefix, autoescape=True))
    return {image for image in (await session.scalars(statement)).all() if image}


async def set_api_key(session: AsyncSession, user_id: int, *, api_key: str) -> None:
    """Replace the API key; the old one stops working here and on OpenML, which reads the same column.

    Its date is the database's own clock, as it is when PHP writes it; some installations have no such column.
    """
    changes: dict[str, Any] = {"session_hash": api_key}
    if "session_hash_date" not in session.info["missing_columns"]:
        changes["session_hash_date"] = sa.func.current_timestamp()
    await _set(session, user_id, **changes)


async def anonymise(session: AsyncSession, user_id: int) -> None:
    """Clear everything personal; the number stays, for datasets name it."""
    gone = f"deleted-{user_id}"
    empty = dict.fromkeys(
        ("ip_address", "first_name", "last_name", "company", "phone", "country", "image", "bio"), ""
    )
    nothing = dict.fromkeys((*CODES, "external_source", "external_id", "session_hash"), None)
    values = {"username": gone, "email": f"{gone}@invalid", "password": gone, "active": 0, **empty, **nothing}
    await _set(session, user_id, **values)
    await session.execute(sa.delete(users_groups).where(users_groups.c.user_id == user_id))


def require_storable(session: AsyncSession, **texts: str) -> None:
    """Return if the table can keep the texts; OpenML's is latin1, and would keep `?` for what it has no place for.

    Raises:
        ValidationFailedError: the field and the character.
    """
    charset = session.info["charset"]
    errors = [
        {"field": field, "message": f"OpenML's user table cannot keep the character {character!r}."}
        for field, text in texts.items()
        if (character := first_unstorable(text, charset)) is not None
    ]
    if errors:
        raise ValidationFailedError.for_fields(errors)


async def _set(session: AsyncSession, user_id: int, **values: Any) -> None:  # noqa: ANN401 - columns differ in type
    await session.execute(sa.update(users).where(users.c.id == user_id).values(values))
