"""What browsers are told of sites that share passkeys, and names that nobody gave."""

import httpx
import pytest

from app.accounts.passkey_names import name_for
from app.core.settings import Settings
from tests.conftest import running

pytestmark = pytest.mark.long  # test_signing_in.py and the browser register as well


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """A site under several domains, or under one."""
    return settings.model_copy(update=getattr(request, "param", {}))


SEVERAL = {
    "public_url": "https://www.openml.org",
    "rp_origin": ("https://www.openml.org", "https://openml.example"),
}


async def test_related_origins_when_there_is_one_domain_then_none(client: httpx.AsyncClient) -> None:
    assert (await client.get("/.well-known/webauthn")).status_code == 404


@pytest.mark.parametrize("settings", [SEVERAL], indirect=True)
async def test_related_origins_when_a_site_has_several_domains_then_browsers_are_told(
    settings: Settings,
) -> None:
    async with running(settings) as app:
        answer = await app.client.get("/.well-known/webauthn")

    assert answer.json() == {"origins": ["https://www.openml.org", "https://openml.example"]}


def test_name_when_nobody_gave_one_then_that_of_the_authenticator() -> None:
    google = "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"

    assert name_for("Unnamed Device", google) == "Google Password Manager"
    assert name_for("", "") == "Unnamed Device"
    assert name_for("Mine", google) == "Mine"
