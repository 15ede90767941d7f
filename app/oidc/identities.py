"""Who somebody is at a provider: the authorization code flow with PKCE, up to the identity."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from app.core.providers import GITHUB, Provider
from app.oidc.discovery import Metadata
from app.oidc.errors import ProviderBrokenError, TokenRefusedError
from app.oidc.id_token import LONGEST_SUBJECT, Expected
from app.oidc.issuers import Issuers

LONGEST_ADDRESS, LONGEST_NAME = 254, 50
GITHUB_API: Final = "https://api.github.com"
UNREACHABLE: Final = "@users.noreply.github.com"
"""Addresses that GitHub shows and that take no mail."""
GOOGLE: Final = "https://accounts.google.com"
GMAIL: Final = ("@gmail.com", "@googlemail.com")


@dataclass(frozen=True, slots=True)
class Flow:
    """The secrets of one log-in: what the provider sees of them are the state, the nonce and the challenge."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str

    @property
    def challenge(self) -> str:
        """What is made of the verifier (RFC 7636, S256)."""
        return urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody at a provider.

    Attributes:
        issuer: whose statement it is.
        subject: who it is there, for ever; addresses and names may change hands.
        email: the address that the provider names; empty for none.
        is_verified: whether the provider says that the address is theirs.
        first_name: perhaps empty.
        last_name: perhaps empty.
        label: what they are called there, to be shown: a user name or an address.
    """

    issuer: str
    subject: str
    email: str
    is_verified: bool
    first_name: str
    last_name: str
    label: str


async def authorization_address(issuers: Issuers, provider: Provider, flow: Flow) -> str:
    """Return the address at the provider that the browser goes to.

    Raises:
        ProviderAwayError, ProviderBrokenError: the provider does not say which.
    """
    metadata = await metadata_of(issuers, provider)
    if not metadata.authorization_endpoint or not metadata.token_endpoint:
        raise ProviderBrokenError("the provider's metadata name no endpoint for log-ins")
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": flow.redirect_uri,
        "scope": provider.scopes,
        "state": flow.state,
        "code_challenge": flow.challenge,
        "code_challenge_method": "S256",
    }
    if provider.kind == "openid":
        query["nonce"] = flow.nonce
    joint = "&" if "?" in metadata.authorization_endpoint else "?"
    return f"{metadata.authorization_endpoint}{joint}{urlencode(query)}"


async def metadata_of(issuers: Issuers, provider: Provider) -> Metadata:
    """Return the provider's metadata; GitHub publishes none.

    Raises:
        ProviderAwayError, ProviderBrokenError: there are none.
    """
    if provider.kind == "openid":
        return await issuers.of(provider.issuer).metadata()
    return Metadata(
        issuer=provider.issuer,
        authorization_endpoint=f"{provider.issuer}/login/oauth/authorize",
        token_endpoint=f"{provider.issuer}/login/oauth/access_token",
        takes_secret_in_form=True,
    )


async def identify(issuers: Issuers, provider: Provider, flow: Flow, *, code: str, issuer: str) -> Identity:
    """Redeem the code of an answer, and return who it was given for.

    Args:
        issuers: the issuers of the process.
        provider: the one that the browser was sent to.
        flow: the log-in that the answer belongs to.
        code: of the answer.
        issuer: `iss` of the answer; empty where it has none.

    Raises:
        TokenRefusedError: the answer is another provider's, or its ID token is not to be believed.
        GrantRefusedError: the provider does not take the code.
        ProviderAwayError, ProviderBrokenError: the provider does not answer as it should.
    """
    metadata = await metadata_of(issuers, provider)
    if (issuer or metadata.names_itself) and issuer != metadata.issuer:
        raise TokenRefusedError("the answer comes from another provider (iss)")
    grant = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": flow.redirect_uri,
        "code_verifier": flow.verifier,
    }
    secret = provider.client_secret.get_secret_value()
    if metadata.takes_secret_in_form:
        grant |= {"client_id": provider.client_id, "client_secret": secret}
    basic = None if metadata.takes_secret_in_form else (provider.client_id, secret)
    tokens = await issuers.fetcher.redeem(metadata.token_endpoint, grant, basic=basic)
    access_token = _required_text(tokens, "access_token")
    if provider.kind == "github":
        return await _at_github(issuers, provider, access_token)
    expected = Expected(provider.client_id, nonce=flow.nonce, access_token=access_token)
    claims = await issuers.of(provider.issuer).verify(_required_text(tokens, "id_token"), expected)
    told = claims.others
    if metadata.userinfo_endpoint and "email" in provider.scopes.split() and "email" not in told:
        told = {**await _userinfo(issuers, metadata, access_token, claims.subject), **told}
    return _identity(provider.issuer, claims.subject, told)


async def _userinfo(
    issuers: Issuers, metadata: Metadata, access_token: str, subject: str
) -> Mapping[str, Any]:
    """Return what the provider says beside the ID token, if it is of the same person (Core, section 5.3.2)."""
    found = await issuers.fetcher.get(metadata.userinfo_endpoint, access_token=access_token)
    if not isinstance(found, dict) or found.get("sub") != subject:
        raise TokenRefusedError("what the provider says of the person is about another one (sub)")
    return found


def _identity(issuer: str, subject: str, told: Mapping[str, Any]) -> Identity:
    email = _text(told, "email", LONGEST_ADDRESS)
    first, last = _text(told, "given_name"), _text(told, "family_name")
    if not first and not last:
        first, _, last = _text(told, "name", 2 * LONGEST_NAME).partition(" ")
    return Identity(
        issuer=issuer,
        subject=subject,
        email=email,
        is_verified=bool(email) and told.get("email_verified") is True and _may_verify(issuer, email, told),
        first_name=first[:LONGEST_NAME],
        last_name=last.strip()[:LONGEST_NAME],
        label=_text(told, "preferred_username", LONGEST_ADDRESS) or email or subject[:LONGEST_ADDRESS],
    )


def _may_verify(issuer: str, email: str, told: Mapping[str, Any]) -> bool:
    """Say whether the provider knows that the address is theirs today.

    Google has asked everybody once; it knows it of its own addresses, and of those of organisations that it serves.
    """
    return issuer != GOOGLE or email.lower().endswith(GMAIL) or bool(told.get("hd"))


def github_api(provider: Provider) -> str:
    """Return the root of GitHub's API, or of that of an Enterprise Server."""
    return GITHUB_API if provider.issuer == GITHUB else f"{provider.issuer}/api/v3"


