"""Bodies of the routes of API tokens."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from app.core.scopes import Scope
from app.core.validated_strings import PLAIN, readable_name

NAME_LENGTH = 100
DEFAULT_DAYS = 90
MOST_DAYS = 36_500
"""So many would do for ever; `api_token_days` is what decides."""
TokenName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_LENGTH),
    PLAIN,
    AfterValidator(readable_name),
]


class ApiTokenRequest(BaseModel):
    """A token that is wanted: least scopes and shortest life that do."""

    name: TokenName = Field(description="What uses it, for its owner to know.", examples=["river pipeline"])
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope), examples=[["upload"]])
    expires_in_days: int | None = Field(
        DEFAULT_DAYS,
        ge=1,
        le=MOST_DAYS,
        description="How long it works. null: until it is revoked, where the site allows that.",
    )


class ApiTokenResponse(BaseModel):
    """A token, but for the token itself."""

    id: int
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None = Field(description="null: it works until it is revoked.")
    expired: bool
    last_used_at: datetime | None = Field(description="To within five minutes; null: never.")
    last_network: str | None = Field(
        description="Where that was: an address, or the /64 of one that is IPv6."
    )
    trusted_publisher: int | None = Field(
        description="For which trusted publisher a CI job got it; null where it was made by hand."
    )


class ApiTokensResponse(BaseModel):
    """One's tokens, newest first; those that have expired are shown for a while."""

    tokens: list[ApiTokenResponse]


class ApiTokenCreatedResponse(ApiTokenResponse):
    """A new token, the only time that it is shown."""

    token: str


class ApiTokenRevokedResponse(BaseModel):
    """The token works no more."""

    msg: str = "API token revoked"


class RevocationRequest(BaseModel):
    """The form of a revocation (RFC 7009, 2.1); what else such forms hold is ignored."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=4096), PLAIN] = Field(
        description="The token: whoever has it may end it.", examples=["openml_…"]
    )
