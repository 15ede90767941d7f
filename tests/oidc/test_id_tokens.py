"""ID tokens: what is believed, and each lie that is not."""

import hashlib
import time
from base64 import urlsafe_b64encode
from typing import Any

import httpx
import jwt
import pytest
from starlette.responses import PlainTextResponse

from app.core.clock import utc_now
from app.core.way_out import STRAIGHT
from app.oidc.errors import ProviderAwayError, ProviderBrokenError, TokenRefusedError
from app.oidc.id_token import Expected
from app.oidc.issuers import Issuers
from app.oidc.keys import KEY_TYPES, MOST_KEYS
from tests.oidc.hostile import CLIENT_ID, HostileProvider, private_key, public_jwk, signed

NONCE = "a nonce of this log-in"


async def verify(issuers: Issuers, hostile: HostileProvider, token: str, **expected: Any) -> str:
    wanted = Expected(**{"audience": CLIENT_ID, "nonce": NONCE, **expected})
    return (await issuers.of(hostile.url).verify(token, wanted)).subject


@pytest.mark.parametrize("algorithm", sorted(KEY_TYPES))
async def test_verify_when_signed_with_an_allowed_algorithm_then_believed(
    issuers: Issuers, hostile: HostileProvider, algorithm: str
) -> None:
    hostile.keys = [public_jwk("RS256", "two"), public_jwk(algorithm, "one")]
    hostile.algorithm = algorithm

    assert await verify(issuers, hostile, hostile.sign(nonce=NONCE)) == "4711"


LIES: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://example.org"},
    "its own name with a slash": {"iss": "URL/"},
    "another audience": {"aud": "another"},
    "no audience": {"aud": None},
    "several audiences and no party": {"aud": [CLIENT_ID, "another"]},
    "another party": {"azp": "another"},
    "another nonce": {"nonce": "of another"},
    "no nonce": {"nonce": None},
    "a nonce that is no text": {"nonce": [NONCE]},
    "expired": {"exp": int(time.time()) - 120},
    "no end": {"exp": None},
    "an end that is no number": {"exp": "tomorrow"},
    "an end beyond time": {"exp": 1e300},
    "from the future": {"iat": int(time.time()) + 86_400},
    "not before later": {"nbf": int(time.time()) + 86_400},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject without end": {"sub": "x" * 256},
    "a subject that is no text": {"sub": 4711},
    "another access token": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
}


@pytest.mark.parametrize("lie", sorted(LIES))
async def test_verify_when_a_claim_is_wrong_then_refused(
    issuers: Issuers, hostile: HostileProvider, lie: str
) -> None:
    changes = LIES[lie]
    hostile.claims = changes | ({"iss": f"{hostile.url}/"} if changes.get("iss") == "URL/" else {})

    with pytest.raises(TokenRefusedError) as refused:
        await verify(issuers, hostile, hostile.sign(nonce=NONCE), access_token="at")

    assert NONCE not in str(refused.value)


async def test_verify_when_access_token_and_party_fit_then_believed(
    issuers: Issuers, hostile: HostileProvider
) -> None:
    left_half = urlsafe_b64encode(hashlib.sha256(b"at").digest()[:16]).decode().rstrip("=")
    hostile.claims = {"at_hash": left_half, "aud": [CLIENT_ID, "another"], "azp": CLIENT_ID}

    assert await verify(issuers, hostile, hostile.sign(nonce=NONCE), access_token="at") == "4711"


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_verify_when_nobody_signed_then_refused(
    issuers: Issuers, hostile: HostileProvider, algorithm: str
) -> None:
    hostile.algorithm = algorithm

    with pytest.raises(TokenRefusedError, match="algorithm"):
        await verify(issuers, hostile, hostile.sign(nonce=NONCE))


async def test_verify_when_signed_by_another_with_the_keys_name_then_refused(
    issuers: Issuers, hostile: HostileProvider
) -> None:
    now = int(time.time())
    claims = {"iss": hostile.url, "aud": CLIENT_ID, "sub": "1", "iat": now, "exp": now + 60, "nonce": NONCE}

    with pytest.raises(TokenRefusedError, match="Signature"):
        await verify(issuers, hostile, signed(claims, name="a stranger's"))


async def test_verify_when_the_token_brings_its_key_then_not_looked_at(
    issuers: Issuers, hostile: HostileProvider
) -> None:
    now = int(time.time())
    claims = {"iss": hostile.url, "aud": CLIENT_ID, "sub": "1", "iat": now, "exp": now + 60, "nonce": NONCE}
    brought = {"kid": "one", "jwk": public_jwk("RS256", "one", "brought"), "jku": f"{hostile.url}/mine"}
    token = jwt.encode(claims, private_key("RS256", "brought"), algorithm="RS256", headers=brought)

    with pytest.raises(TokenRefusedError, match="Signature"):
        await verify(issuers, hostile, token)

    assert "/mine" not in hostile.asked


