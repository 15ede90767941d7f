"""Texts as FTS5 is asked for them. Every word is quoted: no text of somebody's is syntax there."""

import re
from collections.abc import Sequence
from typing import Final

WORD: Final = re.compile(r"[^\W_]+")
MOST_WORDS: Final = 32
LONGEST_WORD: Final = 100
STOP_WORDS: Final = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "if",
        "in",
        "into",
        "is",
        "it",
        "no",
        "not",
        "of",
        "on",
        "or",
        "such",
        "that",
        "the",
        "their",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "was",
        "will",
        "with",
    ]
)
"""As Lucene's English analyzer has them: nearly every description holds them."""


def split(text: str) -> list[str]:
    """Return the words of a text that are searched for; the commonest English ones only where there are no others."""
    found = [word[:LONGEST_WORD] for word in WORD.findall(text)][:MOST_WORDS]
    return [word for word in found if word.lower() not in STOP_WORDS] or found


def any_of(text: str, column: str = "") -> str:
    """Return what matches documents with one of the words; empty if there is none."""
    return _joined(split(text), " OR ", column)


def all_of(text: str, column: str = "", *, is_typing: bool = False) -> str:
    """Return what matches documents with all of the words; while somebody types, the last one may be a beginning."""
    found = split(text)
    if is_typing and found:
        return _joined(found[:-1], " AND ", column, last=f"{_quoted(found[-1])} *")
    return _joined(found, " AND ", column)


def phrase(text: str, column: str = "") -> str:
    """Return what matches documents with the words in this order."""
    found = [word[:LONGEST_WORD] for word in WORD.findall(text)][:MOST_WORDS]
    return _in_column(_quoted(" ".join(found)), column) if found else ""


def beginning(text: str, column: str = "") -> str:
    """Return what matches documents with a word that begins so; empty if that is no part of a word."""
    found = WORD.findall(text)
    if len(found) != 1:
        return phrase(text, column)
    return _in_column(f"{_quoted(found[0][:LONGEST_WORD])} *", column)


def _joined(words: Sequence[str], operator: str, column: str, *, last: str = "") -> str:
    parts = [_quoted(word) for word in words] + ([last] if last else [])
    return _in_column(operator.join(parts), column) if parts else ""


def _in_column(expression: str, column: str) -> str:
    return f"{column} : ({expression})" if column else expression


def _quoted(word: str) -> str:
    escaped = word.replace('"', '""')
    return f'"{escaped}"'
