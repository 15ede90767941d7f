"""Providers whose answers are too large, too slow, somewhere else, or another's."""

import gzip
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from app.core.way_out import STRAIGHT
from app.oidc.errors import GrantRefusedError, OidcError, ProviderAwayError, ProviderBrokenError
from app.oidc.fetching import ANSWER_BYTES, Fetcher, is_secure
from app.oidc.issuers import MOST_ISSUERS, Issuers, is_issuer
from tests.oidc.hostile import HostileProvider

DISCOVERY = "/.well-known/openid-configuration"


async def test_metadata_when_right_then_kept(issuers: Issuers, hostile: HostileProvider) -> None:
    first = await issuers.of(hostile.url).metadata()
    second = await issuers.of(hostile.url).metadata()

    assert first == second
    assert first.names_itself
    assert hostile.asked == [DISCOVERY]


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://accounts.example.org"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": "http://10.0.0.1/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"token_endpoint": "http://example.org/token"},
        {"token_endpoint": ["https://example.org/token"]},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://user:password@example.org/"},
        {"authorization_endpoint": f"https://example.org/{'x' * 3000}"},
    ],
)
async def test_metadata_when_wrong_then_broken(
    issuers: Issuers, hostile: HostileProvider, change: dict[str, Any]
) -> None:
    hostile.metadata = change

    with pytest.raises(ProviderBrokenError):
        await issuers.of(hostile.url).metadata()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (RedirectResponse("/keys"), ProviderBrokenError),
        (PlainTextResponse("<html>"), ProviderBrokenError),
        (PlainTextResponse("[" * 100_000), ProviderBrokenError),
        (JSONResponse([]), ProviderBrokenError),
        (PlainTextResponse("x" * (ANSWER_BYTES + 1)), ProviderBrokenError),
        (
            Response(gzip.compress(b"0" * 50_000_000), headers={"Content-Encoding": "gzip"}),
            ProviderBrokenError,
        ),
        (PlainTextResponse("away", status_code=503), ProviderAwayError),
        (PlainTextResponse("not here", status_code=404), ProviderBrokenError),
    ],
    ids=["redirect", "html", "nested", "list", "huge", "bomb", "away", "missing"],
)
async def test_metadata_when_the_answer_is_none_then_said(
    issuers: Issuers, hostile: HostileProvider, answer: Response, error: type[OidcError]
) -> None:
    hostile.raw = {DISCOVERY: answer}

    with pytest.raises(error):
        await issuers.of(hostile.url).metadata()
    # Whoever comes next does not wait for it again.
    with pytest.raises(error):
        await issuers.of(hostile.url).metadata()

    assert len(hostile.asked) == (2 if error is ProviderAwayError else 1)


async def test_get_when_slow_then_given_up(hostile: HostileProvider) -> None:
    hostile.slow_seconds = 1

    with pytest.raises(ProviderAwayError, match="longer than"):
        await Fetcher(STRAIGHT, seconds=0.05).get(f"{hostile.url}{DISCOVERY}")


async def test_redeem_when_nobody_listens_then_away(unused_port: int) -> None:
    with pytest.raises(ProviderAwayError, match="cannot be reached"):
        await Fetcher(STRAIGHT).redeem(f"http://127.0.0.1:{unused_port}/token", {}, basic=None)


@pytest.mark.parametrize("status", [200, 400])
async def test_redeem_when_refused_then_its_code_is_told_and_nothing_else(
    hostile: HostileProvider, status: int
) -> None:
    hostile.raw = {"/token": JSONResponse({"error": "bad_verification_code\n\x1b"}, status_code=status)}

    with pytest.raises(GrantRefusedError) as refused:
        await Fetcher(STRAIGHT).redeem(f"{hostile.url}/token", {"code": "secret"}, basic=None)

    assert refused.value.error == "bad_verification_code"
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "secure"),
    [
        ("https://example.org", True),
        ("https://example.org/realms/one", True),
        ("http://example.org", False),
        ("http://127.0.0.1:9", True),
        ("ftp://127.0.0.1", False),
        ("https://example.org#x", False),
        ("https://user@example.org", False),
        ("https://", False),
        ("https://example.org:99999", False),
        ("https://exämple.org", False),
        ("", False),
    ],
)
def test_is_secure_when_asked_then_https_or_this_machine(url: str, *, secure: bool) -> None:
    assert is_secure(url) is secure


def test_is_secure_when_the_issuer_is_elsewhere_then_not_on_this_machine() -> None:
    assert not is_secure("https://localhost/keys", beside="https://example.org")
    assert not is_secure("http://127.0.0.1:8080/keys", beside="https://example.org")
    assert is_secure("https://keys.example.net/keys", beside="https://example.org")


def test_is_issuer_when_in_production_then_not_on_this_machine() -> None:
    assert not is_issuer("http://127.0.0.1:9", allow_this_machine=False)
    assert not is_issuer("https://localhost", allow_this_machine=False)
    assert not is_issuer("https://[::1]:9", allow_this_machine=False)
    assert not is_issuer("https://example.org/?x", allow_this_machine=True)
    assert is_issuer("https://example.org", allow_this_machine=False)


def test_of_when_there_are_many_then_bounded(issuers: Issuers) -> None:
    first = issuers.of("https://0.example.org")
    assert issuers.of("https://0.example.org") is first

    for number in range(MOST_ISSUERS + 1):
        issuers.of(f"https://{number + 1}.example.org")

    assert issuers.of("https://0.example.org") is not first
