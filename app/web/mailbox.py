"""The mails that a development installation writes to a folder, shown to local browsers.

A confirmation or reset link opens an account. So the page is there only where no mail leaves the machine anyway, and
only for browsers on the machine itself: see `is_open`.
"""

import asyncio
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from fastapi import Depends, Request

from app.core.addresses import as_shown
from app.core.settings import Settings
from app.deps import SettingsDep

SHOWN = 30
FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""What a proxy adds: then whoever asks may sit anywhere."""


class Piece(NamedTuple):
    """A part of a text: a link of ours, or what is between links."""

    text: str
    is_link: bool


class Mail(NamedTuple):
    """A mail as the page shows it."""

    subject: str
    recipient: str
    date: str
    pieces: list[Piece]


async def is_open(request: Request, settings: SettingsDep) -> bool:
    """Return whether the mailbox may be shown to whoever sent the request.

    The installation must be one for development that keeps its mails, listens on this machine only, and tells nobody
    another address of itself. The request must come from this machine, not through a proxy, and ask for this machine
    by name: a page elsewhere whose name was pointed here ("DNS rebinding") has another.
    """
    private = (
        settings.environment == "development"
        and not settings.smtp_server
        and _is_loopback(settings.host)
        and _is_loopback(_host(settings.site_url))
    )
    return (
        private
        and request.client is not None
        and _is_loopback(request.client.host)
        and _is_loopback(_host(f"//{request.headers.get('host', '')}"))
        and not any(name in request.headers for name in FORWARDED)
    )


MailboxDep = Annotated[bool, Depends(is_open)]


async def read_mails(settings: Settings) -> list[Mail]:
    """Return the latest mails, newest first."""
    return await asyncio.to_thread(_read_folder, settings.data_dir / "mail", settings.site_url)


def _read_folder(folder: Path, site_url: str) -> list[Mail]:
    latest = sorted(folder.glob("*.eml"), reverse=True)[:SHOWN]
    return [_parsed(path.read_bytes(), site_url) for path in latest]


def _parsed(content: bytes, site_url: str) -> Mail:
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)  # noqa: S101 - narrows what the policy promises
    body = message.get_body(("plain",))
    text = str(body.get_content()).strip() if body else ""
    # A text split at a group has what matched the group at every other place.
    found = re.split(rf"({re.escape(site_url)}/\S*)", text)
    pieces = [Piece(piece, is_link=index % 2 == 1) for index, piece in enumerate(found)]
    return Mail(str(message["Subject"]), as_shown(str(message["To"])), str(message["Date"]), pieces)


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