@pytest.mark.parametrize(
    "change", [{"use": "enc"}, {"alg": "RS512"}, {"key_ops": ["encrypt"]}, {"kty": "oct", "k": "AAAA"}]
)
async def test_verify_when_the_key_is_for_something_else_then_refused(
    issuers: Issuers, hostile: HostileProvider, change: dict[str, Any]
) -> None:
    hostile.keys = [public_jwk("RS256", "one") | change]

    with pytest.raises(TokenRefusedError, match="does not have"):
        await verify(issuers, hostile, hostile.sign(nonce=NONCE))


async def test_verify_when_a_key_is_short_or_slow_then_refused(
    issuers: Issuers, hostile: HostileProvider
) -> None:
    slow = public_jwk("RS256", "slow")
    hostile.keys = [public_jwk("RS256", "short", "short"), slow | {"n": "w" * 4000}]
    now = int(time.time())
    claims = {"iss": hostile.url, "aud": CLIENT_ID, "sub": "1", "iat": now, "exp": now + 60, "nonce": NONCE}

    for token in (signed(claims, kid="short", name="short"), signed(claims, kid="slow")):
        with pytest.raises(TokenRefusedError, match="does not have"):
            await verify(issuers, hostile, token)


async def test_verify_when_keys_change_then_looked_for_again_once_a_minute(hostile: HostileProvider) -> None:
    times = [1000.0]
    issuers = Issuers(STRAIGHT, now=utc_now, allow_this_machine=True, clock=lambda: times[0])
    await verify(issuers, hostile, hostile.sign(nonce=NONCE))
    hostile.keys, hostile.kid = [public_jwk("ES256", "new")], "new"
    hostile.algorithm = "ES256"

    for _ in range(5):
        with pytest.raises(TokenRefusedError, match="does not have"):
            await verify(issuers, hostile, hostile.sign(nonce=NONCE))
    assert hostile.asked.count("/keys") == 1

    times[0] += 61
    assert await verify(issuers, hostile, hostile.sign(nonce=NONCE)) == "4711"
    for kid in range(20):
        hostile.kid = f"made up {kid}"
        with pytest.raises(TokenRefusedError, match="does not have"):
            await verify(issuers, hostile, hostile.sign(nonce=NONCE))
    assert hostile.asked.count("/keys") == 2


async def test_verify_when_the_issuer_is_away_then_its_last_keys_are_used(hostile: HostileProvider) -> None:
    times = [1000.0]
    issuers = Issuers(STRAIGHT, now=utc_now, allow_this_machine=True, clock=lambda: times[0])
    token = hostile.sign(nonce=NONCE)
    await verify(issuers, hostile, token)
    hostile.raw = {
        path: PlainTextResponse("away", status_code=503)
        for path in ("/keys", "/.well-known/openid-configuration")
    }

    times[0] += 2 * 3600
    assert await verify(issuers, hostile, token) == "4711"

    times[0] += 25 * 3600
    with pytest.raises(ProviderAwayError):
        await verify(issuers, hostile, token)


async def test_verify_when_there_are_too_many_keys_then_broken(
    issuers: Issuers, hostile: HostileProvider
) -> None:
    hostile.keys = [{"kty": "RSA"}] * (MOST_KEYS + 1)

    with pytest.raises(ProviderBrokenError, match="more than"):
        await verify(issuers, hostile, hostile.sign(nonce=NONCE))


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "." * 20_000, "x" * 20_000, "e30.e30.", "bnVsbA.e30.AA"])
async def test_verify_when_it_is_no_token_then_refused_without_a_question(
    issuers: Issuers, hostile: HostileProvider, token: str
) -> None:
    with pytest.raises(TokenRefusedError):
        await verify(issuers, hostile, token)

    assert hostile.asked == []


async def test_verify_when_a_real_provider_signed_then_believed(issuers: Issuers, real_provider: str) -> None:
    async with httpx.AsyncClient(base_url=real_provider) as http:
        redirect, query = "http://127.0.0.1/back", {"scope": "openid email", "nonce": NONCE, "state": "s"}
        sent = await http.post(
            "/oauth2/authorize",
            params={"client_id": CLIENT_ID, "redirect_uri": redirect, "response_type": "code", **query},
            data={"sub": "ada"},
        )
        code = sent.headers["location"].partition("code=")[2].partition("&")[0]
        metadata = await issuers.of(real_provider).metadata()
        found = await issuers.fetcher.redeem(
            metadata.token_endpoint,
            {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect},
            basic=(CLIENT_ID, "any"),
        )

    claims = await issuers.of(real_provider).verify(
        found["id_token"], Expected(CLIENT_ID, nonce=NONCE, access_token=found["access_token"])
    )

    assert (claims.subject, claims.issuer) == ("ada", real_provider)
