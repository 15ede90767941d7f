"""Statements on OpenML's `users`, `users_groups` and `groups`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import OperatorError, UnauthorizedError
from app.db.engine import inserted_id, row_count
from app.db.index_changes import add_change
from app.db.logins import IS_ACTIVE
from app.db.reader import Reader, ReadStatement, utc_from_text
from app.db.tables import (
    OPTIONAL_COLUMNS,
    account_states,
    groups,
    revoked_tokens,
    sessions,
    users,
    users_groups,
)
from app.db.typed_texts import as_typed, forget_typed, get_typed, keep_typed, written

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
ADMINISTRATORS_GROUP = "admin"
"""`groups.name` of the administrators: PHP (ion_auth) asks for it by its name, too."""


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


def _text(column: sa.Column[Any]) -> sa.Label[str]:
    return sa.func.coalesce(column, "").label(column.name)


ACCOUNT_COLUMNS = (
    users.c.id,
    users.c.username,
    users.c.email,
    _text(users.c.first_name),
    _text(users.c.last_name),
    _text(users.c.bio),
    _text(users.c.image),
    users.c.session_hash,
    IS_ACTIVE,
)
"""In the order of `Account`."""

_ACCOUNT = ReadStatement(
    sa.select(
        *ACCOUNT_COLUMNS,
        revoked_tokens.c.jti,
        account_states.c.tokens_valid_from,
        sessions.c.last_seen_at,
        account_states.c.typed_texts,
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

_BY_API_KEY = ReadStatement(
    sa.select(
        *ACCOUNT_COLUMNS,
    ).where(users.c.session_hash == sa.bindparam("api_key")),
    pack=True,
)
_ADMINISTRATORS = sa.select(groups.c.id).where(groups.c.name == ADMINISTRATORS_GROUP)
_IS_ADMINISTRATOR = ReadStatement(
    sa.select(users_groups.c.group_id)
    .where(
        users_groups.c.user_id == sa.bindparam("user_id"),
        users_groups.c.group_id.in_(_ADMINISTRATORS),
    )
    .limit(1)
)
_LOCK = sa.select(users.c.id).where(users.c.id == sa.bindparam("user_id")).with_for_update()
_PASSWORD = ReadStatement(
    sa.select(users.c.password).where(users.c.id == sa.bindparam("user_id")), by_key=True
)


async def get_account(reader: Reader, *, user_id: int, jti: str) -> tuple[Account, TokenState] | None:
    """Return the user and what became of the access token `jti`, in one round trip."""
    row = await reader.first(_ACCOUNT, {"user_id": user_id, "jti": jti})
    if row is None:
        return None
    *columns, revoked_jti, valid_from, last_seen, typed = row
    state = TokenState(revoked_jti is not None, utc_from_text(valid_from), utc_from_text(last_seen))
    account = Account._make(columns)
    return Account(**as_typed(account._asdict(), typed)) if typed else account, state


async def get_account_by_api_key(reader: Reader, api_key: str) -> Account | None:
    """Return the user who has this key; it is unique."""
    row = await reader.first(_BY_API_KEY, {"api_key": api_key})
    return Account._make(row) if row else None


async def is_administrator(reader: Reader, user_id: int) -> bool:
    """Say whether OpenML has the user among its administrators."""
    return await reader.first(_IS_ADMINISTRATOR, {"user_id": user_id}) is not None


async def set_administrator(session: AsyncSession, user_id: int, *, is_one: bool) -> None:
    """Put the user among OpenML's administrators, or take them out; other groups stay as they are."""
    of_them = sa.and_(users_groups.c.user_id == user_id, users_groups.c.group_id.in_(_ADMINISTRATORS))
    if not is_one:
        await session.execute(sa.delete(users_groups).where(of_them))
    elif await session.scalar(sa.select(users_groups.c.group_id).where(of_them).limit(1)) is None:
        group_id = (await session.scalars(_ADMINISTRATORS)).first()
        if group_id is None:
            raise OperatorError(f"OpenML's table `groups` has no group named {ADMINISTRATORS_GROUP}.")
        await session.execute(sa.insert(users_groups).values(user_id=user_id, group_id=group_id))


