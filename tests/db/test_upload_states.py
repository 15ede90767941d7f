"""The table of steps: what the documentation says of it, and that the database takes these steps and no others."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.settings import Settings
from app.db import upload_states as states
from app.db import uploads
from app.db.engine import Database
from app.db.upload_states import TRANSITIONS, Actor, Condition, IllegalStepError, Transition, UploadState
from app.db.upload_tables import uploads as table
from app.db.upload_values import NewUpload
from tests.upload_rows import put_in

ROW = "0" * 32
PAST, FUTURE = -timedelta(hours=1), timedelta(hours=1)
DOCS = Path(__file__).parents[2] / "docs"
ASKED_FOR = sorted({(step.after, step.actor) for step in TRANSITIONS})
FULFILLED: dict[Condition | None, dict[str, Any]] = {
    None: {},
    Condition.WHOLE: {"is_partial": False},
    Condition.PARTIAL: {"is_partial": True},
    Condition.REQUESTED: {"publish_requested": True},
    Condition.UNREQUESTED: {"publish_requested": False},
    Condition.NOT_SENT: {"sent_at": None, "dataset_id": None},
    Condition.MAYBE_SENT: {"sent_at": PAST, "dataset_id": None},
    Condition.ARRIVED: {"sent_at": PAST, "dataset_id": 1},
    Condition.UNWANTED: {"cancel_requested": True},
    Condition.WANTED: {"cancel_requested": False},
    Condition.INTERRUPTED: {"expires_at": None, "available_at": PAST},
    Condition.EXPIRED: {"expires_at": PAST},
    Condition.QUARANTINED: {"quarantined_at": PAST},
}
"""Columns by which a condition holds; times are told from now."""
MISSED: dict[Condition, list[dict[str, Any]]] = {
    Condition.WHOLE: [{"is_partial": True}],
    Condition.PARTIAL: [{"is_partial": False}],
    Condition.REQUESTED: [{"publish_requested": False}],
    Condition.UNREQUESTED: [{"publish_requested": True}],
    Condition.NOT_SENT: [{"sent_at": PAST, "dataset_id": None}, {"sent_at": None, "dataset_id": 1}],
    Condition.MAYBE_SENT: [{"sent_at": None, "dataset_id": None}, {"sent_at": PAST, "dataset_id": 1}],
    Condition.ARRIVED: [{"sent_at": PAST, "dataset_id": None}],
    Condition.UNWANTED: [{"cancel_requested": False}],
    Condition.WANTED: [{"cancel_requested": True}],
    Condition.INTERRUPTED: [
        {"expires_at": None, "available_at": FUTURE},
        {"expires_at": FUTURE, "available_at": PAST},
    ],
    Condition.EXPIRED: [{"expires_at": None, "available_at": FUTURE}, {"expires_at": FUTURE}],
    Condition.QUARANTINED: [{"quarantined_at": None}],
}
"""Columns by which it does not."""


@pytest.fixture
async def database(database_uri: str, tmp_path: Path) -> AsyncIterator[Database]:
    """A database with one upload."""
    database = Database(Settings(_env_file=None, data_dir=tmp_path / "var", database_uri=database_uri))
    now = database.now()
    async with database.session() as session:
        await uploads.add_upload(session, NewUpload(ROW, 1, "a.csv", "csv", now, now))
    yield database
    await database.close()


async def attempt(
    session: AsyncSession,
    before: UploadState,
    step: tuple[UploadState, Actor],
    now: datetime,
    columns: dict[str, Any],
) -> bool:
    """Say whether an upload that stands there, with its lease in the right hands, takes the step."""
    after, actor = step
    times = {name: now + value for name, value in columns.items() if isinstance(value, timedelta)}
    await put_in(session, ROW, before, at=now)
    leased = sa.update(table).values(
        lease_owner="mine" if actor.holds_lease else None, **{**columns, **times}
    )
    await session.execute(leased)
    lease_owner = "mine" if actor.holds_lease else None
    try:
        return await uploads.set_state(session, ROW, after, by=actor, now=now, lease_owner=lease_owner)
    except IllegalStepError:
        return False


async def test_state_when_asked_for_from_every_other_one_then_taken_by_steps_of_the_table_only(
    database: Database,
) -> None:
    now = database.now()
    anything = {name: value for one in FULFILLED.values() for name, value in one.items()}
    async with database.session() as session:
        for after, actor in ASKED_FOR:
            for before in UploadState:
                steps = [step for step in TRANSITIONS if step[:3] == (before, after, actor)]
                for step in steps:
                    holds = FULFILLED[step.condition]
                    assert await attempt(session, before, (after, actor), now, holds), step
                if not steps:
                    assert not await attempt(session, before, (after, actor), now, anything), (before, after)


async def test_state_when_the_condition_of_its_step_does_not_hold_then_not_taken(database: Database) -> None:
    now = database.now()
    async with database.session() as session:
        for step in (step for step in TRANSITIONS if step.condition):
            for columns in MISSED[step.condition or Condition.WHOLE]:
                assert not await attempt(session, step.before, (step.after, step.actor), now, columns), step


async def test_state_when_no_step_leads_there_then_whoever_asks_has_made_a_mistake(
    database: Database,
) -> None:
    now = database.now()
    async with database.session() as session:
        for after, actor in {(after, actor) for after in UploadState for actor in Actor} - {*ASKED_FOR}:
            with pytest.raises(IllegalStepError, match=f"no step of {actor} ends in {after}"):
                await uploads.set_state(session, ROW, after, by=actor, now=now, lease_owner="mine")


async def test_state_when_the_lease_is_not_named_or_there_is_none_then_a_mistake(database: Database) -> None:
    now = database.now()
    async with database.session() as session:
        with pytest.raises(IllegalStepError, match="needs the owner"):
            await uploads.set_state(session, ROW, UploadState.VERIFYING, by=Actor.RECEIVER, now=now)
        with pytest.raises(IllegalStepError, match="has no lease"):
            await uploads.set_state(
                session, ROW, UploadState.CANCELLED, by=Actor.OWNER, now=now, lease_owner="mine"
            )


async def test_state_when_the_worker_has_it_and_would_skip_one_then_a_mistake(database: Database) -> None:
    now = database.now()
    async with database.session() as session:
        await put_in(session, ROW, UploadState.CHECKED, at=now)
        await session.execute(sa.update(table).values(lease_owner="mine"))
        with pytest.raises(IllegalStepError, match="from checked to sending"):
            await uploads.set_state(
                session, ROW, UploadState.SENDING, by=Actor.PUBLISHER, now=now, lease_owner="mine"
            )


@pytest.mark.parametrize("column", ["state", "lease_owner", "available_at"])
async def test_column_of_a_step_when_changed_without_one_then_a_mistake(
    database: Database, column: str
) -> None:
    async with database.session() as session:
        with pytest.raises(IllegalStepError, match=column):
            await uploads.set_values(session, ROW, {column: "failed"}, only_in={UploadState.RECEIVING})
        with pytest.raises(IllegalStepError, match=column):
            await uploads.set_state(
                session,
                ROW,
                UploadState.CANCELLED,
                by=Actor.OWNER,
                now=database.now(),
                values={column: "failed"},
            )


def test_architecture_when_it_lists_the_steps_then_it_has_those_of_the_table() -> None:
    text = (DOCS / "architecture.md").read_text().partition("\n| From | To |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    told = [
        Transition(
            UploadState(before), UploadState(after), Actor(actor), Condition(only_if) if only_if else None
        )
        for befores, after, actors, only_if in rows
        for before in befores.split(", ")
        for actor in actors.split(", ")
    ]

    assert sorted(map(str, told)) == sorted(map(str, TRANSITIONS))


@pytest.mark.parametrize("page", ["architecture.md", "uploads.md"])
def test_drawing_when_read_then_each_arrow_is_a_way_of_the_table(page: str) -> None:
    drawn = next(line for line in (DOCS / page).read_text().splitlines() if "receiving → verifying →" in line)
    names = [UploadState(word) for word in drawn.split("#")[0].replace("→", " ").split()]
    steps = {(step.before, step.after) for step in TRANSITIONS}

    assert names == list(UploadState)[: len(names)]
    assert {*pairwise(names)} <= steps


def test_sets_when_derived_from_the_table_then_they_are_those_that_clients_and_queues_know() -> None:
    def words(found: Any) -> str:
        return " ".join(state for state in UploadState if state in found)

    assert words(states.ENDED) == "active failed cancelled duplicate joined"
    assert words(states.CAN_RETRY) == "failed duplicate"
    assert words(states.HAS_OUTCOME) == "published processing active failed cancelled duplicate joined"
    assert words(states.HOLDS_BYTES) == "receiving verifying ready received checked converted sending"
    assert " ".join(states.TO_RECEIVE) == "receiving"
    assert " ".join(states.TO_PUBLISH) == "verifying received checked converted sending"
    assert " ".join(states.TO_WATCH) == "published processing"
    assert (
        words(states.COUNTS_AS_PUBLISHED) == "received checked converted sending published processing active"
    )
    assert words(states.CAN_STOP) == "receiving verifying ready received checked converted"
    assert words(states.CAN_CHANGE) == "receiving verifying ready failed"
    assert words(states.BEFORE_PUBLISH) == "receiving verifying ready"
    assert words(states.PREVIEWED_ANEW) == "ready failed"
    assert words(states.CAN_EXPIRE) == "receiving ready"
