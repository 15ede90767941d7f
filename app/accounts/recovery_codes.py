"""Recovery codes: ten single-use codes for whoever has lost their phone. They are shown once; digests are kept."""

import hashlib
import secrets
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import account_changes, recovery_codes
from app.db.engine import now_of

COUNT = 10
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base32: no letter that could be read as another letter or a digit."""
GROUPS, GROUP_LENGTH = 6, 4
"""Of 5 bits a character: 120 bits. From 112 on, OWASP (ASVS 6.5.2) and NIST SP 800-63B take a plain hash."""
PATTERN = r"[0-9A-Za-z]{4}(?:-[0-9A-Za-z]{4}){5}"
"""A code as it is shown, wherever it is typed."""
_READ_AS = str.maketrans({"o": "0", "i": "1", "l": "1", " ": None, "-": None})


def new_code() -> str:
    """Return a random code as it is shown, e.g. `7m3k-0pqr-x9ta-h2cd-55vz-n8we`."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))


def digest(code: str) -> str:
    """Return what is kept of a code, in whatever way it is typed. It is 120 random bits: a plain hash hides it."""
    plain = code.casefold().translate(_READ_AS)
    return hashlib.sha256(plain.encode(errors="surrogatepass")).hexdigest()


async def replace(session: AsyncSession, user_id: int) -> Sequence[str]:
    """Make new codes in place of all earlier ones, and return them: nobody can read them again."""
    codes = [new_code() for _ in range(COUNT)]
    await recovery_codes.set_codes(session, user_id, [digest(code) for code in codes], now_of(session))
    return codes


async def use(session: AsyncSession, user_id: int, code: str) -> bool:
    """Use the code up; False if it is none of the user's, or was used before. No undoing of a change brings it back."""
    code_digest = digest(code)
    is_used = await recovery_codes.use_code(session, user_id, code_digest)
    if is_used:
        await account_changes.strike_code(session, user_id, code_digest)
    return is_used