async def get_email(session: AsyncSession, user_id: int) -> str | None:
    """Return the account's address."""
    return await session.scalar(sa.select(users.c.email).where(users.c.id == user_id))


async def get_names(session: AsyncSession, user_id: int) -> list[str]:
    """Return what everybody would try first as this account's password: its names and its address."""
    columns = (users.c.username, users.c.email, users.c.first_name, users.c.last_name)
    row = (await session.execute(sa.select(*columns).where(users.c.id == user_id))).mappings().first()
    written = [name for name in (row or {}).values() if name]
    typed = as_typed(dict(row), await get_typed(session, user_id)) if row else {}
    return list(
        dict.fromkeys(
            [*written, *(str(typed[name]) for name in ("first_name", "last_name") if typed.get(name))]
        )
    )


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
    shown = as_typed(dict(row), await get_typed(session, user_id))
    groups = await session.scalars(
        sa.select(users_groups.c.group_id).where(users_groups.c.user_id == user_id)
    )
    return {**shown, "groups": sorted(set(groups.all()))}


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
    """
    names = {"first_name": first_name, "last_name": last_name}
    statement = sa.insert(users).values(
        ip_address=ip_address,
        username=username,
        email=email,
        password=password_hash,
        created_on=int(now.timestamp()),
        active=int(active),
        **written(session, names),
        company="",
        phone="",
        country="",
        image="",
        bio="",
        core="false",
        session_hash=api_key,
    )
    user_id = inserted_id(await session.execute(statement))
    await keep_typed(session, user_id, names)
    return user_id


async def lock_user(session: AsyncSession, user_id: int) -> None:
    """Lock the user's row until this transaction ends; changes of the account, and counts of its things, wait.

    Transactions that change more than one table lock the user first: so they cannot meet in another order later.
    """
    await session.execute(_LOCK, {"user_id": user_id})


async def lock_if_there(session: AsyncSession, user_id: int) -> bool:
    """As `lock_user`; False if the account was deleted."""
    name = await session.scalar(sa.select(users.c.username).where(users.c.id == user_id).with_for_update())
    return name is not None and name != name_of_deleted(user_id)


async def require_open(session: AsyncSession, user_id: int) -> None:
    """As `lock_user`, for what only an account that may log in can do.

    Raises:
        UnauthorizedError: it was closed, or deleted, since the request was let in.
    """
    statement = sa.select(users.c.active).where(users.c.id == user_id).with_for_update()
    if await session.scalar(statement) != 1:
        raise _closed()


def name_of_deleted(user_id: int) -> str:
    """Return the placeholder name of a deleted account."""
    return f"deleted-{user_id}"


async def set_active(session: AsyncSession, user_id: int, *, active: bool) -> None:
    """Let the user log in, or no longer."""
    await _set(session, user_id, active=int(active))
    await add_change(session, "user", user_id)


async def add_to_members(session: AsyncSession, user_id: int) -> None:
    """Put the user in OpenML's read-write group, unless some group has them already."""
    row = sa.select(users_groups.c.id).where(users_groups.c.user_id == user_id).limit(1)
    if await session.scalar(row) is None:
        await session.execute(sa.insert(users_groups).values(user_id=user_id, group_id=MEMBERS_GROUP))


async def upgrade_password_hash(session: AsyncSession, user_id: int, *, old_hash: str, new_hash: str) -> None:
    """Replace the hash of the same password, unless the password has changed in the meantime."""
    unchanged = sa.and_(users.c.id == user_id, users.c.password == old_hash)
    await session.execute(sa.update(users).where(unchanged).values(password=new_hash))


