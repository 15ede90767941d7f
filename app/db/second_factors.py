"""Which second factors an account has, in the SELECTs that a log-in and a confirmation make anyway."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.methods import Method
from app.core.passwords import is_affordable
from app.db import foreign_passkeys
from app.db.factor_tables import recovery_codes, totp_secrets
from app.db.passkey_tables import passkey_owners, passkeys
from app.db.tables import users

USER_ID: sa.BindParameter[int] = sa.bindparam("user_id")
_HAS_PASSKEY = sa.exists().where(passkeys.c.user_id == USER_ID)
_WANTS_PASSKEY = sa.exists().where(
    passkey_owners.c.user_id == USER_ID, passkey_owners.c.is_second_factor == sa.true()
)
_HAS_APP = sa.exists().where(totp_secrets.c.user_id == USER_ID)
_HAS_RECOVERY_CODES = sa.exists().where(recovery_codes.c.user_id == USER_ID)
FACTORS: Mapping[Method, sa.ColumnElement[bool]] = {
    Method.CODE: _HAS_APP,
    # In place of a code as well: an account that asks for one does not ask for less with a passkey.
    Method.PASSKEY: sa.and_(_HAS_PASSKEY, sa.or_(_WANTS_PASSKEY, _HAS_APP)),
}
"""What an account asks for after its first factor: by method, whether the account of `USER_ID` has it."""
STAND_INS: Mapping[Method, sa.ColumnElement[bool]] = {Method.RECOVERY_CODE: _HAS_RECOVERY_CODES}
"""What takes the place of any of them, and is not asked for by itself."""
CONFIRMING: Mapping[Method, sa.ColumnElement[bool]] = {
    Method.CODE: _HAS_APP,
    Method.PASSKEY: _HAS_PASSKEY,
    **STAND_INS,
}
"""What somebody may confirm with during a session, besides the password."""


async def get_confirming(session: AsyncSession, user_id: int) -> list[Method]:
    """Return by which methods the user may show once more who they are; passkeys of other programs do as well."""
    statement = sa.select(users.c.password, *CONFIRMING.values()).where(users.c.id == USER_ID)
    row = (await session.execute(statement, {"user_id": user_id})).first()
    if row is None:
        return []
    has = dict(zip((Method.PASSWORD, *CONFIRMING), (is_affordable(str(row[0])), *row[1:]), strict=True))
    has[Method.PASSKEY] = has[Method.PASSKEY] or bool(await foreign_passkeys.get_of_user(session, user_id))
    return [method for method, there in has.items() if there]


async def get_factors(session: AsyncSession, user_id: int) -> set[Method]:
    """Return the second factors that the user has."""
    row = (await session.execute(sa.select(*FACTORS.values()), {"user_id": user_id})).one()
    return {method for method, there in zip(FACTORS, row, strict=True) if there}
