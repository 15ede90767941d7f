"""Signing in with a passkey: what it opens, and what somebody who has something wrong gets."""

import asyncio
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.core.challenges import LIFETIME, ChallengeSigner
from app.db.passkey_tables import passkeys, spent_challenges
from app.db.tables import outbox, users
from app.worker.janitor import forget_the_past
from tests.accounts.passkeys.browser import (
    authenticator,
    creation_options,
    list_passkeys,
    registered,
    sign_in,
    sign_in_options,
)
from tests.authenticator import PRESENT, VERIFIED, to_bytes, to_text
from tests.conftest import MakePerson, Person, Running
from tests.mailbox import link_in, mail_to

NOT_VALID = "Authentication failed: the answer of the authenticator is not valid"
NOT_FOUND = "Authentication challenge not found"


async def _refused(answer: httpx.Response, said: str, status: int = 400) -> None:
    assert (answer.status_code, answer.json()["msg"]) == (status, said)


async def test_sign_in_when_with_a_passkey_then_as_the_sites_read_it(
    client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person)

    answer = await sign_in(client, key)

    assert answer.status_code == 200
    body = answer.json()
    token = body.pop("access_token")
    assert body == {
        "token_type": "bearer",
        "id": person.id,
        "username": person.email,
        "email": person.email,
        "image": "",
        "apikey": person.api_key,
        "firstName": "Ada",
        "lastName": "Lovelace",
    }
    headers = {"Authorization": f"Bearer {token}"}
    assert (await client.get("/profile", headers=headers)).json()["id"] == person.id
    session = (await client.get("/sessions", headers=headers)).json()["sessions"][0]
    assert set(session["methods"]) == {"passkey", "mfa"}
    assert (await list_passkeys(client, person))[0]["lastUsedAt"] is not None
    assert "no-store" in answer.headers["cache-control"]


async def test_options_when_anybody_asks_then_the_same_for_all(
    client: httpx.AsyncClient, person: Person
) -> None:
    before = await sign_in_options(client)
    await registered(client, person)
    after = await sign_in_options(client)

    assert before.pop("challenge") != after.pop("challenge")
    assert (
        before
        == after
        == {
            "timeout": LIFETIME.total_seconds() * 1000,
            "rpId": "localhost",
            "allowCredentials": [],
            "userVerification": "required",
            "hints": [],
        }
    )


async def test_answer_when_sent_twice_or_at_once_then_opens_one_session(
    client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person, counts=False)
    credential = key.get(await sign_in_options(client))

    answers = await asyncio.gather(
        *(client.post("/auth/passkey/login-verify", json={"credential": credential}) for _ in range(4))
    )
    answers.append(await client.post("/auth/passkey/login-verify", json={"credential": credential}))

    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
    assert {answer.json()["msg"] for answer in answers if answer.status_code == 400} == {NOT_FOUND}


async def test_challenge_when_of_another_purpose_or_forged_or_old_then_refused(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person)
    options = await sign_in_options(client)
    registration = await creation_options(client, person)
    confirmation = (await client.post("/auth/passkey/confirm-options", headers=person.headers)).json()
    secret = app.resources.settings.token_secret
    past = ChallengeSigner(secret, now=lambda: app.resources.database.now() - 2 * LIFETIME)
    forged = ChallengeSigner("a secret of the attacker's own making", now=app.resources.database.now)

    challenges = [
        registration["challenge"],
        confirmation["challenge"],
        to_text(past.issue("sign in with a passkey")),
        to_text(forged.issue("sign in with a passkey")),
        to_text(b"x"),
    ]
    for challenge in challenges:
        credential = key.get({**options, "challenge": challenge})
        answer = await client.post("/auth/passkey/login-verify", json={"credential": credential})
        await _refused(answer, NOT_FOUND)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"origin": "https://evil.example"}, "Authentication failed: it was not made on a page of this site"),
        (
            {"origin": "http://localhost:5001"},
            "Authentication failed: it was not made on a page of this site",
        ),
        ({"crossOrigin": True}, "Authentication failed: it was not made on a page of this site"),
        ({"type": "webauthn.create"}, NOT_VALID),
    ],
)
async def test_sign_in_when_asked_for_by_another_site_then_refused(
    wrong: dict[str, Any], said: str, client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person)

    await _refused(await sign_in(client, key, **wrong), said)


async def test_sign_in_when_signed_for_another_domain_or_by_another_key_or_without_anybody_then_refused(
    client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person)
    impostor = authenticator(credential_id=key.credential_id, user_handle=key.user_handle)
    await _refused(await sign_in(client, impostor), NOT_VALID)

    key.rp_id = "evil.example"
    await _refused(await sign_in(client, key), NOT_VALID)
    key.rp_id, key.flags = "localhost", VERIFIED
    await _refused(await sign_in(client, key), NOT_VALID)

    key.flags = PRESENT | VERIFIED
    assert (await sign_in(client, key)).status_code == 200


