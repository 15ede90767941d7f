"""Codes as proof of who somebody is: in a log-in, in its second step, and in the middle of a session."""

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit, recovery_codes, totp
from app.accounts.audit import AuditKind
from app.accounts.problems import WrongCredentialsError
from app.accounts.typed_codes import digits_of
from app.core.clients import Client
from app.core.methods import Method
from app.core.sealing import Sealer
from app.db import recovery_codes as kept_codes
from app.db import users
from app.db.outbox import queue_mail
from app.mail.messages import MailKind


def checking(
    sealer: Sealer, typed: str, client: Client
) -> Callable[[AsyncSession, int], Awaitable[frozenset[Method]]]:
    """Return what checks, for a user whose row is locked, the code of an app or a recovery code, and uses it up.

    It says which of the two it was, or raises WrongCredentialsError.
    """

    async def check(session: AsyncSession, user_id: int) -> frozenset[Method]:
        digits = digits_of(typed)
        if digits is not None and await totp.take_code(session, sealer, user_id, digits):
            return frozenset({Method.CODE})
        if digits is None and await recovery_codes.use(session, user_id, typed):
            await _tell_of_recovery_code(session, user_id, client)
            return frozenset({Method.RECOVERY_CODE})
        raise WrongCredentialsError(
            "This code is wrong, or was used before; an app shows a new one every half a minute"
        )

    return check


async def _tell_of_recovery_code(session: AsyncSession, user_id: int, client: Client) -> None:
    await audit.write(session, user_id, AuditKind.RECOVERY_CODE_USED, client)
    if email := await users.get_email(session, user_id):
        await queue_mail(
            session,
            MailKind.RECOVERY_CODE_USED,
            email,
            device=client.device,
            address=client.ip_address,
            left=await kept_codes.count_codes(session, user_id),
        )
