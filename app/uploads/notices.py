"""Mails about uploads, to those who asked for them."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import users
from app.db.outbox import queue_mail
from app.db.uploads import Upload
from app.mail.messages import MailKind


async def tell_owner(session: AsyncSession, upload: Upload, kind: MailKind, **parameters: str) -> None:
    """Queue a mail to the owner, if they asked for it with the upload."""
    description = upload.description or {}
    if description.get("notify") and (address := await users.get_email(session, upload.user_id)):
        parameters["name"] = description["dataset_name"] or ""
        await queue_mail(session, kind, address, **parameters)
