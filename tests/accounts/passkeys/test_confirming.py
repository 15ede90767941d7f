"""A passkey after the password, and once more during a session."""

from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.db.factor_tables import totp_secrets
from tests.accounts.passkeys.browser import (
    authenticator,
    list_passkeys,
    registered,
    sign_in,
    sign_in_options,
)
from tests.authenticator import PRESENT, VERIFIED, to_bytes
from tests.conftest import MakePerson, Person, Running, grow_stale
from tests.mailbox import link_in, mail_to

pytestmark = pytest.mark.long  # test_signing_in.py and the browser register as well


async def _ask_for(client: httpx.AsyncClient, person: Person, *, required: bool) -> None:
    body = {"required": required}
    answer = await client.post("/auth/passkey/second-factor", json=body, headers=person.headers)
    assert answer.json() == {"msg": "Choice kept", "required": required}


async def _with_password(client: httpx.AsyncClient, person: Person) -> httpx.Response:
    return await client.post("/token", data={"username": person.email, "password": person.password})


async def _second(client: httpx.AsyncClient, key: Any, ticket: str, **client_data: Any) -> httpx.Response:
    options = await client.post("/sign-in/passkey/options", json={"ticket": ticket})
    body = {"ticket": ticket, "credential": key.get(options.json(), **client_data)}
    return await client.post("/sign-in/passkey", json=body)


async def test_password_when_a_passkey_is_asked_for_then_both_open_the_account(
    client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person, flags=PRESENT)
    assert (await _with_password(client, person)).status_code == 200
    await _ask_for(client, person, required=True)

    half = (await _with_password(client, person)).json()
    assert (half["error"], half["methods"]) == ("mfa_required", ["passkey"])
    options = (await client.post("/sign-in/passkey/options", json={"ticket": half["ticket"]})).json()
    assert [to_bytes(each["id"]) for each in options["allowCredentials"]] == [key.credential_id]
    answer = await _second(client, key, half["ticket"])

    assert answer.status_code == 200
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    session = (await client.get("/sessions", headers=headers)).json()["sessions"][0]
    assert set(session["methods"]) == {"passkey", "pwd"}
    again = await client.post("/sign-in/passkey/options", json={"ticket": half["ticket"]})
    assert again.json()["type"].endswith("ticket-not-valid")


async def test_passkey_when_its_user_is_verified_then_no_second_factor_is_asked_for(
    client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person)
    await _ask_for(client, person, required=True)

    assert (await sign_in(client, key)).status_code == 200


async def test_second_factor_when_anything_is_wrong_then_counted_and_refused(
    client: httpx.AsyncClient, person: Person, make_person: MakePerson
) -> None:
    key = await registered(client, person)
    other_person = await make_person()
    other = await registered(client, other_person)
    await _ask_for(client, person, required=True)
    ticket = (await _with_password(client, person)).json()["ticket"]

    # Somebody else's passkey; a challenge for signing in; another site; an impostor.
    wrong = [
        await _second(client, other, ticket),
        await client.post(
            "/sign-in/passkey",
            json={"ticket": ticket, "credential": key.get(await sign_in_options(client))},
        ),
        await _second(client, key, ticket, origin="https://evil.example"),
        await _second(client, authenticator(credential_id=key.credential_id), ticket),
    ]
    assert [answer.status_code for answer in wrong] == [401] * 4
    body = {"ticket": "nobody's", "credential": key.get(await sign_in_options(client))}
    assert (await client.post("/sign-in/passkey", json=body)).status_code == 400
    kinds = [event["kind"] for event in (await client.get("/audit", headers=person.headers)).json()["events"]]
    assert kinds.count("second factor failed") == 4
    assert (await _second(client, key, ticket)).status_code == 200


async def test_second_factor_when_wrong_five_times_then_the_ticket_is_of_no_use(
    client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person)
    await _ask_for(client, person, required=True)
    ticket = (await _with_password(client, person)).json()["ticket"]

    for _ in range(5):
        assert (await _second(client, key, ticket, origin="https://evil.example")).status_code == 401

    assert (await _second(client, key, ticket)).status_code == 429


async def test_second_factor_when_chosen_then_told_and_undone_by_the_mail(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    answer = await client.post("/auth/passkey/second-factor", json={"required": True}, headers=person.headers)
    assert (answer.status_code, answer.json()["msg"]) == (400, "Add a passkey first.")
    key = await registered(client, person)
    await _ask_for(client, person, required=True)
    await _ask_for(client, person, required=False)
    link = link_in(await mail_to(app, person.email, says="no longer asked for"))

    assert (await client.post("/undo", json={"url": link})).status_code == 200

    token = (await sign_in(client, key)).json()["access_token"]
    found = await client.get("/auth/passkey/second-factor", headers={"Authorization": f"Bearer {token}"})
    assert found.json()["required"] is True


async def test_second_factor_when_the_last_passkey_is_removed_then_not_asked_for(
    client: httpx.AsyncClient, person: Person
) -> None:
    await registered(client, person)
    await _ask_for(client, person, required=True)
    body = {"passkeyId": (await list_passkeys(client, person))[0]["id"]}
    await client.post("/auth/passkey/remove", json=body, headers=person.headers)

    assert (await _with_password(client, person)).status_code == 200


async def test_session_when_confirmed_with_a_passkey_then_it_may_do_what_lasts(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person)
    await grow_stale(app)
    refused = await client.get("/api-key", headers=person.headers)
    assert refused.json()["methods"] == ["password", "passkey"]

    options = (await client.post("/auth/passkey/confirm-options", headers=person.headers)).json()
    answer = await client.post("/reauthenticate", json={"passkey": key.get(options)}, headers=person.headers)

    assert answer.status_code == 200
    assert (await client.get("/api-key", headers=person.headers)).status_code == 200


@pytest.mark.parametrize(
    "what", ["unverified", "another session", "another purpose", "somebody else's", "twice"]
)
async def test_confirmation_when_not_of_this_user_in_this_session_then_refused(
    what: str, app: Running, client: httpx.AsyncClient, person: Person, make_person: MakePerson
) -> None:
    key, headers = await registered(client, person), person.headers
    options = (await client.post("/auth/passkey/confirm-options", headers=headers)).json()
    if what == "another session":
        token = (await sign_in(client, key)).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
    elif what == "another purpose":
        options = await sign_in_options(client)
    elif what == "somebody else's":
        key = await registered(client, await make_person())
    key.flags = PRESENT if what == "unverified" else PRESENT | VERIFIED
    body = {"passkey": key.get(options)}
    if what == "twice":
        assert (await client.post("/reauthenticate", json=body, headers=headers)).status_code == 200
    await grow_stale(app)

    answer = await client.post("/reauthenticate", json=body, headers=headers)

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (401, "wrong-credentials")
    assert (await client.get("/api-key", headers=headers)).status_code == 403


async def test_passkey_when_the_account_asks_for_codes_then_it_takes_their_place(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person, flags=PRESENT)
    async with app.resources.database.session() as session:
        columns = {
            "user_id": person.id,
            "sealed": "x",
            "last_step": 0,
            "created_at": app.resources.database.now(),
        }
        await session.execute(sa.insert(totp_secrets).values(columns))

    half = (await _with_password(client, person)).json()

    assert half["methods"] == ["code", "passkey"]
    assert (await _second(client, key, half["ticket"])).status_code == 200
