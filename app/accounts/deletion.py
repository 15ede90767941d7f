"""An account deleted: everything personal cleared, and its row kept."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import api_tokens
from app.accounts.sessions import end_all_sessions
from app.db import (
    account_changes,
    account_states,
    account_tokens,
    audit_events,
    factor_resets,
    linked_accounts,
    outbox,
    passkeys,
    provider_flows,
    recovery_codes,
    reports,
    sessions,
    task_requests,
    totp_secrets,
    uploads,
    users,
)
from app.db.engine import Database, now_of
from app.db.outbox import queue_mail
from app.mail.messages import MailKind
from app.storage.pictures import PictureStorage, name_in


async def delete_account(database: Database, pictures: PictureStorage, user_id: int, email: str) -> None:
    """Clear everything personal, close the account for good, and remove its picture.

    The row itself stays, empty: datasets on OpenML name their uploader by its number, and no number may ever belong
    to somebody else. What was published stays there.
    """
    picture = await database.unit(lambda session: _empty_account(session, user_id, email))
    if name := name_in(picture):
        await pictures.delete(name)


async def _empty_account(session: AsyncSession, user_id: int, email: str) -> str:
    """Clear the account and return the address of its picture."""
    picture = await users.get_image(session, user_id)
    await end_all_sessions(session, user_id)
    await sessions.delete_sessions(session, user_id)
    await api_tokens.forget_programs(session, user_id)
    await account_tokens.delete_of_user(session, user_id)
    await account_changes.delete_of_user(session, user_id)
    await linked_accounts.delete_of_user(session, user_id)
    await provider_flows.delete_of_user(session, user_id, email)
    await passkeys.delete_of_user(session, user_id)
    await totp_secrets.delete_of_user(session, user_id)
    await recovery_codes.set_codes(session, user_id, [], now_of(session))
    await factor_resets.delete_of_user(session, user_id)
    await audit_events.delete_of_user(session, user_id)
    await uploads.forget_user(session, user_id, now_of(session))
    await task_requests.delete_of_user(session, user_id)
    await reports.delete_of_user(session, user_id)
    await outbox.forget_recipient(session, email)
    await users.anonymise(session, user_id)
    await account_states.set_deactivated(session, user_id, now_of(session))
    await account_states.set_email_change(session, user_id, None)
    await queue_mail(session, MailKind.ACCOUNT_DELETED, email)
    return picture
