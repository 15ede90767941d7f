"""Logging in and out."""

import unicodedata

from app.core.clock import utc_now
from app.core.errors import NotConfirmedError, WrongCredentialsError
from app.core.tokens import AccessToken
from app.db import revoked_tokens, users
from app.db.users import Credentials
from app.resources import Resources


def normalised(password: str) -> str:
    """Return the password as every keyboard would send it (NFC): `é` has two spellings in Unicode."""
    return unicodedata.normalize("NFC", password)


async def log_in(resources: Resources, *, login: str, password: str) -> str:
    """Return an access token for the user of that name or e-mail address.

    No connection is held while the hash is computed, and an unknown name costs one as well.

    Raises:
        WrongCredentialsError: no such user, or another password.
        NotConfirmedError: the password is right, but the address was never confirmed.
        TooBusyError: too many logins wait.
    """
    credentials = await users.get_credentials(resources.database.reader, login.strip())
    stored_hash = credentials.password_hash if credentials else None
    verification = await resources.passwords.verify(normalised(password), stored_hash)
    if credentials is None or not verification.ok:
        raise WrongCredentialsError
    if not credentials.active:
        raise NotConfirmedError
    await _note_login(resources, credentials, verification.new_hash)
    return resources.tokens.issue(credentials.id)


async def log_out(resources: Resources, token: AccessToken) -> None:
    """Refuse the token from now on, in every worker."""
    if token.expires_at <= utc_now():
        return
    async with resources.database.session() as session:
        await revoked_tokens.add_revoked_token(
            session, jti=token.jti, user_id=token.user_id, expires_at=token.expires_at
        )


async def _note_login(resources: Resources, credentials: Credentials, new_hash: str | None) -> None:
    async with resources.database.session() as session:
        await users.set_last_login(session, credentials.id, utc_now())
        # Accounts of other servers may lack the row without which OpenML refuses every upload.
        await users.add_to_members(session, credentials.id)
        if new_hash:
            await users.set_password(
                session, credentials.id, old_hash=credentials.password_hash, new_hash=new_hash
            )
