"""What a browser does on a page of the site: it fetches options, asks an authenticator, and sends what it says."""

from typing import Any

import httpx

from tests.authenticator import Authenticator
from tests.conftest import Person

ORIGIN = "http://localhost:5000"
RP_ID = "localhost"


def authenticator(**changes: Any) -> Authenticator:
    """An authenticator that is used on the site of the tests."""
    return Authenticator(**{"rp_id": RP_ID, "origin": ORIGIN, **changes})


async def creation_options(client: httpx.AsyncClient, person: Person) -> dict[str, Any]:
    answer = await client.post("/auth/passkey/register-options", headers=person.headers)
    assert answer.status_code == 200, answer.text
    options: dict[str, Any] = answer.json()
    return options


async def register(
    client: httpx.AsyncClient, person: Person, key: Authenticator, **more: Any
) -> httpx.Response:
    credential = key.create(await creation_options(client, person))
    body = {"credential": credential, **more}
    return await client.post("/auth/passkey/register-verify", json=body, headers=person.headers)


async def registered(client: httpx.AsyncClient, person: Person, **changes: Any) -> Authenticator:
    """A passkey of somebody's."""
    key = authenticator(**changes)
    answer = await register(client, person, key)
    assert answer.status_code == 201, answer.text
    return key


async def sign_in_options(client: httpx.AsyncClient) -> dict[str, Any]:
    options: dict[str, Any] = (await client.get("/auth/passkey/login-options")).json()
    return options


async def sign_in(client: httpx.AsyncClient, key: Authenticator, **client_data: Any) -> httpx.Response:
    credential = key.get(await sign_in_options(client), **client_data)
    return await client.post("/auth/passkey/login-verify", json={"credential": credential})


async def list_passkeys(client: httpx.AsyncClient, person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/auth/passkey/list", headers=person.headers)).json()
    return found
