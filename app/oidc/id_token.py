"""ID tokens (OpenID Connect Core 1.0, sections 2 and 3.1.3.7) and other tokens that an issuer signs."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt

from app.oidc.errors import TokenRefusedError
from app.oidc.keys import KEY_TYPES

LONGEST_TOKEN = 16_384
LONGEST_SUBJECT = 255
LEEWAY = timedelta(seconds=60)
"""How far an issuer's clock may differ from ours."""
_JWT = jwt.PyJWT()
_HASHES: Final = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class TokenHeader:
    """What a token says of its signature, unverified: which key to look for."""

    algorithm: str
    kid: str | None


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token has to say.

    Attributes:
        audience: for whom it has to be: our client id, or the audience that was agreed on.
        nonce: that of the log-in it belongs to; None for tokens that belong to none. With one, a token that names
            several audiences or an authorized party has to name us as that party.
        access_token: the one that came with it; `at_hash`, where the token has it, must fit.
    """

    audience: str
    nonce: str | None = None
    access_token: str | None = None


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. `others` has every claim; those beside the named ones are of any type."""

    issuer: str
    subject: str
    issued_at: datetime
    expires_at: datetime
    others: Mapping[str, Any]

    def text(self, name: str) -> str:
        """Return a claim that is a text; empty where it is none."""
        found = self.others.get(name)
        return found if isinstance(found, str) else ""


def read_header(token: str) -> TokenHeader:
    """Return the algorithm and the key's name; nothing of it is believed.

    Raises:
        TokenRefusedError: it is no token, or has an algorithm that is not believed.
    """
    if len(token) > LONGEST_TOKEN:
        raise TokenRefusedError(f"the ID token has more than {LONGEST_TOKEN} characters")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        raise TokenRefusedError("the ID token cannot be read") from None
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in KEY_TYPES:
        raise TokenRefusedError("the ID token's algorithm is none that is believed")
    if "crit" in header:
        raise TokenRefusedError("the ID token wants an extension")
    return TokenHeader(str(algorithm), kid if isinstance(kid, str) else None)


def verify(token: str, key: jwt.PyJWK, *, issuer: str, expected: Expected, now: datetime) -> Claims:
    """Return what a token says, if its issuer signed it with that key, for us, lately, in answer to our request.

    Raises:
        TokenRefusedError: it is not so; the text says what is wrong.
    """
    try:
        claims: dict[str, Any] = _JWT.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=expected.audience,
            issuer=issuer,
            options={
                "require": ["iss", "sub", "aud", "exp", "iat"],
                # By our clock, which is the database's.
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "enforce_minimum_key_length": True,
            },
        )
    except (jwt.PyJWTError, ValueError) as error:
        raise TokenRefusedError(f"the ID token is refused: {_reason(error)}") from None
    _require_lately(claims, now)
    _require_ours(claims, expected, key.algorithm_name)
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        raise TokenRefusedError("the ID token's subject is none")
    return Claims(issuer, subject, _moment(claims["iat"]), _moment(claims["exp"]), claims)


def _reason(error: Exception) -> str:
    """Return which check failed; the library's texts may repeat parts of the token."""
    return type(error).__name__.removesuffix("Error")


def _require_lately(claims: Mapping[str, Any], now: datetime) -> None:
    if _moment(claims["exp"]) <= now - LEEWAY:
        raise TokenRefusedError("the ID token has expired")
    if _moment(claims["iat"]) > now + LEEWAY or _moment(claims.get("nbf", claims["iat"])) > now + LEEWAY:
        raise TokenRefusedError("the ID token is not yet valid")


def _moment(seconds: object) -> datetime:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TokenRefusedError("a time in the ID token is no number")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise TokenRefusedError("a time in the ID token is none") from None


def _require_ours(claims: Mapping[str, Any], expected: Expected, algorithm: str) -> None:
    if expected.nonce is not None:
        if not _same(claims.get("nonce"), expected.nonce):
            raise TokenRefusedError("the ID token answers another request (nonce)")
        parties = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if claims.get("azp", expected.audience if len(parties) == 1 else None) != expected.audience:
            raise TokenRefusedError("the ID token was made for another client (azp)")
    at_hash = claims.get("at_hash")
    if (
        expected.access_token is not None
        and at_hash is not None
        and not _same(at_hash, _half_hash(expected.access_token, algorithm))
    ):
        raise TokenRefusedError("the ID token belongs to another access token (at_hash)")


def _half_hash(access_token: str, algorithm: str) -> str:
    """Return what `at_hash` has to be (Core, section 3.1.3.6). Ed25519 hashes with SHA-512 itself."""
    make = _HASHES.get(algorithm[-3:], hashlib.sha512)
    digest = make(access_token.encode(errors="surrogatepass")).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")


def _same(found: object, wanted: str) -> bool:
    return isinstance(found, str) and hmac.compare_digest(
        found.encode(errors="surrogatepass"), wanted.encode()
    )
