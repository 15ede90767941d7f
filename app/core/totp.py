"""Time-based one-time passwords (RFC 6238) as every authenticator app computes them: SHA-1, six digits, 30 seconds.

Pure: whose secret it is, how it is kept, and that no code counts twice, is `app/accounts/totp.py`.
"""

import hmac
import secrets
from base64 import b32encode
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

SECRET_BYTES = 20
"""As long as what SHA-1 returns: RFC 4226, requirement 6, recommends 160 bits."""
DIGITS = 6
STEP_SECONDS = 30
DRIFT_STEPS = 1
"""How far a phone's clock, and whoever types, may be behind or ahead: RFC 6238, 5.2, recommends one step."""


def new_secret() -> bytes:
    """Return a random secret."""
    return secrets.token_bytes(SECRET_BYTES)


def step_at(moment: datetime) -> int:
    """Return the number of the 30 seconds that the moment is in."""
    return int(moment.timestamp()) // STEP_SECONDS


def start_of(step: int) -> datetime:
    """Return the first moment of a step, in UTC."""
    return datetime.fromtimestamp(step * STEP_SECONDS, UTC)


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a step: RFC 4226, 5.3."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def matching_step(secret: bytes, code: str, moment: datetime) -> int | None:
    """Return the step whose code it is, of those around the moment; None if it is of none of them."""
    now = step_at(moment)
    steps = range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1)
    given = code.encode(errors="surrogatepass")
    # Of two steps that have the same code the later counts: both are used up by it.
    matching = [step for step in steps if hmac.compare_digest(code_at(secret, step).encode(), given)]
    return matching[-1] if matching else None


def as_text(secret: bytes) -> str:
    """Return the secret as people type it into an app: base32 without padding."""
    return b32encode(secret).decode().rstrip("=")


def provisioning_uri(secret: bytes, *, issuer: str, account: str) -> str:
    """Return the `otpauth://` address that apps read, whose parameters are those that all of them take for granted."""
    label = quote(f"{issuer}:{account}", safe=":")
    return (
        f"otpauth://totp/{label}?{urlencode({'secret': as_text(secret), 'issuer': issuer}, quote_via=quote)}"
    )
