"""Commands that care for uploads and for the site, as operators type them."""

import asyncio
import re
import secrets
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.core.clock import utc_now
from app.core.settings import Settings
from app.db import reports, users, worker_heartbeats
from app.db.engine import Database
from app.db.tables import audit_events
from app.db.upload_tables import upload_parts, uploads
from app.db.upload_values import NewUpload
from app.db.uploads import add_upload
from app.db.worker_heartbeats import Heartbeat
from tests.commands.conftest import Run

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
WHY = ("--reason", "It has names of patients.")


def prepare(settings: Settings) -> str:
    """Let there be a user, an upload of theirs, a report, and a worker that has died; return the upload's id."""
    upload_id, now = secrets.token_hex(16), utc_now()

    async def add() -> None:
        database = Database(settings)
        try:
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
                    now=now,
                )
                await add_upload(
                    session,
                    NewUpload(
                        upload_id,
                        user_id,
                        "river\x1b[2J.csv",
                        "csv",
                        now,
                        now,
                        expires_at=now + timedelta(days=1),
                    ),
                )
                part = {"upload_id": upload_id, "start": 0, "name": "a", "length": 3}
                await session.execute(sa.insert(upload_parts).values(part))
                await reports.add_report(session, user_id, kind="dataset", subject="61", text="Look\x1b[2J")
                dead = Heartbeat(
                    "w:1", "host-1", 7, now - timedelta(minutes=2), now - timedelta(minutes=1), "OSError"
                )
                await worker_heartbeats.beat(session, dead)
        finally:
            await database.close()

    asyncio.run(add())
    return upload_id


def kinds_of_events(settings: Settings) -> list[str]:
    async def read() -> list[str]:
        database = Database(settings)
        try:
            async with database.session() as session:
                found = await session.scalars(sa.select(audit_events.c.kind).order_by(audit_events.c.id))
                return list(found.all())
        finally:
            await database.close()

    return asyncio.run(read())


def test_uploads_when_cared_for_by_an_operator_then_each_step_is_done_and_told(
    run: Run, settings: Settings
) -> None:
    upload_id = prepare(settings)
    listed = run("uploads", "list", "--user", "1", "--state", "receiving").stdout
    assert re.fullmatch(rf"{upload_id}  [-\d: ]+Z  receiving  user 1  riverU\+001B\[2J.csv\n", listed)
    assert run("uploads", "list", "--quarantined").stdout == "No such upload.\n"
    assert run("uploads", "cancel", upload_id).exit_code == 2, "without a reason nothing is done"

    held = run("uploads", "quarantine", upload_id, *WHY)
    shown = run("uploads", "show", upload_id)
    removed = run("uploads", "remove", upload_id, *WHY)
    again = run("uploads", "requeue", upload_id, *WHY)
    missing = run("uploads", "show", "nothing")

    assert held.stdout == f"Upload {upload_id} is in quarantine.\n"
    assert "error: An operator holds the file of this upload: It has names of patients." in shown.stdout
    assert [line.rpartition("  ")[2] for line in shown.stdout.splitlines()[2:]] == ["receiving", "cancelled"]
    assert removed.stdout == f"Upload {upload_id} has no file any more.\n"
    assert (again.exit_code, again.stderr) == (
        1,
        "The upload has not failed; there is nothing to try again.\n",
    )
    assert (missing.exit_code, missing.stderr) == (1, "There is no such upload.\n")
    assert kinds_of_events(settings) == ["upload quarantined by an operator", "upload removed by an operator"]


def test_upload_when_it_waits_then_let_go_on_and_stopped_by_an_operator_then_both_are_done(
    run: Run, settings: Settings
) -> None:
    upload_id = prepare(settings)

    async def put_off() -> None:
        database = Database(settings)
        async with database.session() as session:
            later = {"state": "checked", "available_at": utc_now() + timedelta(hours=1)}
            await session.execute(sa.update(uploads).values(later))
        await database.close()

    asyncio.run(put_off())

    again = run("uploads", "requeue", upload_id, *WHY)
    cancelled = run("uploads", "cancel", upload_id, *WHY)

    assert again.stdout == f"Upload {upload_id} goes on.\n", again.stderr
    assert cancelled.stdout == f"Upload {upload_id} is cancelled.\n", cancelled.stderr
    assert "  cancelled  " in run("uploads", "list", "--state", "cancelled").stdout
    assert kinds_of_events(settings) == [
        "upload tried again by an operator",
        "upload cancelled by an operator",
    ]


def test_site_when_cared_for_by_an_operator_then_each_step_is_done_and_told(
    run: Run, settings: Settings
) -> None:
    prepare(settings)
    assert run("user", "administrator", "ada@example.org").stdout.endswith("is an administrator.\n")
    assert run("user", "administrator", "ada@example.org", "--revoke").stdout.endswith(
        "no administrator any more.\n"
    )

    assert "works" not in run("workers").stdout
    assert re.match(r"host-1  process 7  gone \(OSError\)", run("workers").stdout)
    assert run("maintenance", "show").stdout == "Off.\n"
    assert run("maintenance", "on", "--notice", "a\x1bb").exit_code == 2
    assert run("maintenance", "on", "--notice", "Back at noon.", "--minutes", "5").exit_code == 0
    assert re.fullmatch(r"On: 1  Back at noon\., until [-\d: ]+Z\n", run("maintenance", "show").stdout)
    off = [run("maintenance", "off").stdout for _ in range(2)]
    assert off == ["Read-only mode is off.\n", "It was off.\n"]
    assert run("announcements", "add", "A talk.").stdout == "Announcement 2 is told.\n"
    assert run("announcements", "list").stdout == "2  A talk.\n"
    assert run("announcements", "end", "2").exit_code == 0
    assert run("announcements", "end", "2").exit_code == 1
    assert "dataset 61  open  LookU+001B[2J" in run("reports", "list").stdout
    assert run("reports", "close", "1", "--reason", "It is gone.").stdout == "Report 1 is closed.\n"
    assert run("reports", "list").stdout == "No open report.\n"
    assert "closed" in run("reports", "list", "--all").stdout
    assert kinds_of_events(settings) == [
        "made administrator by an operator",
        "no more administrator by an operator",
        "report closed by an operator",
    ]
