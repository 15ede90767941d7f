"""Backups of a site that works, restored elsewhere; and moves of one that stands still."""

import asyncio
import itertools
import secrets
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pymysql
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from app.backup.folder import Backup
from app.backup.making import make_backup
from app.backup.moving import move_database, move_store
from app.backup.restoring import restore
from app.backup.rows import fill
from app.backup.site import BackupError, Site, open_site
from app.core.settings import Settings
from app.db.snapshots import tables_to_copy
from app.db.tables import outbox
from app.db.upload_states import IN_QUEUE
from app.db.upload_tables import uploads
from app.storage.objects import Stored
from tests.accounts.picture.test_image import post
from tests.conftest import Person, Running, eventually, insert_person, serving
from tests.uploads.test_data_upload import CSV, form
from tests.uploads.test_faults import openml, published
from tests.uploads.test_resources import begin, offset_of, reach, send

__all__ = ["openml"]
PLACES = [
    pytest.param("sqlite", "folder", id="sqlite-folder"),
    pytest.param("mariadb", "s3", id="mariadb-s3", marks=pytest.mark.long),
]
EVERYWHERE = pytest.mark.parametrize(("database_uri", "store"), PLACES, indirect=True)
SQLITE = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> dict[str, str]:
    return request.getfixturevalue("s3") if getattr(request, "param", "") == "s3" else {}


@pytest.fixture
def place(settings: Settings, store: dict[str, str]) -> Settings:
    """The site that is backed up."""
    return settings.model_copy(update=as_settings(store))


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, place: Settings, tmp_path: Path) -> Settings:
    """An empty machine."""
    changes: dict[str, str] = {"data_dir": str(tmp_path / "elsewhere")}
    if place.database_url.startswith("mysql"):
        changes["database_uri"] = request.getfixturevalue("empty_mariadb")
    else:
        changes["database_uri"] = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    if place.storage_url:
        changes["storage_url"] = f"s3://tests/{secrets.token_hex(4)}"
    return place.model_copy(update=as_settings(changes))


def as_settings(given: dict[str, str]) -> dict[str, Any]:
    """Return values as a `Settings` has them."""
    made = Settings(_env_file=None, **given)  # type: ignore[arg-type]  # read as from the environment
    return {name: getattr(made, name) for name in given}


def quiet(_text: str) -> None:
    """Say nothing."""


async def back_up(settings: Settings, folder: Path) -> Backup:
    async with open_site(settings) as site:
        return await make_backup(site, folder, quiet)


async def restored(backup: Backup, settings: Settings) -> Any:
    async with open_site(settings) as site:
        return await restore(backup, site, quiet)


def ask(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    """Return what the database itself says."""
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(url.database))) as connection:
            return connection.execute(statement).fetchall()
    server = pymysql.connect(
        host=url.host, port=url.port or 3306, user=url.username, database=url.database, ssl_disabled=True
    )
    with server, server.cursor() as cursor:
        cursor.execute(statement)
        server.commit()
        return list(cursor.fetchall())


def copy_openmls_tables(before: Settings, after: Settings) -> None:
    """Do what OpenML's own backup does, where its tables are in the same database as ours."""
    source = make_url(before.database_url).database
    if after.database_url.startswith("mysql"):
        for table in ("users", "users_groups"):
            ask(after, f"INSERT INTO {table} SELECT * FROM {source}.{table}")


async def upload_all_the_time(app: Running, person: Person, names: list[str]) -> None:
    """Begin one upload after the other, until cancelled; `names` are those that were accepted."""
    headers = {**person.headers, "Prefer": "respond-async"}
    for number in itertools.count():
        name, content = f"rivers-{secrets.token_hex(4)}", CSV + b"Tees,%d.5,no\n" % number
        files = form(dataset_name=name, content=content)
        answer = await app.client.post("/data-upload", files=files, headers=headers)
        assert answer.status_code == 202, answer.text
        names.append(name)
        await asyncio.sleep(0.15)


async def at_rest(app: Running) -> None:
    """Wait until no worker has anything to do with uploads."""

    async def look() -> bool | None:
        async with app.resources.database.session() as session:
            found = await session.scalar(
                sa.select(sa.func.count()).select_from(uploads).where(uploads.c.state.in_(IN_QUEUE))
            )
        return not found or None

    await eventually(look, seconds=180)


def described(name: str) -> dict[str, str]:
    return {
        "dataset_name": f"{name}-{secrets.token_hex(4)}",
        "description": "Levels.",
        "def_tar_att": "flood",
    }


