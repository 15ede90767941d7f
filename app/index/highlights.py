"""Parts of texts around the words that were searched for, as Elasticsearch's `highlight` shows them."""

import html
import re
from collections.abc import Mapping
from typing import Any, Final

from app.index.fields import look_up

_QUOTED: Final = re.compile(r'"([^"]+)"')
MOST_CHARACTERS: Final = 20_000
"""Of one text that are looked through."""
FRAGMENT: Final = 100
"""Characters of a part."""
MOST_FRAGMENTS: Final = 5
SHORTEST_STEM: Final = 3
_ENDINGS: Final = ("ations", "ation", "ings", "ing", "ers", "er", "ies", "ed", "es", "s", "y", "e")


def highlights(document: Mapping[str, Any], asked: Mapping[str, Any], match: str) -> dict[str, list[str]]:
    """Return the parts, by field; `match` is what FTS5 was asked for. What is marked is `<em>`, all else is escaped."""
    stems = {_stem(word) for quoted in _QUOTED.findall(match) for word in quoted.split()}
    found = {}
    for field in asked.get("fields", {}):
        text = look_up(document, str(field))
        parts = _parts(text[:MOST_CHARACTERS], stems) if isinstance(text, str) and stems else []
        if parts:
            found[str(field)] = parts
    return found


def _parts(text: str, stems: set[str]) -> list[str]:
    parts: list[str] = []
    end = 0
    for word in re.finditer(r"[^\W_]+", text):
        if word.start() >= end and _stem(word[0]) in stems:
            begin = max(end, word.start() - FRAGMENT // 2)
            end = min(len(text), word.end() + FRAGMENT // 2)
            parts.append(_marked(text[begin:end], stems))
            if len(parts) == MOST_FRAGMENTS:
                break
    return parts


def _marked(text: str, stems: set[str]) -> str:
    return re.sub(
        r"[^\W_]+|[\W_]+",
        lambda part: f"<em>{html.escape(part[0])}</em>" if _stem(part[0]) in stems else html.escape(part[0]),
        text,
    )


def _stem(word: str) -> str:
    """Return a word without its ending: rougher than the index' own stemmer, and enough to mark by."""
    word = word.lower()
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
            return word.removesuffix(ending)
    return word
