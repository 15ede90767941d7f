"""Passkeys registered, listed, renamed and removed by their owner, and by whoever only says to be them."""

import hashlib

import httpx
import pytest
import sqlalchemy as sa

from app.core.settings import Settings
from app.db.passkey_tables import passkey_owners, passkeys
from app.db.tables import audit_events, users
from tests.accounts.passkeys.browser import (
    authenticator,
    creation_options,
    list_passkeys,
    register,
    registered,
    sign_in,
)
from tests.authenticator import BACKED_UP, ELIGIBLE, PRESENT, VERIFIED, to_bytes, to_text
from tests.conftest import MakePerson, Person, Running, grow_stale, running
from tests.mailbox import link_in, mail_to

pytestmark = pytest.mark.long  # test_signing_in.py and the browser register as well

TOO_LONG = "A" * 16_385
ROUTES = [
    ("POST", "/auth/passkey/register-options"),
    ("POST", "/auth/passkey/register-verify"),
    ("GET", "/auth/passkey/list"),
    ("POST", "/auth/passkey/rename"),
    ("POST", "/auth/passkey/remove"),
    ("GET", "/auth/passkey/login-options"),
    ("POST", "/auth/passkey/login-verify"),
    ("POST", "/sign-in/passkey/options"),
    ("POST", "/sign-in/passkey"),
]


async def test_passkeys_when_switched_off_then_said_as_the_flask_backend_says_it(settings: Settings) -> None:
    off = settings.model_copy(update={"passkeys": "false"})

    async with running(off) as app:
        for method, path in ROUTES:
            answer = await app.client.request(method, path)
            assert (answer.status_code, answer.json()["msg"]) == (501, "Passkey functions disabled."), path


async def test_registration_when_asked_for_then_options_as_best_practice_has_them(
    client: httpx.AsyncClient, person: Person
) -> None:
    options = await creation_options(client, person)

    assert options["rp"] == {"id": "localhost", "name": "OpenML"}
    assert options["authenticatorSelection"]["residentKey"] == "preferred"
    assert options["attestation"] == "none"
    assert [each["alg"] for each in options["pubKeyCredParams"]] == [-8, -7, -257]
    assert options["excludeCredentials"] == []
    assert len(to_bytes(options["challenge"])) >= 32
    # Neither the number, which everybody knows, nor anything made of it.
    assert len(to_bytes(options["user"]["id"])) == 32
    assert options["user"]["name"] == person.email


async def test_passkeys_when_several_then_each_with_its_name_and_one_user_handle(
    client: httpx.AsyncClient, person: Person
) -> None:
    first = await registered(client, person)
    second = authenticator(flags=PRESENT | VERIFIED | ELIGIBLE | BACKED_UP)

    assert (await register(client, person, second, deviceName=" Ada's 鍵 ")).json() == {
        "msg": "Passkey registered successfully"
    }

    assert first.user_handle == second.user_handle
    found = await list_passkeys(client, person)
    assert [each["deviceName"] for each in found] == ["Unnamed Device", "Ada's 鍵"]
    assert [each["synced"] for each in found] == [False, True]
    assert all(each["createdAt"] and each["lastUsedAt"] is None for each in found)
    excluded = (await creation_options(client, person))["excludeCredentials"]
    assert [to_bytes(each["id"]) for each in excluded] == [first.credential_id, second.credential_id]
    assert excluded[0]["transports"] == ["hybrid", "internal"]


