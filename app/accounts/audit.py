"""The audit trail: what happened to an account, from where."""

from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clients import Client
from app.db import audit_events
from app.db.engine import now_of


class AuditKind(StrEnum):
    """Everything that is written down."""

    SIGNED_UP = "signed up"
    CONFIRMED = "e-mail address confirmed"
    LOGGED_IN = "logged in"
    LOGIN_FAILED = "login failed"
    LOGGED_OUT = "logged out"
    SESSION_ENDED = "session ended"
    ALL_SESSIONS_ENDED = "all sessions ended"
    PASSWORD_RESET = "password reset"  # noqa: S105 - a kind of event
    EMAIL_CHANGE_REQUESTED = "change of e-mail address requested"
    EMAIL_CHANGED = "e-mail address changed"
    PROFILE_CHANGED = "profile changed"
    PICTURE_CHANGED = "picture changed"
    API_KEY_CHANGED = "API key changed"
    EXPORTED = "data exported"
    CREATED = "created by an operator"
    ACTIVATED = "activated by an operator"
    DEACTIVATED = "deactivated by an operator"


async def write(session: AsyncSession, user_id: int, kind: AuditKind, client: Client) -> None:
    """Write an event down, in the transaction that it belongs to."""
    await audit_events.add_event(
        session, user_id, kind=kind, now=now_of(session), network=client.network, **client._asdict()
    )
