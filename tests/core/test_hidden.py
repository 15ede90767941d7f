"""Characters that people do not see, in names and in what a terminal shows."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.core.hidden import first_hidden, printable
from app.core.validated_strings import PersonName

NAME: TypeAdapter[str] = TypeAdapter(PersonName)
NAMES = [
    "Ada",
    "O'Brien-Smith",
    "Łukasz",
    "José",
    "Jose\u0301",
    "李",
    "Đặng Thị",
    "محمد",
    "علی\u200cرضا",  # noqa: RUF001 - Persian, with a joiner that belongs there
    "ක්\u200dරි",  # Sinhala, likewise
    "Иван",
    "-",
]
SPOOFED = {
    "right-to-left override": "Ada\u202eecalevoL",
    "isolate": "Ada\u2067x",
    "mark": "Ada\u200f",
    "blank of no width": "A\u200bda",
    "joiner between Latin letters": "A\u200dda",
    "word joiner": "A\u2060da",
    "byte order mark": "A\ufeffda",
    "soft hyphen": "A\u00adda",
    "Hangul filler": "\u3164",
    "Braille blank": "\u2800",
    "escape": "A\x1b[31mda",
    "new line": "A\nda",
    "next line": "A\x85da",
    "line separator": "A\u2028da",
    "tag": "Ada\U000e0041",
    "private use": "Ada\ue000",
}


@pytest.mark.parametrize("name", NAMES)
def test_name_when_people_have_it_then_kept_in_one_spelling(name: str) -> None:
    assert NAME.validate_python(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("name", SPOOFED.values(), ids=SPOOFED)
def test_name_when_something_in_it_is_hidden_then_refused_by_its_code_point(name: str) -> None:
    with pytest.raises(ValidationError, match=r"invisible character U\+[0-9A-F]{4}"):
        NAME.validate_python(name)


@given(st.text(st.characters()))
def test_printable_when_given_anything_then_nothing_in_it_steers_or_hides(text: str) -> None:
    shown = printable(text)

    assert first_hidden(shown) is None
    assert printable(shown) == shown


def test_printable_when_lines_are_meant_then_they_stay() -> None:
    assert printable("a\nb\x1b[2J\u202e", keep="\n") == "a\nbU+001B[2JU+202E"
