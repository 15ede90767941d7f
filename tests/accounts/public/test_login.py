import re
from typing import Any

import argon2
import bcrypt
import httpx
import pytest
import sqlalchemy as sa

from app.db.tables import users, users_groups
from tests.conftest import PASSWORD, MakePerson, Person, Running


async def test_login_when_right_then_a_token_that_opens_the_profile(app: Running, person: Person) -> None:
    answer = await app.client.post("/login", json={"email": person.email, "password": PASSWORD})

    assert answer.status_code == 200
    assert list(answer.json()) == ["access_token"]
    assert answer.headers["cache-control"] == "no-store"
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await app.client.get("/profile", headers=headers)).json()["id"] == person.id


@pytest.mark.parametrize("spelled", ["zoë", "zo%C3%AB"])
async def test_token_when_the_form_is_utf8_then_it_is_read_so_escaped_or_not(
    app: Running, make_person: MakePerson, spelled: str
) -> None:
    await make_person()
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).values(username="zoë"))

    answer = await app.client.post(
        "/token",
        content=f"username={spelled}&password={PASSWORD.replace(' ', '+')}".encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("login", ["bob", "BOB", "bob@example.org", "Bob@Example.org"])
async def test_login_when_name_and_address_differ_then_both_work(
    app: Running, make_person: MakePerson, login: str
) -> None:
    await make_person(email="bob@example.org")
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).values(username="bob"))

    answer = await app.client.post("/login", json={"email": login, "password": PASSWORD})

    assert "access_token" in answer.json()


async def test_login_when_one_users_name_is_anothers_address_then_the_name_wins(
    app: Running, make_person: MakePerson
) -> None:
    other = await make_person(email="shared@example.org")
    named = await make_person(email="named@example.org")
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).where(users.c.id == other.id).values(username="other"))
        await session.execute(
            sa.update(users).where(users.c.id == named.id).values(username="shared@example.org")
        )

    answer = await app.client.post("/login", json={"email": "shared@example.org", "password": PASSWORD})

    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await app.client.get("/profile", headers=headers)).json()["id"] == named.id


async def test_login_when_wrong_then_the_same_answer_for_known_and_unknown(
    app: Running, person: Person
) -> None:
    known = await app.client.post("/login", json={"email": person.email, "password": "wrong"})
    unknown = await app.client.post("/login", json={"email": "nobody@example.org", "password": "wrong"})

    assert known.status_code == unknown.status_code == 200
    assert known.json() == unknown.json() == {"msg": "Wrong username or password"}


async def test_login_when_not_confirmed_then_said_only_to_who_knows_the_password(
    app: Running, make_person: MakePerson
) -> None:
    person = await make_person(active=False)

    right = await app.client.post("/login", json={"email": person.email, "password": PASSWORD})
    wrong = await app.client.post("/login", json={"email": person.email, "password": "wrong"})

    assert right.json() == {"msg": "NotConfirmed"}
    assert wrong.json() == {"msg": "Wrong username or password"}


