from datetime import datetime, timedelta

import pytest

from app.core.clock import utc_now
from app.db import task_requests
from app.db.task_requests import TaskRequestRow
from tests.conftest import Person, Running

LATER = timedelta(days=1)
"""So that the worker of the application leaves the rows alone."""


async def add(app: Running, person: Person, at: datetime) -> TaskRequestRow:
    async with app.resources.database.session() as session:
        await task_requests.add_request(
            session, request_id="r", user_id=person.id, dataset_id=1, request={"a": 1}, now=at
        )
    async with app.resources.database.session() as session:
        (row,) = await task_requests.get_of_user(session, person.id)
    return row


@pytest.mark.parametrize("error", [None, {"slug": "dataset-in-use", "detail": "d", "members": {}}])
async def test_request_when_it_ended_then_asked_again_begins_anew(
    app: Running, person: Person, error: dict[str, object] | None
) -> None:
    start = utc_now() + LATER
    await add(app, person, start)
    async with app.resources.database.session() as session:
        assert (
            await task_requests.TO_MAKE.claim(
                session, lease_owner="me", now=start, lease=timedelta(minutes=1)
            )
            == "r"
        )
        await task_requests.set_ended(session, "r", lease_owner="somebody else", now=start, task_id=6)
        await task_requests.set_ended(
            session, "r", lease_owner="me", now=start, task_id=None if error else 7, error=error
        )
    reader = app.resources.database.reader
    found = await task_requests.get_status(reader, "r")
    assert found is not None
    assert (found.state, found.task_id, found.error) == (
        ("failed", None, error) if error else ("made", 7, None)
    )

    again = await add(app, person, start + LATER)

    assert (again.state, again.attempts, again.task_id, again.error) == ("waiting", 0, None, None)
    assert (again.created_at, again.finished_at) == (start + LATER, None)


async def test_request_when_it_waits_then_asked_again_changes_nothing(app: Running, person: Person) -> None:
    start = utc_now() + LATER
    first = await add(app, person, start)

    assert await add(app, person, start + LATER) == first


async def test_requests_when_their_dataset_is_ready_then_due_at_once_but_for_one_in_work(
    app: Running, person: Person
) -> None:
    start = utc_now() + 2 * LATER
    now = start - LATER
    await add(app, person, start)
    database = app.resources.database

    async def is_due() -> bool:
        return await task_requests.TO_MAKE.exists(database.reader, now)

    assert not await is_due()
    async with database.session() as session:
        await task_requests.set_due(session, 2, now)
    assert not await is_due()
    async with database.session() as session:
        await task_requests.set_due(session, 1, now)
    assert await is_due()
    taken = await task_requests.claim_request(database, lease_owner="me", now=now, lease=LATER)
    assert taken is not None
    async with database.session() as session:
        await task_requests.set_due(session, 1, now)
    assert not await is_due()
