"""What a document of the index says of a dataset, in the words of schema.org.

Anything may be missing in a document, or of another type: it is what strangers wrote, and is left out then.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

Document = Mapping[str, Any]
LONGEST_TEXT: Final = 5_000
"""Characters of a description that are taken."""
MOST_ITEMS: Final = 50
_DAY = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2}(?:[ T]\d{2}:\d{2}:\d{2})?)?)?")
_LICENCES: Final = {
    "public": "https://creativecommons.org/publicdomain/mark/1.0/",
    "cc0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "cc by": "https://creativecommons.org/licenses/by/4.0/",
    "cc by-sa": "https://creativecommons.org/licenses/by-sa/4.0/",
    "cc by-nc": "https://creativecommons.org/licenses/by-nc/4.0/",
    "cc by-nd": "https://creativecommons.org/licenses/by-nd/4.0/",
}
"""Addresses of licences by the names that OpenML has for them, without their version."""


def properties_of(document: Document) -> dict[str, Any]:
    """Return what is said of a dataset as a whole; what is not known is empty."""
    name = text_of(document.get("name"))
    return {
        "name": name or "dataset",
        "description": text_of(document.get("description")) or f"The dataset {name or 'without a name'}.",
        "version": text_of(document.get("version")),
        "license": licence_of(document.get("licence")),
        "creator": [{"@type": "Person", "name": name} for name in texts_of(document.get("creator"))],
        "contributor": [{"@type": "Person", "name": name} for name in texts_of(document.get("contributor"))],
        "keywords": [tag for tag in map(_tag, _items(document.get("tags"))) if tag],
        "inLanguage": text_of(document.get("language")),
        "datePublished": day_of(document.get("date")),
        "sameAs": address_of(document.get("original_data_url")),
    }


def stated(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that say something."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def text_of(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return a text or a number as a text, cut where it is long; nothing of anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    # What is half of a letter cannot be encoded.
    text = str(value).encode("utf-8", "replace").decode().strip()
    return text if len(text) <= longest else text[: longest - 1] + "…"


def texts_of(value: object) -> list[str]:
    """Return one text or several as a list."""
    items = value if isinstance(value, list) else [value]
    return [text for text in map(text_of, items[:MOST_ITEMS]) if text]


def address_of(value: object) -> str:
    """Return an address on the web; nothing of any other, which might run where it is clicked."""
    text = text_of(value)
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    is_one = parts.scheme in {"http", "https"} and parts.netloc and not re.search(r"[\s\"<>\\^`{|}]", text)
    return text if is_one else ""


def day_of(value: object) -> str:
    """Return a moment as ISO 8601; nothing of what is none."""
    text = text_of(value)
    return text.replace(" ", "T") if _DAY.fullmatch(text) else ""


def licence_of(value: object) -> str:
    """Return the address of a licence that is known by its name, or else its name."""
    text = text_of(value)
    plain = re.sub(r"[ _-]*\d(?:\.\d)?$", "", text.casefold().replace("_", "-")).replace("cc-by", "cc by")
    return _LICENCES.get(plain, text)


def _items(value: object) -> list[Any]:
    return value[:MOST_ITEMS] if isinstance(value, list) else []


def _tag(item: object) -> str:
    return text_of(item.get("tag") if isinstance(item, Mapping) else item)
