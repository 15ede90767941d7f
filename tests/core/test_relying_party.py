"""The domain and the origins of passkeys, by PUBLIC_URL, RP_ID and RP_ORIGIN."""

from pathlib import Path
from typing import Any

import pytest

from app.core.relying_party import RelyingParty, find_relying_party
from app.core.settings import Settings, SettingsError


def found(folder: Path, **settings: Any) -> RelyingParty | None:
    return find_relying_party(Settings(_env_file=None, data_dir=folder, **settings))


@pytest.mark.parametrize(
    ("settings", "party"),
    [
        ({}, RelyingParty("localhost", ("http://localhost:5000",))),
        ({"port": 80}, RelyingParty("localhost", ("http://localhost",))),
        (
            {"public_url": "https://www.OpenML.org"},
            RelyingParty("www.openml.org", ("https://www.openml.org",)),
        ),
        (
            {"public_url": "https://www.openml.org:443/site/"},
            RelyingParty("www.openml.org", ("https://www.openml.org",)),
        ),
        ({"email_server": "www.openml.org"}, RelyingParty("www.openml.org", ("https://www.openml.org",))),
        (
            {"public_url": "http://web.localhost:81"},
            RelyingParty("web.localhost", ("http://web.localhost:81",)),
        ),
        (
            {
                "public_url": "https://www.openml.org",
                "rp_id": "openml.org",
                "rp_origin": "https://www.openml.org, https://new.openml.org/",
            },
            RelyingParty("openml.org", ("https://www.openml.org", "https://new.openml.org")),
        ),
        ({"public_url": "http://127.0.0.1:5000"}, None),
        ({"public_url": "https://[::1]"}, None),
        ({"public_url": "http://www.openml.org"}, None),
        ({"passkeys": "false"}, None),
        ({"openml_passkey_enabled": "false"}, None),
    ],
)
def test_passkeys_when_configured_then_for_these_pages(
    settings: dict[str, Any], party: RelyingParty | None, tmp_path: Path
) -> None:
    assert found(tmp_path, **settings) == party


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"public_url": "http://10.0.0.1", "passkeys": "true"}, "PASSKEYS=true.*10.0.0.1 is a number"),
        (
            {"public_url": "http://www.openml.org", "openml_passkey_enabled": "true"},
            "OPENML_PASSKEY_ENABLED=true.*want https",
        ),
        ({"public_url": "https://www.openml.org", "rp_id": "evil.org"}, "RP_ID is evil.org. Set it to"),
        ({"public_url": "https://www.openml.org", "rp_id": "org"}, "RP_ID is org"),
        ({"public_url": "https://www.openml.org", "rp_id": "ml.org"}, "RP_ID is ml.org"),
        (
            {"public_url": "https://www.openml.org", "rp_origin": "http://localhost:3000"},
            "RP_ORIGIN lacks https://www.openml.org",
        ),
        (
            {
                "public_url": "https://www.openml.org",
                "rp_origin": "https://www.openml.org,https://new.openml.org/x",
            },
            "RP_ORIGIN has https://new.openml.org/x",
        ),
        (
            {
                "public_url": "https://www.openml.org",
                "rp_origin": "https://www.openml.org,http://new.openml.org",
            },
            "RP_ORIGIN has http://new.openml.org",
        ),
    ],
)
def test_passkeys_when_half_configured_then_refused_with_what_to_set(
    settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=said):
        found(tmp_path, **settings)


def test_related_origins_when_outside_of_the_domain_then_named(tmp_path: Path) -> None:
    party = found(
        tmp_path,
        public_url="https://www.openml.org",
        rp_origin="https://www.openml.org,https://www.openml.com",
    )

    assert party is not None
    assert party.related == ("https://www.openml.com",)


def test_passkeys_when_the_host_is_one_word_of_an_own_network_then_it_is_their_domain(tmp_path: Path) -> None:
    party = found(tmp_path, public_url="https://openml")

    assert party is not None
    assert (party.id, party.origins) == ("openml", ("https://openml",))
