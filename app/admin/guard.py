"""Dependency that returns the acting administrator."""

from typing import Annotated

from fastapi import Depends

from app.accounts.audit import Hand
from app.core.errors import (
    AdministratorsOnlyError,
    PasswordNeededError,
    SecondFactorMissingError,
    UnauthorizedError,
)
from app.core.http import declare
from app.deps import AdministratorDep, ClientDep

GUARDED = declare(UnauthorizedError, AdministratorsOnlyError, PasswordNeededError, SecondFactorMissingError)


async def get_hand(administrator: AdministratorDep, client: ClientDep) -> Hand:
    """Return the actor of the administrator who sent the request."""
    return Hand.of_administrator(administrator.account.id, client)


HandDep = Annotated[Hand, Depends(get_hand)]
