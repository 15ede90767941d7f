"""Sessions, the audit trail, taking one's data along, and leaving."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
import sqlalchemy as sa

from app.accounts.audit import AT_COMMAND_LINE
from app.accounts.lifecycle import deactivate
from app.core.clock import utc_now
from app.core.settings import Settings
from app.core.tokens import TokenSigner
from app.db.account_states import end_tokens
from app.db.sessions import add_session
from app.db.tables import (
    account_states,
    account_tokens,
    audit_events,
    metadata,
    revoked_tokens,
    sessions,
    users,
    users_groups,
)
from app.db.upload_tables import uploads
from app.worker.janitor import forget_the_past
from tests.conftest import PASSWORD, MakePerson, Person, Running, running
from tests.mailbox import mail_to

AGENT = {"User-Agent": "test agent"}


async def log_in(app: Running, person: Person) -> dict[str, str]:
    answer = await app.client.post(
        "/login", json={"email": person.email, "password": PASSWORD}, headers=AGENT
    )
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def listed(app: Running, headers: dict[str, str]) -> list[dict[str, Any]]:
    answer = await app.client.get("/sessions", headers=headers)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["sessions"]
    return found


async def alive(app: Running, headers: dict[str, str]) -> bool:
    return (await app.client.get("/profile", headers=headers)).status_code == 200


async def test_sessions_when_listed_then_own_live_ones_with_where_and_when(
    app: Running, make_person: MakePerson
) -> None:
    person, other = await make_person(), await make_person()
    await app.client.post("/logout", headers=person.headers)
    first, second = await log_in(app, person), await log_in(app, person)
    await log_in(app, other)

    found = await listed(app, second)

    assert [session["current"] for session in found] == [True, False], "newest first"
    assert [session["methods"] for session in found] == [["pwd"], ["pwd"]]
    assert {session["user_agent"] for session in found} == {"test agent"}
    assert {session["ip_address"] for session in found} == {"127.0.0.1"}
    assert all(session["created_at"] < session["expires_at"] for session in found)
    await app.client.post("/logout", headers=first)
    assert [session["current"] for session in await listed(app, second)] == [True]


async def test_session_when_ended_by_its_owner_then_dead_and_nobody_elses(
    app: Running, make_person: MakePerson
) -> None:
    person, other = await make_person(), await make_person()
    mine, old, theirs = await log_in(app, person), await log_in(app, person), await log_in(app, other)
    (old_id,) = [session["id"] for session in await listed(app, old) if session["current"]]

    by_stranger = await app.client.delete(f"/sessions/{old_id}", headers=theirs)
    assert (by_stranger.status_code, await alive(app, old)) == (404, True)
    by_owner = await app.client.delete(f"/sessions/{old_id}", headers=mine)
    assert (by_owner.status_code, await alive(app, old), await alive(app, mine)) == (200, False, True)
    again = await app.client.delete(f"/sessions/{old_id}", headers=mine)
    assert again.status_code == 404


async def test_sessions_when_all_are_ended_then_even_tokens_that_were_never_listed(
    app: Running, person: Person
) -> None:
    mine = await log_in(app, person)
    without_row = {"Authorization": f"Bearer {app.resources.tokens.issue(person.id)[0]}"}
    assert await alive(app, without_row)

    assert (await app.client.delete("/sessions", headers=mine)).status_code == 200

    assert not await alive(app, mine)
    assert not await alive(app, without_row)
    new = await log_in(app, person)
    assert await alive(app, new), "a login in the same second works"
    assert len(await listed(app, new)) == 1


async def test_session_when_used_again_after_a_while_then_last_seen_moves(
    app: Running, person: Person
) -> None:
    async with app.resources.database.session() as session:
        await session.execute(sa.update(sessions).values(last_seen_at=utc_now() - timedelta(minutes=6)))
    await alive(app, person.headers)
    async with app.resources.database.session() as session:
        seen = await session.scalar(sa.select(sessions.c.last_seen_at))
    assert seen is not None
    assert utc_now() - seen < timedelta(minutes=1)


async def test_logout_when_token_has_expired_then_2xx_and_when_forged_401(
    app: Running, person: Person
) -> None:
    past = TokenSigner(app.resources.settings.token_secret, lifetime=timedelta(seconds=-1))
    expired = {"Authorization": f"Bearer {past.issue(person.id)[0]}"}
    claims = {"sub": str(person.id), "jti": "0" * 32, "iat": 1, "exp": 2, "aud": "openml-web"}
    forged = {"Authorization": f"Bearer {jwt.encode(claims, 'abcd' * 8, 'HS256')}"}

    assert (await app.client.get("/profile", headers=expired)).json()["msg"] == "Token has expired"
    assert (await app.client.post("/logout", headers=expired)).status_code == 200
    assert (await app.client.post("/logout", headers=forged)).status_code == 401
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(revoked_tokens)) == 0


async def test_audit_when_asked_then_ones_own_events_and_no_others(
    app: Running, make_person: MakePerson
) -> None:
    person, other = await make_person(), await make_person()
    await app.client.post("/login", json={"email": person.email, "password": "wrong"}, headers=AGENT)
    await log_in(app, other)
    mine = await log_in(app, person)
    await app.client.post("/api-key", headers=mine)

    events = (await app.client.get("/audit", headers=mine)).json()["events"]

    assert [event["kind"] for event in events] == ["API key changed", "logged in", "login failed"]
    assert events[2]["user_agent"] == "test agent"


async def test_audit_when_its_time_is_over_then_forgotten(app: Running, person: Person) -> None:
    await log_in(app, person)
    await forget_the_past(app.resources.database, audit_days=app.resources.settings.timings.audit_days)
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(audit_events)) == 1
        await session.execute(sa.update(audit_events).values(at=utc_now() - timedelta(days=366)))
    await forget_the_past(app.resources.database, audit_days=app.resources.settings.timings.audit_days)
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(audit_events)) == 0


async def test_export_when_asked_then_everything_held_and_no_secret(app: Running, person: Person) -> None:
    mine = await log_in(app, person)

    answer = await app.client.get("/export", headers=mine)

    assert answer.status_code == 200
    found = answer.json()
    assert found["account"]["email"] == person.email
    assert found["account"]["groups"] == [2]
    assert [event["kind"] for event in found["events"]][-1] == "logged in"
    assert [session["current"] for session in found["sessions"]] == [True, False]
    assert found["uploads"] == []
    async with app.resources.database.session() as session:
        stored = await session.scalar(sa.select(users.c.password))
    assert person.api_key not in answer.text
    assert stored is not None
    assert stored not in answer.text


async def test_delete_when_password_is_wrong_then_nothing_happens(app: Running, person: Person) -> None:
    for body in ({}, {"password": "wrong"}):
        answer = await app.client.post("/delete", json=body, headers=person.headers)
        assert answer.status_code in {401, 422}
    assert await alive(app, person.headers)


async def test_delete_when_password_is_guessed_with_a_stolen_session_then_slowed_down(
    app: Running, person: Person
) -> None:
    answers = [
        await app.client.post("/delete", json={"password": f"guess {n}"}, headers=person.headers)
        for n in range(12)
    ]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_delete_when_done_then_nothing_personal_is_left_anywhere(
    app: Running, make_person: MakePerson
) -> None:
    person, other = await make_person(email="gone@example.org"), await make_person()
    mine, theirs = await log_in(app, person), await log_in(app, other)
    await app.client.post("/forgotpassword", json={"email": person.email})
    await mail_to(app, person.email)

    answer = await app.client.post("/delete", json={"password": PASSWORD}, headers=mine)

    assert (answer.status_code, answer.json()) == (200, {"msg": "User deleted"})
    await mail_to(app, person.email, subject="was deleted")
    assert not await alive(app, mine)
    assert await alive(app, theirs)
    login = await app.client.post("/login", json={"email": person.email, "password": PASSWORD})
    assert login.json() == {"msg": "Wrong username or password"}
    async with app.resources.database.session() as session:
        columns = (users.c.active, users.c.session_hash, users.c.username)
        row = (await session.execute(sa.select(*columns).where(users.c.id == person.id))).mappings().one()
        assert (row["active"], row["session_hash"], row["username"]) == (0, None, f"deleted-{person.id}")
        for table in (sessions, account_tokens, uploads, users_groups, audit_events):
            left = await session.scalar(
                sa.select(sa.func.count()).select_from(table).where(table.c.user_id == person.id)
            )
            assert left == 0, table.name
        for table in metadata.sorted_tables:
            text = repr((await session.execute(sa.text(f"SELECT * FROM `{table.name}`"))).all())
            if table.name != "outbox":
                assert person.email not in text, table.name
                assert person.api_key not in text, table.name
    again = {"first_name": "G", "last_name": "G", "email": person.email, "password": PASSWORD}
    assert (await app.client.post("/signup", json=again)).json() == {"msg": "User created"}


async def test_account_when_an_operator_closed_it_then_no_token_key_or_link_opens_it(
    app: Running, person: Person
) -> None:
    await app.client.post("/send-confirmation-token", json={"email": person.email})
    async with app.resources.database.session() as session:
        await deactivate(session, person.id, AT_COMMAND_LINE)

    assert not await alive(app, person.headers)
    by_key = await app.client.post("/data-upload", headers={"X-API-Key": person.api_key})
    assert by_key.status_code == 401
    await app.client.post("/send-confirmation-token", json={"email": person.email})
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(account_states.c.deactivated_at)) is not None
        assert await session.scalar(sa.select(sa.func.count()).select_from(account_tokens)) == 0


async def test_token_when_it_lives_two_hours_then_the_setting_says_so(settings: Settings) -> None:
    async with running(settings) as app:
        assert app.resources.tokens.lifetime_seconds == 7200


@pytest.mark.parametrize("seconds", [0, 5, 50])
async def test_token_when_its_machine_was_ahead_and_all_sessions_are_ended_then_it_is_too(
    app: Running, person: Person, seconds: float
) -> None:
    """With its row and without: what it says of its time is not believed."""
    ahead = TokenSigner(
        app.resources.settings.token_secret,
        lifetime=timedelta(hours=2),
        now=lambda: app.resources.database.now() + timedelta(seconds=seconds),
    )
    with_row, token = ahead.issue(person.id)
    without, _ = ahead.issue(person.id)
    async with app.resources.database.session() as session:
        await add_session(session, token, "pwd", ip_address="", user_agent="")
    headers = [{"Authorization": f"Bearer {text}"} for text in (with_row, without)]
    assert [(await app.client.get("/profile", headers=one)).status_code for one in headers] == [200, 200]

    assert (await app.client.delete("/sessions", headers=person.headers)).is_success

    assert [(await app.client.get("/profile", headers=one)).status_code for one in headers] == [401, 401]
    again = await log_in(app, person)
    assert (await app.client.get("/profile", headers=again)).status_code == 200
    assert [one["current"] for one in await listed(app, again)] == [True]


async def test_login_when_the_last_cut_off_seems_to_come_then_its_token_works_at_once(
    app: Running, person: Person
) -> None:
    async with app.resources.database.session() as session:
        later = app.resources.database.now() + timedelta(seconds=5)
        await end_tokens(session, person.id, later)

    again = await log_in(app, person)

    assert (await app.client.get("/profile", headers=again)).status_code == 200
