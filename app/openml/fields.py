"""What OpenML's schemas allow in a field, as annotated types; the texts of refusals say what to change."""

import re
from typing import Annotated

from pydantic import AfterValidator, AnyUrl, BeforeValidator, StringConstraints, ValidationInfo

from app.core.ascii import text_in_ascii
from app.core.openml_shapes import NAME_RULE, is_name
from app.openml.repairs import tell

NOT_PLAIN = re.compile(r"[^\t\r\n -~]")
LONGEST_TEXT = 65_536
"""Characters of any text, before it is looked at further: four times what the longest field takes."""
IGNORE_LENGTH = 128
"""OpenML keeps all ignored columns in one cell of 128 characters, as `"a","b"`, and cuts what is longer."""


def none_if_empty(value: object) -> object:
    """Take the SPA's `""` and `false` (a select that nobody touched) as "not given"."""
    return None if value in ("", False) else value


def _printable_ascii(value: str, info: ValidationInfo) -> str:
    """Return a text of plain ASCII; another one is written so, where that may be and there is one way to do it."""
    if not value.isascii():
        plain = text_in_ascii(value)
        if plain.isascii() and tell(
            info,
            "The text of {field} is published in plain ASCII.",
            "OpenML takes no other characters there.",
        ):
            value = plain
    if odd := NOT_PLAIN.search(value):
        raise ValueError(
            f"OpenML takes plain ASCII text here; character {odd.start() + 1} is {odd[0]!r}. Write it otherwise."
        )
    return value


def _in_openml_alphabet(value: str) -> str:
    if not is_name(value):
        raise ValueError(NAME_RULE)
    return value


def _without_quotes(value: str) -> str:
    if '"' in value:
        raise ValueError('OpenML cannot keep the character " in a name; leave it out.')
    return value


def _no_escape_at_the_end(value: str, info: ValidationInfo) -> str:
    """Return a name that PHP's getcsv takes for one: a backslash at its end escapes the quote behind it.

    Two of them are one that escapes the other, and stay.
    """
    kept = value.rstrip("\\")
    if (len(value) - len(kept)) % 2 == 0:
        return value
    kept = value[:-1]
    if kept.strip() and tell(
        info,
        "A backslash at the end of a name in {field} is left out.",
        "OpenML would take that name and the next one for one person.",
    ):
        return kept
    raise ValueError("OpenML cannot keep a backslash at the end of a name; leave it out.")


def _readable_back(value: str) -> str:
    for character, instead in {"&": "and", "<": "less than"}.items():
        if character in value:
            raise ValueError(
                f"OpenML could not show a collection with the character {character} in its texts (it does not "
                f'escape them, and nobody could read the list of collections any more). Write e.g. "{instead}".'
            )
    return value


def _seen_by_php(value: str) -> str:
    if value == "0":
        raise ValueError("OpenML's server takes 0 for no tag at all; choose another.")
    return value


Optional = BeforeValidator(none_if_empty)
Ascii = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_TEXT), AfterValidator(_printable_ascii)
]
Ascii64 = Annotated[Ascii, StringConstraints(max_length=64)]
Ascii128 = Annotated[Ascii, StringConstraints(max_length=128)]
Ascii1024 = Annotated[Ascii, StringConstraints(max_length=1024)]
Ascii16384 = Annotated[Ascii, StringConstraints(max_length=16384)]
Name128 = Annotated[str, StringConstraints(max_length=128), AfterValidator(_in_openml_alphabet)]
Name1024 = Annotated[str, StringConstraints(max_length=1024), AfterValidator(_in_openml_alphabet)]
Url = Annotated[
    str,
    StringConstraints(max_length=LONGEST_TEXT),
    AfterValidator(lambda value: str(AnyUrl(value))),
    AfterValidator(_printable_ascii),
]
Person = Annotated[Ascii128, AfterValidator(_without_quotes), AfterValidator(_no_escape_at_the_end)]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._\-]{1,64}$"), AfterValidator(_seen_by_php)]
StudyText = AfterValidator(_readable_back)
