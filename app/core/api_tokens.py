"""API tokens as texts: `openml_`, 30 random characters, and a checksum, by which scanners tell them from chance."""

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "openml_"
DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH = 30
"""178 bits."""
CHECKSUM_LENGTH = 6
"""Digits that hold a CRC-32."""
PATTERN = rf"\bopenml_[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}\b"
"""For programs that look for secrets in texts (docs/security.md)."""
_WHOLE = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{RANDOM_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})")


def new_token() -> str:
    """Return a new token, which nobody can guess."""
    body = "".join(secrets.choice(DIGITS) for _ in range(RANDOM_LENGTH))
    return PREFIX + body + checksum(body)


def checksum(body: str) -> str:
    """Return the CRC-32 of the random characters in base 62, six digits with leading zeros."""
    rest, digits = zlib.crc32(body.encode("ascii")), ""
    for _ in range(CHECKSUM_LENGTH):
        rest, digit = divmod(rest, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits


def claims_to_be_one(text: str) -> bool:
    """Say whether a text begins as tokens do."""
    return text.startswith(PREFIX)


def is_whole(text: str) -> bool:
    """Say whether a text has the form of a token, and the checksum that belongs to it."""
    found = _WHOLE.fullmatch(text)
    return found is not None and checksum(found[1]) == found[2]


def digest_of(token: str) -> str:
    """Return what is kept of a token: its SHA-256, which for that many random bits needs neither salt nor time."""
    return hashlib.sha256(token.encode()).hexdigest()
