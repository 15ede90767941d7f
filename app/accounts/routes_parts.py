"""What routes of accounts ask for besides `app/deps.py`: the parts that log-ins and confirmations need."""

from typing import Annotated

from fastapi import Depends, Response

from app.accounts.reauthentication import Verifier
from app.accounts.sign_in import SignIn
from app.deps import ResourcesDep


async def get_sign_in(resources: ResourcesDep) -> SignIn:
    """Return what a log-in needs."""
    return SignIn(
        resources.database, resources.tokens, resources.limits, resources.settings, resources.sealer
    )


async def get_verifier(resources: ResourcesDep) -> Verifier:
    """Return what checks who somebody is."""
    return Verifier(
        resources.database,
        resources.passwords,
        resources.limits,
        resources.authenticators,
        resources.sealer,
    )


async def unstored(response: Response) -> None:
    """Let nobody store the answer: it has a token."""
    response.headers["Cache-Control"] = "no-store"


SignInDep = Annotated[SignIn, Depends(get_sign_in)]
VerifierDep = Annotated[Verifier, Depends(get_verifier)]
