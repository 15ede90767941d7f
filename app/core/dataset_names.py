"""Names that OpenML takes for a dataset."""

import re

NAME = re.compile(r"[a-zA-Z0-9_\-.(),]+")
NAME_RULE = "Use only the letters a-z and A-Z, digits, and _ - . ( ) , without spaces (OpenML's rule)."


def is_name(text: str) -> bool:
    """Say whether OpenML takes the text as a name, whatever its length."""
    return NAME.fullmatch(text) is not None
