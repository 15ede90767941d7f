"""A provider that does what it is told: right in all, or wrong in one thing."""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
import warnings
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tests.servers import serving

CLIENT_ID, CLIENT_SECRET = "openml", "a secret of the client"
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def private_key(algorithm: str, name: str = "") -> Private:
    """Return a key for an algorithm; another for each name."""
    if algorithm.startswith("ES"):
        curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
        return ec.generate_private_key(curves[algorithm])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=1024 if name == "short" else 2048)


def public_jwk(algorithm: str, kid: str, name: str = "") -> dict[str, Any]:
    """Return the public half of a key, as a set has it."""
    made: Any = get_default_algorithms()[algorithm]
    jwk: dict[str, Any] = made.to_jwk(private_key(algorithm, name).public_key(), as_dict=True)
    return {**jwk, "kid": kid, "use": "sig"}


def public_pem(algorithm: str) -> bytes:
    """Return the public half of a key as text, which is no secret."""
    return (
        private_key(algorithm)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


@dataclass
class HostileProvider:
    """An OpenID provider of this machine.

    Attributes:
        person: claims of whoever signs in there.
        metadata: changes to its metadata; None leaves a member out.
        claims: changes to the ID token's claims; None leaves one out.
        token: changes to the token endpoint's answer.
        keys: the set of keys; None: those of RS256.
        algorithm: which signs.
        kid: the name of the key in the token.
        raw: whole answers in place of its own, by path.
        slow_seconds: how long every answer takes.
        asked: the paths that were asked for, in order.
        forms: the forms that the token endpoint was sent.
    """

    url: str = ""
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "4711"})
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    token: dict[str, Any] = field(default_factory=dict)
    keys: Sequence[Mapping[str, Any]] | None = None
    algorithm: str = "RS256"
    kid: str | None = "one"
    raw: dict[str, Response] = field(default_factory=dict)
    slow_seconds: float = 0
    userinfo: dict[str, Any] | None = None
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    iss_in_answer: str | None = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        self.asked.append(request.url.path)
        await asyncio.sleep(self.slow_seconds)
        response = self.raw.get(request.url.path) or await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        match request.url.path:
            case "/.well-known/openid-configuration":
                return JSONResponse(_changed(self._own_metadata(), self.metadata))
            case "/keys":
                keys = self.keys if self.keys is not None else [public_jwk("RS256", "one")]
                return JSONResponse({"keys": list(keys)})
            case "/token":
                return self._redeem(dict(parse_qsl((await request.body()).decode())))
            case "/userinfo":
                return JSONResponse(self.userinfo if self.userinfo is not None else self.person)
            case _:
                return JSONResponse({"error": "not here"}, status_code=404)

    def _own_metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/keys",
            "authorization_response_iss_parameter_supported": True,
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": [self.algorithm],
        }

    def authorize(self, address: str) -> dict[str, str]:
        """Consent to what a browser was sent here with; return the parameters that it is sent back with."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        issuer = self.url if self.iss_in_answer == "" else self.iss_in_answer
        return {"code": code, "state": asked["state"], **({"iss": issuer} if issuer else {})}

    def _redeem(self, form: dict[str, str]) -> Response:
        """Redeem a code once, by the verifier that its challenge was made of."""
        self.forms.append(form)
        asked = self.codes.pop(form.get("code", ""), None)
        assert form["grant_type"] == "authorization_code"
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri") or not proves(form, asked):
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        answer = {"access_token": "at", "token_type": "Bearer", "id_token": self.sign(nonce=asked["nonce"])}
        return JSONResponse(_changed(answer, self.token))

    def sign(self, **claims: Any) -> str:
        """Return an ID token, with the changes that are set."""
        now = int(time.time())
        own = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, **self.person, **claims}
        return signed(_changed(own, self.claims), self.algorithm, self.kid)


def signed(
    claims: Mapping[str, Any], algorithm: str = "RS256", kid: str | None = "one", *, name: str = ""
) -> str:
    """Return a token; `none` has no signature, and an HS one is signed with the public key of RS256."""
    headers = {"kid": kid} if kid is not None else {}
    if algorithm == "none":
        return jwt.encode(dict(claims), "", algorithm="none", headers=headers)
    if algorithm.startswith("HS"):
        return _signed_with_public_key(claims, headers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
        return jwt.encode(dict(claims), private_key(algorithm, name), algorithm=algorithm, headers=headers)


def _signed_with_public_key(claims: Mapping[str, Any], headers: Mapping[str, Any]) -> str:
    """As PyJWT refuses to: with the PEM of a public key as the secret of HS256."""
    parts = [_part(json.dumps(each).encode()) for each in ({"alg": "HS256", "typ": "JWT", **headers}, claims)]
    signature = hmac.digest(public_pem("RS256"), ".".join(parts).encode(), "sha256")
    return ".".join([*parts, _part(signature)])


def _part(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def proves(form: Mapping[str, str], asked: Mapping[str, str]) -> bool:
    """Say whether the verifier of a grant is that of the challenge (RFC 7636)."""
    return _part(hashlib.sha256(form.get("code_verifier", "").encode()).digest()) == asked["code_challenge"]


def _changed(own: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**own, **changes}.items() if value is not None}


@asynccontextmanager
async def serving_provider(**settings: Any) -> AsyncIterator[HostileProvider]:
    """Run a provider."""
    provider = HostileProvider(**settings)
    async with serving(provider) as root:
        provider.url = root.rstrip("/")
        yield provider
