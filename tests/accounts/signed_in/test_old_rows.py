"""Accounts that other servers made: whatever stands in their rows, they can be used, changed, recovered and deleted."""

import asyncio
import secrets
from email import message_from_bytes, policy
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.tables import users
from tests.conftest import PASSWORD, MakePerson, Person, Running, eventually
from tests.mailbox import link_in, mail_to

OLD: dict[str, dict[str, Any]] = {
    "nothing odd": {},
    "empty names": {"first_name": "", "last_name": ""},
    "no names": {"first_name": None, "last_name": None},
    "a bio longer than ours": {"bio": "x" * 20_000},
    "a name of control characters": {"first_name": "A\x07da"},
    "two dots in the address": {"email": "abc..def@example.org"},
    "an address of this machine": {"email": "someone@localhost"},
    "a long address": {"email": "x" * 60 + "@" + "y" * 60 + ".example.org"},
    "an address in its own script": {"email": "ada@bücher.example"},
    "a name that is no address": {"username": "ada lovelace"},
    "placeholders": {"image": "0000", "bio": "0000", "country": "0000"},
    "no picture and no state": {"image": None},
}


@pytest.fixture(params=OLD)
async def old(request: pytest.FixtureRequest, app: Running, make_person: MakePerson) -> Person:
    """Somebody whose row is odd in one way."""
    person = await make_person(email=f"p{secrets.token_hex(4)}@example.org")
    values = OLD[request.param]
    if values:
        async with app.resources.database.session() as session:
            await session.execute(sa.update(users).where(users.c.id == person.id).values(**values))
    return Person(person.id, values.get("email", person.email), PASSWORD, person.api_key, person.token)


async def row_of(app: Running, person: Person) -> Any:
    async with app.resources.database.session() as session:
        # What the table has here: some installations lack a column.
        row = await session.execute(sa.text("SELECT * FROM users WHERE id = :id"), {"id": person.id})
        return row.mappings().one()


@pytest.mark.every(3)
async def test_old_row_when_its_profile_is_posted_back_then_taken_and_nothing_changes(
    app: Running, old: Person
) -> None:
    before = dict(await row_of(app, old))
    shown = (await app.client.get("/profile", headers=old.headers)).json()
    fields = ("first_name", "last_name", "bio", "email")

    answer = await app.client.post("/profile", json={f: shown[f] for f in fields}, headers=old.headers)

    assert (answer.status_code, answer.json()) == (200, {"msg": "User information changed"})
    assert dict(await row_of(app, old)) == before


@pytest.mark.every(3)
async def test_old_row_when_one_thing_is_changed_then_only_that_is_judged(app: Running, old: Person) -> None:
    shown = (await app.client.get("/profile", headers=old.headers)).json()
    body = {f: shown[f] for f in ("first_name", "last_name", "bio", "email")}

    refused = await app.client.post("/profile", json={**body, "email": "no address"}, headers=old.headers)
    changed = await app.client.post("/profile", json={**body, "bio": "Short."}, headers=old.headers)

    assert changed.status_code == 200
    after = (await app.client.get("/profile", headers=old.headers)).json()
    assert after == {**shown, "bio": "Short."}
    assert [error["field"] for error in refused.json()["errors"]] == ["email"]


@pytest.mark.long
async def test_old_row_when_its_owner_acts_then_each_road_is_open(app: Running, old: Person) -> None:
    logged_in = await app.client.post("/login", json={"email": old.email, "password": PASSWORD})
    assert "access_token" in logged_in.json()
    headers = {"Authorization": f"Bearer {logged_in.json()['access_token']}"}
    for path in ("/profile", "/api-key", "/sessions", "/audit", "/export"):
        assert (await app.client.get(path, headers=headers)).status_code == 200, path
    assert (await app.client.post("/api-key", headers=headers)).status_code == 200

    assert (await app.client.post("/forgotpassword", json={"email": old.email})).status_code == 200
    link = link_in(await mail_to(app, "", subject="password"))
    new = "another river flows south"
    reset = await app.client.post("/resetpassword", json={"url": link, "password": new})
    assert reset.status_code == 200

    logged_in = await app.client.post("/login", json={"email": old.email, "password": new})
    headers = {"Authorization": f"Bearer {logged_in.json()['access_token']}"}
    deleted = await app.client.post("/delete", json={"password": new}, headers=headers)
    assert deleted.status_code == 200
    row = await row_of(app, old)
    assert (row["username"], row["active"], row["bio"]) == (f"deleted-{old.id}", 0, "")


