"""From an outbox row to a message: pure functions and the templates beside them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from enum import StrEnum
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from app.core.addresses import as_shown, spellings
from app.core.mailboxes import ENCODED_WORD, Mailbox, parse_mailbox
from app.core.settings import Settings, SettingsError

if TYPE_CHECKING:
    from jinja2 import Environment


class MailKind(StrEnum):
    """Every mail this service sends; the value names its template."""

    CONFIRM_EMAIL = "confirm_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a kind of mail
    CHOOSE_PASSWORD = "choose_password"  # noqa: S105 - as above
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - as above
    CONFIRM_NEW_EMAIL = "confirm_new_email"
    EMAIL_CHANGE_REQUESTED = "email_change_requested"
    APPROVE_EMAIL_CHANGE = "approve_email_change"
    EMAIL_CHANGED = "email_changed"
    ADDRESS_WANTED = "address_wanted"
    API_KEY_CHANGED = "api_key_changed"
    ACCOUNT_DELETED = "account_deleted"
    ALREADY_SIGNED_UP = "already_signed_up"
    FEEDBACK = "feedback"
    DATASET_ACTIVE = "dataset_active"
    DATASET_FAILED = "dataset_failed"
    DEED = "deed"
    NEW_DEVICE = "new_device"
    SESSION_COPIED = "session_copied"
    ACCOUNT_CHANGED = "account_changed"
    API_TOKEN_CREATED = "api_token_created"  # noqa: S105 - as above
    API_TOKEN_REPORTED = "api_token_reported"  # noqa: S105 - as above
    API_TOKEN_ENDS = "api_token_ends"  # noqa: S105 - as above
    CONFIRM_IDENTITY = "confirm_identity"
    TRUSTED_PUBLISHER_ADDED = "trusted_publisher_added"
    PASSKEY_COPIED = "passkey_copied"
    FACTOR_RESET = "factor_reset"
    RECOVERY_CODE_USED = "recovery_code_used"
    SECOND_FACTOR_MISSED = "second_factor_missed"
    TEST = "test"


LONGEST_LINE = 900
"""RFC 5321 lets mail servers cut lines after 998 bytes."""
SUBJECTS = {
    MailKind.CONFIRM_EMAIL: "Welcome to OpenML! Please confirm your e-mail address",
    MailKind.RESET_PASSWORD: "Reset your OpenML password",
    MailKind.CHOOSE_PASSWORD: "Choose your OpenML password",
    MailKind.PASSWORD_CHANGED: "Your OpenML password was changed",
    MailKind.CONFIRM_NEW_EMAIL: "Confirm your new e-mail address for OpenML",
    MailKind.EMAIL_CHANGE_REQUESTED: "Your OpenML account is about to change its e-mail address",
    MailKind.APPROVE_EMAIL_CHANGE: "Is your OpenML account to change its e-mail address?",
    MailKind.EMAIL_CHANGED: "Your OpenML account has a new e-mail address",
    MailKind.ADDRESS_WANTED: "Somebody wants to use your e-mail address on OpenML",
    MailKind.API_KEY_CHANGED: "Your OpenML API key was changed",
    MailKind.ACCOUNT_DELETED: "Your OpenML account was deleted",
    MailKind.ALREADY_SIGNED_UP: "You have an OpenML account already",
    MailKind.FEEDBACK: "OpenML website feedback",
    MailKind.DATASET_ACTIVE: "Your dataset is active on OpenML",
    MailKind.DATASET_FAILED: "Your dataset could not be published on OpenML",
    MailKind.DEED: "Something was done to your OpenML account",
    MailKind.NEW_DEVICE: "A new device is signed in to your OpenML account",
    MailKind.SESSION_COPIED: "A session of your OpenML account was copied",
    MailKind.ACCOUNT_CHANGED: "Your OpenML account was changed",
    MailKind.API_TOKEN_CREATED: "A new API token opens your OpenML account",
    MailKind.API_TOKEN_REPORTED: "An API token of yours was revoked by somebody who had it",
    MailKind.API_TOKEN_ENDS: "An API token of your OpenML account ends soon",
    MailKind.CONFIRM_IDENTITY: "Confirm your e-mail address for OpenML",
    MailKind.TRUSTED_PUBLISHER_ADDED: "CI jobs may publish under your name on OpenML",
    MailKind.PASSKEY_COPIED: "A copy of your passkey may be in use",
    MailKind.FACTOR_RESET: "The second factor of your OpenML account is about to be removed",
    MailKind.RECOVERY_CODE_USED: "A recovery code of your OpenML account was used",
    MailKind.SECOND_FACTOR_MISSED: "Somebody gave your OpenML password without your second factor",
    MailKind.TEST: "A test mail of OpenML",
}


@dataclass(frozen=True, slots=True)
class MailIdentity:
    """What every mail of one installation has in common."""

    mailbox: Mailbox
    site_url: str
    contact: str

    @classmethod
    def of(cls, settings: Settings) -> "MailIdentity":
        """Return what the settings say."""
        return cls(settings.sender, site_url=settings.site_url, contact=settings.contact.address)


@cache
def _templates() -> "Environment":
    """Return the templates, each of which is read and compiled when it is first used."""
    from jinja2 import (  # noqa: PLC0415 - most processes that start send no mail
        Environment,
        PackageLoader,
        StrictUndefined,
        select_autoescape,
    )

    environment = Environment(
        loader=PackageLoader("app.mail"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.filters["as_shown"] = as_shown
    return environment


class MessageBuilder:
    """Fills templates. A template that lacks a parameter is an error, never a gap in a mail."""

    def __init__(self, sender: MailIdentity) -> None:
        self._sender = sender

    async def build(
        self, *, kind: str, recipient: str, parameters: Mapping[str, Any], number: int, created_at: datetime
    ) -> EmailMessage:
        """Return the message, text and HTML, for one outbox row.

        Its Message-ID is made of the row, so that a mail sent twice (a crash between the mail server's answer and
        ours) is known as one by the reader's program.

        Raises:
            ValueError: the recipient is no address, or a header would hold a line break.
        """
        # In a thread: the first mail of a kind reads its templates from the disk.
        return await asyncio.to_thread(self._write, kind, recipient, parameters, number, created_at)

    def _write(
        self, kind: str, recipient: str, parameters: Mapping[str, Any], number: int, created_at: datetime
    ) -> EmailMessage:
        mail_kind = MailKind(kind)
        context = {
            **parameters,
            "site_url": self._sender.site_url,
            "contact": self._sender.contact,
            "subject": SUBJECTS[mail_kind],
        }
        message = self._head(mail_kind, recipient, number, created_at)
        if reply_to := _address_in(parameters.get("reply_to")):
            message["Reply-To"] = reply_to
        text, html = self._render(f"{mail_kind}.txt", context), self._render(f"{mail_kind}.html", context)
        message.set_content(text, cte=_encoding(text))
        message.add_alternative(html, subtype="html", cte=_encoding(html))
        return message

    def _head(self, kind: MailKind, recipient: str, number: int, created_at: datetime) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender.mailbox.header(default_name="OpenML")
        message["To"] = _recipient(recipient)
        message["Subject"] = SUBJECTS[kind]
        message["Date"] = format_datetime(created_at)
        message["Message-ID"] = f"<{number}.{created_at:%Y%m%d%H%M%S%f}@{self._sender.mailbox.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message["List-Id"] = f"OpenML accounts <accounts.{self._sender.mailbox.domain}>"
        return message

    def check(self) -> None:
        """Write what the mails of all kinds share, and each subject, so that wrong settings are known at start.

        Templates are left out: they depend on no setting.

        Raises:
            SettingsError: a mail cannot be written; the text says which setting to look at.
        """
        kind, *others = MailKind
        try:
            message = self._head(kind, self._sender.contact, 0, datetime(2000, 1, 1, tzinfo=UTC))
            message.set_content(f"{self._sender.site_url} {self._sender.contact}")
            bytes(message)
            for kind in others:
                message.replace_header("Subject", SUBJECTS[kind])
        except Exception as error:
            raise SettingsError(
                f"Mails cannot be written as they are configured ({kind}: {error}). "
                "Correct EMAIL_SENDER, CONTACT_EMAIL or PUBLIC_URL."
            ) from error

    def _render(self, name: str, context: Mapping[str, Any]) -> str:
        return _templates().get_template(name).render(context)


def create_messages(settings: Settings) -> MessageBuilder:
    """Return a builder that has shown that it can write every kind of mail.

    Raises:
        SettingsError: it cannot.
    """
    return _checked_builder(MailIdentity.of(settings))


@lru_cache(maxsize=1)
def _checked_builder(sender: MailIdentity) -> MessageBuilder:
    """Check once for each sender: the command and the application that it starts both need a builder."""
    builder = MessageBuilder(sender)
    builder.check()
    return builder


def _encoding(text: str) -> str:
    """Leave lines as they are, where mail servers take them: quoted-printable would cut the link in the raw mail."""
    if max(len(line.encode()) for line in text.splitlines() or [""]) > LONGEST_LINE:
        return "quoted-printable"
    return "7bit" if text.isascii() else "8bit"


def _recipient(address: str) -> Address:
    """Return an address of an account, whatever other servers took for one; `a..b@c` is written `"a..b"@c`.

    Raises:
        ValueError: it has no host to send to, or would be another address in a header.
    """
    name, _, host = spellings(address)[0].rpartition("@")
    if not (name and host):
        raise ValueError("an address without a host")
    if ENCODED_WORD in name:
        raise ValueError("an address that a header cannot hold")
    return Address(username=name, domain=host)


def _address_in(text: str | None) -> Address | None:
    """Return what a client gave as an address; None if mail programs could not answer to it: the mail has the text."""
    try:
        return parse_mailbox(text).header() if text else None
    except ValueError:
        return None
