"""Every queue: what a worker has lost is somebody else's, and what it has it keeps for as long as it works."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.settings import Settings
from app.db import account_tokens, logins, outbox, task_requests, upload_queues, uploads, users
from app.db.engine import Database, notify_after_commit
from app.db.queue import Queue
from app.db.tables import outbox as outbox_table
from app.db.tables import task_requests as requests_table
from app.db.upload_bytes import add_parts, take_writer
from app.db.upload_queues import IN_WORK, TO_PUBLISH, TO_RECEIVE, TO_WATCH
from app.db.upload_states import Actor, UploadState
from app.db.upload_tables import upload_events
from app.db.upload_tables import uploads as uploads_table
from app.db.upload_values import NewUpload
from app.storage.parts import Part
from app.worker.queues import Lease, LeaseLostError
from tests.conftest import Person, Running
from tests.upload_rows import put_in

LENGTH = timedelta(minutes=1)
SHORT = timedelta(seconds=0.6)
VERIFYING = {UploadState.VERIFYING}
ROW = "0" * 32
"""The id of the one upload."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"embedded_worker": False})


async def add_upload(app: Running, person: Person, state: UploadState, now: datetime) -> None:
    async with app.resources.database.session() as session:
        new = NewUpload(
            id=ROW, user_id=person.id, file_name="a.csv", format="csv", created_at=now, available_at=now
        )
        await uploads.add_upload(session, new)
        if state != UploadState.RECEIVING:
            await put_in(session, ROW, state, at=now)


@dataclass(frozen=True)
class Case:
    """A queue, how a row gets into it, and everything that ends a claim, each of which says whether it did."""

    queue: Queue
    table: sa.Table
    add: Callable[[Running, Person, datetime], Awaitable[Any]]
    ends: dict[str, Callable[[AsyncSession, Any, str, datetime], Awaitable[bool]]]


async def _add_mail(app: Running, person: Person, now: datetime) -> None:
    async with app.resources.database.session() as session:
        await outbox.add_mail(session, kind="test", recipient=person.email, parameters={}, now=now)


async def _add_request(app: Running, person: Person, now: datetime) -> None:
    async with app.resources.database.session() as session:
        await task_requests.add_request(
            session, request_id="r", user_id=person.id, dataset_id=1, request={}, now=now
        )


def _upload_in(state: UploadState) -> Callable[[Running, Person, datetime], Awaitable[None]]:
    return lambda app, person, now: add_upload(app, person, state, now)


def _move_to(
    state: UploadState, by: Actor, **options: Any
) -> Callable[[AsyncSession, Any, str, datetime], Awaitable[bool]]:
    return lambda s, row, lease_owner, now: uploads.set_state(
        s, row, state, by=by, now=now, lease_owner=lease_owner, **options
    )


MAILS = Case(
    outbox.TO_SEND,
    outbox_table,
    _add_mail,
    {
        "sent": lambda s, row, lease_owner, now: outbox.set_sent(s, row, lease_owner=lease_owner, now=now),
        "failed": lambda s, row, lease_owner, now: outbox.set_failed(
            s, row, lease_owner=lease_owner, now=now, error="e"
        ),
        "retry": lambda s, row, lease_owner, now: outbox.set_retry(
            s, row, lease_owner=lease_owner, at=now, error="e"
        ),
        "deleted": lambda s, row, lease_owner, _: outbox.delete_mail(s, row, lease_owner=lease_owner),
    },
)
TASKS = Case(
    task_requests.TO_MAKE,
    requests_table,
    _add_request,
    {
        "ended": lambda s, row, lease_owner, now: task_requests.set_ended(
            s, row, lease_owner=lease_owner, now=now, task_id=1
        ),
        "retry": lambda s, row, lease_owner, now: task_requests.set_retry(
            s, row, lease_owner=lease_owner, at=now
        ),
    },
)
PUBLISH = Case(
    TO_PUBLISH,
    uploads_table,
    _upload_in(UploadState.VERIFYING),
    {
        "moved": _move_to(UploadState.RECEIVED, Actor.PUBLISHER),
        "failed": _move_to(UploadState.FAILED, Actor.PUBLISHER, values={"error": {"slug": "s"}}),
        "changed": lambda s, row, lease_owner, _: uploads.set_values(
            s, row, {"row_count": 1}, only_in=VERIFYING, lease_owner=lease_owner
        ),
        "retry": lambda s, row, lease_owner, now: upload_queues.set_retry(
            s, row, lease_owner=lease_owner, at=now
        ),
    },
)
WATCH = Case(
    TO_WATCH,
    uploads_table,
    _upload_in(UploadState.PUBLISHED),
    {
        "active": _move_to(UploadState.ACTIVE, Actor.WATCHER),
        "failed": _move_to(UploadState.FAILED, Actor.WATCHER),
        "retry": lambda s, row, lease_owner, now: upload_queues.set_retry(
            s, row, lease_owner=lease_owner, at=now
        ),
    },
)
RECEIVE = Case(
    TO_RECEIVE,
    uploads_table,
    _upload_in(UploadState.RECEIVING),
    {
        "accepted": _move_to(UploadState.VERIFYING, Actor.RECEIVER),
        "failed": _move_to(UploadState.FAILED, Actor.RECEIVER),
    },
)
CASES = {"mails": MAILS, "tasks": TASKS, "publish": PUBLISH, "watch": WATCH, "receive": RECEIVE}


