import asyncio
import unicodedata
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import UnauthorizedError, ValidationFailedError
from app.core.password_policy import PasswordPolicy
from app.core.passwords import LONGEST, PasswordHasher, normalised
from app.core.settings import Settings
from app.core.tokens import TokenSigner

DEFAULTS = PasswordPolicy.of(Settings(_env_file=None, app_secret_key="x" * 32))
ABOUT = ["ada@example.org", "Lovelace"]
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)


@pytest.mark.parametrize(
    "password",
    [
        "eight888",
        "openml rivers",
        "only lowercase words",
        "12 34 56 78 90",
        "пароль без правил",
        "   ˢᵖᵃᶜᵉˢ   ",
        "x" * 60 + "yyyy",
        "ab" * 512,
    ],
)
async def test_password_when_long_enough_then_taken_whatever_it_is_made_of(password: str) -> None:
    assert await DEFAULTS.require_good(password, about=ABOUT) == unicodedata.normalize("NFC", password)


@pytest.mark.parametrize(
    "password",
    [
        "seven77",
        "e\u0301" * 7,
        "password1",
        "PASSWORD1",
        "iloveyou1",
        "qwertyuiop",
        "ada@example.org",
        "LOVELACE",
        "OpenML-2031!",
        "openml openml",
        "zzzzzzzzzzzz",
        "x" * 1025,
    ],
)
async def test_password_when_short_common_or_ones_own_name_then_refused(password: str) -> None:
    with pytest.raises(ValidationFailedError) as refused:
        await DEFAULTS.require_good(password, about=ABOUT)
    assert password not in refused.value.detail


async def test_password_when_the_setting_asks_for_more_then_more() -> None:
    longer = PasswordPolicy(minimum_length=15)
    with pytest.raises(ValidationFailedError, match="at least 15"):
        await longer.require_good("fourteen chars", about=[])


@pytest.fixture(scope="module")
def hasher() -> Iterator[PasswordHasher]:
    hasher = PasswordHasher(threads=2)
    yield hasher
    hasher.close()


@pytest.mark.long
@settings(max_examples=10, deadline=None)
@given(password=TEXT, other=TEXT)
def test_hash_when_any_text_then_it_verifies_in_every_spelling_and_no_other_text_does(
    hasher: PasswordHasher, password: str, other: str
) -> None:
    async def check() -> tuple[bool, bool, bool]:
        stored = await hasher.hash(normalised(password))
        decomposed = unicodedata.normalize("NFD", password)
        return (
            (await hasher.verify(normalised(password), stored)).ok,
            (await hasher.verify(normalised(decomposed), stored)).ok,
            (await hasher.verify(normalised(other), stored)).ok,
        )

    right, decomposed, wrong = asyncio.run(check())
    assert right
    assert decomposed
    assert wrong == (normalised(other) == normalised(password))


@settings(max_examples=10, deadline=None)
@given(st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=80, max_size=LONGEST))
def test_hash_when_long_then_its_last_character_counts(hasher: PasswordHasher, password: str) -> None:
    async def check() -> bool:
        stored = await hasher.hash(password)
        return (await hasher.verify(password[:-1], stored)).ok

    assert not asyncio.run(check())


SIGNER = TokenSigner("s" * 32, lifetime=timedelta(hours=2))
GOOD, _ = SIGNER.issue(7)


@settings(max_examples=120, deadline=None)
@given(st.one_of(st.text(max_size=300), st.binary(max_size=200).map(lambda raw: raw.decode("latin1"))))
def test_token_when_any_text_then_refused_never_crashing(text: str) -> None:
    with pytest.raises(UnauthorizedError):
        SIGNER.verify(text)


@settings(max_examples=120, deadline=None)
@given(position=st.integers(0, len(GOOD) - 1), character=st.characters(codec="utf-8"))
def test_token_when_one_character_is_another_then_refused(position: int, character: str) -> None:
    changed = GOOD[:position] + character + GOOD[position + 1 :]
    try:
        token = SIGNER.verify(changed)
    except UnauthorizedError:
        return
    # Unused bits of the last character of a base64 block may differ: the bytes, and so the claims, are the same.
    assert token == SIGNER.verify(GOOD)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2**31 - 1))
def test_token_when_issued_for_any_user_then_read_back(user_id: int) -> None:
    text, token = SIGNER.issue(user_id)
    assert SIGNER.verify(text) == token or SIGNER.verify(text).user_id == user_id
