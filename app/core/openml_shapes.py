"""Shapes that OpenML demands: of a user's API key, and of the name of a dataset."""

import re

API_KEY = re.compile(r"[0-9a-fA-F]{32}")
"""OpenML pastes the key into SQL text: nothing else may be sent."""


def is_api_key(text: str | None) -> bool:
    """Say whether `text` has the shape of a key."""
    return text is not None and API_KEY.fullmatch(text) is not None


NAME = re.compile(r"[a-zA-Z0-9_\-.(),]+")
NAME_RULE = "Use only the letters a-z and A-Z, digits, and _ - . ( ) , without spaces (OpenML's rule)."


def is_name(text: str) -> bool:
    """Say whether OpenML takes the text as a name, whatever its length."""
    return NAME.fullmatch(text) is not None
