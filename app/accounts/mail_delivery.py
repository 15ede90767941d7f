"""Sends the mails of the outbox; each is retried until it is accepted or permanently refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import mails
from app.accounts.mails import MailRequest
from app.core import metrics
from app.core.errors import TooManyRequestsError
from app.core.limits import Hit, RateLimiter
from app.core.settings import Settings
from app.db import account_states, outbox, users
from app.db.engine import Database
from app.db.logins import Addressee
from app.db.outbox import TO_SEND, OutboxMail
from app.mail.messages import MessageBuilder
from app.mail.transport import DeliveryError, MailTransport
from app.worker.queues import Lease, back_off

log = structlog.get_logger(__name__)

ATTEMPTS = 12
"""With the pauses between them about a day and a half."""
PATIENCE = timedelta(days=30)
"""How long a mail that we cannot write waits for a version of us that can."""
GRACE_SECONDS = 5.0
"""Seconds that a mail may take when the worker stops: after an interrupted SMTP session it is not known whether it was
sent."""
FIRST_PAUSE_SECONDS = 10
LONGEST_PAUSE_SECONDS = 6 * 3600


@dataclass(frozen=True, slots=True)
class MailDelivery:
    """Takes mails from the outbox and sends them."""

    database: Database
    settings: Settings
    limits: RateLimiter
    messages: MessageBuilder
    transport: MailTransport

    async def deliver_one(self, *, lease_owner: str) -> bool:
        """Send the next mail that is due; False if there is none."""
        length = timedelta(seconds=self.settings.timings.lease_seconds)
        now = self.database.now()
        mail = await outbox.claim_mail(self.database, lease_owner=lease_owner, now=now, lease=length)
        if mail is None:
            return False
        lease = Lease(
            self.database,
            TO_SEND,
            mail.id,
            lease_owner,
            length,
            until=now + length,
            traceparent=mail.traceparent,
        )
        work = self._answer_request if mail.kind in set(MailRequest) else self._deliver
        await lease.work(work(mail, lease), grace_seconds=GRACE_SECONDS)
        return True

    async def _deliver(self, mail: OutboxMail, lease: Lease) -> None:
        """Send one mail. No connection is held while the mail server talks."""
        try:
            message = await self.messages.build(
                kind=mail.kind,
                recipient=mail.recipient,
                parameters=mail.parameters,
                number=mail.id,
                created_at=mail.created_at,
            )
        except Exception as error:
            # One mail that cannot be written must not hold up the others. The fault is ours, and will be mended.
            log.exception("mail cannot be written", mail=mail.id, kind=mail.kind)
            too_old = self.database.now() - mail.created_at > PATIENCE
            await _note_failure(mail, lease, f"cannot be written: {type(error).__name__}", given_up=too_old)
            return
        try:
            await self.transport.send(message, confirm=lease.renew)
        except DeliveryError as error:
            given_up = error.permanent or mail.attempts >= ATTEMPTS
            await _note_failure(mail, lease, str(error), given_up=given_up)
            return
        now = self.database.now
        await lease.end(lambda session: outbox.set_sent(session, mail.id, lease_owner=lease.owner, now=now()))
        metrics.MAILS.add("sent")
        log.info("mail sent", mail=mail.id, kind=mail.kind)

    async def _answer_request(self, request: OutboxMail, lease: Lease) -> None:
        """Queue the mail that is due, unless its recipient was sent as many as may be; where all have, wait."""
        kind, address = MailRequest(request.kind), request.recipient
        async with self.database.session() as session:
            found = await mails.find_addressees(session, kind, address)
        if not found and kind not in mails.TO_ANYBODY:
            await lease.end(lambda session: outbox.delete_mail(session, request.id, lease_owner=lease.owner))
            return
        account = Hit("mail-account", f"{kind} {found[0].email if found else address}")
        try:
            await self.limits.hit(account)
        except TooManyRequestsError:
            log.warning(
                "mail not sent, its recipient was sent as many of this kind as may be",
                mail=request.id,
                kind=kind,
            )
            await lease.end(lambda session: outbox.delete_mail(session, request.id, lease_owner=lease.owner))
            return
        try:
            # Only now: what is not sent uses up nothing of what all may have.
            await self.limits.hit_site("mail-everybody", str(request.parameters.get("network", "")))
        except TooManyRequestsError as refused:
            await self.limits.give_back(account)
            await _postpone(request, lease, seconds=int(refused.headers["Retry-After"]))
            return

        async def answer(session: AsyncSession) -> bool:
            # First: whoever comes second finds no row, and makes no link that would end the first one's.
            if not await outbox.delete_mail(session, request.id, lease_owner=lease.owner):
                return False
            await self._queue_answer(session, request, found)
            return True

        await lease.end(answer)

    async def _queue_answer(
        self, session: AsyncSession, request: OutboxMail, found: Sequence[Addressee]
    ) -> None:
        kind, address, asked = MailRequest(request.kind), request.recipient, request.parameters
        if kind is MailRequest.IDENTITY:
            await mails.offer_identity(session, self.settings, pending=str(asked["pending"]), email=address)
            return
        if kind is MailRequest.EMAIL_CHANGE and not await _is_latest(session, request):
            return
        if not found:
            await mails.offer_address(session, self.settings, user_id=int(asked["user_id"]), email=address)
        for each in found:
            if each.id != asked.get("user_id"):
                await mails.answer(session, self.settings, kind, each, is_one_of_many=len(found) > 1)


async def _is_latest(session: AsyncSession, request: OutboxMail) -> bool:
    """Return whether a change of address still counts: nothing came after it, no reset and no deletion among it."""
    user_id = int(request.parameters["user_id"])
    await users.lock_user(session, user_id)
    latest = await account_states.get_email_change(session, user_id)
    # Requests of earlier versions are told apart by nothing.
    return latest == request.parameters.get("change")


async def _postpone(request: OutboxMail, lease: Lease, *, seconds: int) -> None:
    log.warning("mails wait: more than `mail-everybody` were asked for", mail=request.id)
    at = lease.database.now() + timedelta(seconds=seconds)
    reason = "waits for the rate limit"
    await lease.end(
        lambda session: outbox.set_retry(session, request.id, lease_owner=lease.owner, at=at, error=reason)
    )


async def _note_failure(mail: OutboxMail, lease: Lease, reason: str, *, given_up: bool) -> None:
    metrics.MAILS.add("given_up" if given_up else "retried")
    log.warning("mail not sent", mail=mail.id, kind=mail.kind, reason=reason, given_up=given_up)
    pause = back_off(mail.attempts, first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS)
    now, lease_owner = lease.database.now(), lease.owner

    async def note(session: AsyncSession) -> bool:
        if given_up:
            return await outbox.set_failed(session, mail.id, lease_owner=lease_owner, now=now, error=reason)
        return await outbox.set_retry(session, mail.id, lease_owner=lease_owner, at=now + pause, error=reason)

    await lease.end(note)
