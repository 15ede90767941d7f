"""What a cell looks like before the types of its column are known."""

import re
from typing import Literal

from app.tabular.schema.cells import MISSING_WORDS

Shape = Literal["missing", "number", "date", "text"]

_NUMBER = re.compile(
    r"[+\-\u2212]?(?:\d+|\d{1,3}(?:[ ,.'\u2019\u00a0\u202f]\d{3})+)?(?:[.,]\d*)?(?:[eE][+-]?\d+)?(?<=[\d.,])"
)
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(?::\d{2})?")
_MISSING = MISSING_WORDS | {"", "?", "-", ".", "*"}


def shape_of(text: str) -> Shape:
    """Return what a cell looks like; a number may have any decimal mark, and marks between thousands."""
    plain = text.strip(" \t\r\n")
    if plain in _MISSING:
        return "missing"
    if _NUMBER.fullmatch(plain):
        return "number"
    return "date" if _DATE.fullmatch(plain) else "text"
