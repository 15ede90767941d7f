"""Passkeys, as operators see and remove them."""

import asyncio
import secrets

import pytest
import sqlalchemy as sa

from app.core.clock import utc_now
from app.core.settings import Settings
from app.db import passkeys, users
from app.db.engine import Database
from app.db.passkeys import NewPasskey
from app.db.tables import outbox
from tests.commands.conftest import Run

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


async def prepare(settings: Settings) -> None:
    """Let somebody have two passkeys."""
    database = Database(settings)
    async with database.session() as session:
        user_id = await users.add_user(
            session,
            username="ada",
            email="ada@example.org",
            password_hash="none",
            first_name="Ada",
            last_name="L",
            api_key=secrets.token_hex(16),
            ip_address="",
            active=True,
            now=utc_now(),
        )
        for name in ("Lost phone", "Key"):
            new = NewPasskey(
                name.replace(" ", ""),
                "A",
                0,
                (),
                name,
                "",
                backup_eligible=False,
                backed_up=False,
                user_verified=True,
            )
            await passkeys.add(session, user_id, new, created_at=utc_now())
    await database.close()


async def mails(settings: Settings) -> list[str]:
    database = Database(settings)
    async with database.session() as session:
        found = [row["reason"] for row in (await session.scalars(sa.select(outbox.c.parameters))).all()]
    await database.close()
    return found


def test_passkeys_when_an_operator_removes_them_then_gone_and_their_owner_told(
    run: Run, settings: Settings
) -> None:
    asyncio.run(prepare(settings))

    shown = run("user", "show", "ada").output
    assert "1  Lost phone  last used never" in shown
    assert "no such passkey" in run("user", "remove-passkeys", "ada", "--only", "9").output
    assert "has that passkey no more" in run("user", "remove-passkeys", "ada", "--only", "1").output
    shown = run("user", "show", "ada").output
    assert "Key  last used never" in shown
    assert "1  Lost phone" not in shown
    assert "no passkeys any more" in run("user", "remove-passkeys", "ada").output

    assert asyncio.run(mails(settings)) == ["Lost phone", "Key"]
