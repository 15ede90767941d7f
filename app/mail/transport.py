"""How a mail leaves: over SMTP, or into a folder while developing."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal, Protocol

import aiosmtplib
from aiosmtplib import SMTPResponse
from aiosmtplib.typing import Default

from app.core.clock import utc_now
from app.core.outgoing import read_certificates, with_advice
from app.core.settings import SMTPS_PORT, Settings, SettingsError
from app.core.way_out import Proxy
from app.mail.tunnel import open_tunnel

PERMANENT = 500
"""SMTP replies from here on mean that trying again is useless."""
POLICY = "5.7."
"""Enhanced status codes of security and policy (RFC 3463): relaying denied, no login, a sender that is not believed."""
ACCEPTANCE_FACTOR = 20
"""How much longer than for other replies to wait for the one to the mail itself: whoever gives up a server that is
still looking at the mail sends it twice. With the default of `SMTP_TIMEOUT_SECONDS` it is the ten minutes of RFC 5321,
4.5.3.2.6."""
TIMEOUT_SECONDS = 30.0
"""Longest wait for a reply: mail servers that look strangers up take some seconds for each."""
QUIT_SECONDS = 2.0


class DeliveryError(Exception):
    """The mail did not leave. `permanent` says that trying again is useless."""

    def __init__(self, reason: str, *, permanent: bool) -> None:
        self.permanent = permanent
        super().__init__(reason)


Confirm = Callable[[], Awaitable[None]]
"""Called right before the step that cannot be taken back; what it raises stops that."""


async def _anyway() -> None:
    """Confirm without a question."""


class MailTransport(Protocol):
    """Takes a finished message away."""

    async def send(self, message: EmailMessage, *, confirm: Confirm = _anyway) -> None:
        """Hand the message over.

        Raises:
            DeliveryError: it was not taken.
        """


class _Session(aiosmtplib.SMTP):
    """An SMTP session that calls `confirm` before `DATA`, and waits longer for the reply to it."""

    def __init__(self, confirm: Confirm, *, timeout: float, **options: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(timeout=timeout, **options)
        self._confirm = confirm
        self._acceptance_seconds = timeout * ACCEPTANCE_FACTOR

    async def data(
        self,
        message: str | bytes,
        /,
        *,
        timeout: float | Literal[Default.token] | None = Default.token,  # noqa: ARG002, ASYNC109 - the base's
    ) -> SMTPResponse:
        """Send the mail itself."""
        await self._confirm()
        return await super().data(message, timeout=self._acceptance_seconds)


class SmtpTransport:
    """Speaks to the operator's mail server; one connection a mail."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._certificates = read_certificates(settings.outgoing_ca_file) if settings.smtp_use_tls else None
        self._proxy = _proxy_to_mail_server(settings) if settings.smtp_through_proxy else None

    async def send(self, message: EmailMessage, *, confirm: Confirm = _anyway) -> None:
        """Send over SMTP, with STARTTLS and login as configured."""
        async with self._connected(confirm) as session:
            await session.send_message(message, sender=self._settings.sender.address)

    async def examine(self) -> bool:
        """Connect and log in as for a mail, name the sender, and leave; return whether TLS is offered and not used.

        Raises:
            DeliveryError: a mail would not leave either.
        """
        async with self._connected(_anyway) as session:
            # A server may greet without saying what it can; whoever logs in has asked already.
            await session.ehlo()
            is_offered = session.supports_extension("starttls") and not self._settings.smtp_use_tls
            await session.mail(self._settings.sender.address)
        return is_offered

    @asynccontextmanager
    async def _connected(self, confirm: Confirm) -> AsyncIterator[_Session]:
        """Yield a session that is logged in, and take leave.

        Raises:
            DeliveryError: what the body or the way to it ran into.
        """
        settings = self._settings
        session = _Session(
            confirm,
            hostname=settings.smtp_server,
            username=settings.smtp_login or None,
            password=settings.smtp_pass.get_secret_value() or None,
            use_tls=settings.smtp_use_tls and settings.smtp_port == SMTPS_PORT,
            start_tls=settings.smtp_use_tls and settings.smtp_port != SMTPS_PORT,
            tls_context=self._certificates,
            timeout=TIMEOUT_SECONDS,
        )
        try:
            await session.connect(**await self._line())
            yield session
            with suppress(aiosmtplib.SMTPException, OSError):
                # What was to be done is done; the farewell is a courtesy that nobody waits for.
                await session.quit(timeout=min(QUIT_SECONDS, TIMEOUT_SECONDS))
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = error.recipients[0]
            raise DeliveryError(_reply(refused), permanent=_is_the_mails(refused)) from error
        except aiosmtplib.SMTPDataError as error:
            raise DeliveryError(_reply(error), permanent=_is_the_mails(error)) from error
        except aiosmtplib.SMTPAuthenticationError as error:
            raise DeliveryError(f"login refused: {error.code}", permanent=False) from error
        except aiosmtplib.SMTPResponseException as error:
            # Of the sender, of us: the operator's mistake, which they will mend. No mail must be lost over it.
            raise DeliveryError(_reply(error), permanent=False) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise DeliveryError(with_advice(str(error) or type(error).__name__), permanent=False) from error
        finally:
            session.close()

    async def _line(self) -> dict[str, Any]:
        """Return by what the session connects: a port, or what a proxy has connected."""
        settings = self._settings
        if self._proxy is None:
            return {"port": settings.smtp_port}
        return {
            "sock": await open_tunnel(
                self._proxy, settings.smtp_server, settings.smtp_port, seconds=TIMEOUT_SECONDS
            )
        }


def _proxy_to_mail_server(settings: Settings) -> Proxy | None:
    host = settings.smtp_server
    proxy = settings.way_out.proxy_to(f"https://{f'[{host}]' if ':' in host else host}:{settings.smtp_port}")
    if proxy is not None and not proxy.url.startswith("http://"):
        raise SettingsError(
            f"SMTP_THROUGH_PROXY needs a proxy that is called by http://; {proxy.setting} is not."
        )
    return proxy


class FolderTransport:
    """Writes each mail to an `.eml` file, whose name sorts by time, for people without a mail server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage, *, confirm: Confirm = _anyway) -> None:
        """Write the file whole or not at all."""
        await confirm()
        try:
            await asyncio.to_thread(self._write, message)
        except OSError as error:
            raise DeliveryError(str(error), permanent=False) from error

    def _write(self, message: EmailMessage) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        moment = utc_now().strftime("%Y-%m-%dT%H-%M-%S.%fZ")
        target = self._folder / f"{moment}-{str(message['To']).replace('/', '_')}.eml"
        draft = target.with_suffix(".part")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(bytes(message))
        draft.rename(target)


def create_transport(settings: Settings) -> MailTransport:
    """Return the transport that the settings ask for."""
    return SmtpTransport(settings) if settings.smtp_server else FolderTransport(settings.data_dir / "mail")


def _is_the_mails(error: aiosmtplib.SMTPResponseException) -> bool:
    """Say whether a refusal is of this mail alone: not of all that come from here, which policies (5.7) are for."""
    return error.code >= PERMANENT and not error.message.startswith(POLICY)


def _reply(error: aiosmtplib.SMTPResponseException) -> str:
    return f"{error.code} {error.message}"
