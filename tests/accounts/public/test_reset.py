"""A forgotten password: the link, what it opens, and what it must not."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from app.accounts.links import LinkPurpose, create_link
from app.core.clock import utc_now
from app.db import account_tokens as account_token_rows
from app.db.tables import account_tokens, outbox, users
from tests.conftest import PASSWORD, MakePerson, Person, Running, eventually
from tests.mailbox import link_in, mail_to

NEW_PASSWORD = "eleven clouds drift south"


async def reset_link(app: Running, person: Person) -> str:
    answer = await app.client.post("/forgotpassword", json={"email": person.email})
    assert (answer.status_code, answer.json()) == (200, {"msg": "Token sent"})
    return link_in(await mail_to(app, person.email, subject="Reset"))


async def reset(app: Running, link: str, password: str = NEW_PASSWORD) -> Any:
    return await app.client.post("/resetpassword", json={"url": link, "password": password})


async def can_log_in(app: Running, login: str, password: str) -> bool:
    answer = await app.client.post("/login", json={"email": login, "password": password})
    return "access_token" in answer.json()


async def test_reset_when_done_as_the_spa_does_it_then_new_password_and_every_session_dead(
    app: Running, person: Person
) -> None:
    link = await reset_link(app, person)
    assert link.startswith(f"{app.resources.settings.site_url}/auth/reset-page/?token=")

    checked = await app.client.post("/forgot-token", json={"url": link})
    done = await reset(app, link)
    again = await app.client.post("/forgot-token", json={"url": link})

    assert (checked.status_code, checked.json()) == (200, {"msg": "token confirmed"})
    assert (done.status_code, done.json()) == (200, {"msg": "password changed"})
    # The SPA asks once more after the reset and ignores the answer; the token must not come to life by it.
    assert again.status_code == 400
    assert (await reset(app, link, "another long password")).status_code == 400
    assert await can_log_in(app, person.email, NEW_PASSWORD)
    assert not await can_log_in(app, person.email, PASSWORD)
    refused = await app.client.get("/profile", headers=person.headers)
    assert (refused.status_code, refused.json()["msg"]) == (401, "Token has been revoked")
    told = await mail_to(app, person.email, subject="password was changed")
    assert "choose a new one" in told.get_content() if not told.is_multipart() else True


async def test_reset_when_its_hour_is_over_then_refused(app: Running, person: Person) -> None:
    link = await reset_link(app, person)
    async with app.resources.database.session() as session:
        row = (await session.execute(sa.select(account_tokens))).one()
        assert 3500 < (row.expires_at - row.created_at).total_seconds() <= 3600
        await session.execute(sa.update(account_tokens).values(expires_at=utc_now()))

    assert (await app.client.post("/forgot-token", json={"url": link})).status_code == 400
    assert (await reset(app, link)).status_code == 400
    assert await can_log_in(app, person.email, PASSWORD)


async def test_reset_when_a_newer_link_was_asked_for_then_the_older_is_dead(
    app: Running, person: Person
) -> None:
    first = await reset_link(app, person)

    async def second_mail() -> str | None:
        link = link_in(await mail_to(app, person.email, subject="Reset"))
        return link if link != first else None

    await app.client.post("/forgotpassword", json={"email": person.email})
    second = await eventually(second_mail)

    assert (await reset(app, first)).status_code == 400
    assert (await reset(app, second)).status_code == 200


async def test_reset_when_twenty_use_one_link_at_once_then_one_wins(app: Running, person: Person) -> None:
    link = await reset_link(app, person)

    answers = await asyncio.gather(*(reset(app, link, f"password number {n}") for n in range(20)))

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19


@pytest.mark.parametrize(
    "token",
    ["0000", "", "passkey_pending", "passkey_activated", "None", "null", "a" * 64, "%00", "x" * 5000],
)
async def test_reset_when_token_is_what_other_servers_left_in_the_table_then_refused(
    app: Running, person: Person, token: str
) -> None:
    async with app.resources.database.session() as session:
        # PHP, Flask and app-next keep theirs in `users`; none of them is ours.
        await session.execute(
            sa.update(users).values(forgotten_password_code=token[:40], activation_code=token[:40])
        )

    for path in ("/resetpassword", "/forgot-token", "/confirmation"):
        answer = await app.client.post(path, json={"url": f"?token={token}", "password": NEW_PASSWORD})
        assert answer.status_code in {400, 422}, path
    assert await can_log_in(app, person.email, PASSWORD)


async def test_reset_when_token_is_of_another_purpose_then_refused(app: Running, person: Person) -> None:
    async with app.resources.database.session() as session:
        confirm = await create_link(
            session, app.resources.settings, user_id=person.id, purpose=LinkPurpose.CONFIRM
        )
        resets = await create_link(
            session, app.resources.settings, user_id=person.id, purpose=LinkPurpose.RESET_PASSWORD
        )

    assert (await reset(app, confirm)).status_code == 400
    assert (await app.client.post("/confirmation", json={"url": resets})).status_code == 400
    assert (await reset(app, resets)).status_code == 200, "the refusals used nothing up"


async def test_reset_when_password_is_refused_then_the_link_still_works(app: Running, person: Person) -> None:
    link = await reset_link(app, person)

    for password in ("short", "password1", person.email, "aaaaaaaaaaaa"):
        answer = await reset(app, link, password)
        assert answer.status_code == 422, password
        assert answer.json()["errors"][0]["field"] == "password"
        assert password not in answer.text
    assert (await reset(app, link)).status_code == 200


async def test_reset_when_done_then_codes_of_other_servers_are_void_too(app: Running, person: Person) -> None:
    async with app.resources.database.session() as session:
        await session.execute(
            sa.update(users).values(
                forgotten_password_code="php", remember_code="php", remember_selector="php"
            )
        )

    await reset(app, await reset_link(app, person))

    async with app.resources.database.session() as session:
        row = (await session.execute(sa.text("SELECT * FROM users"))).mappings().one()
    assert (row["forgotten_password_code"], row["remember_code"], row["remember_selector"]) == (None,) * 3


async def test_reset_when_account_is_closed_then_it_stays_closed(app: Running, person: Person) -> None:
    link = await reset_link(app, person)
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).values(active=0))

    await reset(app, link)

    answer = await app.client.post("/login", json={"email": person.email, "password": NEW_PASSWORD})
    assert answer.json() == {"msg": "NotConfirmed"}


@pytest.mark.parametrize(("path", "text"), [
    ("/forgotpassword", "Token sent"),
    ("/send-confirmation-token", "User confirmation token sent"),
])  # fmt: skip
async def test_mail_when_asked_for_a_stranger_then_same_answer_same_rows_and_no_mail(
    app: Running, make_person: MakePerson, path: str, text: str
) -> None:
    known = await make_person(active=path == "/forgotpassword")

    async def ask(address: str) -> Any:
        answer = await app.client.post(path, json={"email": address})
        headers = {name for name in answer.headers if name != "x-request-id"}
        return answer.status_code, answer.json(), headers

    assert await ask(known.email) == await ask("nobody@example.org")
    assert (await ask(known.email))[:2] == (200, {"msg": text})
    await mail_to(app, known.email)

    async def all_done() -> list[Any] | None:
        async with app.resources.database.session() as session:
            rows = (await session.execute(sa.select(outbox.c.recipient, outbox.c.state))).all()
        return [tuple(row) for row in rows] if {row.state for row in rows} == {"sent"} else None

    sent = await eventually(all_done)
    assert {recipient for recipient, _ in sent} == {known.email}


async def test_confirmation_mail_when_asked_for_a_confirmed_or_closed_account_then_none(
    app: Running, make_person: MakePerson
) -> None:
    confirmed = await make_person()
    closed = await make_person(active=False)
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).where(users.c.id == closed.id).values(last_login=1))

    for person in (confirmed, closed):
        answer = await app.client.post("/send-confirmation-token", json={"email": person.email})
        assert answer.json() == {"msg": "User confirmation token sent"}

    async def answered() -> bool | None:
        async with app.resources.database.session() as session:
            return not await session.scalar(sa.select(sa.func.count()).select_from(outbox)) or None

    await eventually(answered)
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(account_tokens)) == 0


async def test_token_rows_when_their_time_is_over_then_forgotten(app: Running, person: Person) -> None:
    await reset_link(app, person)
    async with app.resources.database.session() as session:
        assert await account_token_rows.delete_expired(session, utc_now()) == 0
        await session.execute(sa.update(account_tokens).values(expires_at=sa.literal("2020-01-01 00:00:00")))
    async with app.resources.database.session() as session:
        assert await account_token_rows.delete_expired(session, utc_now()) == 1
