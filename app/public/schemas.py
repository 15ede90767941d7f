"""Bodies of the routes that need no login; names and texts are those that the SPA sends and reads."""

from typing import Annotated, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

EMAIL_LENGTH = 100
"""The address is the user name as well, and `users.username` holds so many."""
PASSWORD_LENGTH = 1024


def _checked_email(value: str) -> str:
    try:
        found = validate_email(value, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None
    return found.normalized


Email = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=EMAIL_LENGTH), AfterValidator(_checked_email)
]
PersonName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=PASSWORD_LENGTH)]


class SignupRequest(BaseModel):
    """Somebody who wants an account."""

    first_name: PersonName = Field(examples=["Ada"])
    last_name: PersonName = Field(examples=["Lovelace"])
    email: Email = Field(examples=["ada@example.org"])
    password: Password = Field(examples=["correct horse battery staple"])


class SignupResponse(BaseModel):
    """How the sign-up went. The SPA reads the text, so that a taken address is a 200 as well."""

    msg: Literal["User created", "User already exists"]


class LinkRequest(BaseModel):
    """The address of the page that a mail link opened, token included."""

    url: Annotated[str, StringConstraints(max_length=2000)] = Field(
        examples=["http://127.0.0.1:5000/auth/confirm-page/?token=0123abcd"]
    )


class ConfirmationResponse(BaseModel):
    """The address is confirmed."""

    msg: Literal["User confirmed"] = "User confirmed"


class LoginRequest(BaseModel):
    """User name or e-mail address (the field is called `email` either way), and password."""

    email: Annotated[str, StringConstraints(max_length=254)] = Field(examples=["ada@example.org"])
    password: Annotated[str, StringConstraints(max_length=PASSWORD_LENGTH)] = Field(
        examples=["correct horse battery staple"]
    )


class LoginResponse(BaseModel):
    """An access token."""

    access_token: str


class LoginFailure(BaseModel):
    """Why there is no token; the SPA tells these two apart."""

    msg: Literal["Wrong username or password", "NotConfirmed"]


class TokenResponse(BaseModel):
    """An access token as OAuth2 (RFC 6749) describes it."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the type's name
    expires_in: int = Field(description="Seconds until the token ends.")
