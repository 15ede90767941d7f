"""Bodies of the routes that need no login; names and texts are those that the SPA sends and reads."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from app.core.passwords import LONGEST
from app.core.validated_strings import PLAIN, AnyAddress, Email, NoEmail, Password, PersonName
from app.db.people import LARGEST_NUMBER
from app.oidc.id_token import LONGEST_TOKEN


class SignupRequest(BaseModel):
    """A request for an account."""

    first_name: PersonName = Field(examples=["Ada"])
    last_name: PersonName = Field(examples=["Lovelace"])
    email: Email = Field(examples=["ada@example.org"])
    password: Password = Field(examples=["seven rivers flow north"])


class SignupResponse(BaseModel):
    """Result of a sign-up. The SPA reads the text, so that a taken address is a 200 as well."""

    msg: Literal["User created", "User already exists"]


class RegisterRequest(BaseModel):
    """Somebody who wants an account; each field is needed, and the first that is missing is named."""

    first_name: str | None = Field(None, examples=["Ada"])
    last_name: str | None = Field(None, examples=["Lovelace"])
    email: str | None = Field(None, examples=["ada@example.org"])
    password: str | None = Field(None, examples=["seven rivers flow north"])


class RegisterResponse(BaseModel):
    """The account was made; a mail is on its way."""

    msg: Literal["Account created successfully. Please check your email to confirm your account."] = (
        "Account created successfully. Please check your email to confirm your account."
    )
    username: str
    email: str


class AddressRequest(BaseModel):
    """The address of an account that may exist."""

    email: AnyAddress = Field(examples=["ada@example.org"])


class ConfirmationSentResponse(BaseModel):
    """A mail goes out if there is an account that waits for it."""

    msg: Literal["User confirmation token sent"] = "User confirmation token sent"


class ResetSentResponse(BaseModel):
    """A mail goes out if there is such an account."""

    msg: Literal["Token sent"] = "Token sent"


class LinkRequest(BaseModel):
    """The address of the page that a mail link opened, token included."""

    url: Annotated[str, StringConstraints(max_length=2000)] = Field(
        examples=["http://127.0.0.1:5000/auth/confirm-page/?token=0123abcd"]
    )


class ConfirmationResponse(BaseModel):
    """The address is confirmed."""

    msg: Literal["User confirmed"] = "User confirmed"
    choose_password: str | None = Field(
        default=None,
        description="There where the link was opened in another browser than the one that signed up: the password that "
        "came with the sign-up is void, and here one is chosen; the same address was mailed.",
    )


class ResetTokenResponse(BaseModel):
    """The link still works."""

    msg: Literal["token confirmed"] = "token confirmed"


class ResetRequest(LinkRequest):
    """The address of the page that a reset link opened, and the new password."""

    password: Password = Field(examples=["seven rivers flow north"])


class ResetResponse(BaseModel):
    """The new password is in force, and every session has ended."""

    msg: Literal["password changed"] = "password changed"


class UndoneResponse(BaseModel):
    """The change is undone; a mail with a link to choose a new password is on its way."""

    msg: Literal["Change undone"] = "Change undone"


STAY = "Stay signed in for up to 30 days: a cookie goes on with the session (`POST /session/refresh`)."


class LoginRequest(BaseModel):
    """User name or e-mail address (the field is called `email` either way), and password."""

    email: Annotated[str, StringConstraints(max_length=254), PLAIN] = Field(examples=["ada@example.org"])
    password: Annotated[str, StringConstraints(max_length=LONGEST), PLAIN] = Field(
        examples=["seven rivers flow north"]
    )
    stay: bool = Field(default=False, description=STAY)


class TokenRequest(BaseModel):
    """A grant: a password, a refresh token, or a CI job's token (RFC 8693); what else it has is ignored."""

    grant_type: Literal["password", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"] = (
        "password"
    )
    username: Annotated[str, StringConstraints(max_length=254), PLAIN] | None = Field(
        None, description="For a password, needed.", examples=["ada@example.org"]
    )
    password: Annotated[str, StringConstraints(max_length=LONGEST), PLAIN] | None = Field(
        None, description="For a password, needed.", examples=["seven rivers flow north"]
    )
    stay: bool = Field(default=False, description=f"For a password. {STAY}")
    refresh_token: Annotated[str, StringConstraints(max_length=200), PLAIN] | None = Field(
        None, description="To go on with a session, needed: what the last answer had."
    )
    subject_token: Annotated[str, StringConstraints(max_length=LONGEST_TOKEN), PLAIN] | None = Field(
        None, description="For an exchange, needed: what the CI service signed for the job."
    )
    subject_token_type: (
        Literal[
            "urn:ietf:params:oauth:token-type:id_token",
            "urn:ietf:params:oauth:token-type:jwt",
        ]
        | None
    ) = Field(None, description="For an exchange, needed.")
    requested_token_type: Literal["urn:ietf:params:oauth:token-type:access_token"] | None = None
    scope: Literal["", "upload", "offline_access"] | None = Field(
        None,
        description="`offline_access` with a password: a session that stays, whose refresh token is in the answer. "
        "Of an exchange `upload`: what it grants, if anything.",
    )
    user: int | None = Field(
        None,
        ge=1,
        le=LARGEST_NUMBER,
        description="For an exchange: in whose name the job publishes (the `id` of `GET /profile`). Without it, that "
        "of the only user who trusts the job.",
    )
    otp: Annotated[str, StringConstraints(strip_whitespace=True, max_length=64), PLAIN] = Field(
        "", description="The code of an authenticator app, or a recovery code.", examples=["123456"]
    )


class LoginResponse(BaseModel):
    """An access token."""

    access_token: str


class LoginFailure(BaseModel):
    """Why there is no token; the SPA tells these two apart."""

    msg: Literal["Wrong username or password", "NotConfirmed"]


class TokenResponse(BaseModel):
    """An access token as OAuth2 (RFC 6749, 8693) describes it."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the type's name
    expires_in: int = Field(description="Seconds until the token ends.")
    refresh_token: str | None = Field(
        None, description="Of a session that stays: works once, for the next access token."
    )
    issued_token_type: Literal["urn:ietf:params:oauth:token-type:access_token"] | None = Field(
        None, description="Of an exchange."
    )
    scope: Literal["upload"] | None = Field(None, description="Of an exchange: what the API token is for.")


class TokenFailure(BaseModel):
    """Why there is no token, as OAuth2 (RFC 6749, 5.2) describes it; the rest is that of every problem."""

    error: Literal[
        "invalid_grant",
        "invalid_request",
        "mfa_required",
        "unsupported_grant_type",
        "unsupported_token_type",
        "temporarily_unavailable",
        "server_error",
    ]
    error_description: str
    type: str
    title: str
    status: int
    detail: str
    msg: str
    ticket: str | None = Field(None, description="What to send with the second factor.")
    methods: list[str] | None = Field(None, description="Which second factors the account has.")
    expires_in: int | None = Field(None, description="Seconds for which the ticket works.")


class FeedbackRequest(BaseModel):
    """A message to the team."""

    email: NoEmail = Field(
        "", description="Where an answer may go; may be empty.", examples=["ada@example.org"]
    )
    feedback: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000), PLAIN
    ] = Field(examples=["Thank you for OpenML!"])


class FeedbackResponse(BaseModel):
    """The mail is on its way."""

    msg: Literal["Email sent"] = "Email sent"
