"""Trusted publishers: CI jobs that may publish in a user's name, without a secret of the user's."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit
from app.accounts.audit import AuditKind
from app.accounts.problems import AccountLimitError
from app.accounts.schemas_trusted_publishers import TrustedPublisherRequest, TrustedPublisherResponse
from app.core.clients import Client
from app.core.errors import NotFoundError, ValidationFailedError
from app.core.subjects import fits, key_of
from app.db import api_tokens, trusted_publishers, users
from app.db.engine import now_of
from app.db.outbox import queue_mail
from app.db.trusted_publishers import TrustedPublisher
from app.db.users import Account
from app.mail.messages import MailKind

MOST_PUBLISHERS = 50
"""That one user may trust."""


async def add(
    session: AsyncSession,
    account: Account,
    wanted: TrustedPublisherRequest,
    *,
    issuers: Sequence[str],
    client: Client,
) -> TrustedPublisherResponse:
    """Trust jobs from now on, and tell the account's owner by mail.

    Args:
        session: of the unit of work.
        account: for whom they may publish.
        wanted: which jobs.
        issuers: whose tokens the site believes.
        client: who asks.

    Raises:
        ValidationFailedError: the issuer is another.
        AccountLimitError: the user trusts as many as anybody may.
        UnauthorizedError: the account was closed meanwhile.
    """
    if wanted.issuer not in issuers:
        message = f"This site believes {', '.join(issuers) or 'no issuer'}."
        raise ValidationFailedError.for_fields([{"field": "issuer", "message": message}])
    await users.require_open(session, account.id)
    if len(await trusted_publishers.get_of_user(session, account.id)) >= MOST_PUBLISHERS:
        raise AccountLimitError(
            f"You trust {MOST_PUBLISHERS} publishers. Remove those that publish nothing any more."
        )
    added = await trusted_publishers.add_publisher(
        session,
        user_id=account.id,
        issuer=wanted.issuer,
        subject=wanted.subject,
        subject_key=key_of(wanted.subject),
        claims=wanted.claims,
        now=now_of(session),
    )
    await audit.write(
        session,
        account.id,
        AuditKind.TRUSTED_PUBLISHER_ADDED,
        client,
        detail=f"{added.issuer} {added.subject}",
    )
    await queue_mail(
        session,
        MailKind.TRUSTED_PUBLISHER_ADDED,
        account.email,
        issuer=added.issuer,
        publisher=added.subject,
        claims=", ".join(f"{name}: {value}" for name, value in added.claims.items()),
    )
    return _shown(added)


async def list_publishers(session: AsyncSession, user_id: int) -> list[TrustedPublisherResponse]:
    """Return whom a user trusts."""
    return [_shown(each) for each in await trusted_publishers.get_of_user(session, user_id)]


async def remove(session: AsyncSession, user_id: int, publisher_id: int, client: Client) -> None:
    """Trust jobs no more, and revoke what they have got.

    Raises:
        NotFoundError: there is no such publisher.
    """
    await users.lock_user(session, user_id)
    subject = await trusted_publishers.delete_publisher(session, user_id, publisher_id)
    if subject is None:
        raise NotFoundError("You have no such trusted publisher; it may have been removed already.")
    await api_tokens.delete_of_publisher(session, publisher_id)
    await audit.write(session, user_id, AuditKind.TRUSTED_PUBLISHER_REMOVED, client, detail=subject)


def means(publisher: TrustedPublisher, *, issuer: str, subject: str, claims: Mapping[str, object]) -> bool:
    """Say whether a job is one that the publisher stands for: by letters, which the database takes less exactly."""
    return (
        publisher.issuer == issuer
        and fits(publisher.subject, subject)
        and all(_as_text(claims.get(name)) == value for name, value in publisher.claims.items())
    )


def _as_text(claim: object) -> str | None:
    """Return a claim as people write it; None where it is no single value."""
    if isinstance(claim, bool):
        return str(claim).lower()
    return str(claim) if isinstance(claim, str | int) else None


def _shown(publisher: TrustedPublisher) -> TrustedPublisherResponse:
    return TrustedPublisherResponse(**{**publisher._asdict(), "claims": dict(publisher.claims)})
