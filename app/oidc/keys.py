"""The keys of an issuer (RFC 7517): which of them may have signed a token."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from jwt import PyJWK
from jwt.exceptions import InvalidKeyError, PyJWKError

from app.oidc.errors import ProviderBrokenError, TokenRefusedError

KEY_TYPES: Final[Mapping[str, tuple[str, str | None]]] = {
    **{f"{family}{bits}": ("RSA", None) for family in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""The algorithms that are believed, with type and curve of their keys. `none`, and those with a shared secret, are not
among them: a public key would be that secret."""
MOST_KEYS = 100
SHORTEST_MODULUS, LONGEST_MODULUS = 342, 1366
"""Characters of an RSA modulus: of 2048 bits, and of 8192, with which one check takes a millisecond."""
LONGEST_EXPONENT = 6
"""Characters of an RSA exponent of 32 bits; a longer one makes checks slow."""


def read_keys(document: object) -> Sequence[Mapping[str, Any]]:
    """Return the keys of a set.

    Raises:
        ProviderBrokenError: it is none, or has more than `MOST_KEYS`.
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise ProviderBrokenError("what is at jwks_uri is no set of keys")
    if len(keys) > MOST_KEYS:
        raise ProviderBrokenError(f"the set at jwks_uri has more than {MOST_KEYS} keys")
    return [key for key in keys if isinstance(key, dict)]


def find_key(keys: Sequence[Mapping[str, Any]], kid: str | None, algorithm: str) -> PyJWK | None:
    """Return the key that a token names, or the only one that can have signed one that names none.

    Raises:
        TokenRefusedError: the key cannot be used.
    """
    fitting = [key for key in keys if _fits(key, algorithm) and (kid is None or key.get("kid") == kid)]
    if len(fitting) != 1:
        return None
    try:
        return PyJWK(dict(fitting[0]), algorithm)
    except (InvalidKeyError, PyJWKError, ValueError, TypeError, KeyError):
        raise TokenRefusedError("the key of the ID token cannot be used") from None


def is_usable(key: Mapping[str, Any]) -> bool:
    """Return whether a key fits any algorithm."""
    return any(_fits(key, algorithm) for algorithm in KEY_TYPES)


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    kty, curve = KEY_TYPES[algorithm]
    operations = key.get("key_ops", ["verify"])
    return (
        key.get("kty") == kty
        and (curve is None or key.get("crv") == curve)
        and key.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and key.get("alg", algorithm) == algorithm
        and (kty != "RSA" or _is_quick(key))
    )


def _is_quick(key: Mapping[str, Any]) -> bool:
    modulus, exponent = key.get("n"), key.get("e")
    return (
        isinstance(modulus, str)
        and isinstance(exponent, str)
        and SHORTEST_MODULUS <= len(modulus) <= LONGEST_MODULUS
        and len(exponent) <= LONGEST_EXPONENT
    )
