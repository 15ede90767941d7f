"""The first refresh token of a session that stays, and the next ones."""

import secrets
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.links import digest
from app.core.clients import Client
from app.core.sealing import Sealer
from app.db import refresh_families
from app.db.engine import now_of
from app.db.refresh_families import RefreshFamily

PREFIX = "omr_"
"""How refresh tokens begin, for programs that look for secrets in what is published."""


async def begin(session: AsyncSession, user_id: int, methods: str, client: Client) -> tuple[str, str]:
    """Keep a new session that stays; return its id and its first refresh token."""
    key, now = secrets.token_hex(16), now_of(session)
    refresh_token = f"{PREFIX}{key}_{secrets.token_hex(32)}"
    family = RefreshFamily(
        _id_of(key),
        user_id,
        methods,
        digest(refresh_token),
        previous_digest=None,
        created_at=now,
        rotated_at=now,
        expires_at=now + refresh_families.ABSOLUTE,
        **client._asdict(),
    )
    await refresh_families.add(session, family)
    return family.id, refresh_token


def next_of(refresh_token: str, sealer: Sealer) -> Sequence[str]:
    """Return the token that comes after this one, and what it was where an earlier secret of the site has made it.

    It is made of this one, so that whoever asks twice is answered the same; nobody makes it without the site's secret.
    """
    key = _key_of(refresh_token)
    return [f"{PREFIX}{key}_{digits}" for digits in sealer.derive(refresh_token)]


def family_of(refresh_token: str) -> str:
    """Return the id of the session that the token belongs to, whether or not there is one."""
    return _id_of(_key_of(refresh_token))


def _key_of(refresh_token: str) -> str:
    return refresh_token.removeprefix(PREFIX).partition("_")[0]


def _id_of(key: str) -> str:
    """Only who has, or had, one of its tokens can name a session: an old token ends it, and a guess must not."""
    return digest(key)[:32]
