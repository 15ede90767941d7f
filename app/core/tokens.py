"""Access tokens: JSON Web Tokens as RFC 8725 and RFC 9068 advise, HS256."""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import jwt

from app.core.clock import utc_now
from app.core.errors import UnauthorizedError

ALGORITHM = "HS256"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068's media type, not a secret
AUDIENCE = "openml-web"
ISSUER = "openml-web"
CACHED_AT_MOST = 4096
ACCESS_TOKEN_LIFETIME = timedelta(hours=2)
"""Long enough for a form that somebody fills in; a session that ended is refused before that."""
LEEWAY = timedelta(seconds=60)
"""How far in the future a token may have been issued. All processes take the time from the database's clock, which each
knows to some milliseconds; what is left are looks at a busy database, and a database that was replaced by another."""
MICROSECONDS = "iat_us"
"""A claim of ours: what is left of the moment in `iat`, which many clients read as a whole number."""
REQUIRED_CLAIMS = ["sub", "jti", "iat", "exp", "aud", "iss"]


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a verified token says: whose it is (`users.id`), its own id, and when it began and ends."""

    user_id: int
    jti: str
    issued_at: datetime
    expires_at: datetime


class TokenSigner:
    """Issues access tokens with one secret, and verifies those of several: keys change without ending sessions."""

    def __init__(
        self,
        secret: str,
        *,
        accepted: Sequence[str] = (),
        lifetime: timedelta,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Take the secret, others whose tokens are accepted, the lifetime of tokens, and the clock of all processes."""
        self._now = now
        self._secret = secret
        self._secrets = {key_id(each): each for each in (secret, *accepted)}
        self._lifetime = lifetime
        self._jwt = jwt.PyJWT()
        # A good token comes with every request of its session; checking it costs as much as reading the user does.
        # Whether it has ended meanwhile is asked every time, and forgeries are never remembered.
        self._decode = lru_cache(maxsize=CACHED_AT_MOST)(self._decode_once)

    @property
    def lifetime_seconds(self) -> int:
        """How long a new token lives."""
        return int(self._lifetime.total_seconds())

    def issue(self, user_id: int, *, after: datetime | None = None) -> tuple[str, AccessToken]:
        """Return a new token for the user, and what it says: that it was issued later than `after`, too."""
        now = self._now()
        if after is not None:
            now = max(now, after + timedelta(microseconds=1))
        token = AccessToken(user_id, secrets.token_hex(16), now, now + self._lifetime)
        claims = {
            "sub": str(user_id),
            "jti": token.jti,
            "iat": int(now.timestamp()),
            # Of that second: a token made in the same one as a password change must be told from an older one.
            MICROSECONDS: now.microsecond,
            "exp": token.expires_at,
            "aud": AUDIENCE,
            "iss": ISSUER,
        }
        headers = {"typ": TOKEN_TYPE, "kid": key_id(self._secret)}
        return self._jwt.encode(claims, self._secret, ALGORITHM, headers=headers), token

    def verify(self, token: str, *, accept_expired: bool = False) -> AccessToken:
        """Return what `token` says.

        The texts are those that clients of the Flask backend know. `accept_expired` is for logging out.

        Raises:
            UnauthorizedError: the token is malformed, forged, expired, or not an access token of this service.
        """
        try:
            verified = self._decode(token)
        except (jwt.PyJWTError, ValueError) as error:
            raise UnauthorizedError(_reason(error), error="invalid_token") from None
        now = self._now()
        if verified.issued_at > now + LEEWAY:
            raise UnauthorizedError("The token is not yet valid (iat)", error="invalid_token")
        if verified.expires_at <= now and not accept_expired:
            raise UnauthorizedError("Token has expired", error="invalid_token")
        return verified

    def _decode_once(self, token: str) -> AccessToken:
        kid = jwt.get_unverified_header(token).get("kid")
        # Tokens of earlier versions name no key: there was one, which came before others.
        wanted = list(self._secrets.values()) if kid is None else [self._secrets.get(kid, self._secret)]
        for secret in wanted[:-1]:
            with suppress(jwt.InvalidSignatureError):
                return self._decode_with(secret, token)
        return self._decode_with(wanted[-1], token)

    def _decode_with(self, secret: str, token: str) -> AccessToken:
        decoded = self._jwt.decode_complete(
            token,
            secret,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": REQUIRED_CLAIMS, "verify_exp": False, "verify_iat": False},
        )
        if decoded["header"].get("typ") != TOKEN_TYPE:
            raise jwt.InvalidTokenError("Not an access token")
        return _access_token(decoded["payload"])


def key_id(secret: str) -> str:
    """Return what tokens name a secret by (RFC 7515, section 4.1.4), which tells nothing of it."""
    return hashlib.sha256(f"openml-web key id\0{secret}".encode()).hexdigest()[:16]


def _access_token(claims: dict[str, str | float]) -> AccessToken:
    return AccessToken(
        user_id=int(claims["sub"]),
        jti=str(claims["jti"]),
        # Tokens of earlier versions have the fraction in `iat` itself.
        issued_at=datetime.fromtimestamp(float(claims["iat"]), UTC)
        + timedelta(microseconds=int(claims.get(MICROSECONDS, 0))),
        expires_at=datetime.fromtimestamp(int(claims["exp"]), UTC),
    )


def _reason(error: Exception) -> str:
    """Tell apart what clients tell apart; a forger learns nothing from the rest."""
    if isinstance(error, jwt.InvalidSignatureError):
        return "Signature verification failed"
    if isinstance(error, jwt.DecodeError):
        return "Not enough segments" if "segments" in str(error) else "Not a token"
    return "Not an access token of this service"
