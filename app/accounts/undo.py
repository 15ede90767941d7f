"""Changes of an account that its owner can undo by a link, which goes to the address that they had before."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.links import digest
from app.core.settings import Settings
from app.db import account_changes
from app.db.engine import now_of
from app.db.outbox import queue_mail
from app.mail.messages import MailKind

LIFETIME = timedelta(days=7)
"""How long a change can be undone: over a holiday week."""


class UndoKind(StrEnum):
    """What was changed; `undoing.UNDO` says what undoes it."""

    LOGIN = "login"
    """Not a change by itself: the beginning of what somebody may have done."""
    EMAIL = "email"
    PASSKEY_ADDED = "passkey-added"
    PASSKEY_REMOVED = "passkey-removed"
    PASSKEY_SECOND = "passkey-second"
    PASSWORD = "password"  # noqa: S105 - a kind of change
    ACCOUNT_LINKED = "account linked"
    ACCOUNT_UNLINKED = "account unlinked"
    SECOND_FACTOR = "second factor"


async def offer(
    session: AsyncSession,
    settings: Settings,
    *,
    user_id: int,
    kind: UndoKind,
    before: Mapping[str, Any],
    kept_email: str | None = None,
) -> str:
    """Keep what was before a change, and return the address that undoes it.

    To be called in the transaction of the change, once the user's row is locked. `before` is JSON, of which nothing is
    a secret in clear. So long nobody else may take the address `kept_email`.
    """
    token = secrets.token_hex(32)
    await account_changes.add(
        session,
        user_id,
        link_digest=digest(token),
        kind=kind,
        before=before,
        email=kept_email,
        expires_at=now_of(session) + LIFETIME,
    )
    return f"{settings.site_url}/auth/undo/?{urlencode({'token': token})}"


async def tell(
    session: AsyncSession,
    settings: Settings,
    *,
    user_id: int,
    kind: UndoKind,
    before: Mapping[str, Any],
    to: str,
    what: str,
) -> None:
    """As `offer`, and mail the link to `to`, the address before the change; `what` is a sentence for its owner."""
    link = await offer(session, settings, user_id=user_id, kind=kind, before=before)
    await queue_mail(session, MailKind.ACCOUNT_CHANGED, to, what=what, link=link, days=LIFETIME.days)
