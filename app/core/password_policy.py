"""What a password must be, by NIST SP 800-63B-4: long enough, not a common or a breached one, nothing else."""

import asyncio
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Self

from app.core.breached_passwords import BreachedPasswords, open_breached
from app.core.errors import ValidationFailedError
from app.core.passwords import LONGEST, normalised
from app.core.settings import Settings

OF_THIS_SERVICE = re.compile(r"(?=.*openml)(?:openml|[\W\d_])+", re.DOTALL)
"""Its name alone, however often, with digits and signs around: `OpenML-2031!`. Lower case."""


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What this installation asks of new passwords."""

    minimum_length: int
    breached: BreachedPasswords | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the settings say; it reads the disk.

        Raises:
            SettingsError: the file of breached passwords is none that we read.
        """
        return cls(settings.password_minimum_length, open_breached(settings.breached_passwords))

    async def require_good(self, password: str, *, about: Collection[str], field: str = "password") -> str:
        """Return the normalised password if it may be used.

        Args:
            password: what the user chose.
            about: names and addresses of the user, which everybody would try first.
            field: what the caller's body calls it.

        Raises:
            ValidationFailedError: it is too short, too long, easily guessed or breached; the text says what to do.
        """
        password = normalised(password) if len(password) <= LONGEST else password
        problem = _problem_of(password, self.minimum_length, about)
        if not problem and self.breached and await asyncio.to_thread(self.breached.has, password):
            problem = (
                "This password is known: another site has lost it. Choose one that you use nowhere else."
            )
        if problem:
            raise ValidationFailedError.for_fields([{"field": field, "message": problem}])
        return password


def _problem_of(password: str, minimum: int, about: Collection[str]) -> str:
    lowered = password.casefold()
    if len(password) > LONGEST:
        return f"Choose a password of at most {LONGEST} characters."
    if len(password) < minimum:
        return f"Choose a password of at least {minimum} characters."
    if (
        lowered in _common()
        or lowered in {word.casefold() for word in about}
        or OF_THIS_SERVICE.fullmatch(lowered)
    ):
        return "This password is one of the first that anybody would try. Choose another."
    if len(set(lowered)) == 1:
        return "This password is one character over and over. Choose another."
    return ""


@cache
def _common() -> frozenset[str]:
    """Return the common passwords, read at the first use, which `warm_up` makes the start."""
    text = (files("app.core") / "common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def warm_up() -> None:
    """Read the list now, so that no request waits for the disk."""
    _common()
