"""Mail through a real SMTP server: plain, with STARTTLS and login, and with every kind of refusal."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr
from sqlalchemy import RowMapping

from app.core.clock import utc_now
from app.core.settings import Settings, SettingsError
from app.db import outbox as outbox_rows
from app.db.tables import outbox
from app.jobs import mail_delivery
from app.mail import messages, transport
from app.mail.messages import MailKind
from app.resources import Resources, open_resources

LOGIN, SECRET = "postmaster", "a mail secret"


@dataclass
class Sink:
    """A mail server's mind: what it took, and what it answers to whom."""

    taken: list[tuple[str, list[str], EmailMessage]] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    """How long each reply takes."""
    data_seconds: float = 0
    """How long the one to the mail itself takes, beside."""

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await asyncio.sleep(self.seconds)
        reply = self.replies.get(address, "250 OK")
        if reply.startswith("250"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return reply

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        await asyncio.sleep(self.seconds)
        reply = self.replies.get(address, "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        await asyncio.sleep(self.seconds + self.data_seconds)
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.taken.append((envelope.mail_from or "", envelope.rcpt_tos, message))
        return "250 OK"


def check_login(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (
        LOGIN.encode(),
        SECRET.encode(),
    )
    return AuthResult(success=right)


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def smtp_port(sink: Sink, free_port: int) -> Iterator[int]:
    controller = Controller(sink, hostname="127.0.0.1", port=free_port)
    controller.start()
    yield free_port
    controller.stop()


@pytest.fixture
def tls_port(sink: Sink, free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server that takes mail only after STARTTLS and login, with a certificate that we trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    controller = Controller(
        sink,
        hostname="127.0.0.1",
        port=free_port,
        tls_context=context,
        require_starttls=True,
        authenticator=check_login,
        auth_required=True,
    )
    controller.start()
    yield free_port
    controller.stop()


@pytest.fixture
def mail_settings(tmp_path: Path, database_uri: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(transport, "TIMEOUT_SECONDS", 5)
    return Settings(
        _env_file=None,
        data_dir=tmp_path / "var",
        database_uri=database_uri,
        embedded_worker=False,
        smtp_server="127.0.0.1",
        email_sender="openml@example.org",
        public_url="https://www.example.org",
    )


@pytest.fixture
async def resources(mail_settings: Settings, smtp_port: int) -> AsyncIterator[Resources]:
    async with open_resources(mail_settings.model_copy(update={"smtp_port": smtp_port})) as resources:
        yield resources


async def queue_mail(resources: Resources, recipient: str = "ada@example.org") -> None:
    parameters = {
        "link": f"https://www.example.org/auth/confirm-page/?token={'0123456789abcdef' * 4}",
        "hours": 48,
    }
    async with resources.database.session() as session:
        await outbox_rows.add_mail(
            session, kind="confirm_email", recipient=recipient, parameters=parameters, now=utc_now()
        )


async def row(resources: Resources) -> RowMapping:
    async with resources.database.session() as session:
        return (await session.execute(sa.select(outbox))).mappings().one()


async def test_mail_when_delivered_then_whole_and_its_content_forgotten(
    resources: Resources, sink: Sink
) -> None:
    await queue_mail(resources)

    assert await mail_delivery(resources).deliver_one(lease_owner="worker")

    ((sender, recipients, message),) = sink.taken
    assert (sender, recipients) == ("openml@example.org", ["ada@example.org"])
    assert message["From"] == "OpenML <openml@example.org>"
    assert message["Subject"] == "Welcome to OpenML! Please confirm your e-mail address"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"]
    assert message["Message-ID"].endswith("@example.org>")
    for kind in ("plain", "html"):
        body = message.get_body((kind,))
        assert body is not None
        assert f"token={'0123456789abcdef' * 4}" in body.get_content()
    kept = await row(resources)
    assert (kept["state"], kept["parameters"]) == ("sent", {})
    assert not await mail_delivery(resources).deliver_one(lease_owner="worker"), "a mail goes out once"


async def test_mail_when_recipient_is_refused_then_failed_with_the_servers_words(
    resources: Resources, sink: Sink
) -> None:
    sink.replies["ada@example.org"] = "550 no such user here"
    await queue_mail(resources)

    await mail_delivery(resources).deliver_one(lease_owner="worker")

    kept = await row(resources)
    assert (kept["state"], kept["last_error"]) == ("failed", "550 no such user here")


async def test_mail_when_server_asks_for_patience_then_tried_again_later(
    resources: Resources, sink: Sink
) -> None:
    sink.replies["ada@example.org"] = "451 greylisted"
    await queue_mail(resources)

    await mail_delivery(resources).deliver_one(lease_owner="worker")

    kept = await row(resources)
    assert (kept["state"], kept["attempts"], kept["last_error"]) == ("pending", 1, "451 greylisted")
    assert kept["available_at"] > utc_now()
    assert not await mail_delivery(resources).deliver_one(lease_owner="worker"), "not before its time"
    sink.replies.clear()
    async with resources.database.session() as session:
        await session.execute(sa.update(outbox).values(available_at=utc_now()))
    await mail_delivery(resources).deliver_one(lease_owner="worker")
    assert (await row(resources))["state"] == "sent"


async def test_mail_when_server_is_away_then_tried_again_later(
    mail_settings: Settings, free_port: int
) -> None:
    async with open_resources(mail_settings.model_copy(update={"smtp_port": free_port})) as resources:
        await queue_mail(resources)
        await mail_delivery(resources).deliver_one(lease_owner="worker")
        kept = await row(resources)
    assert kept["state"] == "pending"
    assert kept["last_error"]


async def test_mail_when_tls_and_login_are_asked_for_then_both_happen(
    mail_settings: Settings, tls_port: int, sink: Sink
) -> None:
    changes = {
        "smtp_port": tls_port,
        "smtp_use_tls": True,
        "smtp_login": LOGIN,
        "smtp_pass": SecretStr(SECRET),
    }
    async with open_resources(mail_settings.model_copy(update=changes)) as resources:
        await queue_mail(resources)
        await mail_delivery(resources).deliver_one(lease_owner="worker")
        assert (await row(resources))["state"] == "sent"
    assert len(sink.taken) == 1


async def test_mail_when_the_port_speaks_tls_from_the_first_byte_then_delivered(
    mail_settings: Settings,
    sink: Sink,
    free_port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    # 465 is not ours to listen on.
    monkeypatch.setattr(transport, "SMTPS_PORT", free_port)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    controller = Controller(sink, hostname="127.0.0.1", port=free_port, ssl_context=context)
    controller.start()
    try:
        changes = {"smtp_port": free_port, "smtp_use_tls": True}
        async with open_resources(mail_settings.model_copy(update=changes)) as resources:
            await queue_mail(resources)
            await mail_delivery(resources).deliver_one(lease_owner="worker")
            assert (await row(resources))["state"] == "sent"
    finally:
        controller.stop()
    assert len(sink.taken) == 1


async def test_mail_when_the_authority_is_our_own_then_its_file_makes_it_believed(
    mail_settings: Settings, free_port: int, sink: Sink, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "own.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    controller = Controller(
        sink, hostname="127.0.0.1", port=free_port, tls_context=context, require_starttls=True
    )
    controller.start()
    try:
        changes: dict[str, Any] = {"smtp_port": free_port, "smtp_use_tls": True}
        async with open_resources(mail_settings.model_copy(update=changes)) as resources:
            await queue_mail(resources)
            await mail_delivery(resources).deliver_one(lease_owner="worker")
            assert "CERTIFICATE_VERIFY_FAILED" in (await row(resources))["last_error"]
            assert "OUTGOING_CA_FILE" in (await row(resources))["last_error"]
        assert not sink.taken
        changes["outgoing_ca_file"] = str(tmp_path / "own.pem")
        async with open_resources(mail_settings.model_copy(update=changes)) as resources:
            message = EmailMessage()
            message["From"], message["To"] = "openml@example.org", "ada@example.org"
            await resources.mail.send(message)
    finally:
        controller.stop()
    assert len(sink.taken) == 1


async def test_mail_when_login_is_refused_then_kept_and_the_password_in_no_message(
    mail_settings: Settings, tls_port: int, sink: Sink
) -> None:
    changes = {
        "smtp_port": tls_port,
        "smtp_use_tls": True,
        "smtp_login": LOGIN,
        "smtp_pass": SecretStr("wrong one"),
    }
    async with open_resources(mail_settings.model_copy(update=changes)) as resources:
        await queue_mail(resources)
        await mail_delivery(resources).deliver_one(lease_owner="worker")
        kept = await row(resources)
    assert kept["state"] == "pending", "an operator's typing error must lose no mail"
    assert "wrong one" not in kept["last_error"]
    assert not sink.taken


async def test_mail_when_tls_is_asked_for_and_not_offered_then_nothing_is_said(
    mail_settings: Settings, smtp_port: int, sink: Sink
) -> None:
    changes = {"smtp_port": smtp_port, "smtp_use_tls": True}
    async with open_resources(mail_settings.model_copy(update=changes)) as resources:
        await queue_mail(resources)
        await mail_delivery(resources).deliver_one(lease_owner="worker")
        assert (await row(resources))["state"] == "pending"
    assert not sink.taken


async def test_mail_when_two_workers_look_then_one_sends_it(resources: Resources, sink: Sink) -> None:
    await queue_mail(resources)

    await asyncio.gather(
        *(mail_delivery(resources).deliver_one(lease_owner=f"worker {number}") for number in range(8))
    )

    assert len(sink.taken) == 1


async def deliver_for(mail_settings: Settings, seconds: float, *, lease_owner: str) -> None:
    """A worker of its own, for so long."""
    async with open_resources(mail_settings) as resources:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await mail_delivery(resources).deliver_one(lease_owner=lease_owner)
                    await asyncio.sleep(0.1)


@pytest.mark.parametrize("times", [(1, 1, 6), pytest.param((22, 60, 130), marks=pytest.mark.long)])
async def test_mail_when_the_server_takes_longer_than_a_lease_then_one_of_two_workers_sends_it(
    mail_settings: Settings,
    smtp_port: int,
    sink: Sink,
    times: tuple[float, float, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "TIMEOUT_SECONDS", 30)
    sink.seconds, lease_seconds, seconds = times
    changes = {"smtp_port": smtp_port, "timings": mail_settings.timings.but(lease_seconds=lease_seconds)}
    changed = mail_settings.model_copy(update=changes)
    async with open_resources(changed) as resources:
        await queue_mail(resources)

        await asyncio.gather(
            *(deliver_for(changed, seconds, lease_owner=f"worker {number}") for number in range(2))
        )

        kept = await row(resources)
    assert len(sink.taken) == 1
    assert (kept["state"], kept["attempts"]) == ("sent", 1)


async def test_mail_when_the_server_looks_at_it_for_longer_than_other_replies_take_then_it_goes_out_once(
    mail_settings: Settings, smtp_port: int, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "TIMEOUT_SECONDS", 1)
    sink.data_seconds = 2
    changes = {"smtp_port": smtp_port}
    async with open_resources(mail_settings.model_copy(update=changes)) as resources:
        await queue_mail(resources)
        await mail_delivery(resources).deliver_one(lease_owner="worker")
        assert (await row(resources))["state"] == "sent"
    assert len(sink.taken) == 1


async def test_mail_when_another_worker_has_it_by_the_time_it_would_go_out_then_it_does_not(
    resources: Resources, sink: Sink
) -> None:
    """As of a worker that was put to sleep in the middle, and does not know."""
    sink.seconds = 0.5
    await queue_mail(resources)

    async def take_over() -> None:
        await asyncio.sleep(0.3)
        values = {"lease_owner": "another", "available_at": utc_now() + timedelta(hours=1)}
        async with resources.database.session() as session:
            await session.execute(sa.update(outbox).values(values))

    await asyncio.gather(mail_delivery(resources).deliver_one(lease_owner="worker"), take_over())

    kept = await row(resources)
    assert (kept["state"], kept["lease_owner"]) == ("pending", "another")
    assert not sink.taken


async def test_mail_when_the_worker_is_told_to_stop_while_it_goes_out_then_it_is_known_to_be_out(
    resources: Resources, sink: Sink
) -> None:
    sink.data_seconds = 1
    await queue_mail(resources)
    delivery = asyncio.create_task(mail_delivery(resources).deliver_one(lease_owner="worker"))
    await asyncio.sleep(0.6)

    delivery.cancel()
    await asyncio.wait([delivery])

    assert len(sink.taken) == 1
    assert (await row(resources))["state"] == "sent"


@pytest.mark.parametrize("reply", ["550 no such sender", "530 5.7.0 Must authenticate first"])
async def test_mail_when_the_sender_is_refused_then_kept_for_the_operator_to_mend_that(
    resources: Resources, sink: Sink, reply: str
) -> None:
    sink.replies["openml@example.org"] = reply
    await queue_mail(resources)

    await mail_delivery(resources).deliver_one(lease_owner="worker")

    kept = await row(resources)
    assert (kept["state"], kept["last_error"]) == ("pending", reply)


async def test_mail_when_its_recipient_is_refused_by_policy_then_kept(
    resources: Resources, sink: Sink
) -> None:
    sink.replies["ada@example.org"] = "554 5.7.1 Relay access denied"
    await queue_mail(resources)

    await mail_delivery(resources).deliver_one(lease_owner="worker")

    assert (await row(resources))["state"] == "pending"


async def test_mail_when_its_worker_died_then_another_sends_it(resources: Resources, sink: Sink) -> None:
    await queue_mail(resources)
    claimed = await outbox_rows.claim_mail(
        resources.database, lease_owner="dead worker", now=utc_now(), lease=utc_now() - utc_now()
    )
    assert claimed is not None

    assert await mail_delivery(resources).deliver_one(lease_owner="worker")

    assert len(sink.taken) == 1


@pytest.mark.parametrize(
    ("sender", "header"),
    [
        ("OpenML Team <noreply@example.org>", "OpenML Team <noreply@example.org>"),
        ("Das Büro <noreply@example.org>", "Das Büro <noreply@example.org>"),
        ('"Team, OpenML" <noreply@example.org>', '"Team, OpenML" <noreply@example.org>'),
        ("noreply@example.org", "OpenML <noreply@example.org>"),
    ],
)
async def test_mail_when_the_sender_has_a_name_then_the_header_has_it_and_the_envelope_the_address(
    mail_settings: Settings, smtp_port: int, sink: Sink, sender: str, header: str
) -> None:
    changes = {"smtp_port": smtp_port, "email_sender": sender, "contact_email": "Team <team@example.org>"}
    async with open_resources(mail_settings.model_copy(update=changes)) as resources:
        await queue_mail(resources)
        await mail_delivery(resources).deliver_one(lease_owner="worker")

    ((envelope, _, message),) = sink.taken
    assert (envelope, message["From"]) == ("noreply@example.org", header)
    assert "<team@example.org>" not in message.as_string()


def test_mails_when_one_kind_cannot_be_written_as_configured_then_the_start_fails(
    mail_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = messages.MessageBuilder(messages.MailIdentity.of(mail_settings))
    builder.check()
    for kind in MailKind:
        monkeypatch.setitem(messages.SUBJECTS, kind, "two\nlines")
        with pytest.raises(SettingsError, match=str(kind)):
            builder.check()
        monkeypatch.undo()


@pytest.mark.parametrize("kind", ["confirm_email", "of a later version"])
async def test_mail_when_it_cannot_be_written_then_it_waits_for_us_to_mend_that(
    resources: Resources, sink: Sink, kind: str
) -> None:
    """`confirm_email` lacks its link here; the other is what a newer process queued."""
    async with resources.database.session() as session:
        await outbox_rows.add_mail(
            session, kind=kind, recipient="ada@example.org", parameters={}, now=utc_now()
        )

    kept = await row(resources)
    for attempt in range(1, 15):
        await mail_delivery(resources).deliver_one(lease_owner="worker")
        kept = await row(resources)
        assert (kept["state"], kept["attempts"]) == ("pending", attempt)
        assert kept["available_at"] > utc_now()
        async with resources.database.session() as session:
            await session.execute(sa.update(outbox).values(available_at=utc_now()))

    assert kept["last_error"].startswith("cannot be written: ")
    async with resources.database.session() as session:
        (listed,) = await outbox_rows.list_mails(session, recipient="", state="pending", limit=9)
    assert listed.last_error == kept["last_error"]
    assert not sink.taken


async def test_feedback_when_its_address_is_none_then_it_arrives_all_the_same(
    resources: Resources, sink: Sink
) -> None:
    async with resources.database.session() as session:
        parameters = {"text": "Thank you.", "reply_to": "no address at all"}
        await outbox_rows.add_mail(
            session, kind="feedback", recipient="ada@example.org", parameters=parameters, now=utc_now()
        )

    await mail_delivery(resources).deliver_one(lease_owner="worker")

    ((_, _, message),) = sink.taken
    assert message["Reply-To"] is None
    assert "no address at all" in message.as_string()


@pytest.mark.parametrize(
    "recipient",
    [
        "not\nan address@example.org",
        "=?us-ascii?q?a=0d=0aBcc=3Ax=40evil.example?=@example.org",
        "=?utf-8?b?bWFsbG9yeUBldmlsLmV4YW1wbGUs?=@example.org",
    ],
)
async def test_mail_when_it_cannot_be_written_then_parked_and_the_next_goes_out(
    resources: Resources, sink: Sink, recipient: str
) -> None:
    await queue_mail(resources, recipient)
    await queue_mail(resources, "ada@example.org")

    await mail_delivery(resources).deliver_one(lease_owner="worker")
    await mail_delivery(resources).deliver_one(lease_owner="worker")

    assert [recipients for _, recipients, _ in sink.taken] == [["ada@example.org"]]


LINK = {"link": "https://www.example.org/auth/?token=0", "hours": 48}
PARAMETERS: dict[MailKind, dict[str, Any]] = {
    **{kind: {} for kind in MailKind},
    MailKind.CONFIRM_EMAIL: LINK,
    MailKind.CONFIRM_NEW_EMAIL: LINK,
    MailKind.RESET_PASSWORD: {"link": LINK["link"], "minutes": 60},
    MailKind.EMAIL_CHANGE_REQUESTED: {"new_email": "a…@example.org"},
    MailKind.APPROVE_EMAIL_CHANGE: {"new_email": "a…@example.org", **LINK},
    MailKind.EMAIL_CHANGED: {"new_email": "a…@example.org"},
    MailKind.FEEDBACK: {"text": "Thank you.", "reply_to": "ada@example.org"},
    MailKind.DATASET_ACTIVE: {"name": "rivers", "dataset_url": "https://www.example.org/d/1"},
    MailKind.DATASET_FAILED: {"name": "rivers", "reason": "It has no target."},
    MailKind.CONFIRM_IDENTITY: {
        "link": "https://openml.example/auth/oauth/github/confirm?token=0123",
        "provider": "GitHub",
        "hours": 48,
    },
    MailKind.NEW_DEVICE: {
        "at": "2026-01-01 12:00 UTC",
        "device": "Firefox on Linux",
        "address": "127.0.0.1",
        "link": LINK["link"],
        "days": 7,
    },
    MailKind.CHOOSE_PASSWORD: {"link": LINK["link"], "minutes": 60},
    MailKind.SESSION_COPIED: {"device": "Firefox on Linux", "link": LINK["link"], "days": 7},
    MailKind.ACCOUNT_CHANGED: {"what": "A passkey was added.", "link": LINK["link"], "days": 7},
    MailKind.API_TOKEN_CREATED: {"name": "laptop", "meanings": "uploads", "until": ""},
    MailKind.API_TOKEN_ENDS: {"name": "laptop", "until": "29 November 2026, 12:00 UTC", "used": "1 May 2026"},
    MailKind.API_TOKEN_REPORTED: {"name": "laptop", "network": "127.0.0.1"},
    MailKind.PASSKEY_COPIED: {"name": "My phone"},
    MailKind.TRUSTED_PUBLISHER_ADDED: {
        "publisher": "Releases",
        "issuer": "https://token.actions.githubusercontent.com",
        "claims": "repository: ada/rivers",
    },
    MailKind.FACTOR_RESET: {
        "who": "an operator",
        "due": "2026-01-02 12:00 UTC",
        "reason": "You asked for it.",
        "link": LINK["link"],
    },
    MailKind.RECOVERY_CODE_USED: {"device": "Firefox on Linux", "address": "127.0.0.1", "left": 9},
    MailKind.SECOND_FACTOR_MISSED: {"device": "Firefox on Linux", "address": "127.0.0.1"},
    MailKind.DEED: {"deed": "Deactivated", "who": "an administrator", "reason": "You asked for it."},
}
"""What each template is filled with: one that asks for more is an error, here and not in production."""


@pytest.mark.parametrize("kind", MailKind)
async def test_mail_of_each_kind_when_it_has_its_parameters_then_it_can_be_written(
    mail_settings: Settings, kind: MailKind
) -> None:
    message = await messages.create_messages(mail_settings).build(
        kind=kind, recipient="ada@example.org", parameters=PARAMETERS[kind], number=1, created_at=utc_now()
    )

    assert len(message.get_payload()) == 2, "text and HTML"
    assert bytes(message)
