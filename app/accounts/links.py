"""The secrets in mail links: random, stored as digests, for one purpose and one user, used once."""

import hashlib
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import parse_qs, urlencode, urlsplit

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import LinkNotValidError
from app.db import account_tokens
from app.db.account_tokens import AccountToken


class LinkPurpose(StrEnum):
    """What a link is for; the value is the page of the SPA that it opens."""

    CONFIRM = "confirm-page"


async def create_link(
    session: AsyncSession,
    *,
    site_url: str,
    user_id: int,
    purpose: LinkPurpose,
    lifetime: timedelta,
    now: datetime,
) -> str:
    """Return the address to be mailed. Earlier links of the same purpose stop working."""
    token = secrets.token_hex(32)
    await account_tokens.add_token(
        session,
        token_digest=digest(token),
        user_id=user_id,
        purpose=purpose,
        now=now,
        expires_at=now + lifetime,
    )
    return f"{site_url}/auth/{purpose}/?{urlencode({'token': token})}"


async def redeem(session: AsyncSession, *, token: str, purpose: LinkPurpose, now: datetime) -> AccountToken:
    """Use the token up and return whose it was.

    Raises:
        LinkNotValidError: it is unknown, for something else, used, or too old.
    """
    found = await account_tokens.get_token(session, token_digest=digest(token), purpose=purpose)
    if found is None or found.used_at is not None or found.expires_at <= now:
        raise LinkNotValidError
    if not await account_tokens.use_token(session, token_digest=digest(token), now=now):
        raise LinkNotValidError
    return found


def token_of(url: str) -> str:
    """Return the one `token` in the address of the page that a link opened.

    Raises:
        LinkNotValidError: there is none, or more than one.
    """
    try:
        tokens = parse_qs(urlsplit(url).query).get("token", [])
    except ValueError:
        tokens = []
    if len(tokens) != 1:
        raise LinkNotValidError
    return tokens[0]


def digest(token: str) -> str:
    """Return what is stored of a token. It is 256 random bits: a plain hash cannot be guessed back."""
    return hashlib.sha256(token.encode()).hexdigest()
