"""Subjects of CI jobs (`sub` of their tokens), and patterns of them: which jobs a user trusts.

A subject is read as segments between `:` and `/`, e.g. `repo:ORG/NAME:ref:refs/heads/main` (GitHub) or
`project_path:GROUP/PROJECT:ref_type:branch:ref:main` (GitLab). A `*` in a pattern stands for any characters of one
segment. The first three segments say whose repository it is, and have none.
"""

import re

LONGEST = 255
KEY_SEGMENTS = 3
_SEPARATOR = re.compile("([:/])")


def key_of(subject: str) -> str:
    """Return how a subject begins, and every pattern that it fits: its first three segments."""
    return "".join(_SEPARATOR.split(subject)[: 2 * KEY_SEGMENTS - 1])


def require_pattern(text: str) -> str:
    """Return the text, if it is a pattern.

    Raises:
        ValueError: it is none; the text says what to change.
    """
    if not is_plain(text):
        raise ValueError("Write the subject in printable ASCII characters, 255 at most.")
    if "*" in key_of(text):
        raise ValueError(
            "The first three segments, between : and /, say whose repository it is: write them without *."
        )
    if any(segment.count("*") > 1 for segment in _SEPARATOR.split(text)):
        raise ValueError("Write one * at most between two : or /; it stands for all characters there.")
    return text


def is_plain(text: str) -> bool:
    """Say whether a text is one that a subject may be."""
    return 0 < len(text) <= LONGEST and text.isascii() and text.isprintable()


def fits(pattern: str, subject: str) -> bool:
    """Say whether a subject is one that the pattern means, letter by letter, and with as many segments."""
    wanted, found = _SEPARATOR.split(pattern), _SEPARATOR.split(subject)
    return len(wanted) == len(found) and all(map(_fits_segment, wanted, found))


def _fits_segment(wanted: str, found: str) -> bool:
    begin, star, end = wanted.partition("*")
    if not star:
        return wanted == found
    is_long_enough = len(found) >= max(1, len(begin) + len(end))
    return is_long_enough and found.startswith(begin) and found.endswith(end)
