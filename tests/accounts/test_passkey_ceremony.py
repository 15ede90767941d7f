"""What an authenticator answers, and everything that can be wrong with it."""

import hashlib
import struct
from collections.abc import Callable
from typing import Any

import cbor2
import pytest

from app.accounts.passkey_ceremony import (
    Assertion,
    CeremonyError,
    challenge_of,
    verify_assertion,
    verify_registration,
)
from app.accounts.schemas_passkeys import AuthenticationCredential, RegistrationCredential
from app.core.relying_party import RelyingParty
from tests.authenticator import (
    ATTESTED,
    BACKED_UP,
    ELIGIBLE,
    ORIGIN,
    PRESENT,
    VERIFIED,
    Authenticator,
    eddsa,
    es256,
    rs256,
    to_bytes,
    to_text,
)

CHALLENGE = b"a challenge of some bytes"
PARTY = RelyingParty("www.example.org", (ORIGIN,))
CREATION = {"challenge": to_text(CHALLENGE), "user": {"id": to_text(b"somebody")}}
REQUEST = {"challenge": to_text(CHALLENGE)}


def register(credential: dict[str, Any], challenge: bytes = CHALLENGE) -> Any:
    return verify_registration(RegistrationCredential.model_validate(credential), challenge, PARTY)


def authenticate(
    authenticator: Authenticator, credential: dict[str, Any], challenge: bytes = CHALLENGE
) -> Assertion:
    key = to_text(cbor2.dumps(authenticator.public_key))
    body = AuthenticationCredential.model_validate(credential)
    return verify_assertion(body, challenge, PARTY, public_key=key)


@pytest.mark.parametrize("algorithm", [es256, eddsa, rs256])
def test_passkey_when_made_and_used_then_known(algorithm: Callable[..., Any]) -> None:
    authenticator = Authenticator(algorithm=algorithm, flags=PRESENT | VERIFIED | ELIGIBLE | BACKED_UP)

    made = register(authenticator.create(CREATION))
    assert to_bytes(made.credential_id) == authenticator.credential_id
    assert cbor2.loads(to_bytes(made.public_key)) == authenticator.public_key
    assert (made.backup_eligible, made.backed_up) == (True, True)
    said = authenticate(authenticator, authenticator.get(REQUEST))
    assert said == Assertion(sign_count=1, user_verified=True, backed_up=True)


def test_passkey_when_its_user_was_not_verified_then_said_so() -> None:
    authenticator = Authenticator(flags=PRESENT)

    said = authenticate(authenticator, authenticator.get(REQUEST))

    assert said == Assertion(sign_count=1, user_verified=False, backed_up=False)


WRONG_CLIENT_DATA: list[dict[str, Any]] = [
    {"origin": "https://www.example.org.evil.net"},
    {"origin": "https://example.org"},
    {"origin": "http://www.example.org"},
    {"origin": "https://www.example.org:444"},
    {"origin": ""},
    {"origin": None},
    {"origin": [ORIGIN]},
    {"crossOrigin": True},
    {"crossOrigin": True, "topOrigin": "https://evil.net"},
    {"topOrigin": "https://evil.net"},
    {"challenge": to_text(b"another challenge of bytes")},
    {"challenge": ""},
    {"challenge": None},
    {"type": "webauthn.other"},
    {"type": None},
]


@pytest.mark.parametrize("wrong", [*WRONG_CLIENT_DATA, {"type": "webauthn.get"}])
def test_registration_when_the_browser_says_something_else_then_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(CeremonyError):
        register(Authenticator().create(CREATION, **wrong))


@pytest.mark.parametrize("wrong", [*WRONG_CLIENT_DATA, {"type": "webauthn.create"}])
def test_assertion_when_the_browser_says_something_else_then_refused(wrong: dict[str, Any]) -> None:
    authenticator = Authenticator()

    with pytest.raises(CeremonyError):
        authenticate(authenticator, authenticator.get(REQUEST, **wrong))


WRONG_AUTHENTICATORS: list[dict[str, Any]] = [
    {"rp_id": "example.org"},
    {"rp_id": "evil.net"},
    {"flags": 0},
    {"flags": VERIFIED},
    # Backed up, and not to be backed up (WebAuthn, 6.1.3).
    {"flags": PRESENT | VERIFIED | BACKED_UP},
]


@pytest.mark.parametrize("wrong", WRONG_AUTHENTICATORS)
def test_answer_when_of_another_site_or_without_its_user_then_refused(wrong: dict[str, Any]) -> None:
    authenticator = Authenticator(**wrong)

    with pytest.raises(CeremonyError):
        register(authenticator.create(CREATION))
    with pytest.raises(CeremonyError):
        authenticate(authenticator, authenticator.get(REQUEST))


