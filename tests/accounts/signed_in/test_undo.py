"""Changes that their owner undoes by the link that the old address got, and log-ins from new devices."""

from typing import Any

import pytest
import sqlalchemy as sa

from app.accounts.devices import TOLD_AT_MOST
from app.core.clients import Client
from app.db.sign_in_tables import account_changes
from tests.conftest import PASSWORD, MakePerson, Person, Running
from tests.mailbox import link_in, mail_to

NAMES = {"first_name": "Ada", "last_name": "Lovelace", "bio": ""}
NEW_PASSWORD = "eight winds blow south"
FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
PHONE = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"}


async def log_in(app: Running, login: str, password: str = PASSWORD, **options: Any) -> dict[str, str] | None:
    """The headers of a new session; None if the password opens nothing."""
    answer = await app.client.post("/login", json={"email": login, "password": password}, **options)
    token = answer.json().get("access_token")
    return {"Authorization": f"Bearer {token}"} if token else None


async def undo(app: Running, link: str) -> int:
    return (await app.client.post("/undo", json={"url": link})).status_code


async def is_alive(app: Running, headers: dict[str, str]) -> bool:
    return (await app.client.get("/profile", headers=headers)).is_success


async def change_email(app: Running, headers: dict[str, str], new: str) -> None:
    await app.client.post("/profile", json={**NAMES, "email": new}, headers=headers)
    link = link_in(await mail_to(app, new, subject="Confirm your new"))
    assert (await app.client.post("/confirmation", json={"url": link})).is_success


async def kinds(app: Running, headers: dict[str, str]) -> list[str]:
    events = (await app.client.get("/audit", headers=headers)).json()["events"]
    return [event["kind"] for event in events]


async def test_password_when_changed_then_other_sessions_end_and_this_goes_on_with_a_new_token(
    app: Running, person: Person
) -> None:
    other = await log_in(app, person.email)
    assert other is not None
    answer = await app.client.post("/password", json={"new_password": "short"}, headers=person.headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "new_password")

    answer = await app.client.post("/password", json={"new_password": NEW_PASSWORD}, headers=person.headers)

    assert answer.headers["cache-control"] == "no-store"
    new = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert [await is_alive(app, each) for each in (new, person.headers, other)] == [True, False, False]
    assert (await app.client.get("/sessions", headers=new)).json()["sessions"][0]["methods"] == ["pwd"]
    assert await log_in(app, person.email) is None
    assert await log_in(app, person.email, NEW_PASSWORD) is not None
    assert "password changed" in await kinds(app, new)


async def test_password_when_a_thief_changed_it_then_undone_and_only_a_mail_opens_the_account(
    app: Running, person: Person
) -> None:
    answer = await app.client.post("/password", json={"new_password": NEW_PASSWORD}, headers=person.headers)
    thief = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    link = link_in(await mail_to(app, person.email, subject="password was changed"))
    async with app.resources.database.session() as session:
        kept = (await session.execute(sa.select(account_changes))).mappings().one()
    assert link.partition("token=")[2] not in str(dict(kept)), "a digest is kept"

    assert await undo(app, link) == 200

    assert not await is_alive(app, thief)
    assert [await log_in(app, person.email, each) for each in (PASSWORD, NEW_PASSWORD)] == [None, None]
    assert await undo(app, link) == 400, "once"
    reset = link_in(await mail_to(app, person.email, subject="Reset"))
    body = {"url": reset, "password": "nine clouds drift west"}
    assert (await app.client.post("/resetpassword", json=body)).is_success
    mine = await log_in(app, person.email, "nine clouds drift west")
    assert mine is not None
    assert "change undone" in await kinds(app, mine)


async def test_address_when_a_thief_changed_it_and_the_password_then_one_link_undoes_both(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    """Meanwhile nobody takes the old address, and nobody else's link does anything."""
    await change_email(app, person.headers, "thief@example.org")
    thief = await log_in(app, "thief@example.org")
    assert thief is not None
    await app.client.post("/password", json={"new_password": NEW_PASSWORD}, headers=thief)
    taken = {"first_name": "M", "last_name": "M", "email": person.email, "password": "four hills of slate"}
    assert (await app.client.post("/signup", json=taken)).json()["msg"] == "User already exists"
    other = await make_person()
    theirs = {**NAMES, "email": person.email}
    assert (await app.client.post("/profile", json=theirs, headers=other.headers)).is_success

    link = link_in(await mail_to(app, person.email, subject="has a new e-mail address"))
    assert await undo(app, link) == 200

    reset = link_in(await mail_to(app, person.email, subject="Reset"))
    body = {"url": reset, "password": "nine clouds drift west"}
    assert (await app.client.post("/resetpassword", json=body)).is_success
    mine = await log_in(app, person.email, "nine clouds drift west")
    assert mine is not None
    assert (await app.client.get("/profile", headers=mine)).json()["email"] == person.email
    thiefs = link_in(await mail_to(app, "thief@example.org", subject="password was changed"))
    assert await undo(app, thiefs) == 400, "what the thief could undo went with it"


async def test_link_when_a_week_old_then_it_undoes_nothing(app: Running, person: Person) -> None:
    await app.client.post("/password", json={"new_password": NEW_PASSWORD}, headers=person.headers)
    link = link_in(await mail_to(app, person.email, subject="password was changed"))
    async with app.resources.database.session() as session:
        await session.execute(sa.update(account_changes).values(expires_at=app.resources.database.now()))

    assert await undo(app, link) == 400
    assert await log_in(app, person.email, NEW_PASSWORD) is not None


async def test_device_when_new_then_its_owner_is_told_once_and_the_link_ends_it(
    app: Running, person: Person
) -> None:
    mails = app.resources.settings.data_dir / "mail"
    first = await log_in(app, person.email, headers=FIREFOX)
    again = await log_in(
        app, person.email, headers={"User-Agent": FIREFOX["User-Agent"].replace("140", "141")}
    )
    assert first is not None
    assert again is not None
    assert "told of a new device" not in await kinds(app, first), "neither the first, nor another version"

    stranger = await log_in(app, person.email, headers=PHONE)
    assert stranger is not None
    message = await mail_to(app, person.email, subject="new device")
    assert "Safari on iPhone" in message.as_string()
    assert await log_in(app, person.email, headers=PHONE) is not None
    assert len(list(mails.glob(f"*{person.email}.eml"))) == 1

    assert await undo(app, link_in(message)) == 200
    assert [await is_alive(app, each) for each in (first, again, stranger)] == [False] * 3


async def test_devices_when_many_are_new_in_a_day_then_no_more_mails_than_anybody_reads(
    app: Running, person: Person
) -> None:
    headers = person.headers
    for number in range(TOLD_AT_MOST + 3):
        headers = await log_in(app, person.email, headers={"User-Agent": f"program-{number}/1"}) or {}

    assert (await kinds(app, headers)).count("told of a new device") == TOLD_AT_MOST


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (FIREFOX["User-Agent"], "Firefox on Linux"),
        (PHONE["User-Agent"], "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/141.0 Safari/537.36 Edg/141.0", "Edge on Windows"),
        ("python-httpx/0.28.1", "python-httpx"),
        ("x" * 200, "x" * 40),
        ("", "unknown program"),
    ],
)
def test_device_when_it_calls_itself_something_then_its_family(agent: str, device: str) -> None:
    assert Client("127.0.0.1", agent).device == device
