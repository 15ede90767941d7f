"""Providers that people may sign in with: which there are, and what each of them wants to know."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from app.core.setting_checks import require_http_url
from app.core.way_out import is_this_machine

EXAMPLE = '{"github": {"client_id": "…", "client_secret": "…"}}'
MOST_PROVIDERS = 12
"""Buttons that a page can have."""
GITHUB = "https://github.com"
PRESETS: Mapping[str, Mapping[str, str]] = {
    "github": {"name": "GitHub", "kind": "github", "issuer": GITHUB, "scopes": "read:user user:email"},
    "google": {"name": "Google", "issuer": "https://accounts.google.com"},
    "orcid": {"name": "ORCID", "issuer": "https://orcid.org", "scopes": "openid"},
}
"""What is known of some by their id, so that nobody has to look it up; each may be set otherwise."""


class Provider(BaseModel):
    """One provider, as the settings have it."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    name: str = Field(min_length=1, max_length=60)
    kind: Literal["openid", "github"] = "openid"
    issuer: str = Field(min_length=1, max_length=200)
    client_id: str = Field(min_length=1, max_length=500)
    client_secret: SecretStr = Field(min_length=1, max_length=2000)
    scopes: str = Field("openid email profile", pattern=r"^[!#-\[\]-~]+( [!#-\[\]-~]+)*$", max_length=500)

    @property
    def is_on_this_machine(self) -> bool:
        """Whether it can only be one for development."""
        return is_this_machine(urlsplit(self.issuer).hostname or "")


def read_providers(text: str) -> tuple[Provider, ...]:
    """Return the providers of a setting.

    Raises:
        ValueError: one is half configured; the text says what to write, and has no secret in it.
    """
    if not text:
        return ()
    try:
        found = json.loads(text, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise ValueError(f"write a JSON object of providers, each named once, e.g. {EXAMPLE}")
    if len(found) > MOST_PROVIDERS:
        raise ValueError(f"name at most {MOST_PROVIDERS} providers")
    providers = tuple(_provider(name, given) for name, given in found.items())
    _require_different_issuers(providers)
    return providers


def _without_twins(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("something is named twice")
    return dict(pairs)


def _provider(name: str, given: Mapping[str, Any]) -> Provider:
    try:
        provider = Provider.model_validate({**PRESETS.get(name, {}), **given, "id": name})
    except ValidationError as error:
        wrong = sorted({str(each["loc"][0]) for each in error.errors(include_input=False)})
        raise ValueError(
            f"{_shown(name)}: set {', '.join(map(_shown, wrong))}. A provider is named in lower case and has a "
            "client_id and a client_secret; any but github, google and orcid also a name and an issuer "
            "(kind, scopes: if they are to be others)"
        ) from None
    if not _is_address(provider.issuer):
        raise ValueError(f"{_shown(name)}: its issuer is no https address, e.g. https://accounts.example.org")
    return provider


def _is_address(issuer: str) -> bool:
    try:
        require_http_url(issuer)
    except ValueError:
        return False
    return issuer.startswith("https://") or is_this_machine(urlsplit(issuer).hostname or "")


def _require_different_issuers(providers: Sequence[Provider]) -> None:
    issuers = [each.issuer for each in providers]
    twin = next((each for each in providers if issuers.count(each.issuer) > 1), None)
    if twin is not None:
        raise ValueError(f"{twin.id}: another provider has the same issuer")


def _shown(text: str) -> str:
    return "".join(each for each in text[:40] if each.isascii() and each.isprintable())
