"""Sessions that stay: each refresh token works once, and a copy of one ends them all."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from app.accounts.refresh import LEEWAY
from app.core.settings import Settings
from app.db.refresh_families import ABSOLUTE, IDLE
from app.db.sign_in_tables import refresh_families
from app.db.tables import sessions
from app.worker.janitor import forget_the_past
from tests.conftest import PASSWORD, Person, Running, grow_stale, insert_person, running
from tests.mailbox import link_in, mail_to

COOKIE = "openml-refresh"


async def stay(app: Running, person: Person) -> tuple[dict[str, str], str]:
    """Sign in as the page does; return the headers of the session and the cookie of its browser."""
    body = {"email": person.email, "password": PASSWORD, "stay": True}
    answer = await app.client.post("/login", json=body)
    return headers_of(answer), taken(app, answer)


def headers_of(answer: httpx.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def taken(app: Running, answer: httpx.Response) -> str:
    """The cookie of an answer; the test's client keeps none, for a thief has another one."""
    app.client.cookies.clear()
    (cookie,) = [text for text in answer.headers.get_list("set-cookie") if text.startswith(COOKIE)]
    for words in ("HttpOnly", "Path=/session", "SameSite=strict", f"Max-Age={int(ABSOLUTE.total_seconds())}"):
        assert words in cookie
    return cookie.partition("=")[2].partition(";")[0]


async def refresh(app: Running, cookie: str) -> httpx.Response:
    return await app.client.post("/session/refresh", headers={"Cookie": f"{COOKIE}={cookie}"})


async def is_alive(app: Running, headers: dict[str, str]) -> bool:
    return (await app.client.get("/profile", headers=headers)).is_success


async def age(app: Running, **columns: Any) -> None:
    async with app.resources.database.session() as session:
        await session.execute(sa.update(refresh_families).values(columns))


async def test_login_when_nobody_asked_to_stay_then_no_cookie_and_no_family(
    app: Running, person: Person
) -> None:
    for body in ({}, {"stay": False}):
        answer = await app.client.post("/login", json={"email": person.email, "password": PASSWORD, **body})
        assert answer.json().keys() == {"access_token"}
        assert "set-cookie" not in answer.headers
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(refresh_families)) == 0


async def test_cookie_when_it_opens_nothing_then_the_browser_is_told_to_forget_it(
    app: Running, person: Person
) -> None:
    _, cookie = await stay(app, person)
    await age(app, expires_at=app.resources.database.now())

    answer = await refresh(app, cookie)

    assert answer.status_code == 401
    (taken_away,) = answer.headers.get_list("set-cookie")
    assert taken_away.startswith(f'{COOKIE}=""')
    for words in ("Max-Age=0", "Path=/session", "HttpOnly", "SameSite=strict"):
        assert words in taken_away
    app.client.cookies.clear()
    assert "set-cookie" not in (await app.client.post("/session/refresh")).headers


async def test_session_when_it_stays_then_each_cookie_gives_one_more_token_and_the_next_cookie(
    app: Running, person: Person
) -> None:
    headers, cookie = await stay(app, person)
    for _ in range(3):
        answer = await refresh(app, cookie)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["expires_in"] == 7200
        headers, cookie = headers_of(answer), taken(app, answer)
        assert await is_alive(app, headers)
    async with app.resources.database.session() as session:
        kept = (await session.execute(sa.select(refresh_families))).mappings().one()
    assert cookie.rpartition("_")[2] not in str(dict(kept)), "a digest is kept"
    listed = (await app.client.get("/sessions", headers=headers)).json()["sessions"]
    assert [bool(session["stays_until"]) for session in listed] == [True] * 4 + [False]


async def test_session_when_it_goes_on_then_no_fresher_than_before(app: Running, person: Person) -> None:
    """A stolen cookie must not do what a stolen token must not."""
    _, cookie = await stay(app, person)
    fresh = await refresh(app, cookie)
    assert (await app.client.get("/api-key", headers=headers_of(fresh))).status_code == 200

    await grow_stale(app)
    stale = headers_of(await refresh(app, taken(app, fresh)))

    assert (await app.client.get("/api-key", headers=stale)).status_code == 403


async def test_token_when_used_twice_then_all_that_came_of_it_ends_and_the_owner_is_told(
    app: Running, person: Person
) -> None:
    first, stolen = await stay(app, person)
    mine = await refresh(app, stolen)
    await age(app, rotated_at=app.resources.database.now() - LEEWAY)

    thief = await refresh(app, stolen)

    assert thief.status_code == 401
    assert thief.json()["type"].endswith("/refresh-token-not-valid")
    assert [await is_alive(app, each) for each in (first, headers_of(mine))] == [False, False]
    assert (await refresh(app, taken(app, mine))).status_code == 401
    assert await is_alive(app, person.headers), "another session"
    message = await mail_to(app, person.email, subject="was copied")
    assert (await app.client.post("/undo", json={"url": link_in(message)})).status_code == 200
    assert not await is_alive(app, person.headers)


async def test_token_when_its_answer_was_lost_then_it_works_once_more_for_some_seconds(
    app: Running, person: Person
) -> None:
    _, cookie = await stay(app, person)
    await refresh(app, cookie)

    again = await refresh(app, cookie)

    assert await is_alive(app, headers_of(again))
    assert (await refresh(app, taken(app, again))).status_code == 200


