"""What an authenticator answered, verified step by step (WebAuthn, 7.1 and 7.2); pure, and run in a thread.

The library is imported with the first passkey: most processes see none, and it takes a third of a start.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, NamedTuple

import structlog

from app.accounts.schemas_passkeys import AuthenticationCredential, RegistrationCredential
from app.core.hidden import printable
from app.core.relying_party import RelyingParty

log = structlog.get_logger(__name__)
ES256, EDDSA, RS256 = -7, -8, -257
ALGORITHMS = (EDDSA, ES256, RS256)
"""By their numbers in COSE, the best first: WebAuthn (5.4) wants at least these three asked for."""
LEAST_RSA_BYTES = 256
MOST_RSA_BYTES = 512
LONGEST_RSA_EXPONENT = 4
"""Bytes: an exponent without a limit would make a signature take seconds to check."""
NOT_VALID = "the answer of the authenticator is not valid"


class CeremonyError(Exception):
    """The answer is not good; the text is for whoever sent it, and says nothing of what would be."""


class Registration(NamedTuple):
    """What is known of a new credential; both texts are base64url."""

    credential_id: str
    public_key: str
    sign_count: int
    aaguid: str
    backup_eligible: bool
    backed_up: bool
    user_verified: bool


class Assertion(NamedTuple):
    """What an authenticator says with a good signature."""

    sign_count: int
    user_verified: bool
    backed_up: bool


def challenge_of(client_data: str) -> bytes:
    """Return the challenge that was answered, by what the browser says; whether it is ours is for others to say.

    Raises:
        CeremonyError: there is none.
    """
    try:
        found = json.loads(from_base64url(client_data))
        return from_base64url(found["challenge"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise CeremonyError(NOT_VALID) from None


def verify_registration(
    credential: RegistrationCredential, challenge: bytes, party: RelyingParty
) -> Registration:
    """Return what is to be kept of a credential that was made for `challenge`.

    Raises:
        CeremonyError: it was not, or it is none that we take.
    """
    _require_own_page(credential.response.clientDataJSON, party)
    given = credential.model_dump(exclude={"response": {"transports"}})
    found = _ask_library(lambda: _registered(given, challenge, party))
    return Registration(
        credential_id=to_base64url(found.credential_id),
        public_key=to_base64url(found.credential_public_key),
        sign_count=found.sign_count,
        aaguid=found.aaguid,
        backup_eligible=found.credential_device_type == "multi_device",
        backed_up=found.credential_backed_up,
        user_verified=found.user_verified,
    )


def verify_assertion(
    credential: AuthenticationCredential, challenge: bytes, party: RelyingParty, *, public_key: str
) -> Assertion:
    """Return what was signed for `challenge` with the private half of `public_key`.

    The counter is for the caller to compare: a clone is to be told, a wrong signature is not.

    Raises:
        CeremonyError: it was not, or not on a page of ours.
    """
    _require_own_page(credential.response.clientDataJSON, party)
    given, key = credential.model_dump(), from_base64url(public_key)
    found = _ask_library(lambda: _asserted(given, challenge, party, key))
    return Assertion(found.new_sign_count, found.user_verified, found.credential_backed_up)


def to_base64url(data: bytes) -> str:
    """Return the text of some bytes, without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Return the bytes of a text.

    Raises:
        ValueError: it is none of base64url.
    """
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _require_own_page(client_data: str, party: RelyingParty) -> None:
    """See to it that the browser names a page of ours, and not in a frame of another site's; the library asks less."""
    try:
        found = json.loads(from_base64url(client_data))
        origin, is_foreign = found["origin"], bool(found.get("crossOrigin")) or "topOrigin" in found
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise CeremonyError(NOT_VALID) from None
    if origin not in party.origins or is_foreign:
        raise CeremonyError("it was not made on a page of this site")


def _ask_library(verify: Any) -> Any:  # noqa: ANN401 - one of two kinds of answers
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415 - as above
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415 - as above

    # What it does not expect of an answer leaves it as whatever Python says.
    unexpected = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
    try:
        return verify()
    except (WebAuthnException, InvalidSignature, UnsupportedAlgorithm, *unexpected) as error:
        log.info("a passkey was refused", reason=printable(f"{type(error).__name__}: {error}"[:300]))
        raise CeremonyError(NOT_VALID) from None


def _registered(given: dict[str, Any], challenge: bytes, party: RelyingParty) -> Any:  # noqa: ANN401 - of a library
    from webauthn import verify_registration_response  # noqa: PLC0415 - see above
    from webauthn.helpers.cose import COSEAlgorithmIdentifier  # noqa: PLC0415 - as above

    response = given["response"]
    found = verify_registration_response(
        credential={**given, "response": {**response, "attestationObject": _unattested(response)}},
        expected_challenge=challenge,
        expected_rp_id=party.id,
        expected_origin=list(party.origins),
        supported_pub_key_algs=[COSEAlgorithmIdentifier(number) for number in ALGORITHMS],
    )
    if to_base64url(found.credential_id) != given["id"]:
        raise ValueError("the credential has another id")
    _require_usable_key(found.credential_public_key)
    return found


def _unattested(response: dict[str, Any]) -> str:
    """Return the answer without an attestation: none was asked for, and certificates of strangers are not read."""
    import cbor2  # noqa: PLC0415 - as above
    from webauthn.helpers.parse_cbor import parse_cbor  # noqa: PLC0415 - as above

    found = parse_cbor(from_base64url(response["attestationObject"]))
    return to_base64url(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": found["authData"]}))


def _require_usable_key(public_key: bytes) -> None:
    """See to it that signatures can be checked with the key, quickly, and not forged.

    Raises:
        ValueError: it has an algorithm of none of ours, is no point of its curve, or an RSA key of an unfit size.
    """
    from webauthn.helpers import (  # noqa: PLC0415 - as above
        decode_credential_public_key,
        decoded_public_key_to_cryptography,
    )
    from webauthn.helpers.decode_credential_public_key import DecodedRSAPublicKey  # noqa: PLC0415 - as above

    decoded = decode_credential_public_key(public_key)
    if decoded.alg not in ALGORITHMS:
        raise ValueError("an algorithm that nobody asked for")
    if isinstance(decoded, DecodedRSAPublicKey) and not (
        LEAST_RSA_BYTES <= len(decoded.n) <= MOST_RSA_BYTES and len(decoded.e) <= LONGEST_RSA_EXPONENT
    ):
        raise ValueError("an RSA key of an unfit size")
    decoded_public_key_to_cryptography(decoded)


def _asserted(given: dict[str, Any], challenge: bytes, party: RelyingParty, public_key: bytes) -> Any:  # noqa: ANN401 - of a library
    from webauthn import verify_authentication_response  # noqa: PLC0415 - as above

    # Of a key in a row of another program, too.
    _require_usable_key(public_key)
    return verify_authentication_response(
        credential=given,
        expected_challenge=challenge,
        expected_rp_id=party.id,
        expected_origin=list(party.origins),
        credential_public_key=public_key,
        credential_current_sign_count=0,
    )
