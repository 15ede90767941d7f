"""Texts that people type: names, addresses, passwords, as types that check themselves."""

import unicodedata
from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, StringConstraints

from app.core.hidden import code_point, first_hidden
from app.core.mailboxes import ENCODED_WORD
from app.core.passwords import LONGEST

EMAIL_LENGTH = 100
"""The address is the user name as well, and `users.username` holds so many."""
ASCII_BEFORE_AT = (
    "Give an address that has only a-z, 0-9 and ASCII signs before the @; after it, any script may stand."
)
"""Many mail servers lack SMTPUTF8, and the user table is latin1."""


def _checked_email(value: str) -> str:
    """Return the address in one spelling, all ASCII: the user table and many mail servers know nothing else.

    Raises:
        ValueError: it is no address.
    """
    try:
        found = validate_email(value, check_deliverability=False, test_environment=True, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise ValueError(str(error) if value.rpartition("@")[0].isascii() else ASCII_BEFORE_AT) from None
    if ENCODED_WORD in found.local_part:
        raise ValueError(f"Mail programs misread an address with {ENCODED_WORD} in it; give another one.")
    return found.ascii_email or found.normalized


def _plain_text(value: str) -> str:
    """Return a text that every database keeps as it is.

    Raises:
        ValueError: it holds a character that is none.
    """
    for character in value:
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise ValueError("Leave out characters that are not text.")
    return value


def readable_name(value: str) -> str:
    """Return a name in which nothing is hidden: what two people see as the same name is the same text.

    Raises:
        ValueError: it holds a control character, one that turns the direction of text, or one that nobody sees.
    """
    hidden = first_hidden(value)
    if hidden is not None:
        raise ValueError(f"Leave out the invisible character {code_point(hidden)}.")
    return unicodedata.normalize("NFC", value)


PLAIN = AfterValidator(_plain_text)
"""Comes after `StringConstraints`: what these strip must not count as length."""
Email = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=EMAIL_LENGTH), AfterValidator(_checked_email)
]
NoEmail = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=EMAIL_LENGTH),
    AfterValidator(lambda value: _checked_email(value) if value else ""),
]
"""An address, or nothing."""
PersonName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=50),
    PLAIN,
    AfterValidator(readable_name),
]
ProfileName = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=50), PLAIN, AfterValidator(readable_name)
]
"""A name as a profile has it: other servers let people leave it empty."""
DeviceName = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=100), PLAIN, AfterValidator(readable_name)
]
Bio = Annotated[str, StringConstraints(max_length=5000), PLAIN]
AnyAddress = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=254), PLAIN]
"""What may stand in an old row as an address, whatever it looks like."""
Password = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST), PLAIN]
