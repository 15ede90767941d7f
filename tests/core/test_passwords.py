import asyncio
import unicodedata
from collections.abc import Iterator

import argon2
import bcrypt
import pytest

from app.core import passwords
from app.core.errors import TooBusyError
from app.core.passwords import PasswordHasher, is_affordable


@pytest.fixture
def hasher() -> Iterator[PasswordHasher]:
    hasher = PasswordHasher(threads=2, queue=2)
    yield hasher
    hasher.close()


def bcrypt_hash(password: bytes, prefix: str) -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(4)).decode().replace("$2b$", prefix)


async def test_hash_when_new_then_argon2id_of_owasps_size(hasher: PasswordHasher) -> None:
    stored = await hasher.hash("secret")

    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await hasher.verify("secret", stored)).ok
    assert (await hasher.verify("secret", stored)).new_hash is None
    assert not (await hasher.verify("Secret", stored)).ok


@pytest.mark.parametrize(
    "stored",
    [
        bcrypt_hash(b"secret", "$2a$"),
        bcrypt_hash(b"secret", "$2b$"),
        bcrypt_hash(b"secret", "$2y$"),
        argon2.PasswordHasher(4, 16384, 2, type=argon2.Type.I).hash("secret"),
        argon2.PasswordHasher(2, 4096, 2, type=argon2.Type.I).hash("secret"),
        argon2.PasswordHasher(4, 16384, 2, type=argon2.Type.ID).hash("secret"),
    ],
    ids=["2a", "2b", "2y", "argon2i-next", "argon2i-php", "argon2id-flask"],
)
async def test_legacy_hash_when_verified_then_a_better_one_is_offered(
    hasher: PasswordHasher, stored: str
) -> None:
    right = await hasher.verify("secret", stored)

    assert right.ok
    assert right.new_hash is not None
    assert right.new_hash.startswith("$argon2id$v=19$m=19456")
    assert (await hasher.verify("secret", right.new_hash)).ok
    assert not (await hasher.verify("wrong", stored)).ok


async def test_bcrypt_when_password_is_longer_than_72_bytes_then_as_php_did(hasher: PasswordHasher) -> None:
    stored = bcrypt_hash(b"x" * 72, "$2y$")

    right = await hasher.verify("x" * 72 + "ignored by bcrypt", stored)

    assert right.ok
    assert right.new_hash is not None
    assert not (await hasher.verify("x" * 72, right.new_hash)).ok, "argon2 takes the whole password"


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "",
        "oauth_no_password",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "$2y$12$short",
        "$argon2id$v=19$m=16384,t=4,p=2$broken",
    ],
)
async def test_hash_when_unusable_then_no_password_fits(hasher: PasswordHasher, stored: str | None) -> None:
    assert not (await hasher.verify("password", stored)).ok
    assert not (await hasher.verify("", stored)).ok


async def test_bcrypt_when_password_holds_nul_then_refused(hasher: PasswordHasher) -> None:
    assert not (await hasher.verify("a\0b", bcrypt_hash(b"a", "$2y$"))).ok


async def test_hashes_when_more_wait_than_the_queue_holds_then_too_busy(hasher: PasswordHasher) -> None:
    outcomes = await asyncio.gather(*(hasher.hash("x") for _ in range(8)), return_exceptions=True)

    refused = [outcome for outcome in outcomes if isinstance(outcome, TooBusyError)]
    assert len(refused) == 4
    assert refused[0].headers["Retry-After"] == "2"
    assert await hasher.hash("x"), "the queue is free again"


@pytest.mark.parametrize("kind", ["argon2", "bcrypt"])
async def test_old_hash_when_of_a_password_in_two_parts_a_letter_then_it_fits_and_is_replaced(
    hasher: PasswordHasher, kind: str
) -> None:
    composed = "café de Flore"
    apart = unicodedata.normalize("NFD", composed)
    stored = (
        argon2.PasswordHasher(2, 19_456, 1).hash(apart)
        if kind == "argon2"
        else bcrypt_hash(apart.encode(), "$2y$")
    )

    right = await hasher.verify(apart, stored)

    assert right.ok, "as the browser sent it when the hash was made"
    assert right.new_hash is not None, "or the next keyboard does not open the account"
    for spelling in (composed, apart):
        again = await hasher.verify(spelling, right.new_hash)
        assert (again.ok, again.new_hash) == (True, None), spelling
    assert not (await hasher.verify("cafe de Flore", stored)).ok


COSTLY = [
    "$2y$14$" + "a" * 53,
    "$2b$31$" + "a" * 53,
    "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "$argon2id$v=19$m=19456,t=9999,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "$argon2i$v=19$m=65536,t=3,p=255$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "$argon2id$v=19$m=99999999999,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
]


@pytest.mark.parametrize("stored", COSTLY)
async def test_hash_when_somebody_made_it_costly_then_its_price_is_not_paid(
    hasher: PasswordHasher, stored: str
) -> None:
    async with asyncio.timeout(60):  # bcrypt with 31 rounds would take days
        assert not (await hasher.verify("secret", stored)).ok
    hasher.learn([stored])
    assert is_affordable(hasher.dummy_for("nobody")), "nor by those who have no account"


def test_hashes_when_servers_wrote_them_then_affordable() -> None:
    assert is_affordable(bcrypt_hash(b"secret", "$2y$").replace("$04$", "$12$"))
    assert is_affordable(argon2.PasswordHasher(4, 65_536, 4).hash("secret"))
    assert is_affordable(argon2.PasswordHasher(4, 16_384, 2, type=argon2.Type.I).hash("secret"))


def test_dummy_when_made_then_it_costs_what_our_hashes_cost_and_no_two_processes_share_it() -> None:
    context = passwords._CONTEXT
    ours, dummy, another = context.hash("seven rivers"), passwords._dummy_hash(), passwords._dummy_hash()

    assert [len(part) for part in dummy.split("$")] == [len(part) for part in ours.split("$")]
    assert dummy.split("$")[1:4] == ours.split("$")[1:4]
    assert not context.needs_update(dummy)
    assert not context.verify("seven rivers", dummy)
    assert dummy != another
