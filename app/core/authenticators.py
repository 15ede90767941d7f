"""What it takes to have a passkey sign something, and to check what was signed; None of it where passkeys are off."""

from dataclasses import dataclass

from app.core.challenges import ChallengeSigner
from app.core.concurrency import BoundedExecutor
from app.core.relying_party import RelyingParty


@dataclass(frozen=True, slots=True)
class Authenticators:
    """For whom passkeys are, what they sign, and the threads in which signatures are checked."""

    party: RelyingParty
    challenges: ChallengeSigner
    checks: BoundedExecutor