async def _at_github(issuers: Issuers, provider: Provider, access_token: str) -> Identity:
    """Ask GitHub, which signs no tokens, for the person and their addresses."""
    api = github_api(provider)
    person = await issuers.fetcher.get(f"{api}/user", access_token=access_token)
    number = person.get("id") if isinstance(person, dict) else None
    if isinstance(number, bool) or not isinstance(number, int) or number <= 0:
        raise ProviderBrokenError("GitHub does not say whose token it is")
    addresses = await issuers.fetcher.get(f"{api}/user/emails", access_token=access_token)
    email, is_verified = _primary(addresses)
    first, _, last = _text(person, "name", 2 * LONGEST_NAME).partition(" ")
    return Identity(
        issuer=provider.issuer,
        subject=str(number)[:LONGEST_SUBJECT],
        email=email,
        is_verified=is_verified,
        first_name=first[:LONGEST_NAME],
        last_name=last.strip()[:LONGEST_NAME],
        label=_text(person, "login", LONGEST_ADDRESS) or str(number),
    )


def _primary(addresses: object) -> tuple[str, bool]:
    """Return the primary address of GitHub's list that takes mail, and whether it is verified."""
    listed = [each for each in addresses if isinstance(each, dict)] if isinstance(addresses, list) else []
    for each in sorted(
        listed, key=lambda each: (each.get("primary") is not True, each.get("verified") is not True)
    ):
        email = _text(each, "email", LONGEST_ADDRESS)
        if email and not email.endswith(UNREACHABLE):
            return email, each.get("verified") is True
    return "", False


def _required_text(document: object, name: str) -> str:
    found = document.get(name) if isinstance(document, dict) else None
    if not isinstance(found, str) or not found:
        raise ProviderBrokenError(f"the provider's answer has no {name}")
    return found


def _text(document: Mapping[str, Any], name: str, longest: int = LONGEST_NAME) -> str:
    """Return a text for people, in one line; empty where there is none, or one that is too long to be an address."""
    found = document.get(name)
    if not isinstance(found, str) or (name == "email" and len(found) > longest):
        return ""
    return " ".join("".join(each if each.isprintable() else " " for each in found).split())[:longest]