def test_queues_when_listed_then_each_is_tried_here() -> None:
    modules = (outbox, task_requests, upload_queues)
    known = {id(value) for module in modules for value in vars(module).values() if isinstance(value, Queue)}

    assert known == {id(case.queue) for case in CASES.values()} | {id(IN_WORK)}


async def everything(database: Database) -> list[Any]:
    """All that could be doubled: the queues' rows, and the uploads' events."""
    found: list[Any] = []
    async with database.session() as session:
        for table in (outbox_table, requests_table, uploads_table, upload_events):
            found += (await session.execute(sa.select(table))).all()
    return found


async def claim(database: Database, case: Case, lease_owner: str, now: datetime) -> Any:
    async with database.session() as session:
        return await case.queue.claim(session, lease_owner=lease_owner, now=now, lease=LENGTH)


@pytest.mark.parametrize("name", CASES)
async def test_row_when_its_lease_has_ended_and_another_has_it_then_the_first_changes_nothing(
    app: Running, person: Person, name: str
) -> None:
    case, database = CASES[name], app.resources.database
    start = database.now()
    await case.add(app, person, start)
    row = await claim(database, case, "A", start)
    assert row is not None
    assert await claim(database, case, "B", start + LENGTH / 2) is None, "it is A's for as long as the lease"
    late = start + LENGTH
    assert await claim(database, case, "B", late) == row
    before = await everything(database)

    for end in case.ends.values():
        async with database.session() as session:
            assert not await end(session, row, "A", late)
    async with database.session() as session:
        assert not await case.queue.renew(session, row, lease_owner="A", until=late + LENGTH)

    assert await everything(database) == before


@pytest.mark.parametrize(
    ("name", "how"), [(name, how) for name, case in CASES.items() for how in case.ends if how != "changed"]
)
async def test_row_when_its_owner_ends_it_then_once(
    app: Running, person: Person, name: str, how: str
) -> None:
    case, database = CASES[name], app.resources.database
    start = database.now()
    await case.add(app, person, start)
    row = await claim(database, case, "A", start)
    # Late, but nobody else has begun.
    late = start + 2 * LENGTH

    async with database.session() as session:
        assert await case.ends[how](session, row, "A", late)
    before = await everything(database)

    if how not in {"moved", "accepted"}:  # Of these the worker keeps the row for the next step.
        async with database.session() as session:
            assert not await case.ends[how](session, row, "A", late)
        assert await everything(database) == before


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
@pytest.mark.parametrize("name", CASES)
async def test_row_when_two_have_seen_it_and_one_has_taken_it_then_the_other_moves_on(
    app: Running, person: Person, name: str
) -> None:
    """The UPDATE repeats the condition. SQLite has one writer, so that only MariaDB can tell."""
    case, database = CASES[name], app.resources.database
    now = database.now()
    await case.add(app, person, now)

    async with database.session() as session:
        row = await case.queue.claim(session, lease_owner="A", now=now, lease=LENGTH)
        # Sees the row as it was, and waits for this transaction with its UPDATE.
        second = asyncio.create_task(claim(database, case, "B", now))
        await asyncio.wait([second], timeout=0.3)
        assert not second.done()

    assert (row is not None, await second) == (True, None)
    async with database.session() as session:
        found = (await session.execute(sa.select(case.table.c.lease_owner, case.table.c.attempts))).one()
    assert tuple(found) == ("A", 1)


