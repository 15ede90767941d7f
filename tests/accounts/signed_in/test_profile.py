"""Changing one's profile: names and bio at once, the address only once it is confirmed."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.tables import account_tokens, outbox, users
from tests.conftest import PASSWORD, MakePerson, Person, Running, eventually
from tests.mailbox import link_in, mail_to

CHANGED = {"first_name": "Augusta", "last_name": "King", "bio": "I write programs."}


async def change(app: Running, person: Person, **changes: Any) -> Any:
    body = {**CHANGED, "email": person.email, **changes}
    return await app.client.post("/profile", json=body, headers=person.headers)


async def profile(app: Running, person: Person) -> Any:
    return (await app.client.get("/profile", headers=person.headers)).json()


async def test_profile_when_changed_then_kept_and_no_mail(app: Running, person: Person) -> None:
    answer = await change(app, person, image="ignored", unknown="ignored")

    assert (answer.status_code, answer.json()) == (200, {"msg": "User information changed"})
    assert (await profile(app, person)).items() >= CHANGED.items()
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(outbox)) == 0


async def test_email_when_changed_then_only_after_the_new_address_confirmed(
    app: Running, person: Person
) -> None:
    new = "augusta@example.org"
    answer = await change(app, person, email=new)

    assert answer.json() == {"msg": "User information changed"}
    assert (await profile(app, person))["email"] == person.email, "not before it is confirmed"
    link = link_in(await mail_to(app, new, subject="Confirm your new"))
    warning = (await mail_to(app, person.email, subject="about to change")).get_body(("plain",))
    assert warning is not None
    assert new not in warning.get_content(), "the old mailbox may be another person's by now"

    first = await app.client.post("/confirmation", json={"url": link})
    second = await app.client.post("/confirmation", json={"url": link})

    assert (first.status_code, second.status_code) == (200, 200), "the SPA posts each link twice"
    assert (await app.client.get("/profile", headers=person.headers)).status_code == 401, "sessions ended"
    await mail_to(app, person.email, subject="has a new e-mail address")
    for login in (new, person.email):
        # The name stays the old address: whoever logs in with it still can.
        answer = await app.client.post("/login", json={"email": login, "password": PASSWORD})
        assert "access_token" in answer.json(), login
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await app.client.get("/profile", headers=headers)).json()["email"] == new


async def test_email_when_it_is_anothers_then_same_answer_nothing_changes_and_they_are_told(
    app: Running, make_person: MakePerson
) -> None:
    person, victim = await make_person(), await make_person(email="victim@example.org")

    taken = await change(app, person, email="Victim@Example.org")
    await mail_to(app, victim.email, subject="wants to use")
    free = await change(app, person, email="nobody@example.org")
    await mail_to(app, "nobody@example.org")

    assert (taken.status_code, taken.json()) == (free.status_code, free.json())
    async with app.resources.database.session() as session:
        addresses = (await session.scalars(sa.select(account_tokens.c.email))).all()
    assert addresses == ["nobody@example.org"]


async def test_email_when_somebody_took_it_before_the_link_was_opened_then_refused(
    app: Running, person: Person
) -> None:
    await change(app, person, email="wanted@example.org")
    link = link_in(await mail_to(app, "wanted@example.org"))
    other = {"first_name": "O", "last_name": "O", "email": "wanted@example.org", "password": PASSWORD}
    assert (await app.client.post("/signup", json=other)).json() == {"msg": "User created"}

    assert (await app.client.post("/confirmation", json={"url": link})).status_code == 400
    assert (await profile(app, person))["email"] == person.email


async def test_email_when_password_was_reset_since_then_the_request_is_void(
    app: Running, person: Person
) -> None:
    """A thief with a session asks for a change; the owner, warned, resets the password."""
    await change(app, person, email="thief@example.org")
    link = link_in(await mail_to(app, "thief@example.org"))
    await app.client.post("/forgotpassword", json={"email": person.email})
    reset = link_in(await mail_to(app, person.email, subject="Reset"))
    await app.client.post("/resetpassword", json={"url": reset, "password": "eleven clouds drift south"})

    assert (await app.client.post("/confirmation", json={"url": link})).status_code == 400


async def test_profile_when_fields_are_wrong_then_each_is_named(app: Running, person: Person) -> None:
    answer = await change(app, person, first_name="x" * 51, last_name=7, bio="x" * 5001, email="no address")

    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {
        "first_name",
        "last_name",
        "bio",
        "email",
    }
    missing = await app.client.post("/profile", json={}, headers=person.headers)
    assert {error["field"] for error in missing.json()["errors"]} == {
        "first_name",
        "last_name",
        "bio",
        "email",
    }


TYPED = {"first_name": "Łukasz", "last_name": "李", "bio": "I love 🎉 and 数, café included"}
IN_LATIN1 = ("Lukasz", "Li", "I love :tada: and Shu, café included")


async def test_profile_when_the_table_has_no_place_for_a_letter_then_shown_as_typed_and_kept_in_plain_ones(
    app: Running, person: Person
) -> None:
    answer = await change(app, person, **TYPED)

    assert answer.status_code == 200
    assert (await profile(app, person)).items() >= TYPED.items()
    async with app.resources.database.session() as session:
        columns = (users.c.first_name, users.c.last_name, users.c.bio)
        row = (await session.execute(sa.select(*columns).where(users.c.id == person.id))).one()
    is_latin1 = "latin1" in await charset(app)
    assert tuple(row) == (IN_LATIN1 if is_latin1 else tuple(TYPED.values()))
    exported = (await app.client.get("/export", headers=person.headers)).json()["account"]
    assert exported.items() >= TYPED.items()

    await change(app, person, **{**TYPED, "bio": "Nothing."})
    assert (await profile(app, person))["first_name"] == "Łukasz", (
        "what was not changed stays as it was typed"
    )
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).where(users.c.id == person.id).values(first_name="Luke"))
    assert (await profile(app, person))["first_name"] == "Luke", "another server has changed it since"


async def charset(app: Running) -> str:
    if app.resources.database.is_sqlite:
        return "utf-8"
    async with app.resources.database.session() as session:
        return str((await session.execute(sa.text("SHOW CREATE TABLE users"))).one()[1])


async def test_profile_when_two_change_at_once_then_one_of_both_whole(app: Running, person: Person) -> None:
    one = {"first_name": "One", "last_name": "One"}
    two = {"first_name": "Two", "last_name": "Two"}
    await asyncio.gather(*(change(app, person, **names) for names in (one, two) * 5))

    found = await profile(app, person)
    assert found["first_name"] == found["last_name"]


@pytest.mark.parametrize("path", ["/api-key", "/api-key/regenerate"])
async def test_api_key_when_renewed_then_the_owner_is_told_and_the_old_is_dead(
    app: Running, person: Person, path: str
) -> None:
    answer = await app.client.post(path, headers=person.headers)

    key = answer.json()["apikey"]
    if path.endswith("regenerate"):
        assert answer.json() == {"msg": "API Key updated", "apikey": key, "api_key": key, "apiKey": key}
    await mail_to(app, person.email, subject="API key")

    def upload(api_key: str) -> Any:
        return app.client.post("/data-upload", headers={"X-API-Key": api_key}, content=b"")

    assert (await upload(person.api_key)).status_code == 401
    assert (await upload(key)).status_code in {400, 422}, "past the door"
    assert answer.headers["cache-control"] == "no-store"


async def test_outbox_when_the_key_changed_then_the_key_is_not_in_it(app: Running, person: Person) -> None:
    answer = await app.client.post("/api-key", headers=person.headers)

    async def rows() -> str | None:
        async with app.resources.database.session() as session:
            return repr((await session.execute(sa.select(outbox))).all())

    assert answer.json()["apikey"] not in await eventually(rows)
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(users.c.session_hash)) == answer.json()["apikey"]
