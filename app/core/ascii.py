"""Texts as OpenML takes them: plain ASCII, letters without accents, typographic signs as typewriters have them."""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

_LETTERS: Mapping[str, str] = {
    "\u00df": "ss", "\u1e9e": "SS", "\u00e6": "ae", "\u00c6": "AE", "\u0153": "oe", "\u0152": "OE", "\u00f8": "o",
    "\u00d8": "O", "\u0111": "d", "\u0110": "D", "\u0142": "l", "\u0141": "L", "\u00fe": "th", "\u00de": "Th",
    "\u00f0": "d", "\u00d0": "D", "\u0131": "i",
}  # fmt: skip
_SIGNS: Mapping[str, str] = {
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-", "\u00b0": "deg",
    "\u00b5": "u", "\u03bc": "u", "\u20ac": "EUR", "\u00a3": "GBP", "\u00d7": "x",
}  # fmt: skip
SIGNS_IN_NAMES: Mapping[str, str] = {
    **_SIGNS, "\u2018": "_", "\u2019": "_", "\u201c": "_", "\u201d": "_",
}  # fmt: skip
SIGNS_IN_TEXTS: Mapping[str, str] = {
    **_SIGNS, "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"',
    "\u00bb": '"', "\u2022": "*", "\u00b7": "*", "\u00a9": "(c)", "\u00ae": "(R)", "\u2264": "<=", "\u2265": ">=",
    "\u00b1": "+/-", "\u00a7": "section", "\u2192": "->", "\u200b": "", "\ufeff": "",
}  # fmt: skip


def in_ascii(character: str, signs: Mapping[str, str]) -> str | None:
    """Return how a character is written in ASCII, or None where there is no one way."""
    if character.isascii():
        return character
    spelled = _LETTERS.get(character) or signs.get(character, character)
    plain = "".join(
        each for each in unicodedata.normalize("NFKD", spelled) if not unicodedata.combining(each)
    )
    return plain if plain.isascii() and (plain or not spelled or unicodedata.combining(character)) else None


def text_in_ascii(text: str) -> str:
    """Return a text with every character that has one way to be written in ASCII written so; others stay."""
    return _OTHERS.sub(lambda found: _in_text(found[0]), unicodedata.normalize("NFC", text))


_OTHERS = re.compile(r"[^\x00-\x7f]")


@lru_cache(maxsize=4096)
def _in_text(character: str) -> str:
    plain = in_ascii(character, SIGNS_IN_TEXTS)
    return character if plain is None else plain