async def set_new_password(session: AsyncSession, user_id: int, password_hash: str) -> None:
    """Replace the password, and void whatever other servers wrote to reset it or to remember the user."""
    nothing = dict.fromkeys(CODES)
    await _set(session, user_id, password=password_hash, **nothing)


async def set_profile(session: AsyncSession, user_id: int, texts: Mapping[str, str]) -> None:
    """Change what people see of each other, by column.

    Raises:
        UnauthorizedError: the account is not open.
    """
    if not await _set_if_open(session, user_id, **written(session, texts)):
        raise _closed()
    await keep_typed(session, user_id, texts)
    await add_change(session, "user", user_id)


async def set_email(session: AsyncSession, user_id: int, email: str) -> bool:
    """Change the address; False if the account is not open.

    The name stays, even where it is the old address: people log in with it.
    """
    return await _set_if_open(session, user_id, email=email)


async def restore_email(session: AsyncSession, user_id: int, email: str) -> None:
    """Change the address back, also of an account that is closed."""
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
    await add_change(session, "user", user_id)
    return row[0] or ""


async def get_image(session: AsyncSession, user_id: int) -> str:
    """Return the URL of the picture, and lock the row until the transaction ends."""
    statement = sa.select(_text(users.c.image)).where(users.c.id == user_id).with_for_update()
    return await session.scalar(statement) or ""


async def get_images(session: AsyncSession, prefix: str) -> set[str]:
    """Return the addresses of all pictures that begin so."""
    statement = sa.select(users.c.image).where(users.c.image.startswith(prefix, autoescape=True))
    return {image for image in (await session.scalars(statement)).all() if image}


async def get_api_key(session: AsyncSession, user_id: int) -> str | None:
    """Return the key with which OpenML knows the user; None if there is no such user, or none that is open."""
    found = sa.select(users.c.session_hash).where(users.c.id == user_id, users.c.active == 1)
    return await session.scalar(found)


async def set_api_key(session: AsyncSession, user_id: int, *, api_key: str) -> None:
    """Replace the API key; the old one stops working here and on OpenML, which reads the same column.

    Its date is the database's own clock, as it is when PHP writes it; some installations have no such column.
    """
    changes: dict[str, Any] = {"session_hash": api_key}
    if "session_hash_date" not in session.info["missing_columns"]:
        changes["session_hash_date"] = sa.func.current_timestamp()
    if not await _set_if_open(session, user_id, **changes):
        raise _closed()


async def anonymise(session: AsyncSession, user_id: int) -> None:
    """Clear everything personal; the number stays, for datasets name it."""
    gone = name_of_deleted(user_id)
    empty = dict.fromkeys(
        ("ip_address", "first_name", "last_name", "company", "phone", "country", "image", "bio"), ""
    )
    nothing = dict.fromkeys((*CODES, "external_source", "external_id", "session_hash"), None)
    values = {"username": gone, "email": f"{gone}@invalid", "password": gone, "active": 0, **empty, **nothing}
    await _set(session, user_id, **values)
    await session.execute(sa.delete(users_groups).where(users_groups.c.user_id == user_id))
    await forget_typed(session, user_id)
    await add_change(session, "user", user_id)


def _closed() -> UnauthorizedError:
    return UnauthorizedError("This account is not active", error="invalid_token")


async def _set_if_open(session: AsyncSession, user_id: int, **values: Any) -> bool:  # noqa: ANN401 - as below
    """Change the row of an account that may log in; False if there is none: it was closed, or deleted, meanwhile."""
    is_open = sa.and_(users.c.id == user_id, users.c.active == 1)
    return row_count(await session.execute(sa.update(users).where(is_open).values(values))) == 1


async def _set(session: AsyncSession, user_id: int, **values: Any) -> None:  # noqa: ANN401 - columns differ in type
    await session.execute(sa.update(users).where(users.c.id == user_id).values(values))
