"""Structured fields of HTTP headers (RFC 9651), read strictly: a field that is not one is refused as a whole.

Only what services read of requests: Items and Dictionaries. Parameters are checked and dropped, as no field that is
read here defines any, and an unknown one changes nothing.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import unquote_to_bytes

LONGEST_FIELD = 16_384
_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_OWS = re.compile(r"[ \t]*")
_SPACES = re.compile(r" *")
_INTEGER_DIGITS: Final = 15
_DECIMAL_DIGITS: Final = (12, 3)


class Token(str):
    """A word without quotes, as opposed to a string."""

    __slots__ = ()


class NotStructuredError(ValueError):
    """The text is no structured field."""


def parse_item(text: str) -> Any:  # noqa: ANN401 - what a bare item may be, the client chose
    """Return the value of an Item: int, Decimal, str, `Token`, bytes or bool.

    Raises:
        NotStructuredError: the text is no Item.
    """
    reader = _FieldReader(text)
    reader.skip(_SPACES)
    value = reader.item()
    reader.skip(_SPACES)
    reader.require_end()
    return value


def parse_dictionary(text: str) -> dict[str, Any]:
    """Return the members of a Dictionary by their keys; the last one of a key counts. An inner list is a list.

    Raises:
        NotStructuredError: the text is no Dictionary.
    """
    reader = _FieldReader(text)
    reader.skip(_SPACES)
    members: dict[str, Any] = {}
    while not reader.is_at_end():
        key = reader.match(_KEY)[0]
        members.pop(key, None)
        members[key] = reader.member()
        reader.skip(_OWS)
        if reader.is_at_end():
            break
        reader.require(",")
        reader.skip(_OWS)
        if reader.is_at_end():
            raise NotStructuredError("a comma ends the dictionary")
    return members


class _FieldReader:
    """Goes through the text once."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST_FIELD:
            raise NotStructuredError("the field is too long")
        self._text = text.rstrip(" ")
        self._at = 0

    def is_at_end(self) -> bool:
        return self._at == len(self._text)

    def require_end(self) -> None:
        if not self.is_at_end():
            raise NotStructuredError("something follows the item")

    def skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def accept(self, text: str) -> bool:
        found = self._text.startswith(text, self._at)
        self._at += len(text) if found else 0
        return found

    def require(self, text: str) -> None:
        if not self.accept(text):
            raise NotStructuredError(f"{text!r} is missing")

    def match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise NotStructuredError("this is no structured field")
        self._at = found.end()
        return found

    def member(self) -> Any:  # noqa: ANN401 - as above
        if self.accept("="):
            return self._inner_list() if self.accept("(") else self.item()
        self._parameters()
        return True

    def item(self) -> Any:  # noqa: ANN401 - as above
        value = self._bare_item()
        self._parameters()
        return value

    def _inner_list(self) -> list[Any]:
        items: list[Any] = []
        while True:
            self.skip(_SPACES)
            if self.accept(")"):
                self._parameters()
                return items
            items.append(self.item())
            if not self._text.startswith((" ", ")"), self._at):
                raise NotStructuredError("a space is missing in a list")

    def _parameters(self) -> None:
        while self.accept(";"):
            self.skip(_SPACES)
            self.match(_KEY)
            if self.accept("="):
                self._bare_item()

    def _bare_item(self) -> Any:  # noqa: ANN401 - as above
        for pattern, read in _BARE_ITEMS:
            found = pattern.match(self._text, self._at)
            if found is not None:
                self._at = found.end()
                return read(found)
        raise NotStructuredError("this is no structured field")


def _number(found: re.Match[str]) -> int | Decimal:
    sign, whole, fraction = found.groups()
    if fraction is None:
        if len(whole) > _INTEGER_DIGITS:
            raise NotStructuredError("an integer has at most 15 digits")
        return int(sign + whole)
    if len(whole) > _DECIMAL_DIGITS[0] or len(fraction) > _DECIMAL_DIGITS[1]:
        raise NotStructuredError("a decimal has at most 12 and 3 digits")
    return Decimal(f"{sign}{whole}.{fraction}")


def _string(found: re.Match[str]) -> str:
    return re.sub(r"\\(.)", r"\1", found[1])


def _bytes(found: re.Match[str]) -> bytes:
    # Padding may be missing (RFC 9651, section 4.2.7).
    bare = found[1].rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        raise NotStructuredError("the bytes are not in base64") from None


def _display_string(found: re.Match[str]) -> str:
    try:
        return unquote_to_bytes(found[1]).decode()
    except UnicodeDecodeError:
        raise NotStructuredError("the text is not UTF-8") from None


_BARE_ITEMS: Final[Sequence[tuple[re.Pattern[str], Callable[[re.Match[str]], Any]]]] = (
    (re.compile(r"\?([01])"), lambda found: found[1] == "1"),
    (re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?"), _number),
    (re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"'), _string),
    (re.compile(r":([A-Za-z0-9+/=]*):"), _bytes),
    (re.compile(r"@(-?[0-9]{1,15})"), lambda found: int(found[1])),
    (re.compile(r'%"((?:[\x20\x21\x23\x24\x26-\x7e]|%[0-9a-f]{2})*)"'), _display_string),
    (re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*"), lambda found: Token(found[0])),
)
