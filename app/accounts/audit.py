"""The audit trail: what happened to an account, from where; and what others did to it, and why."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clients import Client
from app.core.hidden import printable
from app.db import audit_events, users
from app.db.engine import call_after_commit, now_of
from app.db.outbox import queue_mail
from app.db.reader import Reader
from app.mail.messages import MailKind

log = structlog.get_logger(__name__)

DETAIL_LENGTH = 500
"""Characters of a reason that are kept."""


class AuditKind(StrEnum):
    """Everything that is written down of what an account's owner did, or whoever said to be them."""

    SIGNED_UP = "signed up"
    CONFIRMED = "e-mail address confirmed"
    LOGGED_IN = "logged in"
    LOGIN_FAILED = "login failed"
    LOGGED_OUT = "logged out"
    SESSION_ENDED = "session ended"
    ALL_SESSIONS_ENDED = "all sessions ended"
    PASSWORD_RESET = "password reset"  # noqa: S105 - a kind of event
    PASSWORD_CHANGED = "password changed"  # noqa: S105 - as above
    EMAIL_CHANGE_REQUESTED = "change of e-mail address requested"
    EMAIL_CHANGED = "e-mail address changed"
    PROFILE_CHANGED = "profile changed"
    PICTURE_CHANGED = "picture changed"
    API_KEY_CHANGED = "API key changed"
    EXPORTED = "data exported"
    PASSWORD_GIVEN = "password given again"  # noqa: S105 - a kind of event
    ADMINISTERED = "acted as an administrator"
    CONFIRMED_AGAIN = "confirmed again who it is"
    SECOND_FACTOR_FAILED = "second factor failed"
    WENT_ON_ELSEWHERE = "went on elsewhere"
    REFRESH_TOKEN_REUSED = "refresh token used twice"  # noqa: S105 - a kind of event
    NEW_DEVICE = "told of a new device"
    UNDONE = "change undone"
    API_TOKEN_CREATED = "API token created"  # noqa: S105 - a kind of event
    API_TOKEN_REVOKED = "API token revoked"  # noqa: S105 - as above
    API_TOKEN_REPORTED = "API token revoked by somebody who had it"  # noqa: S105 - as above
    ACCOUNT_LINKED = "account at a provider linked"
    ACCOUNT_UNLINKED = "account at a provider unlinked"
    API_TOKEN_EXCHANGED = "API token given to a trusted publisher"  # noqa: S105 - as above
    TRUSTED_PUBLISHER_ADDED = "trusted publisher added"
    TRUSTED_PUBLISHER_REMOVED = "trusted publisher removed"
    PASSKEY_ADDED = "passkey added"
    PASSKEY_RENAMED = "passkey renamed"
    PASSKEY_REMOVED = "passkey removed"
    PASSKEY_COPIED = "passkey refused as a copy"
    PASSKEY_ASKED_FOR = "passkey asked for after password"
    PASSKEY_NOT_ASKED_FOR = "passkey not asked for after password"
    APP_ADDED = "authenticator app set up"
    APP_REMOVED = "authenticator app removed"
    RECOVERY_CODES_MADE = "recovery codes made"
    RECOVERY_CODE_USED = "recovery code used"
    TOLD_OF_MISS = "told of a missing second factor"
    FACTORS_REMOVED = "second factors removed"
    FACTOR_RESET_STOPPED = "removal of second factors stopped"


class Deed(StrEnum):
    """What somebody else does to an account, or to what belongs to it."""

    CREATED = "created"
    CONFIRMED = "confirmed"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    SESSIONS_ENDED = "sessions ended"
    MAIL_SENT = "mail sent"
    LOOKED_AT = "looked at"
    MADE_ADMINISTRATOR = "made administrator"
    NO_ADMINISTRATOR = "no more administrator"
    ACCOUNT_UNLINKED = "linked account taken away"
    PASSKEYS_REMOVED = "passkeys removed"
    FACTOR_RESET_BEGUN = "factor reset begun"
    UPLOAD_CANCELLED = "upload cancelled"
    UPLOAD_RETRIED = "upload tried again"
    UPLOAD_HELD = "upload quarantined"
    UPLOAD_REMOVED = "upload removed"
    REPORT_CLOSED = "report closed"
    API_TOKENS_REVOKED = "API tokens revoked"


