"""What a provider says of itself (OpenID Connect Discovery 1.0, RFC 8414)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.oidc.errors import ProviderBrokenError
from app.oidc.fetching import is_secure

WELL_KNOWN = "/.well-known/openid-configuration"
LONGEST_ADDRESS = 2000


@dataclass(frozen=True, slots=True)
class Metadata:
    """The part of a provider's metadata that is used here.

    Attributes:
        issuer: its name; every token of it says the same.
        authorization_endpoint: where people are sent; empty where it only signs tokens, as CI services do.
        token_endpoint: where codes are redeemed; empty likewise.
        jwks_uri: where its keys are; empty where it signs nothing (GitHub).
        userinfo_endpoint: where it says of people what is not in their ID token; empty where it has none.
        names_itself: whether its answers to the browser name it (RFC 9207), so that one without the name is another's.
        takes_secret_in_form: whether the client's secret belongs into the form and not into a header.
    """

    issuer: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    jwks_uri: str = ""
    userinfo_endpoint: str = ""
    names_itself: bool = False
    takes_secret_in_form: bool = False


def metadata_address(issuer: str) -> str:
    """Return where an issuer's metadata are."""
    return f"{issuer.rstrip('/')}{WELL_KNOWN}"


def read_metadata(issuer: str, document: object) -> Metadata:
    """Return the metadata of an issuer.

    Raises:
        ProviderBrokenError: they are another's, or name an address that is not to be asked.
    """
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise ProviderBrokenError(f"the metadata at {metadata_address(issuer)} are not those of {issuer}")
    if not document.get("jwks_uri"):
        raise ProviderBrokenError(f"the metadata of {issuer} name no jwks_uri")
    methods = _strings(document, "token_endpoint_auth_methods_supported")
    return Metadata(
        issuer=issuer,
        authorization_endpoint=_address(document, "authorization_endpoint", issuer),
        token_endpoint=_address(document, "token_endpoint", issuer),
        jwks_uri=_address(document, "jwks_uri", issuer),
        userinfo_endpoint=_address(document, "userinfo_endpoint", issuer),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        # Without the list it is the header (Discovery, section 3).
        takes_secret_in_form="client_secret_post" in methods and "client_secret_basic" not in methods,
    )


def _address(document: Mapping[str, Any], name: str, issuer: str) -> str:
    address = document.get(name, "")
    if address == "":
        return ""
    if (
        not isinstance(address, str)
        or len(address) > LONGEST_ADDRESS
        or not is_secure(address, beside=issuer)
    ):
        raise ProviderBrokenError(f"the metadata of {issuer} name a {name} that is no https address")
    return address


def _strings(document: Mapping[str, Any], name: str) -> Sequence[str]:
    found = document.get(name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
