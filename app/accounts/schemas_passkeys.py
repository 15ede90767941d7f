"""Bodies of the routes of passkeys: names are those of WebAuthn's JSON, and those that OpenML's sites send and read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from app.core.validated_strings import PLAIN, DeviceName

Base64Url = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]*$")]
CredentialId = Annotated[Base64Url, StringConstraints(min_length=1, max_length=1364)]
"""For at most 1023 bytes (WebAuthn, 4)."""


_CREDENTIAL: Mapping[str, Any] = {"id": "q83vEjRWeJA", "rawId": "q83vEjRWeJA", "type": "public-key"}
MADE: JsonValue = {
    **_CREDENTIAL,
    "response": {"clientDataJSON": "e30", "attestationObject": "oA", "transports": ["internal"]},
}
USED: JsonValue = {
    **_CREDENTIAL,
    "response": {"clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA", "userHandle": "AA"},
}


class AttestationResponse(BaseModel):
    """What an authenticator says of a new credential."""

    clientDataJSON: Base64Url = Field(min_length=1, max_length=4096)  # noqa: N815 - a wire spelling
    attestationObject: Base64Url = Field(min_length=1, max_length=16_384)  # noqa: N815 - as above
    transports: list[Annotated[str, StringConstraints(max_length=32)]] = Field([], max_length=10)


class RegistrationCredential(BaseModel):
    """`RegistrationResponseJSON` of WebAuthn (5.1.8.1); members that are not listed are not read."""

    model_config = ConfigDict(json_schema_extra={"examples": [MADE]})

    id: CredentialId
    rawId: CredentialId  # noqa: N815 - a wire spelling
    type: Literal["public-key"] = "public-key"
    response: AttestationResponse


class AssertionResponse(BaseModel):
    """What an authenticator signed."""

    clientDataJSON: Base64Url = Field(min_length=1, max_length=4096)  # noqa: N815 - a wire spelling
    authenticatorData: Base64Url = Field(min_length=1, max_length=4096)  # noqa: N815 - as above
    signature: Base64Url = Field(min_length=1, max_length=8192)
    userHandle: Base64Url | None = Field(None, max_length=88)  # noqa: N815 - as above


class AuthenticationCredential(BaseModel):
    """`AuthenticationResponseJSON` of WebAuthn (5.1.8.2); members that are not listed are not read."""

    model_config = ConfigDict(json_schema_extra={"examples": [USED]})

    id: CredentialId
    rawId: CredentialId  # noqa: N815 - a wire spelling
    type: Literal["public-key"] = "public-key"
    response: AssertionResponse


class PasskeyRequest(BaseModel):
    """A new passkey."""

    credential: RegistrationCredential
    deviceName: DeviceName = Field("Unnamed Device", examples=["My phone"])  # noqa: N815 - a wire spelling


class CredentialRequest(BaseModel):
    """What a passkey has signed."""

    credential: AuthenticationCredential


class SignInRequest(CredentialRequest):
    """A passkey instead of name and password."""

    stay: bool = Field(
        default=False, description="Whether this browser stays signed in, by a cookie.", examples=[False]
    )


Ticket = Annotated[str, StringConstraints(min_length=1, max_length=100), PLAIN]


class SecondOptionsRequest(BaseModel):
    """The ticket of a log-in that lacks a second factor."""

    ticket: Ticket = Field(examples=["8c6e…"])


class SecondRequest(CredentialRequest):
    """A passkey after the password."""

    ticket: Ticket = Field(examples=["8c6e…"])


class RenameRequest(BaseModel):
    """Another name for a passkey."""

    passkeyId: int = Field(examples=[1])  # noqa: N815 - a wire spelling
    deviceName: Annotated[DeviceName, StringConstraints(min_length=1)] = Field(examples=["My old phone"])  # noqa: N815 - as above


class RemoveRequest(BaseModel):
    """Which passkey is to be removed."""

    passkeyId: int = Field(examples=[1])  # noqa: N815 - a wire spelling


class SecondFactorRequest(BaseModel):
    """Whether a passkey is asked for after the password."""

    required: bool = Field(examples=[True])


class SecondFactorResponse(BaseModel):
    """The choice is kept."""

    msg: Literal["Choice kept"] = "Choice kept"
    required: bool


class Descriptor(BaseModel):
    """A credential, as browsers know it."""

    type: Literal["public-key"] = "public-key"
    id: str
    transports: list[str]


class RelyingPartyEntity(BaseModel):
    """Whose passkey it is."""

    id: str
    name: Literal["OpenML"] = "OpenML"


class UserEntity(BaseModel):
    """Whose account it opens: what the browser shows, and what authenticators know it by."""

    id: str
    name: str
    displayName: str  # noqa: N815 - a wire spelling


class Algorithm(BaseModel):
    """A signature algorithm, by its number in COSE."""

    type: Literal["public-key"] = "public-key"
    alg: int


class Selection(BaseModel):
    """What an authenticator should be able to."""

    residentKey: Literal["required", "preferred"]  # noqa: N815 - a wire spelling
    requireResidentKey: bool = False  # noqa: N815 - as above
    userVerification: Literal["required", "preferred"]  # noqa: N815 - as above


class CreationOptions(BaseModel):
    """`PublicKeyCredentialCreationOptionsJSON` of WebAuthn (5.1.9), for `navigator.credentials.create`."""

    rp: RelyingPartyEntity
    user: UserEntity
    challenge: str
    pubKeyCredParams: list[Algorithm]  # noqa: N815 - a wire spelling
    timeout: int = Field(description="Milliseconds that the challenge works.")
    excludeCredentials: list[Descriptor]  # noqa: N815 - as above
    authenticatorSelection: Selection  # noqa: N815 - as above
    hints: list[str] = []
    attestation: Literal["none"] = "none"
    extensions: dict[str, bool] = {"credProps": True}


class RequestOptions(BaseModel):
    """`PublicKeyCredentialRequestOptionsJSON` of WebAuthn (5.1.10), for `navigator.credentials.get`."""

    challenge: str
    timeout: int = Field(description="Milliseconds that the challenge works.")
    rpId: str  # noqa: N815 - a wire spelling
    allowCredentials: list[Descriptor]  # noqa: N815 - as above
    userVerification: Literal["required", "preferred"]  # noqa: N815 - as above
    hints: list[str] = []


class RegisteredResponse(BaseModel):
    """The passkey is kept."""

    msg: Literal["Passkey registered successfully"] = "Passkey registered successfully"


class RenamedResponse(BaseModel):
    """The passkey has another name."""

    msg: Literal["Passkey renamed"] = "Passkey renamed"


class RemovedResponse(BaseModel):
    """The passkey opens nothing any more. Browsers can be told by its id (`signalUnknownCredential`)."""

    msg: Literal["Passkey removed successfully"] = "Passkey removed successfully"
    credentialId: str  # noqa: N815 - a wire spelling
    rpId: str  # noqa: N815 - as above


class PasskeyResponse(BaseModel):
    """A passkey of one's own. Times that nobody wrote down are null."""

    id: int
    deviceName: str  # noqa: N815 - a wire spelling
    createdAt: datetime | None  # noqa: N815 - as above
    lastUsedAt: datetime | None  # noqa: N815 - as above
    authenticator: str = Field(description="The kind of authenticator it says it is; empty if unknown.")
    synced: bool | None = Field(
        description="Whether it is backed up, so that other devices have it; null if unknown."
    )


class SignedInResponse(BaseModel):
    """The new session, and whose it is."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a kind of token
    id: int
    username: str
    email: str
    image: str
    apikey: str | None
    firstName: str  # noqa: N815 - a wire spelling
    lastName: str  # noqa: N815 - as above
