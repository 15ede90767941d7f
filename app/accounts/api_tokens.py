"""API tokens: made by their owners for programs, listed, revoked by whoever has one."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit
from app.accounts.audit import AuditKind, Deed, Hand
from app.accounts.problems import AccountLimitError
from app.accounts.schemas_api_tokens import ApiTokenCreatedResponse, ApiTokenRequest, ApiTokenResponse
from app.core.api_tokens import digest_of, is_whole, new_token
from app.core.clients import Client
from app.core.errors import NotFoundError, ValidationFailedError
from app.core.scopes import MEANINGS, Scope
from app.db import api_tokens, trusted_publishers, users
from app.db.api_tokens import ApiToken
from app.db.engine import Database, now_of
from app.db.outbox import queue_mail
from app.db.users import Account
from app.mail.messages import MailKind

MOST_TOKENS = 50
"""That one user may have: more than programs that anybody keeps apart."""

TOLD_DAYS = (1, 7)
"""How many days before a token ends its owner is told, unless it never had more."""
LONG = max(TOLD_DAYS) + 1
TOLD_AT_ONCE = 500


async def create(
    session: AsyncSession, account: Account, wanted: ApiTokenRequest, *, most_days: int, client: Client
) -> ApiTokenCreatedResponse:
    """Make a token, tell its owner by mail, and return it: its text is nowhere else.

    Args:
        session: of the unit of work.
        account: whose token it will be.
        wanted: its name, scopes and life.
        most_days: the longest life; 0: any, and without an end.
        client: who asks.

    Raises:
        ValidationFailedError: it would work for too long.
        AccountLimitError: the user has as many as anybody may.
        UnauthorizedError: the account was closed meanwhile.
    """
    _require_allowed_life(wanted.expires_in_days, most_days)
    await users.require_open(session, account.id)
    if await api_tokens.count_named(session, account.id) >= MOST_TOKENS:
        raise AccountLimitError(
            f"You have {MOST_TOKENS} API tokens. Revoke those that nothing uses any more."
        )
    text, now = new_token(), now_of(session)
    scopes = [scope for scope in Scope if scope in wanted.scopes]
    expires_at = None if wanted.expires_in_days is None else now + timedelta(days=wanted.expires_in_days)
    token_id = await api_tokens.add_token(
        session,
        user_id=account.id,
        name=wanted.name,
        digest=digest_of(text),
        scopes=" ".join(scopes),
        now=now,
        expires_at=expires_at,
        told_days=min((days for days in TOLD_DAYS if days >= (wanted.expires_in_days or LONG)), default=None),
    )
    await audit.write(
        session, account.id, AuditKind.API_TOKEN_CREATED, client, detail=f"{wanted.name}: {', '.join(scopes)}"
    )
    await queue_mail(
        session,
        MailKind.API_TOKEN_CREATED,
        account.email,
        name=wanted.name,
        meanings="\n".join(MEANINGS[scope] for scope in scopes),
        until=f"{expires_at:%d %B %Y}" if expires_at else "",
    )
    made = ApiToken(token_id, account.id, wanted.name, " ".join(scopes), now, expires_at)
    return ApiTokenCreatedResponse(**_shown(made, now), token=text)


def _require_allowed_life(days: int | None, most_days: int) -> None:
    if most_days and (days is None or days > most_days):
        raise ValidationFailedError.for_fields(
            [{"field": "expires_in_days", "message": f"A token works for at most {most_days} days here."}]
        )


async def list_tokens(session: AsyncSession, user_id: int) -> list[ApiTokenResponse]:
    """Return a user's tokens."""
    now = now_of(session)
    found = await api_tokens.get_of_user(session, user_id)
    return [ApiTokenResponse(**_shown(token, now)) for token in found]


def _shown(token: ApiToken, now: datetime) -> dict[str, Any]:
    return {
        **token._asdict(),
        "scopes": token.scopes.split(),
        "expired": token.expires_at is not None and token.expires_at <= now,
        "trusted_publisher": token.publisher_id,
    }


async def revoke(session: AsyncSession, user_id: int, token_id: int, client: Client) -> None:
    """Revoke one of a user's tokens.

    Raises:
        NotFoundError: there is no such one.
    """
    await users.lock_user(session, user_id)
    name = await api_tokens.delete_token(session, user_id, token_id)
    if name is None:
        raise NotFoundError("You have no such API token; it may have been revoked already.")
    await audit.write(session, user_id, AuditKind.API_TOKEN_REVOKED, client, detail=name)


async def revoke_leaked(session: AsyncSession, text: str, client: Client) -> None:
    """Revoke a token for whoever has it, and tell its owner where that was; what is no token changes nothing."""
    found = await api_tokens.find_by_digest(session, digest_of(text)) if is_whole(text) else None
    if found is None or not await users.lock_if_there(session, found.user_id):
        return
    if await api_tokens.delete_token(session, found.user_id, found.id) is None:
        return
    await audit.write(session, found.user_id, AuditKind.API_TOKEN_REPORTED, client, detail=found.name)
    if email := await users.get_email(session, found.user_id):
        await queue_mail(session, MailKind.API_TOKEN_REPORTED, email, name=found.name, network=client.network)


async def tell_of_ends(database: Database) -> None:
    """Mail those whose API tokens end in a week, and in a day: once each."""
    for days in TOLD_DAYS:
        async with database.session() as session:
            ending = await api_tokens.get_ending(session, days=days, now=database.now(), limit=TOLD_AT_ONCE)
        for token in ending:
            await database.unit(partial(_tell_of_end, token=token, days=days))


async def _tell_of_end(session: AsyncSession, token: ApiToken, days: int) -> None:
    is_there = await users.lock_if_there(session, token.user_id)
    if not is_there or not await api_tokens.set_told(session, token.id, days=days):
        return
    if email := await users.get_email(session, token.user_id):
        used = f"{token.last_used_at:%d %B %Y}" if token.last_used_at else ""
        until = f"{token.expires_at:%d %B %Y, %H:%M} UTC"
        await queue_mail(session, MailKind.API_TOKEN_ENDS, email, name=token.name, until=until, used=used)


async def forget_programs(session: AsyncSession, user_id: int) -> int:
    """Revoke every token of a user, whose row is locked, and trust no publisher any more; return how many went."""
    publishers = await trusted_publishers.delete_of_user(session, user_id)
    return publishers + await api_tokens.delete_of_user(session, user_id)


async def revoke_by_hand(session: AsyncSession, user_id: int, by: Hand, *, token_id: int | None) -> int:
    """Revoke a token of somebody else's account, or all, and what would get others; return how many there were."""
    await users.lock_user(session, user_id)
    if token_id is None:
        count, what = await forget_programs(session, user_id), "all, with trusted publishers"
    else:
        name = await api_tokens.delete_token(session, user_id, token_id)
        count, what = int(name is not None), name or ""
    if count:
        await audit.write_deed(session, user_id, Deed.API_TOKENS_REVOKED, by, detail=what)
    return count
