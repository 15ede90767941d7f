"""Deletion is final: what began before it leaves nothing, and what waits for an account dies with it."""

from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import lifecycle, sessions
from app.accounts import service_signed_in as service
from app.accounts.audit import AT_COMMAND_LINE
from app.core.clients import Client
from app.core.errors import UnauthorizedError
from app.db import users as accounts
from app.db.tables import account_states, account_tokens, audit_events, outbox, users
from app.db.upload_tables import uploads
from app.db.users import Account
from app.uploads.creation import Creation, begin_upload
from tests.conftest import PASSWORD, Person, Running, eventually
from tests.mailbox import link_in, mail_to

HERE = Client("203.0.113.7", "test")


async def let_in(app: Running, person: Person) -> Account:
    """The account as a request has it that was let in before the deletion."""
    token = app.resources.tokens.verify(person.token)
    found = await accounts.get_account(app.resources.database.reader, user_id=person.id, jti=token.jti)
    assert found is not None
    return found[0]


async def delete(app: Running, person: Person) -> None:
    done = await app.client.post("/delete", json={"password": PASSWORD}, headers=person.headers)
    assert done.status_code == 200


async def left_of(app: Running, person: Person) -> dict[str, object]:
    async with app.resources.database.session() as session:
        found = await session.execute(sa.text("SELECT * FROM users WHERE id = :id"), {"id": person.id})
        row = found.mappings().one()
        counts = {
            table.name: await session.scalar(
                sa.select(sa.func.count()).select_from(table).where(table.c.user_id == person.id)
            )
            for table in (audit_events, uploads, account_tokens)
        }
        typed = await session.scalar(
            sa.select(account_states.c.typed_texts).where(account_states.c.user_id == person.id)
        )
    personal = ("first_name", "last_name", "bio", "email", "username", "session_hash", "image", "active")
    return {**{name: row[name] for name in personal}, **counts, "typed_texts": typed}


async def test_account_when_writes_began_before_its_deletion_then_they_leave_nothing(
    app: Running, person: Person
) -> None:
    account = await let_in(app, person)
    token = app.resources.tokens.verify(person.token)
    unit = app.resources.database.unit
    await delete(app, person)
    before = await left_of(app, person)
    changes = {"first_name": "Łukasz", "bio": "Mine.", "email": "new@example.org"}

    with pytest.raises(UnauthorizedError):
        await unit(
            lambda session: service.change_profile(
                session, app.resources.settings, account, changes, HERE, is_fresh=True
            )
        )
    with pytest.raises(UnauthorizedError):
        await unit(lambda session: service.renew_api_key(session, account, HERE))
    with pytest.raises(UnauthorizedError):
        await begin_upload(
            app.resources.database,
            app.resources.storage,
            app.resources.settings,
            app.resources.checks,
            app.resources.openml,
            user_id=person.id,
            creation=a_creation(),
        )
    with pytest.raises(lifecycle.AccountDeletedError):
        await unit(lambda session: lifecycle.activate(session, person.id, AT_COMMAND_LINE))
    with pytest.raises(lifecycle.AccountDeletedError):
        await unit(lambda session: lifecycle.deactivate(session, person.id, AT_COMMAND_LINE))
    await sessions.log_out(app.resources.database, app.resources.denylist, token, HERE)
    assert (await app.client.post("/image", headers=person.headers)).status_code == 401

    assert await left_of(app, person) == before
    assert (before["active"], before["session_hash"], before["audit_events"]) == (0, None, 0)


def a_creation() -> Creation:
    return Creation(file_name="levels.csv", size=12, metadata={"dataset_name": "levels"}, publish=False)


async def pending_change(app: Running, person: Person, address: str) -> str:
    """Ask for a change of address, and return the link that it brings."""
    shown = (await app.client.get("/profile", headers=person.headers)).json()
    body = {f: shown[f] for f in ("first_name", "last_name", "bio")} | {"email": address}
    assert (await app.client.post("/profile", json=body, headers=person.headers)).status_code == 200
    return link_in(await mail_to(app, address, subject="Confirm your new"))


async def reset(app: Running, person: Person) -> None:
    await app.client.post("/forgotpassword", json={"email": person.email})
    link = link_in(await mail_to(app, person.email, subject="password"))
    done = await app.client.post("/resetpassword", json={"url": link, "password": "seven rivers flow east"})
    assert done.status_code == 200


async def newer(app: Running, person: Person) -> None:
    await pending_change(app, person, "newer@example.org")


@pytest.mark.parametrize("end", [reset, delete, newer])
async def test_change_of_address_when_something_ends_it_then_its_link_is_dead(
    app: Running, person: Person, end: Callable[[Running, Person], Awaitable[object]]
) -> None:
    link = await pending_change(app, person, "older@example.org")
    await end(app, person)

    answer = await app.client.post("/confirmation", json={"url": link})

    assert answer.status_code == 400
    async with app.resources.database.session() as session:
        email = await session.scalar(sa.select(users.c.email).where(users.c.id == person.id))
    assert email != "older@example.org"


async def test_change_of_address_when_it_still_waits_for_the_worker_then_a_reset_ends_it_as_well(
    app: Running, person: Person
) -> None:
    """The link is made by the worker, perhaps only after the reset."""
    account = await let_in(app, person)
    changes = {"email": "older@example.org"}

    async def ask_and_reset(session: AsyncSession) -> None:
        await service.change_profile(session, app.resources.settings, account, changes, HERE, is_fresh=True)
        await lifecycle.void(session, person.id)

    await app.resources.database.unit(ask_and_reset)

    async def answered() -> bool | None:
        async with app.resources.database.session() as session:
            kind = outbox.c.kind == "request:email-change"
            waits = await session.scalar(sa.select(sa.func.count()).select_from(outbox).where(kind))
        return True if waits == 0 else None

    await eventually(answered)
    async with app.resources.database.session() as session:
        mails = (await session.scalars(sa.select(outbox.c.recipient))).all()
    assert "older@example.org" not in mails
