"""Bodies of the routes of second factors."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from app.core.validated_strings import PLAIN

Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64), PLAIN]


class FactorResetResponse(BaseModel):
    """A removal of all second factors that an operator or administrator has begun."""

    asked_by: str = Field(examples=["an operator"])
    asked_at: datetime
    due_at: datetime = Field(description="When it is carried out, unless you stop it.")


class SecondFactorStatusResponse(BaseModel):
    """What the account asks for after the password."""

    app_since: datetime | None = Field(
        description="Since when an authenticator app is set up; null if none is."
    )
    recovery_codes_left: int
    reset: FactorResetResponse | None


class ExportedFactorResponse(BaseModel):
    """A second factor, without what is secret of it."""

    kind: Literal["authenticator app", "recovery codes", "passkey"]
    since: datetime | None
    last_used_at: datetime | None = Field(
        description="To half a minute for an app; null of recovery codes, each of which is forgotten with its use."
    )
    left: int | None = Field(
        None, description="How many recovery codes there are, or passkeys to choose from."
    )


class QrCodeResponse(BaseModel):
    """A QR code, to be drawn dark on light: a path of SVG within a square of `size` units, its margin included."""

    size: int
    path: str


class TotpOfferResponse(BaseModel):
    """A secret for an authenticator app. Nothing has changed yet."""

    secret: str = Field(description="In base32, for apps without a camera.")
    uri: str = Field(description="The same as apps read it: `otpauth://…`")
    qr_code: QrCodeResponse = Field(description="The same as a camera sees it.")
    enrolment: str = Field(description="To be sent back with the first code.")
    expires_at: datetime


class EnrolRequest(BaseModel):
    """What was offered, and the code that the app shows for it."""

    enrolment: Annotated[str, StringConstraints(max_length=1000), PLAIN] = Field(
        examples=["7d2c4b1a09f3e855.c2VhbGVk"]
    )
    code: Code = Field(examples=["123456"])


class RecoveryCodesResponse(BaseModel):
    """New recovery codes, which nobody can see again; none, where those of before stay as they are."""

    recovery_codes: list[str]


class SecondFactorChangedResponse(BaseModel):
    """It is done."""

    msg: str = "Second factor changed"


class CodeProof(BaseModel):
    """The code of an authenticator app, or a recovery code."""

    code: Code | None = Field(None, examples=["123456"])
    recovery_code: Code | None = Field(None, examples=["7m3k-0pqr-x9ta-h2cd-55vz-n8we"])

    @model_validator(mode="after")
    def _require_one(self) -> Self:
        if (self.code is None) == (self.recovery_code is None):
            raise ValueError("Send one of code and recovery_code.")
        return self

    @property
    def typed(self) -> str:
        """The one that was sent."""
        return self.code or self.recovery_code or ""


class SecondStepRequest(CodeProof):
    """The second step of a log-in."""

    ticket: Annotated[str, StringConstraints(max_length=200), PLAIN] = Field(
        description="That of the problem `second-factor-needed`.", examples=["0123abcd"]
    )