# --- several accounts under one name

SHARES_ADDRESSES = pytest.mark.parametrize("database_uri", ["sqlite", "openml"], indirect=True)
"""OpenML's table lets several accounts have an address; that of its Next.js site does not."""


async def set_row(app: Running, person: Person, **values: Any) -> None:
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).where(users.c.id == person.id).values(**values))


async def login_ids(app: Running, login: str, *passwords: str) -> list[int | None]:
    found: list[int | None] = []
    for password in passwords:
        answer = (await app.client.post("/login", json={"email": login, "password": password})).json()
        if "access_token" not in answer:
            found.append(None)
            continue
        headers = {"Authorization": f"Bearer {answer['access_token']}"}
        found.append((await app.client.get("/profile", headers=headers)).json()["id"])
    return found


@SHARES_ADDRESSES
async def test_accounts_when_two_have_one_address_then_each_is_recovered_by_its_own_mail(
    app: Running, make_person: MakePerson
) -> None:
    one, two = await make_person(email="one@example.org"), await make_person(email="two@example.org")
    await set_row(app, two, email="one@example.org")
    first, second = "seven rivers flow east", "seven rivers flow west"

    await app.client.post("/forgotpassword", json={"email": "one@example.org"})
    folder = app.resources.settings.data_dir / "mail"

    async def both() -> list[str] | None:
        texts = [path.read_text() for path in sorted(folder.glob("*.eml"))]
        return texts if len(texts) >= 2 else None

    await eventually(both)
    links = {}
    for person, password in ((one, first), (two, second)):
        message = await mail_to_account(app, person.email)
        links[person.id] = (link_in(message), password)
    for link, password in links.values():
        done = await app.client.post("/resetpassword", json={"url": link, "password": password})
        assert done.status_code == 200

    assert await login_ids(app, "one@example.org", first, second) == [one.id, two.id]


async def mail_to_account(app: Running, username: str) -> Any:
    """The reset mail that names the account."""
    folder = app.resources.settings.data_dir / "mail"
    for path in await asyncio.to_thread(lambda: sorted(folder.glob("*.eml"))):
        message = message_from_bytes(await asyncio.to_thread(path.read_bytes), policy=policy.default)
        body = message.get_body(("plain",))
        if body is not None and username in body.get_content().splitlines():
            return message
    raise AssertionError(f"no mail names {username}")


async def test_accounts_when_ones_name_is_anothers_address_then_both_log_in_and_neither_as_the_other(
    app: Running, make_person: MakePerson
) -> None:
    one, two = await make_person(email="one@example.org"), await make_person(email="two@example.org")
    await set_row(app, two, username="ghost@example.org", email="two@example.org")
    await set_row(app, one, username="two@example.org", email="one@example.org")
    async with app.resources.database.session() as session:
        stored = await app.resources.passwords.hash("the second one's secret")
        await session.execute(sa.update(users).where(users.c.id == two.id).values(password=stored))

    found = await login_ids(app, "two@example.org", PASSWORD, "the second one's secret", "wrong password")

    assert found == [one.id, two.id, None]


@SHARES_ADDRESSES
async def test_accounts_when_addresses_differ_by_an_accent_then_mails_go_to_the_one_that_was_named(
    app: Running, make_person: MakePerson
) -> None:
    plain, accented = await make_person(email="jose@example.org"), await make_person(email="j2@example.org")
    await set_row(app, accented, email="josé@example.org")

    await app.client.post("/forgotpassword", json={"email": "jose@example.org"})
    link = link_in(await mail_to(app, "jose@example.org", subject="password"))
    done = await app.client.post("/resetpassword", json={"url": link, "password": "seven rivers flow east"})

    assert done.status_code == 200
    assert await login_ids(app, "jose@example.org", "seven rivers flow east") == [plain.id]
    assert await login_ids(app, "josé@example.org", PASSWORD, "seven rivers flow east") == [accented.id, None]


