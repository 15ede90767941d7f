"""Random walks of uploads: everybody who moves one acts on one database, and no step is out of the table."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.audit import AT_COMMAND_LINE
from app.admin.uploads import UploadCare
from app.core.errors import ProblemError
from app.core.settings import Settings
from app.db import upload_bytes, upload_queues, uploads, users
from app.db.queue import Queue
from app.db.upload_queues import TO_PUBLISH, TO_WATCH
from app.db.upload_states import (
    AT_OPENML,
    ENDED,
    TRANSITIONS,
    Actor,
    Condition,
    IllegalStepError,
    Transition,
    UploadState,
)
from app.db.upload_tables import upload_events
from app.db.upload_tables import upload_parts as parts_table
from app.db.upload_tables import uploads as table
from app.db.upload_values import Upload
from app.resources import Resources, open_resources
from app.uploads import service, stopping
from app.uploads.append import Appender, Chunk
from app.uploads.choices import digest_choices
from app.uploads.concatenation import join_parts
from app.uploads.creation import Creation, begin_upload
from app.uploads.lifecycle import clean_up, release
from app.uploads.pipeline import Publication, Publisher
from app.worker.queues import Lease
from tests.conftest import LONG, Running, insert_person

T = TypeVar("T")
Row = Mapping[str, Any]
LEASE = timedelta(seconds=60)
FILES = [b"a,b\n1,2\n", b"a,b\n3,4\n"]
METADATA = {"dataset_name": "walk", "description": "Any table."}
TIMES = ("available_at", "expires_at", "finished_at", "sent_at", "created_at")
WORKERS = ("first", "second")
RARE = 5
ROWS: Bundle[str] = Bundle("rows")
PARTS: Bundle[str] = Bundle("parts")
AIMS = st.one_of(
    st.just("on"),
    st.just("on"),
    st.sampled_from(["renew", "give back", 0, 1, 2]),
    st.sampled_from(UploadState),
)
"""What a worker does with an upload: bring it on, keep it or not, go one of the ways that there are, or anywhere."""
HOLDS: dict[Condition, Callable[[Row], bool]] = {
    Condition.WHOLE: lambda row: not row["is_partial"],
    Condition.PARTIAL: lambda row: bool(row["is_partial"]),
    Condition.REQUESTED: lambda row: bool(row["publish_requested"]),
    Condition.UNREQUESTED: lambda row: not row["publish_requested"],
    Condition.UNWANTED: lambda row: bool(row["cancel_requested"]),
    Condition.WANTED: lambda row: not row["cancel_requested"],
}
"""What the conditions of the steps of receivers and workers say of a row."""
BESIDE: dict[UploadState, Callable[[Any], dict[str, Any]]] = {
    UploadState.SENDING: lambda now: {"sent_at": now, "newest_before": 0},
    UploadState.CONVERTED: lambda _: {"sent_at": None, "newest_before": None},
    UploadState.PUBLISHED: lambda _: {"dataset_id": 1},
}
"""What a worker writes down with a step."""


async def _one(block: bytes) -> AsyncIterator[bytes]:
    yield block


class Walks(RuleBasedStateMachine):
    """One user's uploads, two workers, the requests that write, the janitor, and the clock."""

    run: Callable[[Coroutine[Any, Any, Any]], Any]
    resources: Resources
    user_id: int

    def __init__(self) -> None:
        super().__init__()
        self.database = self.resources.database
        self.content: dict[str, bytes] = {}
        self.writers: list[tuple[str, str]] = []
        """Uploads, and who took them to send bytes of theirs: the last one of each has it."""
        self.claims: dict[str, tuple[str, Queue]] = {}
        """Of each worker: the upload it believes that it has."""
        self.claimed_by: dict[str, str] = {}
        """Of each upload: who claimed it last."""
        self.told: dict[str, list[UploadState]] = {}
        self.seen: dict[str, Upload] = {}
        """Of each worker: the upload as it was when the worker began to look at it."""
        self.acting: AbstractSet[Actor] = frozenset()
        """Who may take steps in the rule that runs."""

    # --- what rules are made of

    def written(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Do the work in one transaction."""

        async def unit() -> T:
            return await self.database.unit(work)

        result: T = self.run(unit())
        return result

    def rows(self) -> dict[str, Row]:
        async def read(session: AsyncSession) -> dict[str, Row]:
            return {row["id"]: dict(row) for row in (await session.execute(sa.select(table))).mappings()}

        return self.written(read)

    def asked(
        self,
        request: Coroutine[Any, Any, T],
        by: AbstractSet[Actor] = frozenset({Actor.OWNER, Actor.RECEIVER}),
    ) -> T | None:
        """Return what a request is answered; None if it is refused, as most are."""

        async def answered() -> T | None:
            with suppress(ProblemError):
                return await request
            return None

        self.acting |= by
        result: T | None = self.run(answered())
        return result

    def holds(self, step: Transition, row: Row) -> bool:
        return step.condition is None or HOLDS[step.condition](row)

    def step(self, upload_id: str, after: UploadState, by: Actor, lease_owner: str) -> bool:
        """Ask for a step, and see that it is taken exactly if the table has it and the lease is there."""
        row, now = self.rows()[upload_id], self.database.now()
        allowed = row["lease_owner"] == lease_owner and any(
            step[:3] == (row["state"], after, by) and self.holds(step, row) for step in TRANSITIONS
        )
        ends_claim = after in {UploadState.READY, UploadState.RECEIVED, UploadState.PUBLISHED}
        values = BESIDE.get(after, lambda _: {})(now)
        available_at = now if ends_claim else None

        async def take(session: AsyncSession) -> bool:
            return await uploads.set_state(
                session,
                upload_id,
                after,
                by=by,
                now=now,
                lease_owner=lease_owner,
                available_at=available_at,
                values=values,
            )

        self.acting |= {by}
        try:
            taken = self.written(take)
        except IllegalStepError:
            taken = False
        assert taken == allowed, (row["state"], after, by)
        return taken

    # --- the owner, and the requests that send bytes

    @initialize(target=ROWS, far=st.lists(st.integers(0, 7), min_size=2, max_size=4), publish=st.booleans())
    def start(self, *, far: list[int], publish: bool) -> MultipleResults[str]:
        """Begin with none of the uploads of the walk before, but with some that are on their way already."""

        async def delete(session: AsyncSession) -> None:
            for each in (upload_events, parts_table, table):
                await session.execute(sa.delete(each))

        self.written(delete)
        begun: list[str] = []
        for steps in far:
            more = {"publish": publish or steps > 1, "metadata": {**METADATA, "allow_duplicate": steps > 1}}
            [upload_id] = self.begin(FILES[0], **more).values
            self.send(upload_id=upload_id, most=len(FILES[0]))
            self.work("first", TO_PUBLISH, ["on"] * steps)
            self.work("first", TO_WATCH, ["on"] * max(steps - 5, 0))
            begun.append(upload_id)
        return multiple(*begun)

    def begin(self, content: bytes, **more: Any) -> MultipleResults[str]:
        creation = Creation(file_name="a.csv", size=len(content), **more)
        created = self.asked(
            begin_upload(
                self.resources.database,
                self.resources.storage,
                self.resources.settings,
                self.resources.checks,
                self.resources.openml,
                user_id=self.user_id,
                creation=creation,
            )
        )
        if created is None:
            return multiple()
        self.content[created.upload.id] = content
        return multiple(created.upload.id)

    @rule(
        target=ROWS,
        content=st.sampled_from([*FILES, b""]),
        publish=st.booleans(),
        again=st.booleans(),
        whole=st.booleans(),
    )
    def begin_file(self, *, content: bytes, publish: bool, again: bool, whole: bool) -> MultipleResults[str]:
        begun = self.begin(content, publish=publish, metadata={**METADATA, "allow_duplicate": again})
        for upload_id in begun.values if whole and content else ():
            self.send(upload_id=upload_id, most=len(content))
        return begun

    @rule(target=PARTS, content=st.sampled_from(FILES))
    def begin_part(self, content: bytes) -> MultipleResults[str]:
        return self.begin(content, is_partial=True, ends_by_length=False)

    @rule(target=ROWS, part=PARTS)
    def join(self, part: str) -> MultipleResults[str]:
        creation = Creation(file_name="a.csv", metadata=METADATA, partial_ids=[part])
        created = self.asked(
            join_parts(
                self.resources.database,
                self.resources.settings,
                self.resources.checks,
                self.resources.openml,
                user_id=self.user_id,
                creation=creation,
            )
        )
        return multiple(created.upload.id) if created is not None and created.is_new else multiple()

    @rule(upload_id=st.one_of(ROWS, PARTS), most=st.sampled_from([3, 100]))
    def send(self, upload_id: str, most: int) -> None:
        async def send() -> None:
            async with self.database.session() as session:
                upload = await uploads.get_upload(session, upload_id)
            if upload is not None:
                offset = upload.received_bytes or 0
                block = self.content.get(upload_id, FILES[0])[offset : offset + most]
                appender = Appender(
                    self.resources.database,
                    self.resources.storage,
                    self.resources.settings,
                    self.resources.receive_limit,
                    self.resources.active_writers,
                )
                await appender.append(upload, Chunk(_one(block), offset, len(block)))

        self.asked(send())

    @rule(upload_id=st.one_of(ROWS, PARTS), ends=st.booleans())
    def take_over(self, *, upload_id: str, ends: bool) -> None:
        """Send bytes of an upload that another request sends bytes of; or be such a one, and end it."""
        lease_owner, row, now = f"request-{len(self.writers)}", self.rows()[upload_id], self.database.now()
        if not ends:
            taken = self.written(
                lambda session: upload_bytes.take_writer(
                    session, upload_id, lease_owner=lease_owner, offset=row["received_bytes"], now=now
                )
            )
            self.writers += [(upload_id, lease_owner)] if taken else []
        for written, writer in self.writers[-2:] if ends else ():
            after = UploadState.FAILED if row["received_bytes"] else UploadState.VERIFYING
            if self.step(written, after, Actor.RECEIVER, writer):
                assert writer == [by for which, by in self.writers if which == written][-1]

    @rule(
        upload_id=st.one_of(ROWS, ROWS, PARTS),
        wish=st.sampled_from(
            ["publish", "publish", "retry", "retry", "retry", "describe", "choose", "choose", "cancel"]
        ),
        again=st.booleans(),
        skipped=st.sampled_from([None, 1, 2]),
    )
    def wish(self, *, upload_id: str, wish: str, again: bool, skipped: int | None) -> None:
        which: dict[str, Any] = {"user_id": self.user_id, "upload_id": upload_id}
        changes: dict[str, Any] = {"allow_duplicate": True} if again else {}
        shared = self.resources
        judging = service.Judging(shared.database, shared.storage, shared.checks, shared.changes)
        if wish == "publish":
            self.asked(service.publish_upload(judging, **which, changes=changes))
        elif wish == "retry":
            self.asked(service.retry_upload(judging, **which, changes=changes))
        elif wish == "describe":
            self.asked(service.change_metadata(judging, **which, changes={"licence": "CC0"}))
        elif wish == "choose":
            changes = {"reading": {"skip_lines": skipped}}
            self.asked(service.change_metadata(judging, **which, changes=changes))
        else:
            self.asked(stopping.cancel_upload(shared.database, shared.storage, **which))

    @rule(chance=st.sampled_from(range(8)))
    def delete_account(self, chance: int) -> None:
        if chance == RARE:
            self.acting = {Actor.DELETION}
            self.written(lambda session: uploads.forget_user(session, self.user_id, self.database.now()))

    @rule(
        upload_id=st.one_of(ROWS, ROWS, PARTS), deed=st.sampled_from(["cancel", "requeue", "hold", "remove"])
    )
    def administer(self, *, upload_id: str, deed: str) -> None:
        shared = self.resources
        judging = service.Judging(shared.database, shared.storage, shared.checks, shared.changes)
        care = UploadCare(judging, AT_COMMAND_LINE, "to see what happens")
        deeds = {
            "cancel": care.cancel,
            "requeue": care.requeue,
            "hold": care.quarantine,
            "remove": care.remove,
        }
        self.asked(deeds[deed](upload_id), by={Actor.ADMINISTRATOR})

    # --- the workers

    @rule(
        worker=st.sampled_from(WORKERS),
        queue=st.sampled_from([TO_PUBLISH, TO_WATCH]),
        aims=st.lists(AIMS, min_size=2, max_size=8),
    )
    def work(self, worker: str, queue: Queue, aims: list[int | str]) -> None:
        """Take one step after another, of what the worker has or believes to have, or takes now."""
        for aim in aims:
            if worker not in self.claims:
                self.claim(worker, queue)
            if worker in self.claims:
                upload_id, held_in = self.claims[worker]
                if not self.work_on(worker, upload_id, held_in, aim):
                    if self.rows()[upload_id]["lease_owner"] != worker:
                        del self.claims[worker]  # It is told that it was too late.
                else:
                    assert self.claimed_by[upload_id] == worker, "another one has claimed it since"

    @rule(queue=st.sampled_from([TO_PUBLISH, TO_WATCH]))
    def claim_at_once(self, queue: Queue) -> None:
        now = self.database.now()

        async def claim() -> list[Upload | None]:
            claims = (
                upload_queues.claim_upload(self.database, queue, lease_owner=worker, now=now, lease=LEASE)
                for worker in WORKERS
            )
            return await asyncio.gather(*claims)

        claimed = dict(zip(WORKERS, self.run(claim()), strict=True))
        assert len({one.id for one in claimed.values() if one}) == sum(map(bool, claimed.values()))
        for worker, one in claimed.items():
            if one is not None:
                self.note_claim(worker, one, queue)

    def claim(self, worker: str, queue: Queue) -> None:
        before, now = self.rows(), self.database.now()
        claimed = self.run(
            upload_queues.claim_upload(self.database, queue, lease_owner=worker, now=now, lease=LEASE)
        )
        due = [row for row in before.values() if row["state"] in queue.states and row["available_at"] <= now]
        assert (claimed is not None) == bool(due)
        if claimed is not None:
            assert claimed.id in {row["id"] for row in due}, "it is somebody else's"
            self.note_claim(worker, claimed, queue)

    @rule(worker=st.sampled_from(WORKERS), skipped=st.lists(st.sampled_from([None, 1, 2]), max_size=3))
    def choose_while_looked_at(self, worker: str, skipped: list[int | None]) -> None:
        """Let a worker take an upload to look at, its owner choose otherwise meanwhile, and the worker move it on."""
        if worker not in self.claims:
            self.claim(worker, TO_PUBLISH)
        if worker in self.claims:
            upload_id, queue = self.claims[worker]
            for lines in skipped:
                self.wish(upload_id=upload_id, wish="choose", again=False, skipped=lines)
            self.work_on(worker, upload_id, queue, "on")

    def note_claim(self, worker: str, upload: Upload, queue: Queue) -> None:
        self.claims[worker], self.claimed_by[upload.id] = (upload.id, queue), worker
        self.seen[worker] = upload

    def work_on(self, worker: str, upload_id: str, queue: Queue, aim: int | str) -> bool:
        """Do something with an upload; False if it is refused."""
        now = self.database.now()
        if aim == "renew":
            return self.written(lambda s: queue.renew(s, upload_id, lease_owner=worker, until=now + LEASE))
        if aim == "give back":
            return self.written(lambda s: queue.give_back(s, upload_id, lease_owner=worker, at=now))
        row, by = self.rows()[upload_id], Actor.WATCHER if queue is TO_WATCH else Actor.PUBLISHER
        is_verified = row["state"] == UploadState.VERIFYING and row["publish_requested"]
        has_waited = row["state"] == UploadState.RECEIVED and row["duplicate_of"] is not None
        if aim == "on" and (is_verified or has_waited):
            return self.let_go(worker, upload_id)
        ways = [
            step.after
            for step in TRANSITIONS
            if (step.before, step.actor) == (row["state"], by) and self.holds(step, row)
        ]
        order = list(UploadState)
        onwards = [after for after in ways if order.index(after) > order.index(row["state"])]
        if isinstance(aim, int) and ways:
            after = ways[aim % len(ways)]
        elif aim in order:
            after = UploadState(aim)
        else:
            after = min(onwards, key=order.index, default=UploadState.FAILED)
        is_looked_at = row["state"] == UploadState.VERIFYING and not row["publish_requested"]
        if after == UploadState.READY and is_looked_at and row["lease_owner"] == worker:
            return self.look(worker, upload_id)
        return self.step(upload_id, after, by, worker)

    def look(self, worker: str, upload_id: str) -> bool:
        """Move on what was looked at as it was described then, as the pipeline does."""
        shared, seen = self.resources, self.seen[worker]
        nobody: Any = None  # A converter and a scheduler, which this does not need.
        publisher = Publisher(shared.database, shared.storage, shared.openml, shared.settings, nobody, nobody)
        lease = Lease(self.database, TO_PUBLISH, upload_id, worker, LEASE, until=self.database.now() + LEASE)
        publication = Publication(publisher, seen, lease)
        shown = digest_choices(seen.description or {})

        async def look() -> None:
            known = {"fields": {}, "doubts": [], **shown._asdict()}
            await publication.set_values({"reading": known})
            await publication._release()

        self.acting |= {Actor.PUBLISHER}
        self.run(look())
        row = self.rows()[upload_id]
        is_shown = digest_choices(row["description"] or {}) == shown
        assert row["state"] == (UploadState.READY if is_shown else UploadState.VERIFYING)
        assert row["lease_owner"] is None
        return True

    def let_go(self, worker: str, upload_id: str) -> bool:
        """Note what the file is, and let it go to OpenML unless it is a duplicate, as the pipeline does."""
        digest = {"received_sha256": self.content.get(upload_id, FILES[0]).hex()}

        async def go_on(session: AsyncSession) -> bool:
            await users.lock_user(session, self.user_id)
            if not await uploads.set_values(
                session, upload_id, digest, only_in={*map(UploadState, TO_PUBLISH.states)}, lease_owner=worker
            ):
                return False
            upload = await uploads.get_upload(session, upload_id)
            assert upload is not None
            return await release(session, upload, now=self.database.now(), lease_owner=worker) is not None

        self.acting |= {Actor.PUBLISHER}
        return self.written(go_on)

    # --- time

    @rule(passed=st.sampled_from([timedelta(seconds=2), 2 * LEASE, timedelta(days=9)]))
    def time_passes(self, passed: timedelta) -> None:
        """Every time in the rows goes back: to them it is later."""
        rows = self.rows()

        async def shift(session: AsyncSession) -> None:
            for row in rows.values():
                times = {name: row[name] - passed for name in TIMES if row[name] is not None}
                await session.execute(sa.update(table).where(table.c.id == row["id"]).values(times))

        self.written(shift)

    @rule()
    def janitor(self) -> None:
        self.acting = {Actor.JANITOR}
        self.run(
            clean_up(
                self.resources.database,
                self.resources.storage,
                lease_seconds=self.resources.settings.timings.lease_seconds,
            )
        )

    # --- what always holds

    @invariant()
    def what_waits_for_its_owner_shows_what_was_chosen(self) -> None:
        for upload_id, row in self.rows().items():
            if row["state"] == UploadState.READY:
                assert row["reading"]["choices"] == digest_choices(row["description"]).choices, upload_id

    @invariant()
    def each_step_is_of_the_table_and_is_told(self) -> None:
        async def read(session: AsyncSession) -> list[Any]:
            events = sa.select(upload_events.c.upload_id, upload_events.c.state).order_by(upload_events.c.id)
            return list((await session.execute(events)).all())

        told: dict[str, list[UploadState]] = {}
        for upload_id, state in self.written(read):
            told.setdefault(upload_id, []).append(UploadState(state))
        legal = {(step.before, step.after) for step in TRANSITIONS if step.actor in self.acting}
        for upload_id, row in self.rows().items():
            story, known = told[upload_id], self.told.get(upload_id, [UploadState.RECEIVING])
            assert story[: len(known)] == known
            news = story[len(known) - 1 :]
            assert {*pairwise(news)} <= legal, (news, self.acting)
            assert story[-1] == row["state"]
        self.told, self.acting = told, frozenset()

    @invariant()
    def what_has_ended_is_nobodys_and_what_is_published_has_its_dataset(self) -> None:
        for row in self.rows().values():
            has_ended = row["state"] in ENDED
            assert has_ended == (row["finished_at"] is not None), row["state"]
            assert not (has_ended and row["lease_owner"]), row["state"]
            assert row["state"] not in AT_OPENML or row["dataset_id"] is not None


@pytest.fixture
def walks(
    database_uri: str, tmp_path_factory: pytest.TempPathFactory, password_hash: str
) -> Iterator[type[Walks]]:
    """Walks over one database."""
    given = Settings(
        _env_file=None,
        data_dir=tmp_path_factory.mktemp("walks"),
        database_uri=database_uri,
        openml_server="http://127.0.0.1:9/",
        lease_seconds=LEASE.total_seconds(),
        uploads_per_user=1000,
    )
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        resources = runner.run(stack.enter_async_context(open_resources(given)))
        person = runner.run(insert_person(Running(httpx.AsyncClient(), resources), password_hash))
        yield type("Started", (Walks,), {"run": runner.run, "resources": resources, "user_id": person.id})
        runner.run(stack.aclose())


@pytest.mark.long
def test_uploads_when_everybody_acts_in_any_order_then_each_step_is_of_the_table(walks: type[Walks]) -> None:
    run_state_machine_as_test(
        walks,
        settings=settings(
            max_examples=25 if LONG else 5,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
