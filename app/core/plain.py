"""Transliteration of texts for columns with a legacy character set."""

from collections.abc import Callable

from anyascii import anyascii

CODE_POINTS = 0x110000
BLOCK = 256
"""Code points that share a table, which is read from the disk when the first of them is asked for."""


def load_tables() -> None:
    """Read every table, so that no request waits for the disk."""
    for code_point in range(0, CODE_POINTS, BLOCK):
        anyascii(chr(code_point))


def plain_form(text: str, is_storable: Callable[[str], bool], *, longest: int) -> str:
    """Return the text with every character that cannot be stored written in Latin letters, cut to `longest`.

    `Łukasz` becomes `Lukasz`, and `李` becomes `Li`. A text is never empty but where it was.
    """
    plain = "".join(each if is_storable(each) else anyascii(each) for each in text)[:longest].strip()
    return plain if plain or not text else "?"
