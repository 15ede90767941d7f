"""Attacks that need two features: each of them alone is safe."""

import asyncio
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.db.sign_in_tables import refresh_families
from app.db.tables import users
from tests import second_factors
from tests.accounts.public.test_refresh import COOKIE, is_alive, refresh, stay, taken
from tests.accounts.signed_in.test_undo import NEW_PASSWORD, change_email, log_in, undo
from tests.conftest import PASSWORD, MakePerson, Person, Running, grow_stale
from tests.mailbox import link_in, mail_to


async def families(app: Running) -> int:
    async with app.resources.database.session() as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(refresh_families)) or 0


async def api_token(app: Running, person: Person, scope: str) -> dict[str, str]:
    body = {"name": "a program", "scopes": [scope], "expires_in_days": 30}
    answer = await app.client.post("/tokens", json=body, headers=person.headers)
    return {"Authorization": f"Bearer {answer.json()['token']}"}


async def reset(app: Running, person: Person, password: str) -> None:
    """Choose a new password by mail, as an owner does who knows of nothing."""
    await app.client.post("/forgotpassword", json={"email": person.email})
    body = {"url": link_in(await mail_to(app, person.email, subject="Reset")), "password": password}
    assert (await app.client.post("/resetpassword", json=body)).is_success


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_form_of_another_site_when_it_signs_its_victim_in_then_no_session_stays(
    app: Running, person: Person, site: str
) -> None:
    """Log-in CSRF: the victim would go on in the attacker's account, and upload there."""
    form = {"username": person.email, "password": PASSWORD, "stay": "true"}

    answer = await app.client.post("/token", data=form, headers={"Sec-Fetch-Site": site})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "set-cookie" not in answer.headers
    assert await families(app) == 0
    own = await app.client.post("/token", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert taken(app, own)


async def test_shared_computer_when_its_user_signs_out_after_the_token_has_ended_then_nothing_goes_on(
    app: Running, person: Person
) -> None:
    """A lid that was shut for hours: the cookie lives longer than the token that signs out."""
    headers, cookie = await stay(app, person)
    second_factors.wait(app, hours=3)

    answer = await app.client.post("/logout", headers=headers)

    assert answer.is_success
    assert f'{COOKIE}=""' in answer.headers["set-cookie"]
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await refresh(app, cookie)).status_code == 401
    assert await families(app) == 0


async def test_refresh_token_when_its_owner_resets_the_password_or_undoes_then_it_is_worth_nothing(
    app: Running, person: Person
) -> None:
    _, stolen = await stay(app, person)
    await reset(app, person, NEW_PASSWORD)
    assert (await refresh(app, stolen)).status_code == 401

    body = {"email": person.email, "password": NEW_PASSWORD, "stay": True}
    signed_in = await app.client.post("/login", json=body)
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    stolen = taken(app, signed_in)
    await app.client.post("/password", json={"new_password": "five stones sink"}, headers=headers)
    link = link_in(await mail_to(app, person.email, subject="password was changed", says="undo"))
    assert await undo(app, link) == 200
    assert (await refresh(app, stolen)).status_code == 401


async def test_refresh_token_when_two_tabs_use_it_at_once_then_nobody_is_taken_for_a_thief(
    app: Running, person: Person
) -> None:
    _, cookie = await stay(app, person)

    both = await asyncio.gather(refresh(app, cookie), refresh(app, cookie))

    assert [answer.status_code for answer in both] == [200, 200]
    headers = [{"Authorization": f"Bearer {answer.json()['access_token']}"} for answer in both]
    assert [await is_alive(app, each) for each in headers] == [True, True]


async def test_refresh_token_when_alone_then_it_never_grows_fresh(app: Running, person: Person) -> None:
    """Whoever stole it reads what a token reads, and changes nothing that lasts."""
    _, stolen = await stay(app, person)
    await grow_stale(app)

    thief = {"Authorization": f"Bearer {(await refresh(app, stolen)).json()['access_token']}"}

    for method, path in (("GET", "/api-key"), ("GET", "/export"), ("POST", "/second-factor/totp/offer")):
        answer = await app.client.request(method, path, headers=thief)
        assert answer.json()["type"].endswith("/password-needed")
    assert await is_alive(app, thief)


@pytest.mark.parametrize("scope", ["account", "upload"])
async def test_api_token_when_it_asks_for_a_session_or_a_fresh_one_then_refused(
    app: Running, person: Person, scope: str
) -> None:
    token = await api_token(app, person, scope)
    for method, path, body in (
        ("POST", "/reauthenticate", {"password": PASSWORD}),
        ("POST", "/tokens", {"name": "more", "scopes": ["account"]}),
        ("GET", "/api-key", None),
        ("POST", "/password", {"new_password": NEW_PASSWORD}),
        ("POST", "/delete", {"password": PASSWORD}),
        ("POST", "/logout", None),
    ):
        answer = await app.client.request(method, path, json=body, headers=token)
        assert answer.status_code == 403, path
        assert answer.json()["type"].endswith("/insufficient-scope")


async def test_api_key_when_it_asks_for_more_than_uploads_then_401(app: Running, person: Person) -> None:
    for method, path in (
        ("GET", "/profile"),
        ("GET", "/export"),
        ("POST", "/reauthenticate"),
        ("POST", "/tokens"),
        ("POST", "/second-factor/totp/offer"),
        ("DELETE", "/sessions"),
    ):
        answer = await app.client.request(method, path, json={}, headers={"X-API-Key": person.api_key})
        assert answer.status_code == 401, path


