"""How somebody shows who they are: the methods, and when one of them alone is not enough.

The values are those of the claim `amr` (RFC 8176) where it has them.
"""

from collections.abc import Collection
from enum import StrEnum


class Method(StrEnum):
    """One way of showing who one is."""

    PASSWORD = "pwd"  # noqa: S105 - a method's name
    CODE = "otp"
    RECOVERY_CODE = "recovery"
    PASSKEY = "passkey"
    PROVIDER = "provider"
    MULTIPLE = "mfa"
    """Beside `PASSKEY`: the authenticator has verified its user, by a PIN or a finger."""

    @property
    def field(self) -> str:
        """What the method is called in bodies and problems."""
        return self.name.lower()


SECOND = frozenset({Method.CODE, Method.RECOVERY_CODE, Method.PASSKEY})
"""What may come second. A passkey may come first as well, and then something else has to be second."""


def needs_second(methods: Collection[Method], factors: Collection[Method]) -> bool:
    """Say whether an account with these second factors asks for one of them, after what was shown already."""
    if not factors or Method.MULTIPLE in methods:
        return False
    return len(set(methods)) < 2 or SECOND.isdisjoint(methods)  # noqa: PLR2004 - two different ones


def as_text(methods: Collection[Method]) -> str:
    """Return the methods as a column keeps them."""
    return " ".join(sorted(methods))


def from_text(text: str) -> frozenset[Method]:
    """Return the methods that a column has."""
    return frozenset(map(Method, text.split()))
