"""What keeps one upload one dataset while nobody knows whether OpenML has it: bytes, age, patience, and its holder."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.core.settings import Settings
from app.db import uploads
from app.db.tables import outbox
from app.db.upload_states import UploadState
from app.db.upload_tables import upload_events
from app.db.upload_tables import uploads as table
from app.db.upload_values import NewUpload
from app.uploads import pipeline
from app.uploads.at_openml import watch_one
from tests.conftest import MakePerson, Person, Running, eventually, insert_person, running
from tests.forwarder import Forwarder
from tests.upload_rows import put_in
from tests.uploads.test_data_upload import form
from tests.uploads.test_faults import openml, published, switch_on
from tests.upstream import Upstream

__all__ = ["openml"]
SQLITE = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
RECONCILE_SECONDS = 3.0
DieSending = Callable[[Person, str, Callable[[], Awaitable[Any]]], Awaitable[tuple[str, Any]]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    timings = settings.timings.but(reconcile_seconds=RECONCILE_SECONDS, lease_seconds=20)
    return settings.model_copy(update={"timings": timings})


async def send(app: Running, person: Person, name: str) -> str:
    """Begin an upload, and return its address."""
    headers = {**person.headers, "Prefer": "respond-async"}
    answer = await app.client.post("/data-upload", files=form(dataset_name=name), headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


async def reached(app: Running, person: Person, address: str, *states: str) -> Any:
    async def look() -> Any:
        found = (await app.client.get(address, headers=person.headers)).json()
        assert found["state"] != "failed", found
        return found if found["state"] in states else None

    return await eventually(look)


async def steps(app: Running, state: UploadState) -> list[datetime]:
    """When an upload entered the state, each time."""
    async with app.resources.database.session() as session:
        statement = sa.select(upload_events.c.at).where(upload_events.c.state == state)
        return list((await session.scalars(statement.order_by(upload_events.c.id))).all())


@pytest.fixture
def die_sending(app: Running, openml: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> DieSending:
    """Bring an upload where its worker died after it wrote `sending`, before OpenML got a byte; return its address."""

    async def bring(person: Person, name: str, meanwhile: Callable[[], Awaitable[Any]]) -> tuple[str, Any]:
        monkeypatch.setattr(pipeline, "FIRST_PAUSE_SECONDS", 3600)
        # Met by the question whether the key is good, right before the upload would be sent.
        await switch_on(openml, on="POST /data", fault="502-html", times=1)
        address = await send(app, person, name)
        upload_id = address.rpartition("/")[2]
        waits = sa.and_(table.c.id == upload_id, table.c.state == "converted", table.c.lease_owner.is_(None))

        async def is_waiting() -> bool | None:
            async with app.resources.database.session() as session:
                return await session.scalar(sa.select(table.c.id).where(waits)) is not None or None

        await eventually(is_waiting)
        newest = max(await published(openml, name), default=0)
        done = await meanwhile()
        monkeypatch.setattr(pipeline, "FIRST_PAUSE_SECONDS", 0.3)
        now = app.resources.database.now()
        async with app.resources.database.session() as session:
            await put_in(session, upload_id, UploadState.SENDING, at=now, newest_before=newest, sent_at=now)
        return address, done

    return bring


async def nothing() -> None:
    """What happens meanwhile, where nothing does."""


@SQLITE
async def test_upload_when_nobody_knows_of_it_then_nothing_is_sent_before_openml_had_its_time(
    app: Running, person: Person, openml: httpx.AsyncClient, die_sending: DieSending
) -> None:
    name = f"patience-{person.api_key[:8]}"
    address, _ = await die_sending(person, name, nothing)

    found = await reached(app, person, address, "active")

    first, second = await steps(app, UploadState.SENDING)
    assert (second - first).total_seconds() >= RECONCILE_SECONDS
    assert await published(openml, name) == [found["dataset_id"]]


@SQLITE
async def test_upload_when_a_newer_dataset_of_its_name_has_other_bytes_then_it_is_not_taken_for_it(
    app: Running,
    person: Person,
    openml: httpx.AsyncClient,
    upstream: Upstream,
    die_sending: DieSending,
) -> None:
    name = f"foreign-{person.api_key[:8]}"
    address, foreign = await die_sending(
        person, name, lambda: upstream.publish(person.api_key, name=name, processed=False)
    )

    found = await reached(app, person, address, "active")

    assert found["dataset_id"] != foreign
    assert sorted(await published(openml, name)) == sorted([foreign, found["dataset_id"]])


@SQLITE
async def test_upload_when_an_older_dataset_has_its_name_and_bytes_then_it_is_not_taken_for_it(
    app: Running, make_person: MakePerson, openml: httpx.AsyncClient, die_sending: DieSending
) -> None:
    one, other = await make_person(), await make_person()
    name = f"older-{one.api_key[:8]}"
    older = await reached(app, one, await send(app, one, name), "active")
    async with app.resources.database.session() as session:
        # As if another installation had published it.
        await session.execute(sa.update(table).values(dataset_id=None))
    address, _ = await die_sending(other, name, nothing)

    found = await reached(app, other, address, "active")

    assert found["dataset_id"] > older["dataset_id"]
    assert len(await published(openml, name)) == 2


@SQLITE
async def test_upload_when_another_of_ours_made_the_dataset_with_its_bytes_then_it_is_not_taken_for_it(
    app: Running, make_person: MakePerson, openml: httpx.AsyncClient, die_sending: DieSending
) -> None:
    one, other = await make_person(), await make_person()
    name = f"taken-{one.api_key[:8]}"

    async def publish() -> Any:
        return await reached(app, one, await send(app, one, name), "active")

    address, first = await die_sending(other, name, publish)
    second = await reached(app, other, address, "active")

    assert first["dataset_id"] != second["dataset_id"]
    assert len(await published(openml, name)) == 2


@SQLITE
async def test_upload_when_it_arrived_though_nobody_heard_then_it_is_found_and_not_sent(
    app: Running, person: Person, openml: httpx.AsyncClient
) -> None:
    name = f"arrived-{person.api_key[:8]}"
    await switch_on(openml, on="POST /data", fault="lost-answer", times=1)

    found = await reached(app, person, await send(app, person, name), "active")

    assert await published(openml, name) == [found["dataset_id"]]
    assert len(await steps(app, UploadState.SENDING)) == 1


class Gate(Forwarder):
    """A line on which nothing moves until it is opened."""

    def __init__(self, url: httpx.URL) -> None:
        super().__init__(url.host, url.port or 80)
        self.opened = asyncio.Event()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.opened.wait()
        await super()._forward(reader, writer)


@SQLITE
@pytest.mark.parametrize("state", [UploadState.PUBLISHED, UploadState.PROCESSING])
async def test_dataset_when_its_watcher_was_overtaken_then_no_mail_and_no_step_of_the_late_one(
    settings: Settings, upstream: Upstream, state: UploadState, password_hash: str, sandbox_url: str
) -> None:
    async with Gate(httpx.URL(sandbox_url)) as gate:
        changes = {"embedded_worker": False, "openml_server": f"http://127.0.0.1:{gate.port}/"}
        async with running(settings.model_copy(update=changes)) as app:
            person = await insert_person(app, password_hash)
            dataset_id = await upstream.publish(person.api_key)
            now = app.resources.database.now()
            async with app.resources.database.session() as session:
                new = NewUpload("0" * 32, person.id, "a.csv", "csv", now, now)
                new = new._replace(description={"notify": True, "dataset_name": "a"})
                await uploads.add_upload(session, new)
                await put_in(session, new.id, state, at=now, dataset_id=dataset_id)
            watching = asyncio.create_task(
                watch_one(
                    app.resources.database,
                    app.resources.openml,
                    lease_owner="late",
                    lease_seconds=app.resources.settings.timings.lease_seconds,
                )
            )

            async def is_claimed() -> bool | None:
                async with app.resources.database.session() as session:
                    return await session.scalar(sa.select(table.c.lease_owner)) == "late" or None

            await eventually(is_claimed)
            async with app.resources.database.session() as session:
                await session.execute(sa.update(table).values(lease_owner="another"))
            gate.opened.set()
            assert await watching

            async with app.resources.database.session() as session:
                row = (await session.execute(sa.select(table.c.state, table.c.lease_owner))).one()
                assert tuple(row) == (state, "another")
                assert await session.scalar(sa.select(sa.func.count()).select_from(outbox)) == 0
            assert not await steps(app, UploadState.ACTIVE)