@pytest.mark.parametrize(
    "legacy",
    [
        bcrypt.hashpw(b"old password", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$"),
        argon2.PasswordHasher(2, 4096, 2, type=argon2.Type.I).hash("old password"),
    ],
    ids=["2y", "argon2i"],
)
async def test_login_when_hash_is_phps_then_upgraded_and_committed(
    app: Running, make_person: MakePerson, legacy: str
) -> None:
    person = await make_person(password_hash=legacy)
    credentials = {"email": person.email, "password": "old password"}

    assert (await app.client.post("/login", json={**credentials, "password": "wrong"})).status_code == 200
    assert "access_token" in (await app.client.post("/login", json=credentials)).json()

    async with app.resources.database.session() as session:
        stored = await session.scalar(sa.select(users.c.password).where(users.c.id == person.id))
    assert stored is not None
    assert stored.startswith("$argon2id$")
    assert "access_token" in (await app.client.post("/login", json=credentials)).json()


@pytest.mark.parametrize("stored", ["5f4dcc3b5aa765d61d8327deb882cf99", "oauth_no_password", ""])
async def test_login_when_hash_is_unusable_then_wrong_password(
    app: Running, make_person: MakePerson, stored: str
) -> None:
    person = await make_person(password_hash=stored)

    answer = await app.client.post("/login", json={"email": person.email, "password": "password"})

    assert answer.json() == {"msg": "Wrong username or password"}


async def test_login_when_group_row_is_missing_then_made_once(app: Running, person: Person) -> None:
    async with app.resources.database.session() as session:
        await session.execute(sa.delete(users_groups))

    for _ in range(2):
        await app.client.post("/login", json={"email": person.email, "password": PASSWORD})

    async with app.resources.database.session() as session:
        rows = (await session.execute(sa.select(users_groups.c.user_id, users_groups.c.group_id))).all()
    assert [tuple(row) for row in rows] == [(person.id, 2)]


async def test_token_when_right_then_oauth2_answer(app: Running, person: Person) -> None:
    answer = await app.client.post("/token", data={"username": person.email, "password": PASSWORD})

    assert answer.status_code == 200
    assert answer.json()["token_type"] == "bearer"
    assert answer.json()["expires_in"] == 7200
    assert answer.headers["cache-control"] == "no-store"


FORM = {"username": "{email}", "password": PASSWORD}
OAUTH_FAILURES: dict[str, tuple[dict[str, Any], int, str, str | None]] = {
    "wrong password": ({**FORM, "password": "wrong"}, 400, "invalid_grant", "wrong-credentials"),
    "nobody": ({**FORM, "username": "nobody"}, 400, "invalid_grant", "wrong-credentials"),
    "never confirmed": ({**FORM, "username": "{pending}"}, 400, "invalid_grant", "not-confirmed"),
    "another grant": ({**FORM, "grant_type": "client_credentials"}, 400, "unsupported_grant_type", None),
    "nothing": ({}, 400, "invalid_request", "validation-failed"),
    "no password": ({"username": "{email}"}, 400, "invalid_request", "validation-failed"),
    "too long": ({**FORM, "password": "a" * 2000}, 400, "invalid_request", "validation-failed"),
    "twice": ({**FORM, "username": ["{email}", "nobody"]}, 400, "invalid_request", "validation-failed"),
    "hidden character": ({**FORM, "username": "a\u0000b"}, 400, "invalid_request", "validation-failed"),
}


@pytest.mark.parametrize("what", OAUTH_FAILURES)
async def test_token_when_it_fails_then_an_error_of_oauth_and_still_a_problem(
    app: Running, person: Person, make_person: MakePerson, what: str
) -> None:
    form, status, error, slug = OAUTH_FAILURES[what]
    addresses = {"email": person.email, "pending": (await make_person(active=False)).email}
    filled = {
        name: [each.format(**addresses) for each in ([value] if isinstance(value, str) else value)]
        for name, value in form.items()
    }

    answer = await app.client.post("/token", data=filled)

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    require_oauth_failure(answer)
    assert slug is None or answer.json()["type"] == f"https://openml.org/problems/{slug}"


def require_oauth_failure(answer: httpx.Response) -> None:
    """RFC 6749, 5.2; and the members of a problem, for clients of before."""
    document = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert "www-authenticate" not in answer.headers
    assert re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]+", document["error_description"])
    assert document["status"] == answer.status_code
    assert {"type", "title", "detail", "msg"} <= document.keys()


async def test_token_when_tried_too_often_or_too_large_then_an_error_of_oauth(
    app: Running, person: Person
) -> None:
    form = {"username": person.email, "password": "wrong"}
    while (answer := await app.client.post("/token", data=form)).status_code == 400:
        require_oauth_failure(answer)
    large = await app.client.post("/token", data={**form, "more": "a" * 3_000_000})
    as_json = await app.client.post("/token", json=form)

    assert (answer.status_code, answer.json()["error"]) == (429, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert (large.status_code, large.json()["error"]) == (413, "invalid_request")
    assert (as_json.status_code, as_json.json()["error"]) == (400, "invalid_request")
    for failure in (answer, large, as_json):
        require_oauth_failure(failure)
