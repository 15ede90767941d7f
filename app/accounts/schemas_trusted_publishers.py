"""Bodies of the routes of trusted publishers."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from app.core.subjects import LONGEST, is_plain, require_pattern

MOST_CLAIMS = 10
NAMED_ELSEWHERE = frozenset({"iss", "sub", "aud", "exp", "iat", "nbf", "jti"})
EXAMPLE = "repo:rivers/levels:ref:refs/heads/main"


def _require_own_name(name: str) -> str:
    if name in NAMED_ELSEWHERE:
        raise ValueError(f"The claim {name} is looked at in any case; leave it out.")
    return name


def _require_plain(text: str) -> str:
    if not is_plain(text):
        raise ValueError("Write the claim's value in printable ASCII characters, 255 at most.")
    return text


ClaimName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_:/.-]{1,64}$"), AfterValidator(_require_own_name)
]
ClaimValue = Annotated[str, StringConstraints(max_length=LONGEST), AfterValidator(_require_plain)]


class TrustedPublisherRequest(BaseModel):
    """CI jobs that shall be trusted."""

    issuer: Annotated[str, StringConstraints(max_length=200)] = Field(
        description="Who signs the tokens of the jobs: one of those that the site believes.",
        examples=["https://token.actions.githubusercontent.com"],
    )
    subject: Annotated[str, StringConstraints(max_length=LONGEST), AfterValidator(require_pattern)] = Field(
        description="Which jobs: `sub` of their tokens. A `*` stands for any characters between two `:` or `/`, "
        "behind the first three segments.",
        examples=[EXAMPLE],
    )
    claims: Annotated[dict[ClaimName, ClaimValue], Field(max_length=MOST_CLAIMS)] = Field(
        {},
        description="What else their tokens have to say, e.g. the number of the repository's owner, which nobody gets "
        "who takes its name later.",
        examples=[{"repository_owner_id": "4711"}],
    )


class TrustedPublisherResponse(BaseModel):
    """CI jobs that may publish in one's name."""

    id: int
    issuer: str
    subject: str
    claims: dict[str, str]
    created_at: datetime
    last_used_at: datetime | None = Field(description="When a job last got a token; null: never.")


class TrustedPublishersResponse(BaseModel):
    """One's trusted publishers, newest first, and what there may be."""

    trusted_publishers: list[TrustedPublisherResponse]
    issuers: list[str] = Field(description="Whose tokens the site believes.")
    audience: str = Field(description="What the tokens of jobs have to name as their audience.")


class TrustedPublisherRemovedResponse(BaseModel):
    """Jobs get no tokens any more, and those that they have are revoked."""

    msg: str = "Trusted publisher removed"