async def test_registration_when_done_then_told_by_mail_and_in_the_trail(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    await register(client, person, authenticator(), deviceName="My phone")

    mail = await mail_to(app, person.email)
    assert "A passkey was added: My phone." in mail.as_string()
    events = (await client.get("/audit", headers=person.headers)).json()["events"]
    assert (events[0]["kind"], events[0]["detail"]) == ("passkey added", "My phone")


async def test_registration_when_undone_by_its_mail_then_the_passkey_opens_nothing(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person)
    link = link_in(await mail_to(app, person.email))

    assert (await client.post("/undo", json={"url": link})).status_code == 200

    assert (await sign_in(client, key)).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["register-options", "register-verify", "rename", "remove", "second-factor"],
)
async def test_change_when_a_token_alone_was_stolen_then_who_is_there_is_asked_first(
    path: str, app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    await grow_stale(app)

    answer = await client.post(f"/auth/passkey/{path}", headers=person.headers, json={})

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (403, "password-needed")


async def test_challenge_when_answered_twice_then_refused(client: httpx.AsyncClient, person: Person) -> None:
    options = await creation_options(client, person)

    answers = [
        await client.post(
            "/auth/passkey/register-verify",
            json={"credential": authenticator().create(options)},
            headers=person.headers,
        )
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [201, 400]
    assert answers[1].json()["msg"] == "Registration challenge not found"


async def test_challenge_when_given_to_somebody_else_or_another_session_then_refused(
    app: Running, client: httpx.AsyncClient, person: Person, make_person: MakePerson
) -> None:
    other = await make_person()
    options = await creation_options(client, other)
    login = (await client.get("/auth/passkey/login-options")).json()
    token = {"username": other.email, "password": other.password}
    elsewhere = (await client.post("/token", data=token)).json()["access_token"]

    for headers, challenge in (
        (person.headers, options["challenge"]),
        ({"Authorization": f"Bearer {elsewhere}"}, options["challenge"]),
        (person.headers, login["challenge"]),
        (person.headers, to_text(b"a challenge of the attacker's")),
    ):
        answer = await client.post(
            "/auth/passkey/register-verify",
            json={"credential": authenticator().create({**options, "challenge": challenge})},
            headers=headers,
        )
        assert (answer.status_code, answer.json()["msg"]) == (400, "Registration challenge not found")
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(passkeys)) == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"origin": "https://evil.example"}, "it was not made on a page of this site"),
        ({"rp_id": "evil.example"}, "the answer of the authenticator is not valid"),
        ({"flags": 0}, "the answer of the authenticator is not valid"),
    ],
)
async def test_registration_when_of_another_site_then_refused_and_the_challenge_is_still_good(
    wrong: dict[str, object], said: str, client: httpx.AsyncClient, person: Person
) -> None:
    options = await creation_options(client, person)
    bodies = [{"credential": key.create(options)} for key in (authenticator(**wrong), authenticator())]

    answers = [
        await client.post("/auth/passkey/register-verify", json=body, headers=person.headers)
        for body in bodies
    ]

    assert (answers[0].status_code, answers[0].json()["msg"]) == (400, f"Verification failed: {said}")
    assert answers[1].status_code == 201


async def test_credential_when_registered_twice_then_refused_for_everybody(
    client: httpx.AsyncClient, person: Person, make_person: MakePerson
) -> None:
    key = await registered(client, person)

    for somebody in (person, await make_person()):
        answer = await register(client, somebody, key)
        assert answer.status_code == 400
        assert answer.json()["msg"] == "Verification failed: this passkey is registered already"
    assert len(await list_passkeys(client, person)) == 1


@pytest.mark.long
async def test_passkeys_when_as_many_as_one_may_have_then_no_more(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    row = {
        "user_id": person.id,
        "credential_id": "A",
        "public_key": "A",
        "sign_count": 0,
        "transports": "",
        "name": "x",
        "aaguid": "",
        "backup_eligible": False,
        "backed_up": False,
        "created_at": app.resources.database.now(),
    }
    rows = [{**row, "credential_digest": hashlib.sha256(bytes([n])).hexdigest()} for n in range(30)]
    async with app.resources.database.session() as session:
        await session.execute(sa.insert(passkeys), rows)

    answer = await client.post("/auth/passkey/register-options", headers=person.headers)

    assert (answer.status_code, answer.json()["msg"]) == (
        409,
        "An account may have 30 passkeys; remove one that you do not use.",
    )


@pytest.mark.long
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"credential": {}},
        {"credential": {"id": "A", "rawId": "A", "response": {"clientDataJSON": "A", "attestationObject": "ß"}}},
        {"credential": {"id": "+/==", "rawId": "A", "response": {"clientDataJSON": "A", "attestationObject": "A"}}},
        {"credential": {"id": "A", "rawId": "A", "response": {"clientDataJSON": "A", "attestationObject": TOO_LONG}}},
        {"credential": "A"},
    ],
)  # fmt: skip
async def test_registration_when_malformed_then_what_to_change(
    body: object, client: httpx.AsyncClient, person: Person
) -> None:
    answer = await client.post("/auth/passkey/register-verify", json=body, headers=person.headers)

    assert answer.status_code == 422
    assert all(error["field"].startswith("credential") for error in answer.json()["errors"])


