"""Challenges that a browser answers: random, short-lived, and each for one purpose of one subject.

A challenge carries its own proof (HMAC), so that asking for one writes nothing: all processes with the same secret know
it. That it is answered once only is the database's business (`db/spent_challenges.py`).
"""

import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

NONCE_BYTES, TIME_BYTES, PROOF_BYTES = 16, 8, 32
LIFETIME = timedelta(minutes=5)
"""How long somebody may look for their security key; WebAuthn recommends five to ten minutes."""


class ChallengeSigner:
    """Makes challenges with one secret, and knows those of several: keys change without a pause."""

    def __init__(self, secret: str, *, accepted: Sequence[str] = (), now: Callable[[], datetime]) -> None:
        """Take the secret, others whose challenges are accepted, and the clock of all processes."""
        self._keys = [_key_of(each) for each in (secret, *accepted)]
        self._now = now

    def issue(self, purpose: str, subject: str = "") -> bytes:
        """Return a challenge for `purpose`; `subject` names who may answer it, and is not readable in it."""
        ends = int((self._now() + LIFETIME).timestamp())
        head = secrets.token_bytes(NONCE_BYTES) + struct.pack(">Q", ends)
        return head + _proof(self._keys[0], head, purpose, subject)

    def end_of(self, challenge: bytes, purpose: str, subject: str = "") -> datetime | None:
        """Return when the challenge ends; None if it is none of ours, for something or somebody else, or too old."""
        if len(challenge) != NONCE_BYTES + TIME_BYTES + PROOF_BYTES:
            return None
        head, proof = challenge[:-PROOF_BYTES], challenge[-PROOF_BYTES:]
        if not any(hmac.compare_digest(_proof(key, head, purpose, subject), proof) for key in self._keys):
            return None
        ends_at = datetime.fromtimestamp(struct.unpack(">Q", head[NONCE_BYTES:])[0], UTC)
        return ends_at if self._now() < ends_at else None


def _key_of(secret: str) -> bytes:
    """Return a key of its own, so that what is signed here can never be taken for a token."""
    return hmac.digest(secret.encode(), b"openml-web challenges", hashlib.sha256)


def _proof(key: bytes, head: bytes, purpose: str, subject: str) -> bytes:
    about = f"{len(purpose)}:{purpose}{subject}".encode()
    return hmac.digest(key, head + about, hashlib.sha256)
