import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.accounts.recovery_codes import ALPHABET, COUNT, digest, new_code
from app.accounts.typed_codes import digits_of, split

RECOVERY = "7m3k-0pqr-x9ta-h2cd-55vz-n8we"


@pytest.mark.parametrize(
    ("text", "password", "code"),
    [
        ("seven rivers 123456", "seven rivers", "123456"),
        ("seven rivers123456", "seven rivers", "123456"),
        ("seven rivers 123 456", "seven rivers", "123 456"),
        ("ends in a space  123456", "ends in a space ", "123456"),
        ("ends in 42123456", "ends in 42", "123456"),
        ("000000 123456", "000000", "123456"),
        (f"seven rivers {RECOVERY}", "seven rivers", RECOVERY),
        (f"seven rivers{RECOVERY.upper()}", "seven rivers", RECOVERY.upper()),
    ],
)
def test_password_when_a_code_stands_behind_it_then_told_apart(text: str, password: str, code: str) -> None:
    assert split(text) == (password, code)


@pytest.mark.parametrize(
    "text",
    ["", "123456", " 123456", "seven rivers", "seven 12345", "seven 123456 ", "seven ١٢٣٤٥٦", RECOVERY[:-1]],
)
def test_password_when_no_code_stands_behind_it_then_none(text: str) -> None:
    found = split(text)

    assert found is None or found.password == " ", "a space is the shortest password that there could be"


@given(
    st.text(min_size=1, max_size=60).filter(lambda text: text[-1] not in " 0123456789"),
    st.integers(0, 999_999),
)
def test_password_when_any_text_then_split_as_it_was_joined(password: str, number: int) -> None:
    code = f"{number:06d}"

    assert split(f"{password} {code}") == split(f"{password}{code}") == (password, code)


@pytest.mark.parametrize("text", ["123456", " 123456\n", "123 456"])
def test_code_when_typed_as_apps_show_it_then_its_digits(text: str) -> None:
    assert digits_of(text) == "123456"


@pytest.mark.parametrize("text", ["12345", "1234567", "12 34 56", RECOVERY, "", "١٢٣٤٥٦"])
def test_code_when_it_is_something_else_then_none(text: str) -> None:
    assert digits_of(text) is None


def test_recovery_codes_when_made_then_of_120_bits_and_all_different() -> None:
    codes = {new_code() for _ in range(100 * COUNT)}

    assert len(codes) == 100 * COUNT
    assert {character for code in codes for character in code} == {*ALPHABET, "-"}
    assert {len(code.replace("-", "")) * 5 for code in codes} == {120}


@pytest.mark.parametrize(
    "typed",
    [RECOVERY.upper(), RECOVERY.replace("-", ""), RECOVERY.replace("-", " "), RECOVERY.replace("0", "o")],
)
def test_recovery_code_when_typed_in_another_way_then_the_same(typed: str) -> None:
    assert digest(typed) == digest(RECOVERY)
