"""From an outbox row to a message: pure functions and the templates beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from enum import StrEnum
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


class MailKind(StrEnum):
    """Every mail this service sends; the value names its template."""

    CONFIRM_EMAIL = "confirm_email"


SUBJECTS = {MailKind.CONFIRM_EMAIL: "Welcome to OpenML! Please confirm your e-mail address"}


@dataclass(frozen=True, slots=True)
class Sender:
    """What every mail of one installation has in common."""

    address: str
    site_url: str


class MessageBuilder:
    """Fills templates. A template that lacks a parameter is an error, never a gap in a mail."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._templates = Environment(
            loader=PackageLoader("app.mail"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        # Read now what would be read from the disk in the middle of a delivery.
        for name in self._templates.list_templates():
            self._templates.get_template(name)

    def build(
        self, *, kind: str, recipient: str, parameters: Mapping[str, Any], number: int, created_at: datetime
    ) -> EmailMessage:
        """Return the message, text and HTML, for one outbox row.

        Its Message-ID is made of the row, so that a mail sent twice (a crash between the mail server's answer and
        ours) is known as one by the reader's program.

        Raises:
            ValueError: the recipient is no address, or a header would hold a line break.
        """
        mail_kind = MailKind(kind)
        context = {**parameters, "site_url": self._sender.site_url, "subject": SUBJECTS[mail_kind]}
        message = EmailMessage(policy=SMTP)
        message["From"] = Address("OpenML", addr_spec=self._sender.address)
        message["To"] = Address(addr_spec=recipient)
        message["Subject"] = SUBJECTS[mail_kind]
        message["Date"] = format_datetime(created_at)
        message["Message-ID"] = f"<{number}.{created_at:%Y%m%d%H%M%S%f}@{_domain(self._sender.address)}>"
        message["Auto-Submitted"] = "auto-generated"
        text, html = self._render(f"{mail_kind}.txt", context), self._render(f"{mail_kind}.html", context)
        message.set_content(text, cte=_encoding(text))
        message.add_alternative(html, subtype="html", cte=_encoding(html))
        return message

    def _render(self, name: str, context: Mapping[str, Any]) -> str:
        return self._templates.get_template(name).render(context)


def _encoding(text: str) -> str:
    """Leave lines as they are: quoted-printable would cut the link in the raw mail."""
    return "7bit" if text.isascii() else "8bit"


def _domain(address: str) -> str:
    return address.rpartition("@")[2] or "localhost"
