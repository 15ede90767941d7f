"""The folder that mails go to where there is no mail server."""

import asyncio
import re
from email import message_from_bytes, policy
from email.message import EmailMessage

from tests.conftest import Running, eventually


async def mail_to(app: Running, address: str, *, subject: str = "", says: str = "") -> EmailMessage:
    """The newest mail to the address whose subject holds the words, and that says something."""
    folder = app.resources.settings.data_dir / "mail"

    async def look() -> EmailMessage | None:
        found = await asyncio.to_thread(lambda: sorted(folder.glob(f"*{address}.eml")))
        for path in reversed(found):
            content = await asyncio.to_thread(path.read_bytes)
            message = message_from_bytes(content, policy=policy.default)
            if subject in message["Subject"] and says in _text_of(message):
                return message
        return None

    return await eventually(look)


def link_in(message: EmailMessage) -> str:
    """The link that the plain text holds."""
    found = re.search(r"http\S+token=\S+", _text_of(message))
    assert found is not None
    return found.group()


def _text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    text: str = body.get_content()
    return text
