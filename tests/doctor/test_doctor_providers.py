"""Providers beside the doctor's check of them: one that is well, one that is broken, one that is away."""

import json
from typing import Any

import pytest

from app.doctor.diagnosis import Level
from tests.doctor.conftest import Diagnose, told
from tests.oidc.github import serving_github
from tests.oidc.hostile import CLIENT_ID, CLIENT_SECRET, serving_provider


def setting(**issuers: str) -> str:
    """Return `SIGN_IN_PROVIDERS` with these ids and issuers."""
    ours = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return json.dumps({name: {"name": name, "issuer": url, **ours} for name, url in issuers.items()})


async def test_providers_when_well_then_the_redirect_address_is_told(diagnose: Diagnose) -> None:
    async with serving_provider() as campus:
        found = await diagnose("providers", sign_in_providers=setting(campus=campus.url))

    said = told(found, Level.OK)
    assert "campus: metadata and 1 keys are there." in said
    assert "/auth/oauth/campus/callback" in said
    assert CLIENT_SECRET not in said


async def test_providers_when_none_is_set_then_skipped(diagnose: Diagnose) -> None:
    assert "people sign in with a password" in told(await diagnose("providers"), Level.SKIPPED)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"metadata": {"issuer": "https://example.org"}}, "are not those of"),
        ({"metadata": {"token_endpoint": None}}, "name no endpoints"),
        ({"keys": []}, "none of its keys"),
    ],
)
async def test_providers_when_broken_then_said_what_to_look_at(
    diagnose: Diagnose, wrong: dict[str, Any], says: str
) -> None:
    async with serving_provider(**wrong) as campus:
        found = await diagnose("providers", sign_in_providers=setting(campus=campus.url))

    assert says in told(found, Level.FAULT)


async def test_providers_when_one_is_away_then_the_others_are_looked_at(
    diagnose: Diagnose, unused_port: int
) -> None:
    async with serving_provider() as campus:
        away = f"http://127.0.0.1:{unused_port}"
        found = await diagnose("providers", sign_in_providers=setting(away=away, campus=campus.url))

    assert "away: 127.0.0.1 cannot be reached" in told(found, Level.FAULT)
    assert "campus: metadata" in told(found, Level.OK)


async def test_providers_when_github_then_its_api_is_asked(diagnose: Diagnose) -> None:
    async with serving_github() as github:
        well = await diagnose("providers", sign_in_providers=setting(github=github.url))

    assert "github: its API answers." in told(well, Level.OK)
