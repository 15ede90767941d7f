"""Transactions that the database rolls back because of others: done anew, and nobody hears of it."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import links
from app.accounts.links import LinkPurpose
from app.core.errors import DatabaseConflictError
from app.core.limits import LIMITS
from app.core.settings import Settings
from app.db import account_states
from app.db.engine import Database, notify_after_commit
from app.db.tables import account_states as account_states_table
from app.db.upload_queues import IN_WORK, claim_upload
from app.db.upload_states import UploadState
from app.db.upload_tables import uploads
from app.events.notifications import Notifications
from tests.conftest import LONG, Person, Running, eventually, insert_person, running

T = TypeVar("T")
ROUNDS = 6 if LONG else 1
PASSWORD = "four hills of green slate"

pytestmark = pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)


@pytest.fixture
def settings(database_uri: str, tmp_path: Path, sandbox_url: str) -> Settings:
    return Settings(
        _env_file=None,
        data_dir=tmp_path,
        database_uri=database_uri,
        openml_server=sandbox_url,
        database_pool_size=20,
        rate_limits=[f"{name}=1000000/hour" for name in LIMITS],
    )


async def test_unit_when_two_lock_the_same_rows_in_other_orders_then_both_are_done_once(
    settings: Settings,
) -> None:
    woken: list[str] = []
    notifications = Notifications()
    notifications.announce = woken.append
    database = Database(settings, notifications)
    tries: list[int] = []

    async def both(first: int, second: int) -> int:
        async def work(session: AsyncSession) -> int:
            tries.append(first)
            for number in (first, second):
                await account_states.set_deactivated(session, number, None)
                await asyncio.sleep(0.1)
            change = sa.update(account_states_table).where(account_states_table.c.user_id == first)
            await session.execute(change.values(confirmed_at=database.now()))
            notify_after_commit(session, "done")
            return first

        return await database.unit(work)

    done = await asyncio.gather(both(1, 2), both(2, 1))
    await database.close()

    assert list(done) == [1, 2]
    assert len(tries) > 2, "one of them was rolled back"
    assert woken == ["done", "done"]


async def test_unit_when_its_connection_is_lost_before_the_commit_then_done_anew(settings: Settings) -> None:
    database = Database(settings)
    tries = 0

    async def work(session: AsyncSession) -> None:
        nonlocal tries
        tries += 1
        await account_states.set_deactivated(session, 7, database.now())
        if tries == 1:
            number = await session.scalar(sa.text("SELECT CONNECTION_ID()"))
            async with database.session() as other:
                await other.execute(sa.text(f"KILL {number}"))
        await session.execute(sa.text("SELECT 1"))

    await database.unit(work)
    async with database.session() as session:
        assert await account_states.is_deactivated(session, 7)
    await database.close()
    assert tries == 2


@pytest.mark.long
async def test_unit_when_it_is_rolled_back_every_time_then_it_ends(settings: Settings) -> None:
    database = Database(settings)
    tries = 0

    async def work(_session: AsyncSession) -> None:
        nonlocal tries
        tries += 1
        raise DatabaseConflictError("a deadlock")

    with pytest.raises(DatabaseConflictError):
        await database.unit(work)
    await database.close()
    assert tries == 4


# --- a deadlock made to measure, of which the service is the victim

WAITING = sa.text(
    "SELECT COUNT(*) FROM information_schema.innodb_trx AS t "
    "JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id "
    "WHERE t.trx_state = 'LOCK WAIT' AND p.db = DATABASE()"
)
DEADLOCKS = sa.text(
    "SELECT CAST(variable_value AS INTEGER) FROM information_schema.global_status "
    "WHERE variable_name = 'Innodb_deadlocks'"
)
USER = "SELECT id FROM users WHERE id = :user_id FOR UPDATE"
UPLOAD = "SELECT id FROM uploads WHERE id = :upload_id FOR UPDATE"
PARTS = "SELECT upload_id FROM upload_parts WHERE upload_id = :upload_id FOR UPDATE"
PART = "INSERT INTO upload_parts (upload_id, start, name, length) VALUES (:upload_id, 4, 'x', 1)"
IN_QUEUE = (
    "SELECT id FROM uploads FORCE INDEX (ix_uploads_queue) WHERE state = 'verifying' LOCK IN SHARE MODE"
)
"""The entry in the index alone, which a claim changes after the row."""


async def victimise(
    database: Database, work: Coroutine[Any, Any, T], *, first: str, then: str, **values: Any
) -> T:
    """Lock one thing, let the work wait for it, and ask for what the work has locked; return what the work does."""
    async with database.session() as session:
        before = await session.scalar(DEADLOCKS)
    async with database.session() as rival:
        # The database rolls back whoever has changed less.
        await rival.execute(sa.text("INSERT INTO ballast SELECT seq FROM seq_1_to_1000"))
        await rival.execute(sa.text(first), values)
        working = asyncio.create_task(work)

        async def is_waiting() -> bool | None:
            await asyncio.sleep(0.15)  # The server answers from a copy to whoever asks more often.
            async with database.session() as session:
                return bool(await session.scalar(WAITING)) or None

        await eventually(is_waiting)
        await rival.execute(sa.text(then), values)
    done = await working
    async with database.session() as session:
        assert await session.scalar(DEADLOCKS) > before
    return done


@pytest_asyncio.fixture
async def quiet(settings: Settings) -> AsyncIterator[Running]:
    """The service without a worker, and a table for what makes a transaction heavy."""
    async with running(settings.model_copy(update={"embedded_worker": False})) as app:
        async with app.resources.database.session() as session:
            await session.execute(sa.text("CREATE TABLE ballast (id INTEGER)"))
        yield app
        async with app.resources.database.session() as session:
            await session.execute(sa.text("DROP TABLE ballast"))


DESCRIBED = {"dataset_name": "n", "description": "d"}
DEADLY: dict[str, tuple[str, str, dict[str, Any], str, str, int]] = {
    "publish": ("POST", "/publish", {"json": DESCRIBED}, UPLOAD, USER, 202),
    "describe": ("PATCH", "", {"json": DESCRIBED}, UPLOAD, USER, 200),
    "retry": ("POST", "/retry", {"json": DESCRIBED}, UPLOAD, USER, 202),
    "append": ("PATCH", "", {"content": b"3,4\n"}, PART, UPLOAD, 204),
    "cancel": ("DELETE", "", {}, PARTS, UPLOAD, 204),
}
"""What is asked, what it waits for, what it has by then, and how it is answered all the same."""
OF_TUS = {
    "Tus-Resumable": "1.0.0",
    "Upload-Offset": "4",
    "Content-Type": "application/offset+octet-stream",
}


@pytest.mark.parametrize("act", DEADLY)
async def test_upload_when_the_database_undoes_what_its_owner_does_then_done_anew(
    quiet: Running, password_hash: str, act: str
) -> None:
    method, path, arguments, first, then, status = DEADLY[act]
    app, person = quiet, await insert_person(quiet, password_hash)
    begun = await app.client.post("/uploads", json={"file_name": "a.csv", "size": 8}, headers=person.headers)
    upload_id = begun.json()["id"]
    headers = {**person.headers, **OF_TUS, "Upload-Offset": "0"}
    sent = b"a,b\n" if act != "retry" else b"a,b\n3,4\n"
    await app.client.patch(f"/uploads/{upload_id}", content=sent, headers=headers)
    if act == "retry":
        async with app.resources.database.session() as session:
            failed = {"state": UploadState.FAILED, "finished_at": app.resources.database.now()}
            await session.execute(sa.update(uploads).where(uploads.c.id == upload_id).values(failed))

    ask = app.client.request(
        method,
        f"/uploads/{upload_id}{path}",
        headers={**person.headers, **(OF_TUS if act == "append" else {})},
        **arguments,
    )
    answer = await victimise(
        app.resources.database, ask, first=first, then=then, user_id=person.id, upload_id=upload_id
    )

    assert answer.status_code == status, answer.text


async def test_claim_when_the_database_undoes_it_then_done_anew(quiet: Running, password_hash: str) -> None:
    app, person = quiet, await insert_person(quiet, password_hash)
    begun = await app.client.post("/uploads", json={"file_name": "a.csv", "size": 4}, headers=person.headers)
    upload_id, database = begun.json()["id"], app.resources.database
    await app.client.patch(
        f"/uploads/{upload_id}",
        content=b"a,b\n",
        headers={**person.headers, **OF_TUS, "Upload-Offset": "0"},
    )
    claim = claim_upload(database, IN_WORK, lease_owner="me", now=database.now(), lease=timedelta(minutes=2))

    claimed = await victimise(database, claim, first=IN_QUEUE, then=UPLOAD, upload_id=upload_id)

    assert claimed is not None
    assert (claimed.id, claimed.lease_owner) == (upload_id, "me")


Write = Callable[[httpx.AsyncClient, Person, dict[str, str]], Awaitable[httpx.Response]]


def asking(method: str, path: str, **arguments: Any) -> Write:
    """A request as the person, in whose texts `{name}` stands for what was prepared."""

    async def ask(client: httpx.AsyncClient, person: Person, prepared: dict[str, str]) -> httpx.Response:
        filled: dict[str, Any] = {
            kind: {name: str(value).format_map(prepared) for name, value in fields.items()}
            for kind, fields in arguments.items()
        }
        return await client.request(method, path.format_map(prepared), headers=person.headers, **filled)

    return ask


WRITES: dict[str, Write] = {
    "reset": asking("POST", "/resetpassword", json={"url": "{reset}", "password": PASSWORD}),
    "confirm": asking("POST", "/confirmation", json={"url": "{confirm}"}),
    "move": asking("POST", "/confirmation", json={"url": "{move}"}),
    "log in": asking("POST", "/token", data={"username": "{email}", "password": "seven rivers flow north"}),
    "log out": asking("POST", "/logout"),
    "end all": asking("DELETE", "/sessions"),
    "profile": asking(
        "POST", "/profile", json={"first_name": "A", "last_name": "B", "email": "{other}", "bio": "x"}
    ),
    "key": asking("POST", "/api-key"),
    "delete": asking("POST", "/delete", json={"password": "seven rivers flow north"}),
    "sign up": asking(
        "POST",
        "/signup",
        json={"first_name": "A", "last_name": "B", "email": "{other}", "password": PASSWORD},
    ),
    "begin": asking("POST", "/uploads", json={"file_name": "a.csv", "size": "8"}),
    "cancel": asking("DELETE", "/uploads/{upload}"),
    "publish": asking("POST", "/uploads/{upload}/publish", json={"dataset_name": "n", "description": "d"}),
}


async def prepare(app: Running, password_hash: str) -> tuple[Person, dict[str, str]]:
    person = await insert_person(app, password_hash)
    other = f"{secrets.token_hex(4)}@example.org"
    made = {"email": person.email, "other": other}
    async with app.resources.database.session() as session:
        for name, purpose in (
            ("reset", LinkPurpose.RESET_PASSWORD),
            ("confirm", LinkPurpose.CONFIRM),
            ("move", LinkPurpose.CHANGE_EMAIL),
        ):
            made[name] = await links.create_link(
                session, app.resources.settings, user_id=person.id, purpose=purpose, email=other
            )
    begun = await app.client.post("/uploads", json={"file_name": "a.csv", "size": 8}, headers=person.headers)
    return person, {**made, "upload": begun.json()["id"]}


@pytest.mark.long
async def test_writes_when_each_meets_each_other_then_no_server_error(
    settings: Settings, password_hash: str
) -> None:
    faults: list[str] = []

    async def meet(app: Running, first: str, second: str) -> None:
        person, prepared = await prepare(app, password_hash)
        answers = await asyncio.gather(
            *(WRITES[name](app.client, person, prepared) for name in (first, second, first, second))
        )
        faults.extend(
            f"{first} and {second}: {answer.status_code} {answer.text[:100]}"
            for answer in answers
            if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
        )

    async with running(settings) as app:
        pairs = list(itertools.combinations_with_replacement(WRITES, 2)) * ROUNDS
        for start in range(0, len(pairs), 4):
            await asyncio.gather(*(meet(app, *pair) for pair in pairs[start : start + 4]))
    assert not faults
