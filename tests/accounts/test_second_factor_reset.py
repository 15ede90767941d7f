"""Second factors that their owner has lost: an operator's word, a day, and a way to stop it."""

import asyncio

import pytest
import sqlalchemy as sa

from app.accounts.second_factor import RESET_DELAY, carry_out_resets
from app.core.settings import Settings
from app.db.factor_tables import factor_resets
from tests.admin.conftest import sign_in
from tests.commands.conftest import Run
from tests.commands.conftest import run as run  # noqa: PLC0414 - a fixture
from tests.conftest import MakePerson, Person, Running, running
from tests.mailbox import link_in, mail_to
from tests.second_factors import ask_for_token, ok, set_up, wait

WHY = {"reason": "She called from the number that her institute has."}


async def begin(app: Running, person: Person, make_person: MakePerson) -> Person:
    """Let an administrator begin the removal."""
    from app.db import users

    administrator = await make_person()
    async with app.resources.database.session() as session:
        await users.set_administrator(session, administrator.id, is_one=True)
    administrator = await sign_in(app, administrator)
    await ok(app, "POST", f"/admin/users/{person.id}/reset-second-factor", administrator, json=WHY)
    return administrator


async def look(app: Running) -> None:
    """Do what the worker does now and then."""
    await carry_out_resets(app.resources.database, app.resources.settings)


async def test_reset_when_asked_for_then_told_and_carried_out_a_day_later(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    await set_up(app, person)
    administrator = await begin(app, person, make_person)

    await look(app)
    assert (await ask_for_token(app, person)).json()["error"] == "mfa_required", "not at once"
    mail = str(await mail_to(app, person.email, subject="second factor"))
    assert WHY["reason"] in mail
    status = await ok(app, "GET", "/second-factor", person)
    assert status["reset"]["asked_by"] == "an administrator"
    story = await ok(app, "GET", f"/admin/users/{person.id}", administrator)
    assert story["second_factor"]["reset"]["due_at"] == status["reset"]["due_at"]
    wait(app, seconds=RESET_DELAY.total_seconds() + 1)
    await look(app)

    assert (await ask_for_token(app, person)).status_code == 200
    person = await sign_in(app, person)
    events = (await app.client.get("/audit", headers=person.headers)).json()["events"]
    kinds = [event["kind"] for event in events]
    assert {"factor reset begun by an administrator", "second factors removed"} <= set(kinds)
    assert WHY["reason"] in [event["detail"] for event in events]
    done = await mail_to(app, person.email, subject="changed")
    assert "second factors were removed" in str(done.get_body(("plain",)))


@pytest.mark.long
async def test_reset_when_asked_for_twice_then_no_sooner_and_no_later(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    await set_up(app, person)
    await begin(app, person, make_person)
    first = (await ok(app, "GET", "/second-factor", person))["reset"]["due_at"]
    wait(app, seconds=3600)
    await begin(app, person, make_person)

    async with app.resources.database.session() as session:
        due = await session.scalar(sa.select(factor_resets.c.due_at))
    assert due is not None
    assert due.isoformat().replace("+00:00", "Z") == first


@pytest.mark.long
async def test_reset_when_its_owner_stops_it_then_the_second_factor_stays(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    await set_up(app, person)
    await begin(app, person, make_person)
    await ok(app, "DELETE", "/second-factor/reset", person)
    again = await app.client.delete("/second-factor/reset", headers=person.headers)
    wait(app, seconds=RESET_DELAY.total_seconds() + 1)
    await look(app)

    assert again.status_code == 404
    assert (await ask_for_token(app, person)).json()["error"] == "mfa_required"


async def test_reset_when_a_guesser_has_talked_an_operator_into_it_then_the_mails_link_stops_it(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    await set_up(app, person)
    await begin(app, person, make_person)
    link = link_in(await mail_to(app, person.email, subject="second factor"))

    assert (await app.client.post("/undo", json={"url": link})).status_code == 200
    guesser = await ask_for_token(app, person)
    assert guesser.json()["error"] == "invalid_grant", "the password, which the guesser knows, is void"
    new = link_in(await mail_to(app, person.email, subject="Reset"))
    await app.client.post("/resetpassword", json={"url": new, "password": "another seven rivers"})
    wait(app, seconds=RESET_DELAY.total_seconds() + 1)
    await look(app)

    answer = await ask_for_token(app, person, password="another seven rivers")
    assert answer.json()["error"] == "mfa_required"


@pytest.mark.long
async def test_reset_when_there_is_nothing_to_remove_then_400(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    administrator = await make_person()
    from app.db import users

    async with app.resources.database.session() as session:
        await users.set_administrator(session, administrator.id, is_one=True)
    administrator = await sign_in(app, administrator)

    answer = await app.client.post(
        f"/admin/users/{person.id}/reset-second-factor", headers=administrator.headers, json=WHY
    )

    assert answer.status_code == 400
    assert "no second factor" in answer.json()["detail"]


def test_user_when_an_operator_resets_their_second_factor_then_said_when_and_shown(
    run: Run, settings: Settings
) -> None:
    async def make() -> None:
        async with running(settings) as app:
            from tests.conftest import insert_person

            password_hash = await app.resources.passwords.hash("seven rivers flow north")
            await set_up(app, await insert_person(app, password_hash, email="ada@example.org"))

    asyncio.run(make())
    before = run("user", "show", "ada@example.org")
    begun = run("user", "reset-second-factor", "ada@example.org", "--reason", WHY["reason"])
    after = run("user", "show", "ada@example.org")
    nobody = run("user", "reset-second-factor", "nobody@example.org", "--reason", "x")

    assert begun.exit_code == 0, begun.output
    assert "A mail says so" in begun.output
    assert "app_since" in before.output
    assert "an operator" not in before.output
    assert "an operator" in after.output
    assert WHY["reason"] in after.output
    assert nobody.exit_code == 2
