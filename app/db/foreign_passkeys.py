"""Statements on `user_passkeys`, where OpenML's Flask and Next.js backends keep passkeys, if a database has it.

Flask writes credential ids as bytes, Next.js as the ASCII of their base64url; SQLite lets each row have its own type.
Nothing in a row is believed: what cannot be read is no passkey, and a key opens an account only by a good signature.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import row_count
from app.db.passkey_tables import HAS_FOREIGN_PASSKEYS
from app.db.passkey_tables import foreign_passkeys as _table

MOST_OF_USER = 50
"""Rows of one user that are looked at."""
LONGEST_ID, LONGEST_KEY = 1023, 4096
"""Bytes of a credential's id (WebAuthn, 4) and of a key."""
LARGEST_COUNT = 2**32 - 1
LARGEST_STORED = 2**31 - 1
"""What the column holds where it is MySQL's INT."""
NAME_LENGTH = 100
KNOWN_TRANSPORTS = frozenset({"usb", "nfc", "ble", "smart-card", "hybrid", "internal"})
_BASE64URL = re.compile(rb"[A-Za-z0-9_-]{1,6000}={0,2}")

_SELECT = sa.select(*_table.c)


class ForeignPasskey(NamedTuple):
    """A row that can be read; ids and keys are base64url."""

    id: int
    user_id: int
    credential_id: str
    public_key: str
    sign_count: int
    transports: tuple[str, ...]
    name: str
    created_at: datetime | None
    last_used_at: datetime | None


def is_there(session: AsyncSession) -> bool:
    """Say whether the database has the table; `Database.learn` looks."""
    return bool(session.info[HAS_FOREIGN_PASSKEYS])


async def find(session: AsyncSession, credential_id: str) -> list[ForeignPasskey]:
    """Return the rows with this credential id, whichever form they have it in."""
    if not is_there(session):
        return []
    raw = urlsafe_b64decode(credential_id + "=" * (-len(credential_id) % 4))
    forms = [form.hex().upper() for form in (raw, credential_id.encode())]
    # In hexadecimal: SQLite holds bytes and text for different, and MySQL's driver sends no bytes.
    same = sa.func.hex(_table.c.credential_id).in_(forms)
    rows = await session.execute(_SELECT.where(same).limit(MOST_OF_USER))
    return [found for found in map(_read, rows) if found and found.credential_id == credential_id]


async def get_of_user(session: AsyncSession, user_id: int) -> list[ForeignPasskey]:
    """Return the user's rows that can be read."""
    if not is_there(session):
        return []
    mine = _SELECT.where(_table.c.user_id == user_id).order_by(_table.c.id).limit(MOST_OF_USER)
    return [found for found in map(_read, await session.execute(mine)) if found]


async def note_use(session: AsyncSession, row_id: int, *, sign_count: int, at: datetime) -> None:
    """Keep the counter and the time of a use, as the other programs write them."""
    values = {"sign_count": min(sign_count, LARGEST_STORED), "last_used_at": f"{at:%Y-%m-%d %H:%M:%S}"}
    await session.execute(sa.update(_table).where(_table.c.id == row_id).values(values))


async def rename(session: AsyncSession, user_id: int, row_id: int, name: str) -> bool:
    """Give a row another name, in ASCII; False if the user has no such row."""
    if not is_there(session):
        return False
    mine = sa.and_(_table.c.id == row_id, _table.c.user_id == user_id)
    return row_count(await session.execute(sa.update(_table).where(mine).values(device_name=name))) == 1


async def delete(session: AsyncSession, row_id: int) -> None:
    """Remove a row."""
    await session.execute(sa.delete(_table).where(_table.c.id == row_id))


async def delete_of_user(session: AsyncSession, user_id: int) -> int:
    """Remove all rows of a user, also those that cannot be read; return how many there were."""
    if not is_there(session):
        return 0
    return row_count(await session.execute(sa.delete(_table).where(_table.c.user_id == user_id)))


def _read(row: Sequence[Any]) -> ForeignPasskey | None:
    row_id, user_id, credential_id, public_key, sign_count, transports, name, created_at, last_used_at = row
    identifier, key = _bytes(credential_id, most=LONGEST_ID), _bytes(public_key, most=LONGEST_KEY)
    if not (isinstance(row_id, int) and isinstance(user_id, int) and row_id > 0 and identifier and key):
        return None
    return ForeignPasskey(
        id=row_id,
        user_id=user_id,
        credential_id=_base64url(identifier),
        public_key=_base64url(key),
        sign_count=sign_count if isinstance(sign_count, int) and 0 <= sign_count <= LARGEST_COUNT else 0,
        transports=tuple(sorted(KNOWN_TRANSPORTS.intersection(str(transports or "").split(",")))),
        name=name[:NAME_LENGTH] if isinstance(name, str) else "",
        created_at=_moment(created_at),
        last_used_at=_moment(last_used_at),
    )


def _bytes(value: object, *, most: int) -> bytes | None:
    """Return the bytes of a column, which may have them as base64url; None if it has none, or too many."""
    kept = value.encode() if isinstance(value, str) else value
    if not isinstance(kept, bytes):
        return None
    if _BASE64URL.fullmatch(kept):
        kept = kept.rstrip(b"=")
        if len(kept) % 4 == 1:
            return None
        kept = urlsafe_b64decode(kept + b"=" * (-len(kept) % 4))
    return kept if 0 < len(kept) <= most else None


def _base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _moment(value: object) -> datetime | None:
    """Return a moment in UTC, which is what both programs write; None if it is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        return None
