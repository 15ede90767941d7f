"""Bodies of the log-ins with a provider, and of the accounts that are linked to one."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from app.core.validated_strings import PLAIN, Email

Secret = Annotated[str, StringConstraints(min_length=1, max_length=2000), PLAIN]


class ProviderResponse(BaseModel):
    """A provider that people may sign in with."""

    id: str = Field(examples=["github"])
    name: str = Field(examples=["GitHub"])


class ProvidersResponse(BaseModel):
    """All of them; none where log-ins with providers are switched off."""

    providers: list[ProviderResponse]


class ProviderStartRequest(BaseModel):
    """What a log-in with a provider begins with."""

    token: Secret | None = Field(
        None, description="Of the mail that confirms an address, if its link was opened.", examples=[None]
    )


class ProviderStartResponse(BaseModel):
    """Where the browser goes now. The answer's cookie is what ties the provider's answer to this browser."""

    address: str = Field(examples=["https://github.com/login/oauth/authorize?client_id=…"])


class ProviderAnswerRequest(BaseModel):
    """What the provider sent the browser back with. Whatever else stands here proves nothing, and is ignored."""

    code: Secret | None = Field(None, examples=["8a1cd3f94b"])
    state: Secret | None = Field(None, examples=["xo3rQ0C0mVdl3eWb3oVQ5w"])
    iss: Secret | None = Field(None, description="RFC 9207.", examples=["https://accounts.example.org"])
    stay: bool = Field(
        default=False, description="Whether this browser stays signed in, by a cookie.", examples=[False]
    )


class ProviderSignedInResponse(BaseModel):
    """A session, and whose it is."""

    access_token: str
    id: int
    username: str
    email: str
    image: str
    apikey: str


class AddressNeededResponse(BaseModel):
    """The provider has said who it is, and an address has yet to be confirmed."""

    msg: str = Field(examples=["Give your e-mail address: we mail you a link that confirms it."])
    next: Literal["address", "mail"] = Field(
        description="`address`: send one to `POST /auth/oauth-address` with the ticket; `mail`: a mail is on its way."
    )
    ticket: str | None = Field(None, description="Works for an hour.", examples=["0123abcd" * 8])
    email: str = Field(
        "",
        description="What the provider names as the address; nobody has shown that it is.",
        examples=["ada@example.org"],
    )


class ProviderAddressRequest(BaseModel):
    """The address that a mail is to go to."""

    ticket: Secret = Field(examples=["0123abcd" * 8])
    email: Email = Field(examples=["ada@example.org"])


class ProviderAddressResponse(BaseModel):
    """A mail is on its way."""

    msg: Literal["Confirmation mail sent"] = "Confirmation mail sent"


class LinkedAccountResponse(BaseModel):
    """An account at a provider that one may sign in with."""

    id: str = Field(description="For `DELETE /linked-accounts/{id}`.")
    provider: str = Field(examples=["github"])
    name: str = Field(examples=["GitHub"])
    label: str = Field(description="What one was called there when it was linked.", examples=["octocat"])
    created_at: datetime
    last_used_at: datetime | None


class LinkedAccountsResponse(BaseModel):
    """One's linked accounts, and what else there is to sign in with."""

    linked: list[LinkedAccountResponse]
    providers: list[ProviderResponse]
    has_password: bool = Field(description="Without one, the last linked account cannot be taken away.")


class UnlinkedResponse(BaseModel):
    """The account at the provider opens this one no more."""

    msg: Literal["Account unlinked"] = "Account unlinked"