def lease_of(app: Running, case: Case, row: Any, *, length: timedelta = SHORT) -> Lease:
    database = app.resources.database
    return Lease(database, case.queue, row, "A", length, until=database.now() + length)


async def begin(app: Running, person: Person, case: Case, *, length: timedelta = SHORT) -> Lease:
    database = app.resources.database
    now = database.now()
    await case.add(app, person, now)
    async with database.session() as session:
        row = await case.queue.claim(session, lease_owner="A", now=now, lease=length)
    assert row is not None
    return lease_of(app, case, row, length=length)


async def steal(app: Running, case: Case) -> None:
    """Let another worker have the row, as after a lease that has ended."""
    async with app.resources.database.session() as session:
        until = app.resources.database.now() + LENGTH
        await session.execute(sa.update(case.table).values(lease_owner="B", available_at=until))


@pytest.mark.parametrize("name", CASES)
async def test_work_when_it_takes_several_leases_then_nobody_else_gets_the_row(
    app: Running, person: Person, name: str
) -> None:
    case, database = CASES[name], app.resources.database
    lease = await begin(app, person, case)

    async def work() -> str:
        for _ in range(30):
            await asyncio.sleep(SHORT.total_seconds() / 10)
            assert await claim(database, case, "B", database.now()) is None
        return "done"

    assert await lease.hold(work()) == "done"


@pytest.mark.parametrize("name", CASES)
async def test_work_when_another_has_the_row_then_it_is_stopped_soon(
    app: Running, person: Person, name: str
) -> None:
    case = CASES[name]
    lease = await begin(app, person, case)
    stopped = asyncio.Event()

    async def work() -> None:
        await steal(app, case)
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    with pytest.raises(LeaseLostError):
        await asyncio.wait_for(lease.hold(work()), 10)
    assert stopped.is_set()


async def test_work_when_another_has_the_row_then_it_is_stopped_long_before_the_lease_would_end(
    app: Running, person: Person
) -> None:
    lease = await begin(app, person, PUBLISH, length=LENGTH)

    async def work() -> None:
        await steal(app, PUBLISH)
        await asyncio.sleep(60)

    began = time.monotonic()
    with pytest.raises(LeaseLostError):
        # What there is to tell changes, so that the row is written every second.
        await lease.hold(work(), news=lambda: {"progress": {"bytes": time.monotonic()}})
    assert time.monotonic() - began < LENGTH.total_seconds() / 2


async def test_work_when_the_lease_cannot_be_renewed_then_it_is_stopped_before_others_begin(
    app: Running, person: Person
) -> None:
    database = app.resources.database
    lease = await begin(app, person, MAILS, length=timedelta(seconds=1))

    async def work() -> None:
        async with database.session() as session:
            await session.execute(sa.text("ALTER TABLE outbox RENAME TO outbox_away"))
        await asyncio.sleep(60)

    try:
        with pytest.raises(LeaseLostError):
            await asyncio.wait_for(lease.hold(work()), 10)
        overdue = database.now() - lease.until
    finally:
        async with database.session() as session:
            await session.execute(sa.text("ALTER TABLE outbox_away RENAME TO outbox"))
    assert overdue < timedelta(seconds=1)


async def test_work_when_its_end_cannot_be_written_down_then_tried_until_it_can(
    app: Running, person: Person
) -> None:
    database = app.resources.database
    lease = await begin(app, person, MAILS)

    async def work() -> None:
        async with database.session() as session:
            await session.execute(sa.text("ALTER TABLE outbox RENAME TO outbox_away"))
        now = database.now()
        await lease.end(lambda session: outbox.set_sent(session, int(lease.row_id), lease_owner="A", now=now))

    async def come_back() -> None:
        await asyncio.sleep(3 * SHORT.total_seconds())
        async with database.session() as session:
            await session.execute(sa.text("ALTER TABLE outbox_away RENAME TO outbox"))

    await asyncio.gather(lease.hold(work()), come_back())

    async with database.session() as session:
        assert await session.scalar(sa.select(outbox_table.c.state)) == "sent"


