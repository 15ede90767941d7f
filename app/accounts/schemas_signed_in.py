"""Bodies of the routes of one's own account; names and texts are those that the SPA sends and reads."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
)

from app.accounts.audit import KINDS
from app.accounts.schemas_api_tokens import ApiTokenResponse
from app.accounts.schemas_passkeys import AuthenticationCredential, PasskeyResponse
from app.accounts.schemas_second_factor import CodeProof, ExportedFactorResponse
from app.accounts.schemas_trusted_publishers import TrustedPublisherResponse
from app.core.methods import Method
from app.core.passwords import LONGEST
from app.core.validated_strings import PLAIN, Password

AsItIs = Annotated[Any, WithJsonSchema({"type": "string"})]
"""Judged by `service.checked_changes`, if it is new."""


class ProfileResponse(BaseModel):
    """The signed-in user. No text is ever null: the SPA calls methods on them."""

    username: str
    bio: str
    first_name: str
    last_name: str
    email: str
    image: str
    id: int


class ProfileRequest(BaseModel):
    """The profile as it shall be. A new e-mail address takes effect when it is confirmed.

    Only what differs from the profile is judged: what an old account has can always be sent back.
    """

    first_name: AsItIs = Field(examples=["Ada"], description="Up to 50 characters.")
    last_name: AsItIs = Field(examples=["Lovelace"], description="Up to 50 characters.")
    bio: AsItIs = Field(examples=["I write programs."], description="Up to 5000 characters.")
    email: AsItIs = Field(examples=["ada@example.org"])


class ProfileChangedResponse(BaseModel):
    """The profile is changed; a mail asks for confirmation where the address is new."""

    msg: Literal["User information changed"] = "User information changed"


class ApiKeyResponse(BaseModel):
    """The user's key on OpenML; null if an old account never had one."""

    apikey: str | None


class ApiKeyChangedResponse(BaseModel):
    """The new key. The old one works no more, neither here nor on OpenML."""

    msg: Literal["API Key updated"] = "API Key updated"
    apikey: str


class ApiKeyRegeneratedResponse(ApiKeyChangedResponse):
    """The same under the names that OpenML's Next.js site reads."""

    api_key: str
    apiKey: str  # noqa: N815 - a wire spelling


class LogoutResponse(BaseModel):
    """The token was revoked."""

    msg: Literal["Successfully logged out"] = "Successfully logged out"


class SessionResponse(BaseModel):
    """A login that still works."""

    id: str
    current: bool = Field(description="Whether this is the session that asks.")
    created_at: datetime
    last_seen_at: datetime = Field(description="To within five minutes.")
    expires_at: datetime
    ip_address: str
    user_agent: str
    methods: list[Method] = Field(
        description="By what it began, and was confirmed since, as in the claim `amr` (RFC 8176)."
    )
    stays_until: datetime | None = Field(
        None, description="When a session that stays ends at the latest; null for others."
    )


class SessionsResponse(BaseModel):
    """The user's logins that still work, newest first."""

    sessions: list[SessionResponse]


class AuditEventResponse(BaseModel):
    """Something that happened to the account."""

    id: int
    at: datetime
    kind: str
    ip_address: str
    user_agent: str
    detail: str | None = Field(description="What of yours it was about, and why, where somebody else did it.")


class AuditResponse(BaseModel):
    """What happened to the account, newest first."""

    events: list[AuditEventResponse]
    next: int | None = Field(None, description="`before` of the next page; null on the last one.")


def _known_kind(kind: str | None) -> str | None:
    if kind is not None and kind not in KINDS:
        raise ValueError("There are no events of this kind.")
    return kind


class AuditPage(BaseModel):
    """Which events to list."""

    before: int | None = Field(None, ge=1, le=2**63 - 1, description="Only events older than this one.")
    kind: Annotated[
        str | None,
        AfterValidator(_known_kind),
        WithJsonSchema({"anyOf": [{"type": "string", "enum": sorted(KINDS)}, {"type": "null"}]}),
    ] = Field(None, description="Only events of this kind.")
    limit: int = Field(200, ge=1, le=1000)


GivenPassword = Annotated[str, StringConstraints(max_length=LONGEST), PLAIN]


class DeleteRequest(BaseModel):
    """The password, so that a forgotten session cannot delete an account."""

    password: GivenPassword | None = Field(
        None,
        description="Needed, but for accounts that no password opens: they need a fresh session instead.",
        examples=["seven rivers flow north"],
    )


class PasswordRequest(BaseModel):
    """The password as it shall be."""

    new_password: Password = Field(examples=["eight winds blow south"])


class PasswordChangedResponse(BaseModel):
    """The password is changed, and all sessions have ended; the token opens one in place of this."""

    msg: Literal["Password changed"] = "Password changed"
    access_token: str
    expires_in: int = Field(description="Seconds until the token ends.")


class PasswordAgain(BaseModel):
    """The password, given once more."""

    password: GivenPassword = Field(examples=["seven rivers flow north"])


class PasskeyAgain(BaseModel):
    """One of one's passkeys, for `POST /auth/passkey/confirm-options`."""

    passkey: AuthenticationCredential


def _way_of(body: object) -> str:
    given = body if isinstance(body, dict) else {}
    return next((way for way in ("passkey", "code", "recovery_code") if way in given), "password")


ReauthenticateRequest = Annotated[
    Annotated[PasswordAgain, Tag("password")]
    | Annotated[PasskeyAgain, Tag("passkey")]
    | Annotated[CodeProof, Tag("code")]
    | Annotated[CodeProof, Tag("recovery_code")],
    Discriminator(_way_of),
]
"""What somebody shows: one of these, told apart by the field that is there."""


class ReauthenticatedResponse(BaseModel):
    """It is right."""

    msg: Literal["Password confirmed"] = "Password confirmed"
    fresh_until: datetime = Field(description="Until then nobody asks for it again in this session.")


class DeletedResponse(BaseModel):
    """The account is gone."""

    msg: Literal["User deleted"] = "User deleted"


class ExportHead(BaseModel):
    """What this service holds about the account itself."""

    account: dict[str, Any]
    sessions: list[SessionResponse]
    passkeys: list[PasskeyResponse]
    second_factors: list[ExportedFactorResponse]
    events: list[AuditEventResponse]
    api_tokens: list[ApiTokenResponse]
    trusted_publishers: list[TrustedPublisherResponse]
    reports: list[dict[str, Any]] = Field(description="What the user has reported to administrators.")
    linked_accounts: list[dict[str, Any]] = Field(description="Accounts at providers that open this one.")


class ExportResponse(ExportHead):
    """Everything that this service holds about the user."""

    uploads: list[dict[str, Any]]
    tasks: list[dict[str, Any]] = Field(description="Tasks that wait, or waited, for their dataset.")