@pytest.mark.long
async def test_registration_when_its_body_is_huge_then_refused(
    client: httpx.AsyncClient, person: Person
) -> None:
    answer = await client.post(
        "/auth/passkey/register-verify", json={"credential": "A" * 2_000_000}, headers=person.headers
    )

    assert answer.status_code == 413


async def test_passkey_when_renamed_then_only_by_its_owner(
    client: httpx.AsyncClient, person: Person, make_person: MakePerson
) -> None:
    await registered(client, person)
    other = await make_person()
    passkey_id = (await list_passkeys(client, person))[0]["id"]
    body = {"passkeyId": passkey_id, "deviceName": "Blue key"}

    assert (await client.post("/auth/passkey/rename", json=body, headers=other.headers)).status_code == 404
    assert (await list_passkeys(client, person))[0]["deviceName"] == "Unnamed Device"
    assert (await client.post("/auth/passkey/rename", json=body, headers=person.headers)).status_code == 200
    assert (await list_passkeys(client, person))[0]["deviceName"] == "Blue key"
    for name in ("", "  ", "a\u202eb", "x" * 101):
        answer = await client.post(
            "/auth/passkey/rename", json={**body, "deviceName": name}, headers=person.headers
        )
        assert answer.status_code == 422


async def test_passkey_when_removed_then_opens_nothing_until_that_is_undone(
    app: Running, client: httpx.AsyncClient, person: Person, make_person: MakePerson
) -> None:
    key = await registered(client, person)
    other = await make_person()
    body = {"passkeyId": (await list_passkeys(client, person))[0]["id"]}

    answer = await client.post("/auth/passkey/remove", json=body, headers=other.headers)
    assert (answer.status_code, answer.json()["msg"]) == (404, "Passkey not found")
    assert (await sign_in(client, key)).status_code == 200
    answer = await client.post("/auth/passkey/remove", json=body, headers=person.headers)
    assert answer.json()["msg"] == "Passkey removed successfully"
    assert answer.json()["credentialId"] == to_text(key.credential_id)

    assert (await sign_in(client, key)).status_code == 404
    assert (await client.post("/auth/passkey/remove", json=body, headers=person.headers)).status_code == 404
    link = link_in(await mail_to(app, person.email, says="was removed"))
    assert (await client.post("/undo", json={"url": link})).status_code == 200
    assert (await sign_in(client, key)).status_code == 200


async def test_last_way_in_when_it_is_a_passkey_then_kept(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    await registered(client, person)
    await registered(client, person)
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).values(password="oauth_no_password"))
    first, second = [each["id"] for each in await list_passkeys(client, person)]

    for passkey_id, status in ((first, 200), (second, 409)):
        answer = await client.post(
            "/auth/passkey/remove", json={"passkeyId": passkey_id}, headers=person.headers
        )
        assert answer.status_code == status
    assert len(await list_passkeys(client, person)) == 1


async def test_last_way_in_when_the_passkey_never_verified_its_user_then_it_is_none_until_it_has(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person, flags=PRESENT)
    other = await registered(client, person)
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).values(password="oauth_no_password"))
    weak, strong = [each["id"] for each in await list_passkeys(client, person)]

    async def remove(passkey_id: int) -> int:
        body = {"passkeyId": passkey_id}
        return (await client.post("/auth/passkey/remove", json=body, headers=person.headers)).status_code

    assert (await sign_in(client, key)).status_code == 400, "it opens nothing alone"
    assert await remove(strong) == 409
    assert (await sign_in(client, other)).status_code == 200, "what was refused has changed nothing"
    key.flags = PRESENT | VERIFIED
    assert (await sign_in(client, key)).status_code == 200, "it has a PIN by now"
    assert await remove(strong) == 200
    assert await remove(weak) == 409


async def test_account_when_deleted_then_its_passkeys_are_gone(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person)
    export = (await client.get("/export", headers=person.headers)).json()
    assert [each["deviceName"] for each in export["passkeys"]] == ["Unnamed Device"]

    await client.post("/delete", json={"password": person.password}, headers=person.headers)

    assert (await sign_in(client, key)).status_code == 404
    async with app.resources.database.session() as session:
        for table in (passkeys, passkey_owners, audit_events):
            count = sa.select(sa.func.count()).select_from(table).where(table.c.user_id == person.id)
            assert await session.scalar(count) == 0