async def test_signature_when_altered_then_refused(client: httpx.AsyncClient, person: Person) -> None:
    key = await registered(client, person)
    credential = key.get(await sign_in_options(client))
    signature = bytearray(to_bytes(credential["response"]["signature"]))
    signature[-1] ^= 1
    credential["response"]["signature"] = to_text(bytes(signature))

    answer = await client.post("/auth/passkey/login-verify", json={"credential": credential})

    await _refused(answer, NOT_VALID)


async def test_passkey_when_nobody_has_it_or_it_names_somebody_else_then_not_recognized(
    client: httpx.AsyncClient, person: Person, make_person: MakePerson
) -> None:
    key = await registered(client, person)
    other = await registered(client, await make_person())

    await _refused(await sign_in(client, authenticator(user_handle=b"x")), "Passkey not recognized", 404)
    for handle in (other.user_handle, b"", str(person.id + 1).encode()):
        key.user_handle = handle
        await _refused(await sign_in(client, key), "Passkey not recognized", 404)


async def test_sign_in_when_the_user_was_not_verified_then_only_as_a_second_step(
    client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person, flags=PRESENT)

    answer = await sign_in(client, key)

    assert answer.status_code == 400
    assert "did not ask for your PIN" in answer.json()["msg"]


@pytest.mark.parametrize("copy_count", [0, 3, 4])
async def test_counter_when_it_goes_back_or_stands_still_then_refused_and_told(
    copy_count: int, app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person)
    key.sign_count = 4
    assert (await sign_in(client, key)).status_code == 200

    key.sign_count = copy_count
    answer = await sign_in(client, key)

    assert answer.status_code == 400
    assert "its counter has gone back" in answer.json()["msg"]
    assert "counter went back" in (await mail_to(app, person.email, subject="copy")).as_string()
    events = (await client.get("/audit", headers=person.headers)).json()["events"]
    assert events[0]["kind"] == "passkey refused as a copy"
    key.sign_count = 10
    assert (await sign_in(client, key)).status_code == 200


async def test_counter_when_the_same_answer_comes_again_then_no_copy_is_told_of(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person)
    credential = key.get(await sign_in_options(client))

    first, again = [
        await client.post("/auth/passkey/login-verify", json={"credential": credential}) for _ in range(2)
    ]
    assert first.status_code == 200
    await _refused(again, NOT_FOUND)

    async with app.resources.database.session() as session:
        told = sa.select(sa.func.count()).select_from(outbox).where(outbox.c.kind == "passkey_copied")
        assert await session.scalar(told) == 0


@pytest.mark.long
async def test_passkey_when_synced_and_without_a_counter_then_works_on(
    client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person, counts=False)

    for _ in range(2):
        assert (await sign_in(client, key)).status_code == 200


async def test_account_when_closed_or_never_confirmed_then_its_passkey_opens_nothing(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = await registered(client, person)
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).values(active=0))

    answer = await sign_in(client, key)

    assert answer.status_code in {401, 403}
    assert "access_token" not in answer.json()


async def test_account_when_confirmed_then_passkeys_of_before_open_nothing(
    app: Running, client: httpx.AsyncClient
) -> None:
    """Somebody signs up with the address of another, and gets a passkey into the account before its owner comes."""
    person = {
        "first_name": "A",
        "last_name": "B",
        "email": "a@example.org",
        "password": "seven rivers flow north",
    }
    await client.post("/signup", json=person)
    key = authenticator(user_handle=b"h")
    row = {
        "user_id": 1,
        "credential_digest": "d",
        "credential_id": to_text(key.credential_id),
        "public_key": "A",
        "sign_count": 0,
        "transports": "",
        "name": "x",
        "aaguid": "",
        "backup_eligible": False,
        "backed_up": False,
        "created_at": app.resources.database.now(),
    }
    async with app.resources.database.session() as session:
        row["user_id"] = await session.scalar(sa.select(users.c.id))
        await session.execute(sa.insert(passkeys).values(row))
    mail = await mail_to(app, "a@example.org")
    assert (await client.post("/confirmation", json={"url": link_in(mail)})).status_code == 200

    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(passkeys)) == 0


@pytest.mark.long
async def test_challenges_when_they_have_ended_then_forgotten(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    await registered(client, person)
    count = sa.select(sa.func.count()).select_from(spent_challenges)
    async with app.resources.database.session() as session:
        assert await session.scalar(count) == 1
        await session.execute(
            sa.update(spent_challenges).values(expires_at=app.resources.database.now() - LIFETIME)
        )

    await forget_the_past(app.resources.database, audit_days=1)

    async with app.resources.database.session() as session:
        assert await session.scalar(count) == 0


@pytest.mark.long
async def test_sign_in_when_attempts_are_too_many_then_later(client: httpx.AsyncClient) -> None:
    key = authenticator(user_handle=b"x")
    credential = key.get(await sign_in_options(client))

    answers = [
        await client.post("/auth/passkey/login-verify", json={"credential": credential}) for _ in range(201)
    ]

    assert [answer.status_code for answer in answers[-2:]] == [404, 429]