async def test_address_when_it_is_international_then_either_spelling_is_the_account(
    app: Running, make_person: MakePerson
) -> None:
    in_script, in_ascii = "ada@bücher.example", "ada@xn--bcher-kva.example"
    person = await make_person(email="ada@xn--bcher-kva.example")

    assert await login_ids(app, in_script, PASSWORD) == [person.id]
    assert await login_ids(app, in_ascii.upper(), PASSWORD) == [person.id]
    await set_row(app, person, username=in_script, email=in_script)  # as another server wrote it
    assert await login_ids(app, in_script, PASSWORD) == [person.id]
    assert await login_ids(app, in_ascii, PASSWORD) == [person.id]
    again = {"first_name": "Ada", "last_name": "L", "email": in_ascii, "password": PASSWORD}
    assert (await app.client.post("/signup", json=again)).json() == {"msg": "User already exists"}


async def test_address_when_it_is_international_then_shown_as_typed_and_stored_and_mailed_in_ascii(
    app: Running,
) -> None:
    typed, stored = "ada@bücher.example", "ada@xn--bcher-kva.example"
    person = {"first_name": "Ada", "last_name": "L", "email": typed, "password": PASSWORD}
    await app.client.post("/signup", json=person)
    welcome = await mail_to(app, stored)
    await app.client.post("/confirmation", json={"url": link_in(welcome)})
    token = (await app.client.post("/login", json={"email": typed, "password": PASSWORD})).json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}

    shown = (await app.client.get("/profile", headers=headers)).json()
    exported = (await app.client.get("/export", headers=headers)).json()["account"]
    same = {**{field: shown[field] for field in ("first_name", "last_name", "bio")}, "email": typed}
    await app.client.post("/profile", json=same, headers=headers)
    await app.client.post("/profile", json={**same, "email": "ada@straße.example"}, headers=headers)
    change = await mail_to(app, stored, subject="about to change")
    feedback = {"feedback": "Thanks.", "email": typed}
    await app.client.post("/feedback", json=feedback)
    told = await mail_to(app, "", subject="feedback")

    for answer in (shown, exported):
        assert (answer["username"], answer["email"]) == (typed, typed)
    assert [welcome["To"], change["To"], told["Reply-To"]] == [stored] * 3
    for message, address in ((change, "a…@straße.example"), (told, typed)):
        for kind in ("plain", "html"):
            body = message.get_body((kind,))
            assert body is not None
            assert address in body.get_content()
    async with app.resources.database.session() as session:
        assert (await session.execute(sa.select(users.c.username, users.c.email))).all() == [(stored, stored)]


NAMES = [("Łukasz", "Żółć"), ("李", "小龍"), ("Иван", "Петров"), ("سلیم", "نیا\u200cکان")]  # noqa: RUF001 - as they write


@pytest.mark.parametrize("name", NAMES)
async def test_signup_when_the_name_is_of_another_script_then_taken_and_shown_as_typed(
    app: Running, name: tuple[str, str]
) -> None:
    body = {"first_name": name[0], "last_name": name[1], "email": "x@example.org", "password": PASSWORD}
    answer = await app.client.post("/signup", json=body)
    link = link_in(await mail_to(app, "x@example.org"))
    await app.client.post("/confirmation", json={"url": link})
    token = (await app.client.post("/login", json={"email": "x@example.org", "password": PASSWORD})).json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    shown = (await app.client.get("/profile", headers=headers)).json()

    assert answer.json() == {"msg": "User created"}
    assert (shown["first_name"], shown["last_name"]) == name
    async with app.resources.database.session() as session:
        row = (await session.execute(sa.select(users.c.first_name, users.c.last_name))).one()
        charset = session.info["charset"]
    for text in row:
        text.encode(charset if charset != "utf8mb3" else "utf-8")
        assert "?" not in text