async def test_takeover_when_undone_then_key_tokens_and_sessions_of_the_thief_open_nothing(
    app: Running, person: Person
) -> None:
    """The thief had a fresh session: read the key, made a token, stayed signed in, and moved the address."""
    key = {"X-API-Key": person.api_key}
    token = await api_token(app, person, "upload")
    assert (await app.client.get("/uploads", headers=key)).is_success
    await change_email(app, person.headers, "thief@example.org")
    thief = await log_in(app, "thief@example.org")
    assert thief is not None

    link = link_in(await mail_to(app, person.email, subject="has a new e-mail address"))
    assert await undo(app, link) == 200

    for headers in (key, token, thief):
        assert (await app.client.get("/uploads", headers=headers)).status_code == 401


async def test_second_step_when_code_and_ticket_are_of_two_accounts_then_refused(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    mallory = await make_person()
    theirs, _ = await second_factors.set_up(app, mallory)
    await second_factors.set_up(app, person)
    ticket = (await second_factors.ask_for_token(app, person)).json()["ticket"]

    answer = await app.client.post("/sign-in/code", json={"ticket": ticket, "code": theirs.code()})

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (401, "wrong-credentials")


async def test_ticket_when_the_password_is_reset_meanwhile_then_it_is_worth_nothing(
    app: Running, person: Person
) -> None:
    phone, _ = await second_factors.set_up(app, person)
    ticket = (await second_factors.ask_for_token(app, person)).json()["ticket"]
    await reset(app, person, NEW_PASSWORD)

    answer = await app.client.post("/sign-in/code", json={"ticket": ticket, "code": phone.code()})

    assert answer.json()["type"].endswith("/ticket-not-valid")


async def test_mailbox_when_only_that_is_stolen_then_a_second_factor_keeps_it_out(
    app: Running, person: Person
) -> None:
    """By a new password. What was changed in the last seven days is another matter (docs/security.md)."""
    await second_factors.set_up(app, person)
    await reset(app, person, NEW_PASSWORD)

    answer = await second_factors.log_in(app, person, NEW_PASSWORD)

    assert answer.status_code == 403
    assert "access_token" not in answer.json()


async def test_mailbox_when_the_second_factor_is_younger_than_a_week_then_its_link_removes_it(
    app: Running, person: Person
) -> None:
    """What is not held: who could not undo what a thief has set up would be locked out for good."""
    await second_factors.set_up(app, person)
    link = link_in(await mail_to(app, person.email, says="authenticator app was set up"))
    assert await undo(app, link) == 200
    await app.client.post(
        "/resetpassword",
        json={
            "url": link_in(await mail_to(app, person.email, subject="Reset")),
            "password": NEW_PASSWORD,
        },
    )

    assert await log_in(app, person.email, NEW_PASSWORD) is not None


async def test_resources_when_of_somebody_else_then_not_found_and_still_there(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    """By their numbers, which can be guessed, or their ids, which cannot."""
    mallory = await make_person()
    token = await api_token(app, person, "read")
    number = (await app.client.get("/tokens", headers=person.headers)).json()["tokens"][0]["id"]
    sessions = (await app.client.get("/sessions", headers=person.headers)).json()["sessions"]

    answers: list[httpx.Response] = [
        await app.client.request(method, path, json=body, headers=mallory.headers)
        for method, path, body in (
            ("DELETE", f"/tokens/{number}", None),
            ("DELETE", f"/sessions/{sessions[0]['id']}", None),
            ("DELETE", "/trusted-publishers/1", None),
            ("DELETE", f"/linked-accounts/{'0' * 64}", None),
        )
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert (await app.client.get("/uploads", headers=token)).is_success
    assert await is_alive(app, person.headers)


async def test_bodies_when_they_name_what_is_not_theirs_to_say_then_nothing_of_it_counts(
    app: Running, person: Person
) -> None:
    more: dict[str, Any] = {
        "id": 1,
        "user_id": 1,
        "active": 0,
        "password": "x",
        "session_hash": "y",
        "api_key": "z",
    }
    body = {"first_name": "Ada", "last_name": "L", "bio": "", "email": person.email, **more}
    await app.client.post("/profile", json=body, headers=person.headers)

    async with app.resources.database.session() as session:
        columns = sa.select(users.c.session_hash, users.c.active).where(users.c.id == person.id)
        row = (await session.execute(columns)).one()
    assert tuple(row) == (person.api_key, 1)
    assert await log_in(app, person.email) is not None


async def test_codes_when_a_stolen_session_guesses_them_then_no_more_a_day_than_at_log_ins(
    app: Running, person: Person
) -> None:
    """A session that stays has a month: at 20 an hour, one in twenty-five would find one."""
    phone, _ = await second_factors.set_up(app, person)
    wrong = {"code": phone.wrong_code()}
    for _ in range(20):
        answer = await app.client.post("/reauthenticate", json=wrong, headers=person.headers)
        assert answer.status_code == 401

    right = {"code": phone.code()}
    answer = await app.client.post("/reauthenticate", json=right, headers=person.headers)
    assert answer.status_code == 429
    assert (await second_factors.ask_for_token(app, person, otp=phone.code())).is_success, "the owner"