@EVERYWHERE
async def test_backup_when_uploads_run_then_each_is_published_once_though_two_sites_had_it(
    place: Settings, elsewhere: Settings, password_hash: str, tmp_path: Path, openml: httpx.AsyncClient
) -> None:
    names: list[str] = []
    async with serving(place) as app:
        person = await insert_person(app, password_hash)
        image = (await post(app, person)).json()["image"]
        picture = (await app.client.get(image)).content
        half = await begin(app, person, metadata=described("half"))
        await send(app, person, half, CSV[:20])
        draft = await begin(app, person, CSV + b"Dee,1,yes\n", metadata=described("draft"))
        await send(app, person, draft, CSV + b"Dee,1,yes\n")
        await reach(app, person, draft, "ready")
        busy = asyncio.create_task(upload_all_the_time(app, person, names))
        await eventually(lambda: found_of(names, 4))
        backup = await back_up(place, tmp_path / "backup")
        later = len(names) + 2
        await eventually(lambda: found_of(names, later))
        busy.cancel()
        # The site goes on after its backup: what was under way then is published.
        await at_rest(app)
    backup.verify()

    done = await restored(backup, elsewhere)
    copy_openmls_tables(place, elsewhere)

    assert done.rows == sum(backup.manifest.rows.values())
    assert not backup.manifest.lost
    async with serving(elsewhere) as again:
        token, _ = again.resources.tokens.issue(person.id)
        same = Person(person.id, person.email, person.password, person.api_key, token)
        assert (await again.client.get(image)).content == picture
        preview = await again.client.get(f"{draft}/preview", headers=same.headers)
        assert (preview.status_code, preview.json()["row_count"]) == (200, 4), preview.text
        assert await offset_of(again, same, half) == 20
        await send(again, same, half, CSV[20:], 20)
        for path in (half, draft):
            await reach(again, same, path, "ready")
            await again.client.post(f"{path}/publish", headers=same.headers)
        await at_rest(again)
        assert not await waiting_mails(again)
        async with again.resources.database.session() as session:
            states = dict((await session.execute(sa.select(uploads.c.dataset_name, uploads.c.state))).all())
    assert set(states.values()) == {"active"}, states
    assert len(states) > 3
    for name in {*names, *states}:
        assert len(await published(openml, name)) == 1, name


class Vanishing:
    """A store that loses an upload, its row first, in the moment in which a backup reads it."""

    def __init__(self, site: Site, upload_id: str) -> None:
        self._site = site
        self._upload_id = upload_id

    async def read(self, one: Stored) -> AsyncIterator[bytes]:
        if one.upload_id == self._upload_id:
            # Another process, for ours has one connection to SQLite, which is busy.
            change(self._site.database.url.database or "", "DELETE FROM upload_parts", "DELETE FROM uploads")
            raise FileNotFoundError(one.name)
        async for block in self._site.objects.read(one):
            yield block

    async def write(self, name: str, blocks: AsyncIterator[bytes], length: int | None) -> None:
        await self._site.objects.write(name, blocks, length)

    async def length(self, name: str) -> int | None:
        return await self._site.objects.length(name)


@SQLITE
async def test_backup_when_bytes_go_while_they_are_copied_then_it_is_of_a_moment_without_them(
    settings: Settings, password_hash: str, tmp_path: Path
) -> None:
    async with serving(settings.model_copy(update={"embedded_worker": False})) as app:
        person = await insert_person(app, password_hash)
        path = await begin(app, person)
        await send(app, person, path, CSV[:20])
    said: list[str] = []

    async with open_site(settings) as site:
        vanishing = Vanishing(site, path.rsplit("/", 1)[1])
        backup = await make_backup(
            Site(site.database, vanishing, site.mark), tmp_path / "backup", said.append
        )

    assert said == ["1 files went while they were copied; what came since is copied now."]
    assert (backup.manifest.rows["uploads"], backup.manifest.files, backup.manifest.lost) == (0, 0, [])


async def waiting_mails(app: Running) -> int:
    waiting = sa.select(sa.func.count()).select_from(outbox).where(outbox.c.state == "pending")
    async with app.resources.database.session() as session:
        return await session.scalar(waiting) or 0


async def found_of(names: list[str], wanted: int) -> bool | None:
    return len(names) >= wanted or None


