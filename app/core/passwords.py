"""Password hashes: argon2id for what we write, whatever OpenML's servers wrote for what we verify."""

import hashlib
import os
import re
import secrets
import unicodedata
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from passlib.context import CryptContext

from app.core.concurrency import BoundedExecutor

NO_PASSWORD = "!"  # noqa: S105 - what stands where a hash would, and none can be equal to
"""What the column has of an account that no password opens, here or on OpenML's other servers."""
LONGEST = 1024
"""Characters of a password; beyond it even normalising one would take long."""
BCRYPT_BYTES = 72
"""bcrypt never looked further; the library now refuses longer input instead of cutting it."""
ARGON2_KIB, ARGON2_PASSES, ARGON2_LANES = 19_456, 2, 1
"""Costs of the hashes that we write."""
SALT_BYTES, DIGEST_BYTES = 16, 32
"""What the library writes."""
MOST_BCRYPT_ROUNDS = 13
MOST_ARGON2_KIB, MOST_ARGON2_PASSES, MOST_ARGON2_LANES = 65_536, 6, 8
"""Costs of a hash beyond which nothing is verified; PHP's and Flask's defaults are below half of them."""
_ARGON2_COSTS = re.compile(r"\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$")

_CONTEXT = CryptContext(
    schemes=["argon2", "bcrypt"],
    deprecated=["bcrypt"],
    argon2__type="ID",
    argon2__memory_cost=ARGON2_KIB,
    argon2__time_cost=ARGON2_PASSES,
    argon2__parallelism=ARGON2_LANES,
)


def _dummy_hash() -> str:
    """Return a hash that no password matches: random bytes, new in each process, with the costs that we write."""
    salt, digest = (
        b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (SALT_BYTES, DIGEST_BYTES)
    )
    return f"$argon2id$v=19$m={ARGON2_KIB},t={ARGON2_PASSES},p={ARGON2_LANES}${salt}${digest}"


@dataclass(frozen=True, slots=True)
class Verification:
    """Outcome of a check: whether the password is right, and the better hash to store from now on."""

    ok: bool
    new_hash: str | None = None


class PasswordHasher:
    """Hashes and verifies in a bounded pool of threads, so that many logins at once do not block the event loop.

    argon2id with 19 MiB, two passes and one lane is OWASP's minimum; it costs about as much as the Flask
    backend's 16 MiB with four passes on two lanes, on one processor instead of two. argon2 and bcrypt release the
    interpreter lock, so threads are enough.
    """

    def __init__(self, *, threads: int = 0, queue: int = 256) -> None:
        self._context = _CONTEXT
        workers = threads or os.cpu_count() or 1
        self.executor = BoundedExecutor("password", threads=workers, queue=queue)
        self._dummy_hash = _dummy_hash()
        self._dummies: Sequence[str] = [self._dummy_hash]

    def learn(self, stored_hashes: Sequence[str]) -> None:
        """Take a sample of the hashes that accounts have, for what checking a password costs depends on them."""
        self._dummies = [stored for stored in stored_hashes if is_affordable(stored)] or [self._dummy_hash]

    def dummy_for(self, name: str) -> str:
        """Return the hash to check a password against where nobody has the name: always the same one for a name.

        It is some account's, so that names without an account cost what names with one do, in the same mixture of
        old and new hashes. Whatever comes of the check, nobody may be let in by it.
        """
        digest = hashlib.sha256(self._dummy_hash.encode() + name.encode(errors="surrogatepass")).digest()
        return self._dummies[int.from_bytes(digest[:8], "big") % len(self._dummies)]

    async def hash(self, password: str) -> str:
        """Return an argon2id hash of `password`, which has at most `LONGEST` characters.

        Raises:
            TooBusyError: more hashes wait than the queue holds.
        """
        return await self.executor.run(self._hash, password)

    async def verify(self, password: str, stored_hash: str | None) -> Verification:
        """Check `password`; with nothing to check it against spend the same time and say no.

        Raises:
            TooBusyError: more hashes wait than the queue holds.
        """
        return await self.executor.run(self._verify, password, stored_hash)

    def close(self) -> None:
        """Let the running hashes end and drop those that wait."""
        self.executor.close()

    def _hash(self, password: str) -> str:
        stored: str = self._context.hash(normalised(password))
        return stored

    def _verify(self, password: str, stored_hash: str | None) -> Verification:
        if len(password) > LONGEST:
            # Nobody has such a password; find that out as slowly as any other.
            password, stored_hash = "", None
        if stored_hash is None or not is_affordable(stored_hash):
            # MD5 and "oauth_no_password" rows cost as much as a real check, too.
            self._fitting_spelling(password, self._dummy_hash)
            return Verification(ok=False)
        spelling = self._fitting_spelling(password, stored_hash)
        if spelling is None:
            return Verification(ok=False)
        is_as_we_write = spelling == normalised(password) and not self._context.needs_update(stored_hash)
        return Verification(ok=True, new_hash=None if is_as_we_write else self._hash(password))

    def _fitting_spelling(self, password: str, stored_hash: str) -> str | None:
        """Return the spelling of the password that is the hash's: the one that we keep, or the one that was sent.

        Other servers hash what a browser sends, and one on macOS may send `é` as two characters.
        """
        is_bcrypt = self._context.identify(stored_hash) == "bcrypt"
        for spelling in dict.fromkeys((normalised(password), password)):
            try:
                fits: bool = self._context.verify(
                    _as_bcrypt_saw_it(spelling) if is_bcrypt else spelling, stored_hash
                )
            except ValueError:
                # A damaged hash, or a NUL that bcrypt cannot take: no password fits.
                return None
            if fits:
                return spelling
        return None


def is_affordable(stored_hash: str) -> bool:
    """Return whether a hash is of a kind, and within the costs, that we verify.

    Other servers write the table with costs of their own, and each check is computed by ours.
    """
    scheme = _CONTEXT.identify(stored_hash)
    if scheme == "bcrypt":
        rounds = stored_hash.split("$")[2]
        return rounds.isdecimal() and int(rounds) <= MOST_BCRYPT_ROUNDS
    costs = _ARGON2_COSTS.search(stored_hash) if scheme == "argon2" else None
    if costs is None:
        return False
    memory, passes, lanes = (int(cost) for cost in costs.groups())
    return memory <= MOST_ARGON2_KIB and passes <= MOST_ARGON2_PASSES and lanes <= MOST_ARGON2_LANES


def normalised(password: str) -> str:
    """Return the password as every keyboard would send it (NFC): `é` has two spellings in Unicode."""
    return unicodedata.normalize("NFC", password)


def _as_bcrypt_saw_it(password: str) -> bytes:
    return password.encode()[:BCRYPT_BYTES]
