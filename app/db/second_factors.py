"""Which second factors an account has, in the SELECTs that a log-in and a confirmation make anyway."""

from collections.abc import Mapping

import sqlalchemy as sa

from app.core.methods import Method
from app.core.passwords import is_affordable
from app.db.passkey_tables import passkey_owners, passkeys
from app.db.reader import Reader, ReadStatement
from app.db.tables import users

USER_ID: sa.BindParameter[int] = sa.bindparam("user_id")
_HAS_PASSKEY = sa.exists().where(passkeys.c.user_id == USER_ID)
_WANTS_PASSKEY = sa.exists().where(
    passkey_owners.c.user_id == USER_ID, passkey_owners.c.is_second_factor == sa.true()
)
FACTORS: Mapping[Method, sa.ColumnElement[bool]] = {Method.PASSKEY: sa.and_(_WANTS_PASSKEY, _HAS_PASSKEY)}
"""What an account asks for after its first factor: by method, whether the account of `USER_ID` has it."""
CONFIRMING: Mapping[Method, sa.ColumnElement[bool]] = {Method.PASSKEY: _HAS_PASSKEY}
"""What somebody may confirm with during a session, besides the password."""
_CONFIRMING = ReadStatement(
    sa.select(users.c.password, *CONFIRMING.values()).where(users.c.id == USER_ID), by_key=True
)


async def get_confirming(reader: Reader, user_id: int) -> list[Method]:
    """Return by which methods the user may show once more who they are."""
    row = await reader.first(_CONFIRMING, {"user_id": user_id})
    if row is None:
        return []
    has = (is_affordable(str(row[0])), *row[1:])
    return [method for method, there in zip((Method.PASSWORD, *CONFIRMING), has, strict=True) if there]
