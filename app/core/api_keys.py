"""The shape of a user's key on OpenML."""

import re

API_KEY = re.compile(r"[0-9a-fA-F]{32}")
"""OpenML pastes the key into SQL text: nothing else may be sent."""


def is_api_key(text: str | None) -> bool:
    """Say whether `text` has the shape of a key."""
    return text is not None and API_KEY.fullmatch(text) is not None
