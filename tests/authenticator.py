"""A small authenticator in software: what browsers and security keys send, and anything that is wrong with it."""

import hashlib
import json
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

ORIGIN = "https://www.example.org"
"""Of the site, unless a test says otherwise."""
PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40
Signer = Callable[[bytes], bytes]


def to_text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def to_bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def es256() -> tuple[dict[int, Any], Signer]:
    private = ec.generate_private_key(ec.SECP256R1())
    point = private.public_key().public_numbers()
    key = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
    return key, lambda data: private.sign(data, ec.ECDSA(hashes.SHA256()))


def eddsa() -> tuple[dict[int, Any], Signer]:
    private = ed25519.Ed25519PrivateKey.generate()
    return {1: 1, 3: -8, -1: 6, -2: private.public_key().public_bytes_raw()}, private.sign


def rs256(bits: int = 2048) -> tuple[dict[int, Any], Signer]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    numbers = private.public_key().public_numbers()
    key = {1: 3, 3: -257, -1: numbers.n.to_bytes(bits // 8, "big"), -2: b"\x01\x00\x01"}
    return key, lambda data: private.sign(data, padding.PKCS1v15(), hashes.SHA256())


@dataclass
class Authenticator:
    """One credential, and what it says; each field is one thing that a test may set wrong."""

    rp_id: str = "www.example.org"
    origin: str = ORIGIN
    algorithm: Callable[[], tuple[dict[int, Any], Signer]] = es256
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    flags: int = PRESENT | VERIFIED
    sign_count: int = 0
    counts: bool = True
    user_handle: bytes | None = None

    def __post_init__(self) -> None:
        self.public_key, self.sign = self.algorithm()

    def create(self, options: Mapping[str, Any], **client_data: Any) -> dict[str, Any]:
        """Return what `navigator.credentials.create` would; `client_data` overrides what the browser says."""
        self.user_handle = to_bytes(options["user"]["id"])
        auth_data = self._auth_data(self.flags | ATTESTED) + self.attested()
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": auth_data})
        response = {
            "clientDataJSON": to_text(self._client_data("webauthn.create", options, client_data)),
            "attestationObject": to_text(attestation),
            "transports": ["internal", "hybrid"],
        }
        return self._credential(response)

    def get(self, options: Mapping[str, Any], **client_data: Any) -> dict[str, Any]:
        """Return what `navigator.credentials.get` would; `client_data` overrides what the browser says."""
        if self.counts:
            self.sign_count += 1
        auth_data = self._auth_data(self.flags)
        said = self._client_data("webauthn.get", options, client_data)
        response = {
            "clientDataJSON": to_text(said),
            "authenticatorData": to_text(auth_data),
            "signature": to_text(self.sign(auth_data + hashlib.sha256(said).digest())),
            "userHandle": to_text(self.user_handle) if self.user_handle else None,
        }
        return self._credential(response)

    def attested(self) -> bytes:
        """The part of the authenticator's data that has the key."""
        length = struct.pack(">H", len(self.credential_id))
        return bytes(16) + length + self.credential_id + cbor2.dumps(self.public_key)

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        identifier = to_text(self.credential_id)
        return {
            "id": identifier,
            "rawId": identifier,
            "type": "public-key",
            "response": response,
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
        }

    def _auth_data(self, flags: int) -> bytes:
        return hashlib.sha256(self.rp_id.encode()).digest() + struct.pack(">BI", flags, self.sign_count)

    def _client_data(self, kind: str, options: Mapping[str, Any], changes: Mapping[str, Any]) -> bytes:
        said = {
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": False,
            **changes,
        }
        return json.dumps(said).encode()
