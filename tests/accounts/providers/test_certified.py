"""Signing in with `oidc-provider`, which the OpenID Foundation has certified: PKCE required, `iss` in its answers."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from app.core.settings import Settings
from tests.accounts.providers.conftest import Visitor
from tests.conftest import NO_CERTIFICATES, find_free_port, wait_until_up
from tests.node_clients import oidc_js as oidc_js  # noqa: PLC0414 - a fixture
from tests.oidc.hostile import CLIENT_ID, CLIENT_SECRET

pytestmark = pytest.mark.long
REDIRECT = "http://127.0.0.1:5000/auth/oauth/certified/callback"


@pytest.fixture(scope="session")
def certified(oidc_js: Path) -> Iterator[str]:
    """The address of the provider."""
    port = str(find_free_port())
    with subprocess.Popen(
        ["node", oidc_js / "provider.mjs", port, REDIRECT], stderr=subprocess.DEVNULL
    ) as process:
        url = f"http://127.0.0.1:{port}"
        wait_until_up(f"{url}/.well-known/openid-configuration", process)
        yield url
        process.terminate()


@pytest.fixture
def settings(settings: Settings, certified: str) -> Settings:
    ours = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    provider = {"name": "Certified", "issuer": certified, **ours}
    return settings.model_copy(update={"sign_in_providers": SecretStr(json.dumps({"certified": provider}))})


async def consent(address: str, login: str) -> dict[str, str]:
    """Sign in at the provider as a browser does; return what it sends the browser back with."""
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as http:
        answer = await http.get(address)
        for _ in range(12):
            location = answer.headers.get("location", "")
            if location.startswith(REDIRECT):
                return dict(parse_qsl(urlsplit(location).query))
            if location:
                answer = await http.get(str(answer.url.join(location)))
                continue
            [form] = re.findall(r'<form [^>]*action="([^"]+)" method="post">', answer.text)
            [prompt] = re.findall(r'name="prompt" value="(\w+)"', answer.text)
            answer = await http.post(form, data={"prompt": prompt, "login": login, "password": "any"})
    pytest.fail("the provider leads nowhere")


async def test_sign_in_when_certified_then_an_account_is_made_and_found_again(visitor: Visitor) -> None:
    answered = await consent(await visitor.start("certified"), "ada")
    made = await visitor.finish("certified", answered)
    again = await visitor.finish("certified", await consent(await visitor.start("certified"), "ada"))

    assert set(answered) == {"code", "state", "iss"}
    assert (made.status_code, made.json()["email"]) == (201, "ada@example.org")
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])


async def test_sign_in_when_certified_and_the_code_or_the_name_is_anothers_then_refused(
    visitor: Visitor,
) -> None:
    stolen = await consent(await visitor.start("certified"), "ada")
    own = await consent(await visitor.start("certified"), "eve")
    injected = await visitor.finish("certified", own | {"code": stolen["code"]})
    unnamed = await consent(await visitor.start("certified"), "eve")
    unnamed.pop("iss")

    for answer in (injected, await visitor.finish("certified", unnamed)):
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (400, "sign-in-refused")
