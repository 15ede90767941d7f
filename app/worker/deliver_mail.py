"""Mails of the outbox go out, each until it is taken or refused for good."""

from datetime import timedelta

import structlog

from app.accounts import mails
from app.accounts.mails import MailRequest
from app.core.clock import utc_now
from app.core.errors import TooManyRequestsError
from app.core.limits import Hit
from app.db import outbox
from app.db.outbox import OutboxMail
from app.mail.transport import DeliveryError
from app.resources import Resources
from app.worker.loops import after, back_off

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=2)
"""Longer than the mail server may take (`SMTP_TIMEOUT_SECONDS` bounds each step of the talk)."""
ATTEMPTS = 12
"""With the pauses between them about a day and a half."""
FIRST_PAUSE_SECONDS = 10
LONGEST_PAUSE_SECONDS = 6 * 3600


async def deliver_one(resources: Resources, *, owner: str) -> bool:
    """Send the next mail that is due; False if there is none."""
    mail = await outbox.claim_mail(resources.database, owner=owner, now=utc_now(), lease=LEASE)
    if mail is None:
        return False
    if mail.kind in set(MailRequest):
        await _answer_request(resources, mail)
        return True
    # No connection is held while the mail server talks.
    try:
        message = resources.messages.build(
            kind=mail.kind,
            recipient=mail.recipient,
            parameters=mail.parameters,
            number=mail.id,
            created_at=mail.created_at,
        )
        await resources.mail.send(message)
    except DeliveryError as error:
        await _note_failure(resources, mail, str(error), permanent=error.permanent)
    except Exception as error:
        # One mail that cannot be written must not hold up the others.
        log.exception("mail cannot be written", mail=mail.id, kind=mail.kind)
        await _note_failure(resources, mail, type(error).__name__, permanent=True)
    else:
        async with resources.database.session() as session:
            await outbox.set_sent(session, mail.id, now=utc_now())
        log.info("mail sent", mail=mail.id, kind=mail.kind)
    return True


async def _answer_request(resources: Resources, request: OutboxMail) -> None:
    """Queue the mail that is due, unless its recipient has had enough; where all have, wait."""
    kind, address = MailRequest(request.kind), request.recipient
    async with resources.database.session() as session:
        found = await mails.find_addressee(session, kind, address)
    if found is None and kind is not MailRequest.EMAIL_CHANGE:
        await _drop(resources, request)
        return
    try:
        await resources.limits.hit(Hit("mail-everybody"))
    except TooManyRequestsError as refused:
        await _postpone(resources, request, seconds=int(refused.headers["Retry-After"]))
        return
    try:
        await resources.limits.hit(Hit("mail-account", f"{kind} {found.email if found else address}"))
    except TooManyRequestsError:
        log.warning("mail not sent, its recipient has had enough of this kind", mail=request.id, kind=kind)
        await _drop(resources, request)
        return
    settings = resources.settings
    async with resources.database.session() as session:
        if found is None:
            user_id = int(request.parameters["user_id"])
            await mails.offer_address(session, settings, user_id=user_id, email=address)
        elif found.id != request.parameters.get("user_id"):
            await mails.answer(session, settings, kind, found)
        await outbox.delete_mail(session, request.id)


async def _drop(resources: Resources, request: OutboxMail) -> None:
    async with resources.database.session() as session:
        await outbox.delete_mail(session, request.id)


async def _postpone(resources: Resources, request: OutboxMail, *, seconds: int) -> None:
    log.warning("mails wait: more than `mail-everybody` were asked for", mail=request.id)
    async with resources.database.session() as session:
        later = after(timedelta(seconds=seconds))
        await outbox.set_retry(session, request.id, at=later, error="waits for the rate limit")


async def _note_failure(resources: Resources, mail: OutboxMail, reason: str, *, permanent: bool) -> None:
    given_up = permanent or mail.attempts >= ATTEMPTS
    log.warning("mail not sent", mail=mail.id, kind=mail.kind, reason=reason, given_up=given_up)
    pause = back_off(mail.attempts, first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS)
    async with resources.database.session() as session:
        if given_up:
            await outbox.set_failed(session, mail.id, now=utc_now(), error=reason)
        else:
            await outbox.set_retry(session, mail.id, at=after(pause), error=reason)