async def test_work_when_told_to_stop_then_it_may_end_if_that_takes_no_time(
    app: Running, person: Person
) -> None:
    ended = asyncio.Event()
    lease = await begin(app, person, MAILS, length=LENGTH)

    async def work() -> None:
        await asyncio.sleep(0.3)
        ended.set()

    holding = asyncio.create_task(lease.hold(work(), grace_seconds=10))
    await asyncio.sleep(0.1)
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding

    assert ended.is_set()


async def test_upload_when_it_stands_elsewhere_or_was_renewed_then_it_is_not_moved(
    app: Running, person: Person
) -> None:
    """What the janitor found may have gone on since, and what an owner saw may have ended."""
    database = app.resources.database
    start = database.now()
    await add_upload(app, person, UploadState.RECEIVING, start)
    late = start + LENGTH
    async with database.session() as session:
        assert await uploads.get_ids(session, uploads.is_interrupted(late)) == [ROW]
        # Its receiver has woken up.
        await session.execute(sa.update(uploads_table).values(available_at=late + LENGTH))
    before = await everything(database)

    async with database.session() as session:
        failed, received = UploadState.FAILED, UploadState.RECEIVED
        assert not await uploads.set_state(session, ROW, failed, by=Actor.JANITOR, now=late)
        assert not await uploads.set_state(session, ROW, received, by=Actor.OWNER, now=late)

    assert await everything(database) == before


async def test_topic_when_promised_then_told_after_the_commit_and_only_then(app: Running) -> None:
    database = app.resources.database
    with app.resources.notifications.listen("topic") as listener:
        with contextlib.suppress(InterruptedError):
            async with database.session() as session:
                notify_after_commit(session, "topic")
                raise InterruptedError("rolled back")
        began = time.monotonic()
        await listener.wait(seconds=0.3)
        assert time.monotonic() - began >= 0.29, "nothing was written"

        async with database.session() as session:
            notify_after_commit(session, "topic")
            began = time.monotonic()
            await listener.wait(seconds=0.3)
            assert time.monotonic() - began >= 0.29, "not committed yet"
        began = time.monotonic()
        await listener.wait(seconds=30)
        assert time.monotonic() - began < 20


async def test_bytes_when_another_writer_has_come_then_they_do_not_count(
    app: Running, person: Person
) -> None:
    database = app.resources.database
    now = database.now()
    await add_upload(app, person, UploadState.RECEIVING, now)
    part = Part(0, "one", 10)

    async with database.session() as session:
        assert await take_writer(session, ROW, lease_owner="one", offset=0, now=now)
        assert await take_writer(session, ROW, lease_owner="other", offset=0, now=now)
        assert not await add_parts(
            session, ROW, [part], lease_owner="one", received_bytes=10, expires_at=None
        )
        assert await add_parts(session, ROW, [part], lease_owner="other", received_bytes=10, expires_at=None)
        assert not await take_writer(session, ROW, lease_owner="third", offset=0, now=now), "ten bytes count"
        assert await take_writer(session, ROW, lease_owner="third", offset=10, now=now)


async def test_account_rows_when_somebody_was_faster_then_refused(app: Running, person: Person) -> None:
    database = app.resources.database
    now = database.now()
    credentials = await logins.get_credentials(database.reader, person.id)
    assert credentials is not None
    async with database.session() as session:
        await account_tokens.add_token(
            session,
            token_digest="d",
            user_id=person.id,
            purpose="confirm",
            email=None,
            now=now,
            expires_at=now + LENGTH,
        )
        assert await account_tokens.use_token(session, token_digest="d", now=now)
        assert not await account_tokens.use_token(session, token_digest="d", now=now)

        assert await logins.note_login(session, credentials.id, credentials.password_hash, now)
        await users.set_new_password(session, person.id, "another")
        assert not await logins.note_login(session, credentials.id, credentials.password_hash, now)
        old = credentials.password_hash
        await users.upgrade_password_hash(session, person.id, old_hash=old, new_hash="a better one of it")
    assert await users.get_password_hash(database.reader, person.id) == "another"
