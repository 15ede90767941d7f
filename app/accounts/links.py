"""Single-use tokens of mail links: random, for one purpose and one user, stored as digests."""

import hashlib
import secrets
from datetime import timedelta
from enum import StrEnum
from urllib.parse import parse_qs, urlencode, urlsplit

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.problems import LinkNotValidError
from app.core.settings import Settings
from app.db import account_tokens
from app.db.account_tokens import AccountToken
from app.db.engine import now_of
from app.db.users import lock_user


class LinkPurpose(StrEnum):
    """What a link is for. A token of one purpose is unknown to the others."""

    CONFIRM = "confirm"
    APPROVE_EMAIL = "approve-email"
    """Sent to the old address, where a change of address was asked for in a session that was not fresh."""
    CHANGE_EMAIL = "change-email"
    RESET_PASSWORD = "reset-password"  # noqa: S105 - a purpose


RESET_MINUTES = 60
"""Of a link that resets a password: as OWASP has it, no longer than somebody takes to read their mail."""
CONFIRMATION_HOURS = 48
"""Of a link that confirms an address: over a night, and a day without mail."""
PAGES = {
    LinkPurpose.CONFIRM: "confirm-page",
    LinkPurpose.APPROVE_EMAIL: "confirm-page",
    LinkPurpose.CHANGE_EMAIL: "confirm-page",
    LinkPurpose.RESET_PASSWORD: "reset-page",
}
"""The pages of the SPA that links open; ours have the same addresses."""


def lifetime(purpose: LinkPurpose) -> timedelta:
    """Return how long a link of this purpose works."""
    if purpose is LinkPurpose.RESET_PASSWORD:
        return timedelta(minutes=RESET_MINUTES)
    return timedelta(hours=CONFIRMATION_HOURS)


async def create_link(
    session: AsyncSession, settings: Settings, *, user_id: int, purpose: LinkPurpose, email: str | None = None
) -> str:
    """Return the address to be mailed. Earlier links of the same purpose stop working.

    `email` is the address that a change of address is about.
    """
    token, now = secrets.token_hex(32), now_of(session)
    await account_tokens.add_token(
        session,
        token_digest=digest(token),
        user_id=user_id,
        purpose=purpose,
        email=email,
        now=now,
        expires_at=now + lifetime(purpose),
    )
    return f"{settings.site_url}/auth/{PAGES[purpose]}/?{urlencode({'token': token})}"


async def find(session: AsyncSession, token: str) -> AccountToken | None:
    """Return the token's row, used and expired ones included."""
    return await account_tokens.get_token(session, token_digest=digest(token))


async def require(session: AsyncSession, token: str, purpose: LinkPurpose) -> AccountToken:
    """Return whose token it is, without using it up.

    Raises:
        LinkNotValidError: it is unknown, for something else, used, or too old.
    """
    found = await find(session, token)
    if (
        found is None
        or found.purpose != purpose
        or found.used_at is not None
        or found.expires_at <= now_of(session)
    ):
        raise LinkNotValidError
    return found


async def redeem(session: AsyncSession, token: str, purpose: LinkPurpose) -> AccountToken:
    """Mark the token as used, and return its row.

    Raises:
        LinkNotValidError: as `require`, or somebody else used it in this moment.
    """
    found = await require(session, token, purpose)
    await lock_user(session, found.user_id)
    if not await account_tokens.use_token(session, token_digest=digest(token), now=now_of(session)):
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
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
