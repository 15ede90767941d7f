import base64

import pytest

from app.core.sealing import Sealer, UnsealableError
from app.core.tokens import key_id

SECRET = "a secret of thirty-two bytes or more"
NEXT = "another secret of thirty-two bytes or more"
PLAIN = b"twenty bytes, a TOTP's"


def test_text_when_sealed_then_opened_and_never_the_same_nor_readable() -> None:
    sealer = Sealer(SECRET)
    sealed = [sealer.seal(PLAIN, context="totp 1") for _ in range(2)]

    assert [sealer.open(text, context="totp 1") for text in sealed] == [PLAIN, PLAIN]
    assert sealed[0] != sealed[1]
    for text in sealed:
        assert PLAIN not in base64.urlsafe_b64decode(text.partition(".")[2])
        assert sealer.is_current(text)


def test_text_when_secrets_rotate_then_read_while_the_old_one_is_accepted() -> None:
    text = Sealer(SECRET).seal(PLAIN, context="totp 1")
    rotated = Sealer(NEXT, accepted=[SECRET])

    assert rotated.open(text, context="totp 1") == PLAIN
    assert not rotated.is_current(text)
    with pytest.raises(UnsealableError):
        Sealer(NEXT).open(text, context="totp 1")


def test_text_when_moved_to_another_account_then_unreadable() -> None:
    text = Sealer(SECRET).seal(PLAIN, context="totp 1")

    with pytest.raises(UnsealableError):
        Sealer(SECRET).open(text, context="totp 2")


def test_text_when_any_byte_of_it_is_changed_then_unreadable() -> None:
    sealer = Sealer(SECRET)
    name, _, encoded = sealer.seal(PLAIN, context="totp 1").partition(".")
    raw = base64.urlsafe_b64decode(encoded)
    for at in range(len(raw)):
        changed = bytes(byte ^ (index == at) for index, byte in enumerate(raw))
        with pytest.raises(UnsealableError):
            sealer.open(f"{name}.{base64.urlsafe_b64encode(changed).decode()}", context="totp 1")


@pytest.mark.parametrize(
    "text", ["", ".", "x", f"{key_id(SECRET)}.", f"{key_id(SECRET)}.é", f"{key_id(SECRET)}.AA=="]
)
def test_text_when_it_is_not_ours_then_unreadable(text: str) -> None:
    with pytest.raises(UnsealableError):
        Sealer(SECRET).open(text, context="totp 1")
