"""Accounts that nobody confirmed go after a while; no others do, whoever wrote their row."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.accounts.audit import AuditKind
from app.accounts.links import LinkPurpose, create_link
from app.db.tables import account_states, account_tokens, audit_events, outbox, users, users_groups
from app.worker.janitor import purge_unconfirmed
from tests.conftest import PASSWORD, Running

EMAIL = "ada@example.org"
DAYS = 40


async def sign_up(app: Running, email: str = EMAIL) -> int:
    """An account of long ago whose mail is still to be sent."""
    body = {"first_name": "Ada", "last_name": "L", "email": email, "password": PASSWORD}
    assert (await app.client.post("/signup", json=body)).json() == {"msg": "User created"}
    past = app.resources.database.now() - timedelta(days=DAYS)
    async with app.resources.database.session() as session:
        found = await session.scalar(sa.select(users.c.id).where(users.c.email == email))
        user_id = int(found or 0)
        mine = users.c.id == user_id
        await session.execute(sa.update(users).where(mine).values(created_on=int(past.timestamp())))
        of_it = audit_events.c.user_id == user_id
        await session.execute(sa.update(audit_events).where(of_it).values(at=past))
        await session.execute(sa.delete(account_tokens).where(account_tokens.c.user_id == user_id))
    return user_id


async def ids(app: Running) -> set[int]:
    async with app.resources.database.session() as session:
        return set((await session.scalars(sa.select(users.c.id))).all())


async def test_account_when_never_confirmed_then_removed_with_all_that_waits_for_it(app: Running) -> None:
    user_id = await sign_up(app)

    await purge_unconfirmed(app.resources.database, days=app.resources.settings.timings.unconfirmed_days)

    assert user_id not in await ids(app)
    async with app.resources.database.session() as session:
        for table in (audit_events, account_tokens, account_states):
            count = sa.select(sa.func.count()).where(table.c.user_id == user_id)
            assert await session.scalar(count) == 0, table.name
        assert await session.scalar(sa.select(sa.func.count()).where(outbox.c.recipient == EMAIL)) == 0
    assert await sign_up(app) != user_id, "its number is nobody else's"


SPARED: dict[str, dict[str, Any]] = {
    "open": {"active": 1},
    "closed by the PHP server": {"activation_code": "x", "activation_selector": "y"},
    "made by the PHP server": {"activation_code": "x"},
    "logged in elsewhere": {"last_login": 1_600_000_000},
    "made lately": {"created_on": 4_000_000_000},
}


@pytest.mark.parametrize("what", SPARED)
async def test_account_when_its_row_says_more_then_kept(app: Running, what: str) -> None:
    user_id = await sign_up(app)
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).where(users.c.id == user_id).values(SPARED[what]))

    await purge_unconfirmed(app.resources.database, days=app.resources.settings.timings.unconfirmed_days)

    assert user_id in await ids(app)


@pytest.mark.parametrize(
    "kind", [kind for kind in AuditKind if kind.name in {"CONFIRMED", "ACTIVATED", "LOGGED_IN"}]
)
async def test_account_when_it_was_ever_open_then_kept(app: Running, kind: AuditKind) -> None:
    user_id = await sign_up(app)
    async with app.resources.database.session() as session:
        values = {"user_id": user_id, "kind": kind, "at": app.resources.database.now()}
        values |= {"ip_address": "", "user_agent": "", "network": ""}
        await session.execute(sa.insert(audit_events).values(values))

    await purge_unconfirmed(app.resources.database, days=app.resources.settings.timings.unconfirmed_days)

    assert user_id in await ids(app)


async def test_account_when_others_made_it_or_it_has_a_group_or_a_fresh_link_then_kept(app: Running) -> None:
    stranger, member, waiting = [await sign_up(app, f"{name}@example.org") for name in ("s", "m", "w")]
    async with app.resources.database.session() as session:
        await session.execute(sa.delete(audit_events).where(audit_events.c.user_id == stranger))
        await session.execute(sa.insert(users_groups).values(user_id=member, group_id=2))
        await create_link(session, app.resources.settings, user_id=waiting, purpose=LinkPurpose.CONFIRM)

    await purge_unconfirmed(app.resources.database, days=app.resources.settings.timings.unconfirmed_days)

    assert {stranger, member, waiting} <= await ids(app)
