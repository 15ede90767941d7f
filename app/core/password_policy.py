"""What a password must be, by NIST SP 800-63B-4: long enough, not a common one, nothing else."""

from collections.abc import Collection
from functools import cache
from importlib.resources import files

from app.core.errors import ValidationFailedError
from app.core.passwords import LONGEST, normalised
from app.core.settings import Settings


def require_good(password: str, settings: Settings, *, about: Collection[str]) -> str:
    """Return the normalised password if it may be used.

    Args:
        password: what the user chose.
        settings: the shortest length.
        about: names and addresses of the user, which everybody would try first.

    Raises:
        ValidationFailedError: it is too short, too long, or easily guessed; the text says what to do.
    """
    if len(password) > LONGEST:
        raise _refusal(f"Choose a password of at most {LONGEST} characters.")
    password = normalised(password)
    minimum = settings.password_minimum_length
    if len(password) < minimum:
        raise _refusal(f"Choose a password of at least {minimum} characters.")
    lowered = password.casefold()
    if lowered in _common() or lowered in {word.casefold() for word in about}:
        raise _refusal("This password is one of the first that anybody would try. Choose another.")
    if len(set(lowered)) == 1:
        raise _refusal("This password is one character over and over. Choose another.")
    return password


def _refusal(message: str) -> ValidationFailedError:
    return ValidationFailedError.for_fields([{"field": "password", "message": message}])


@cache
def _common() -> frozenset[str]:
    """Return the common passwords, read at the first use, which `warm_up` makes the start."""
    text = (files("app.core") / "common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def warm_up() -> None:
    """Read the list now, so that no request waits for the disk."""
    _common()