@EVERYWHERE
async def test_restore_when_nothing_happened_since_then_the_same_row_by_row_and_byte_by_byte(
    place: Settings, elsewhere: Settings, password_hash: str, tmp_path: Path
) -> None:
    async with serving(place) as app:
        person = await insert_person(app, password_hash, first_name="Łucja")
        await post(app, person)
        draft = await begin(app, person)
        await send(app, person, draft, CSV)
        await reach(app, person, draft, "ready")
        # Those that wait would be held; and drafts are looked for: all else is as it was.
        assert not await waiting_mails(app)
    backup = await back_up(place, tmp_path / "backup")

    await restored(backup, elsewhere)

    copied = tables_to_copy(with_openml=place.database_url.startswith("sqlite"))
    for table in copied:
        key = ", ".join(column.name for column in table.primary_key)
        columns = ", ".join(f"`{column.name}`" for column in table.columns if column.name != "newest_before")
        statement = f"SELECT {columns} FROM `{table.name}` ORDER BY {key}"
        assert as_moments(ask(elsewhere, statement)) == as_moments(ask(place, statement)), table.name
    for one, _ in backup.files():
        async with open_site(place) as before, open_site(elsewhere) as after:
            assert await content(before, one.name) == await content(after, one.name)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "backup").rglob("*") if path.is_file()}
    assert modes == {0o600}
    with pytest.raises(BackupError, match="Name an empty one"):
        await restored(backup, elsewhere)


@pytest.mark.long
@SQLITE
async def test_move_when_to_mysql_and_a_bucket_then_all_goes_on_there_and_each_is_published_once(
    settings: Settings,
    empty_mariadb: str,
    s3: dict[str, str],
    password_hash: str,
    openml: httpx.AsyncClient,
) -> None:
    there = settings.model_copy(update=as_settings({"database_uri": empty_mariadb, **s3}))
    names: list[str] = []
    async with serving(settings) as app:
        person = await insert_person(app, password_hash, first_name="Łucja")
        image = (await post(app, person)).json()["image"]
        picture = (await app.client.get(image)).content
        half = await begin(app, person, metadata=described("half"))
        await send(app, person, half, CSV[:20])
        busy = asyncio.create_task(upload_all_the_time(app, person, names))
        await eventually(lambda: found_of(names, 8))
        busy.cancel()
    async with open_site(settings) as source, open_site(there) as target:
        moved = await move_store(source, target.objects)
        counts = await move_database(source, target.database)
    assert not moved.lost
    assert counts["uploads"] == len(names) + 1

    async with serving(there) as again:
        token, _ = again.resources.tokens.issue(person.id)
        same = Person(person.id, person.email, person.password, person.api_key, token)
        profile = (await again.client.get("/profile", headers=same.headers)).json()
        assert (profile["first_name"], profile["image"]) == ("Łucja", image)
        assert (await again.client.get(image)).content == picture
        await send(again, same, half, CSV[20:], await offset_of(again, same, half))
        await reach(again, same, half, "ready")
        await again.client.post(f"{half}/publish", headers=same.headers)
        await reach(again, same, half, "active")
        await at_rest(again)
    assert ask(there, "SELECT DISTINCT state FROM uploads") == [("active",)]
    for name in names:
        assert len(await published(openml, name)) == 1, name


@SQLITE
async def test_move_when_somebody_still_writes_then_nothing_stays(
    settings: Settings, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch, password_hash: str
) -> None:
    async with serving(settings.model_copy(update={"embedded_worker": False})) as app:
        await insert_person(app, password_hash)

        async def and_then_another(*arguments: Any) -> None:
            await fill(*arguments)
            await insert_person(app, password_hash)

        monkeypatch.setattr("app.backup.moving.fill", and_then_another)
        async with open_site(settings) as source, open_site(elsewhere) as target:
            with pytest.raises(BackupError, match="the service still runs"):
                await move_database(source, target.database)
    assert ask(elsewhere, "SELECT count(*) FROM users") == [(0,)]


def as_moments(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Write moments in one way: SQLite's own default leaves out a fraction of nought."""
    return [
        tuple(value.removesuffix(".000000") if isinstance(value, str) else value for value in row)
        for row in rows
    ]


def change(database: str, *statements: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


async def content(site: Site, name: str) -> bytes:
    # A source that was put together has the part at its start.
    upload_id = name.split("/")[1] if name.startswith("uploads/") else ""
    return b"".join([block async for block in site.objects.read(Stored(name, None, upload_id))])
