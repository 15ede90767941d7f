"""Secrets that the service has to read again, encrypted for the database: AES-256-GCM, keys of the signing secrets.

What only has to be recognised (passwords, mail links, recovery codes) is kept as a digest instead.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.core.tokens import key_id

KEY_BYTES = 32
NONCE_BYTES = 12
PURPOSE = b"openml-web sealing"
"""HKDF's `info`: the key is of no use where access tokens are signed, nor the other way round."""


class UnsealableError(Exception):
    """The text was sealed with a secret that is configured no more, for something else, or not by us."""


class Sealer:
    """Encrypts with one secret, and decrypts what any of several encrypted: `KEY-ID.NONCE-AND-CIPHERTEXT`."""

    def __init__(self, secret: str, *, accepted: Sequence[str] = ()) -> None:
        """Take the secret, and earlier ones whose texts can still be read."""
        self.key_id = key_id(secret)
        self._ciphers = {key_id(each): _cipher(each) for each in (*accepted, secret)}

    def seal(self, plain: bytes, *, context: str) -> str:
        """Return the text that holds `plain`; it can be opened in the same context only, e.g. for the same user."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self.key_id].encrypt(nonce, plain, context.encode())
        return f"{self.key_id}.{urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, text: str, *, context: str) -> bytes:
        """Return what was sealed.

        Raises:
            UnsealableError: it cannot be read, or was sealed in another context.
        """
        name, _, encoded = text.partition(".")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise UnsealableError
        try:
            sealed = urlsafe_b64decode(encoded)
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except (InvalidTag, Base64Error, ValueError):
            raise UnsealableError from None

    def is_current(self, text: str) -> bool:
        """Say whether it was sealed with the secret that seals now."""
        return text.startswith(f"{self.key_id}.")


def _cipher(secret: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt=None, info=PURPOSE).derive(secret.encode()))
