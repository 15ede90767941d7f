"""Codes that are typed behind the password, where a log-in form has no field of its own for them."""

import re
from typing import NamedTuple

from app.accounts.recovery_codes import PATTERN

_CODE = re.compile(r"[0-9]{3} ?[0-9]{3}", re.ASCII)
_BEHIND = re.compile(rf"(?P<password>.+?) ?(?P<code>{_CODE.pattern}|{PATTERN})", re.ASCII | re.DOTALL)


class Typed(NamedTuple):
    """A password, and what was typed behind it."""

    password: str
    code: str


def split(text: str) -> Typed | None:
    """Return password and code of e.g. `seven rivers 123456` or `seven rivers123456`; None if there is no code.

    One space in between belongs to neither. What ends like that may as well be a password that does.
    """
    found = _BEHIND.fullmatch(text)
    return Typed(found["password"], found["code"]) if found else None


def digits_of(text: str) -> str | None:
    """Return the six digits of an app's code, which many show as `123 456`; None if it is something else."""
    text = text.strip()
    return text.replace(" ", "") if _CODE.fullmatch(text) else None
