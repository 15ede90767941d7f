"""`SIGN_IN_PROVIDERS`: what is known without being said, and what is half configured."""

import json
from typing import Any

import pytest

from app.core.providers import MOST_PROVIDERS, read_providers
from app.core.setting_loading import load_settings
from app.core.settings import SettingsError

OURS = {"client_id": "ours", "client_secret": "the-secret-of-ours"}


def test_read_providers_when_presets_then_issuer_name_and_scopes_are_known() -> None:
    github, google, orcid = read_providers(json.dumps({"github": OURS, "google": OURS, "orcid": OURS}))

    assert (github.kind, github.issuer, github.scopes) == (
        "github",
        "https://github.com",
        "read:user user:email",
    )
    assert (google.name, google.issuer) == ("Google", "https://accounts.google.com")
    assert (orcid.kind, orcid.issuer, orcid.scopes) == ("openid", "https://orcid.org", "openid")


def test_read_providers_when_a_preset_is_set_otherwise_then_that_counts() -> None:
    [orcid] = read_providers(json.dumps({"orcid": {**OURS, "issuer": "https://sandbox.orcid.org"}}))

    assert (orcid.name, orcid.issuer) == ("ORCID", "https://sandbox.orcid.org")


def test_read_providers_when_nothing_is_set_then_none() -> None:
    assert read_providers("") == ()


HALF: dict[str, Any] = {
    "no secret": {"github": {"client_id": "ours"}},
    "an empty secret": {"github": {**OURS, "client_secret": ""}},
    "no id": {"github": {"client_secret": "the-secret-of-ours"}},
    "no issuer": {"campus": {**OURS, "name": "Campus"}},
    "no name": {"campus": {**OURS, "issuer": "https://login.example.org"}},
    "an issuer without TLS": {"campus": {**OURS, "name": "C", "issuer": "http://login.example.org"}},
    "an issuer that is no address": {"campus": {**OURS, "name": "C", "issuer": "login.example.org"}},
    "an issuer with a query": {"campus": {**OURS, "name": "C", "issuer": "https://example.org/?a=b"}},
    "a name that is none in addresses": {"Campus/1": {**OURS, "name": "C", "issuer": "https://example.org"}},
    "a member that is misspelt": {"github": {**OURS, "client-id": "x"}},
    "an unknown kind": {"github": {**OURS, "kind": "saml"}},
    "one issuer twice": {"google": OURS, "g": {**OURS, "name": "G", "issuer": "https://accounts.google.com"}},
    "too many": {
        f"p{number}": {**OURS, "name": "P", "issuer": f"https://{number}.example.org"}
        for number in range(MOST_PROVIDERS + 1)
    },
    "a list": [OURS],
    "no object": {"github": "the-secret-of-ours"},
}


@pytest.mark.parametrize("case", sorted(HALF))
def test_settings_when_a_provider_is_half_configured_then_no_start_and_no_secret_in_the_reason(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGN_IN_PROVIDERS", json.dumps(HALF[case]))

    with pytest.raises(SettingsError) as refused:
        load_settings({"_env_file": ""})

    assert "SIGN_IN_PROVIDERS" in str(refused.value)
    assert "the-secret" not in str(refused.value)


@pytest.mark.parametrize("text", ["[", "1", '{"github": {}, "github": {}}', "[" * 100_000])
def test_read_providers_when_it_is_no_json_object_then_said_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="JSON object"):
        read_providers(text)


def test_settings_when_production_has_a_provider_of_this_machine_then_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    local = {"campus": {**OURS, "name": "Campus", "issuer": "http://127.0.0.1:9400"}}
    monkeypatch.setenv("SIGN_IN_PROVIDERS", json.dumps(local))
    monkeypatch.setenv("ENVIRONMENT", "production")

    with pytest.raises(
        SettingsError, match="SIGN_IN_PROVIDERS names campus, whose issuer is on this machine"
    ):
        load_settings()


def test_settings_when_shown_then_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGN_IN_PROVIDERS", json.dumps({"github": OURS}))

    settings = load_settings()

    assert "the-secret" not in f"{settings!r} {settings.providers!r}"
    assert settings.providers[0].client_secret.get_secret_value() == "the-secret-of-ours"