class Hand(NamedTuple):
    """The actor: an administrator, or an operator at the command line.

    Attributes:
        who: what the account's owner reads.
        client: where they are, which only their own trail has.
        administrator_id: the number of their account; None for operators.
    """

    who: str
    client: Client
    administrator_id: int | None = None

    @classmethod
    def of_administrator(cls, user_id: int, client: Client) -> "Hand":
        """Return the actor for an administrator and the client of the request."""
        return cls(ADMINISTRATOR, client, user_id)


TOLD_BY_MAIL = frozenset(
    {
        Deed.DEACTIVATED,
        Deed.ACTIVATED,
        Deed.ACCOUNT_UNLINKED,
        Deed.PASSKEYS_REMOVED,
        Deed.UPLOAD_CANCELLED,
        Deed.UPLOAD_HELD,
    }
)
"""Deeds of which the owner gets a mail as well: an account that is closed shows nobody its audit trail."""
ADMINISTRATOR, OPERATOR = "an administrator", "an operator"
AT_COMMAND_LINE = Hand(OPERATOR, Client("", "openml-web"))
KINDS = frozenset({*AuditKind, *(f"{deed} by {who}" for deed in Deed for who in (ADMINISTRATOR, OPERATOR))})
"""Every kind of event."""


async def write(
    session: AsyncSession, user_id: int, kind: AuditKind, client: Client, *, detail: str | None = None
) -> None:
    """Insert an event in the session's transaction."""
    await audit_events.add_event(
        session,
        user_id,
        kind=kind,
        now=now_of(session),
        network=client.network,
        device=client.device,
        detail=_shortened(detail),
        **client._asdict(),
    )


async def has_been_here(
    reader: Reader,
    user_id: int,
    client: Client,
    kinds: Sequence[AuditKind] = (AuditKind.LOGGED_IN, AuditKind.PASSWORD_RESET),
) -> bool:
    """Say whether this was done from this network: whether somebody logged in, or reset the password by mail."""
    return await audit_events.has_event(
        reader, user_id, network=client.network, ip_address=client.ip_address, kinds=kinds
    )


async def write_deed(session: AsyncSession, user_id: int, deed: Deed, by: Hand, *, detail: str = "") -> None:
    """Write down what somebody did to an account: where its owner sees it, in their own trail, and in the log.

    Of some deeds its owner gets a mail, in the same transaction.

    Args:
        session: of the transaction that it belongs to.
        user_id: whose account it is; 0 where it was deleted.
        deed: what was done.
        by: whose doing it is. The owner reads who, and neither which administrator nor where they are.
        detail: to what of theirs, and why.
    """
    if user_id:
        await audit_events.add_event(
            session,
            user_id,
            kind=f"{deed} by {by.who}",
            now=now_of(session),
            network="",
            detail=_shortened(detail),
            administrator_id=by.administrator_id,
            ip_address="",
            user_agent="" if by.administrator_id else by.client.user_agent,
        )
        if deed in TOLD_BY_MAIL and (email := await users.get_email(session, user_id)):
            told = {"deed": deed.capitalize(), "who": by.who, "reason": detail}
            await queue_mail(session, MailKind.DEED, email, **told)
    await note(session, by, f"{deed}: user {user_id or 'deleted'}" + (f", {detail}" if detail else ""))


async def note(session: AsyncSession, by: Hand, what: str) -> None:
    """Write down what somebody did to nobody's account in particular: in their own trail, and in the log."""
    told = {"by": by.who, "administrator": by.administrator_id, "what": printable(what)}
    call_after_commit(session, lambda: log.info("administration", **told))
    if by.administrator_id is not None and await users.lock_if_there(session, by.administrator_id):
        await write(session, by.administrator_id, AuditKind.ADMINISTERED, by.client, detail=what)


def _shortened(detail: str | None) -> str | None:
    return detail[:DETAIL_LENGTH] if detail else None
