"""A mail that only shows whether mails leave."""

from app.core.clock import utc_now
from app.core.settings import Settings
from app.mail.messages import MailKind, create_messages
from app.mail.transport import create_transport

HINT = (
    "Where mails go is said by SMTP_SERVER, SMTP_PORT and SMTP_USE_TLS, who sends them by SMTP_LOGIN, SMTP_PASS and "
    "EMAIL_SENDER; without SMTP_SERVER they are files in DATA_DIR."
)


async def send_test(settings: Settings, address: str) -> str:
    """Send a mail to the address now; return who took it.

    Raises:
        DeliveryError: nobody did.
        ValueError: the address is none.
    """
    message = await create_messages(settings).build(
        kind=MailKind.TEST, recipient=address, parameters={}, number=0, created_at=utc_now()
    )
    await create_transport(settings).send(message)
    if not settings.smtp_server:
        return f"a file in {settings.data_dir / 'mail'}, for SMTP_SERVER is not set"
    return f"{settings.smtp_server}:{settings.smtp_port} took it for {address}"
