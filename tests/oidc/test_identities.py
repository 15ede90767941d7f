"""What is taken of what providers say about people."""

from typing import Any

import pytest

from app.oidc.identities import GOOGLE, Flow, _identity

VERIFIED = {"email": "ada@example.org", "email_verified": True}


@pytest.mark.parametrize(
    ("issuer", "told", "verified"),
    [
        ("https://login.example.org", VERIFIED, True),
        # Google has asked once whether the address is theirs; that of an organisation may be somebody else's by now.
        (GOOGLE, VERIFIED, False),
        (GOOGLE, VERIFIED | {"hd": "example.org"}, True),
        (GOOGLE, VERIFIED | {"email": "ada@gmail.com"}, True),
        (GOOGLE, VERIFIED | {"email": "ada@gmail.com.example.org"}, False),
        (GOOGLE, {"email": "ada@gmail.com", "email_verified": False}, False),
    ],
)
def test_identity_when_an_address_is_verified_then_only_by_whoever_knows(
    issuer: str, told: dict[str, Any], *, verified: bool
) -> None:
    assert _identity(issuer, "1", told).is_verified is verified


@pytest.mark.parametrize(
    ("told", "names"),
    [
        ({"given_name": "Ada", "family_name": "Lovelace", "name": "Countess"}, ("Ada", "Lovelace")),
        ({"name": "Ada King Lovelace"}, ("Ada", "King Lovelace")),
        ({"name": "Ada\u202e\n\x1b[2J"}, ("Ada", "[2J")),
        ({"name": "x" * 500}, ("x" * 50, "")),
        ({"given_name": ["Ada"], "name": None}, ("", "")),
    ],
)
def test_identity_when_names_are_told_then_short_and_in_one_line(
    told: dict[str, Any], names: tuple[str, str]
) -> None:
    identity = _identity("https://login.example.org", "1", told)

    assert (identity.first_name, identity.last_name) == names


def test_challenge_when_made_then_that_of_the_standard() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

    flow = Flow(state="", nonce="", verifier=verifier, redirect_uri="")

    assert flow.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