@pytest.mark.parametrize("part", ["signature", "authenticatorData", "clientDataJSON"])
def test_assertion_when_a_bit_is_altered_then_refused(part: str) -> None:
    authenticator = Authenticator()
    credential = authenticator.get(REQUEST)
    signed = bytearray(to_bytes(credential["response"][part]))
    signed[-2] ^= 1

    credential["response"][part] = to_text(bytes(signed))

    with pytest.raises(CeremonyError):
        authenticate(authenticator, credential)


def test_assertion_when_signed_by_another_key_then_refused() -> None:
    mine, others = Authenticator(), Authenticator()

    with pytest.raises(CeremonyError):
        authenticate(mine, others.get(REQUEST))


def _key_with(**changes: Any) -> Callable[[], Any]:
    def make() -> Any:
        key, sign = es256()
        return {**key, **{int(name.replace("m", "-")): value for name, value in changes.items()}}, sign

    return make


@pytest.mark.parametrize(
    "algorithm",
    [
        lambda: rs256(1024),
        _key_with(**{"3": 0}),
        _key_with(**{"3": -65535}),
        _key_with(**{"3": -36}),
        _key_with(**{"3": None}),
        _key_with(**{"3": "none"}),
        _key_with(**{"1": 99}),
        _key_with(m1=3),
        _key_with(m2=b"\1" * 32),
        _key_with(m2=b""),
        _key_with(m2="text"),
        lambda: ({1: 3, 3: -257, -1: b"\xff" * 256, -2: b"\xff" * 200}, lambda _: b"no signature"),
        lambda: ({1: 3, 3: -257, -1: b"\xff" * 4096, -2: b"\1\0\1"}, lambda _: b"no signature"),
        lambda: ([1, 2], lambda _: b"no signature"),
        lambda: ({}, lambda _: b"no signature"),
    ],
)
def test_key_when_of_no_use_or_of_no_algorithm_of_ours_then_refused(algorithm: Callable[[], Any]) -> None:
    authenticator = Authenticator(algorithm=algorithm)

    with pytest.raises(CeremonyError):
        register(authenticator.create(CREATION))
    if isinstance(authenticator.public_key, dict):
        with pytest.raises(CeremonyError):
            authenticate(authenticator, authenticator.get(REQUEST))


@pytest.mark.parametrize(
    "attestation",
    [
        b"",
        b"\xff",
        b"\x81" * 12_000,
        b"\x9b" + b"\xff" * 8,
        b"\xa1\x61a\x01",
        cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": b""}),
        cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": "text"}),
        cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": None}),
        cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": b"\0" * 12_000}),
        cbor2.dumps([1, 2, 3]),
        cbor2.dumps("text"),
    ],
)
def test_attestation_when_garbage_then_refused(attestation: bytes) -> None:
    credential = Authenticator().create(CREATION)
    credential["response"]["attestationObject"] = to_text(attestation) or "A"

    with pytest.raises(CeremonyError):
        register(credential)


def test_attestation_when_it_has_certificates_then_they_are_not_read() -> None:
    credential = Authenticator().create(CREATION)
    found = cbor2.loads(to_bytes(credential["response"]["attestationObject"]))
    statement = {"alg": -7, "sig": b"no signature", "x5c": [b"no certificate"]}
    credential["response"]["attestationObject"] = to_text(
        cbor2.dumps({**found, "fmt": "packed", "attStmt": statement})
    )

    assert register(credential).credential_id == credential["id"]


def test_credential_when_its_id_is_not_that_of_the_authenticator_then_refused() -> None:
    credential = Authenticator().create(CREATION)
    credential["id"] = credential["rawId"] = to_text(b"the id of somebody else's passkey")

    with pytest.raises(CeremonyError):
        register(credential)


def test_credential_when_its_key_is_missing_then_refused() -> None:
    authenticator = Authenticator()
    credential = authenticator.create(CREATION)
    data = hashlib.sha256(b"www.example.org").digest() + struct.pack(">BI", PRESENT | VERIFIED, 0)
    for flags in (0, ATTESTED):
        auth_data = data[:32] + bytes([data[32] | flags]) + data[33:]
        credential["response"]["attestationObject"] = to_text(
            cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": auth_data})
        )
        with pytest.raises(CeremonyError):
            register(credential)


@pytest.mark.parametrize(
    "said", [b"", b"no JSON", b"[]", b"{}", b'{"challenge": 5}', b"\xff\xff", b"[" * 3000]
)
def test_challenge_when_the_browser_says_nothing_of_it_then_refused(said: bytes) -> None:
    with pytest.raises(CeremonyError):
        challenge_of(to_text(said))
