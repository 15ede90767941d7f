"""Secrets that the service has to read again, encrypted for the database: AES-256-GCM, keys of the signing secrets.

What only has to be recognised (passwords, mail links, recovery codes) is kept as a digest instead.
"""

import hmac
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
DERIVING = b"openml-web deriving"
"""HKDF's `info`: neither key is of use for what the other does, nor where access tokens are signed."""


class UnsealableError(Exception):
    """The text was sealed with a secret that is configured no more, for something else, or not by us."""


class Sealer:
    """Encrypts with one secret, and decrypts what any of several encrypted: `KEY-ID.NONCE-AND-CIPHERTEXT`."""

    def __init__(self, secret: str, *, accepted: Sequence[str] = ()) -> None:
        """Take the secret, and earlier ones whose texts can still be read."""
        self.key_id = key_id(secret)
        self._ciphers = {key_id(each): AESGCM(_key(each, PURPOSE)) for each in (*accepted, secret)}
        self._derive_by = [_key(each, DERIVING) for each in (secret, *accepted)]

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

    def derive(self, text: str) -> Sequence[str]:
        """Return 64 hexadecimal digits that nobody else makes of a text: by the secret of now, then by earlier ones."""
        given = text.encode(errors="surrogatepass")
        return [hmac.digest(key, given, "sha256").hex() for key in self._derive_by]

    def is_current(self, text: str) -> bool:
        """Say whether it was sealed with the secret that seals now."""
        return text.startswith(f"{self.key_id}.")


def _key(secret: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(secret.encode())
