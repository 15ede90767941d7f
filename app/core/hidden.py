"""Invisible and control characters: they make different names look equal, and are commands to a terminal."""

import unicodedata

CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Controls, marks that format or turn text, halves of characters, private use, separators of lines."""
FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
"""Letters, symbols and marks by Unicode's count that show nothing."""
JOINERS = frozenset("\u200c\u200d")
VIRAMA = 9
"""The combining class of the sign that joins consonants in Indic scripts."""


def first_hidden(text: str) -> str | None:
    """Return the first hidden character of the text, None if there is none."""
    return next((text[index] for index in range(len(text)) if _is_hidden(text, index)), None)


def printable(text: str, *, keep: str = "") -> str:
    """Return a text that is safe to show in a terminal or a log: hidden characters stand as their code points.

    `keep` names those that are meant, such as the ends of lines.
    """
    if text.isascii() and text.isprintable():
        return text
    shown = (
        code_point(character) if character not in keep and _is_hidden(text, index) else character
        for index, character in enumerate(text)
    )
    return "".join(shown)


def code_point(character: str) -> str:
    """Return e.g. `U+202E`."""
    return f"U+{ord(character):04X}"


def _is_hidden(text: str, index: int) -> bool:
    character = text[index]
    if character in JOINERS:
        return not _joins(text, index)
    return unicodedata.category(character) in CATEGORIES or character in FILLERS


def _joins(text: str, index: int) -> bool:
    """Say whether a joiner stands where a script needs it: in Arabic script, and after an Indic virama (RFC 5892)."""
    before = text[index - 1] if index else ""
    return bool(before) and (
        unicodedata.bidirectional(before) == "AL" or unicodedata.combining(before) == VIRAMA
    )