async def test_token_when_two_tabs_use_it_at_once_then_both_get_the_same_next_one_and_go_on(
    app: Running, person: Person
) -> None:
    """In whatever order the answers come: the browser keeps the cookie of the last."""
    _, cookie = await stay(app, person)

    answers = await asyncio.gather(*(refresh(app, cookie) for _ in range(3)))

    assert [await is_alive(app, headers_of(each)) for each in answers] == [True] * 3
    (following,) = {taken(app, each) for each in answers}
    assert following != cookie
    await age(app, rotated_at=app.resources.database.now() - timedelta(hours=2))
    assert (await refresh(app, following)).status_code == 200
    assert (await refresh(app, cookie)).status_code == 401, "the one before the last but one is a thief's"
    assert (await refresh(app, following)).status_code == 401


@pytest.mark.long
async def test_token_when_the_sites_secret_changes_meanwhile_then_the_same_next_one(
    settings: Settings, password_hash: str
) -> None:
    old, new = (SecretStr(word * 8) for word in ("first-", "second-"))
    async with running(settings.model_copy(update={"app_secret_key": old})) as app:
        _, cookie = await stay(app, await insert_person(app, password_hash))
        following = taken(app, await refresh(app, cookie))

    both = settings.model_copy(update={"app_secret_key": new, "accepted_secret_keys": old})
    async with running(both) as app:
        await age(app, rotated_at=app.resources.database.now())
        assert taken(app, await refresh(app, cookie)) == following
        assert (await refresh(app, following)).status_code == 200


@pytest.mark.parametrize("column", ["rotated_at", "expires_at"])
async def test_session_when_idle_or_old_then_it_does_not_go_on(
    app: Running, person: Person, column: str
) -> None:
    _, cookie = await stay(app, person)
    now = app.resources.database.now()
    await age(app, **{column: now - IDLE if column == "rotated_at" else now - timedelta(seconds=1)})

    assert (await refresh(app, cookie)).status_code == 401

    await forget_the_past(app.resources.database, audit_days=1)
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(refresh_families)) == 0


@pytest.mark.parametrize("way", ["sign out", "end it", "end all", "password", "deletion"])
async def test_session_when_something_ends_it_then_its_cookie_is_worth_nothing(
    app: Running, person: Person, way: str
) -> None:
    headers, cookie = await stay(app, person)
    cookie = taken(app, await refresh(app, cookie))
    if way == "sign out":
        await app.client.post("/logout", headers=headers)
    elif way == "end it":
        listed = (await app.client.get("/sessions", headers=headers)).json()["sessions"]
        family = next(session["id"] for session in listed if session["current"])
        await app.client.delete(f"/sessions/{family}", headers=person.headers)
    elif way == "end all":
        await app.client.delete("/sessions", headers=person.headers)
    elif way == "password":
        await app.client.post("/password", json={"new_password": "eight winds blow"}, headers=headers)
    else:
        await app.client.post("/delete", json={"password": PASSWORD}, headers=headers)

    assert (await refresh(app, cookie)).status_code == 401
    assert not await is_alive(app, headers)


async def test_session_when_no_access_token_is_out_then_listed_and_ended_by_its_own_id(
    app: Running, person: Person
) -> None:
    _, cookie = await stay(app, person)
    async with app.resources.database.session() as session:
        past = {"expires_at": app.resources.database.now() - timedelta(hours=3)}
        await session.execute(sa.update(sessions).where(sessions.c.family_id.is_not(None)).values(past))
    (listed,) = [
        session
        for session in (await app.client.get("/sessions", headers=person.headers)).json()["sessions"]
        if session["stays_until"]
    ]

    await app.client.delete(f"/sessions/{listed['id']}", headers=person.headers)

    assert (await refresh(app, cookie)).status_code == 401


@pytest.mark.parametrize("cookie", ["", "omr_", "omr_" + "0" * 32 + "_" + "0" * 64, "é", "x" * 4000])
async def test_cookie_when_made_up_or_sent_twice_then_401(app: Running, person: Person, cookie: str) -> None:
    headers = {b"Cookie": f"{COOKIE}={cookie}".encode()}
    assert (await app.client.post("/session/refresh", headers=headers)).status_code == 401
    _, mine = await stay(app, person)
    planted = {"Cookie": f"{COOKIE}={mine}; {COOKIE}={mine}"}
    assert (await app.client.post("/session/refresh", headers=planted)).status_code == 401
    async with app.resources.database.session() as session:
        name = await session.scalar(sa.select(refresh_families.c.id))
    assert (await refresh(app, f"omr_{name}_{'0' * 64}")).status_code == 401
    assert (await refresh(app, mine)).status_code == 200, "who knows the name of a session does not end it"


async def test_program_when_it_asks_for_offline_access_then_it_goes_on_as_oauth_says(
    app: Running, person: Person
) -> None:
    grant = {"username": person.email, "password": PASSWORD}
    plain = await app.client.post("/token", data=grant)
    assert "refresh_token" not in plain.json()
    first = await app.client.post("/token", data={**grant, "scope": "offline_access"})
    assert "set-cookie" not in first.headers

    going_on = {"grant_type": "refresh_token", "refresh_token": first.json()["refresh_token"]}
    second = await app.client.post("/token", data=going_on)

    assert await is_alive(app, headers_of(second))
    assert second.json()["refresh_token"] != first.json()["refresh_token"]
    await age(app, rotated_at=app.resources.database.now() - LEEWAY)
    reused = await app.client.post("/token", data=going_on)
    assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")
    missing = await app.client.post("/token", data={"grant_type": "refresh_token"})
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")
    page = await app.client.post("/token", data={**grant, "stay": "true"})
    assert "refresh_token" not in page.json(), "no script reads it"
    assert (await refresh(app, taken(app, page))).status_code == 200
