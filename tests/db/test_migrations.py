import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, make_url

from app.core.settings import Settings
from app.db import migrations
from app.db.engine import Database
from app.db.migrations import migrate
from app.db.revisions import REVISIONS, VERSION_TABLE, WORKS_FROM, MigrationError, find_schema
from app.db.tables import OPENML_TABLES, metadata
from app.db.upload_states import UploadState
from tests.conftest import running

ROOT = Path(__file__).parents[2]
OPENML_SCHEMA = Path(__file__).with_name("openml_users.sql")


def database_at(uri: str, tmp_path: Path) -> Database:
    return Database(Settings(_env_file=None, data_dir=tmp_path / "var", database_uri=uri))


async def run_script(database: Database, script: str) -> None:
    async with database.engine.begin() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                await connection.exec_driver_sql(statement)


async def definitions(database: Database) -> list[str]:
    async with database.engine.connect() as connection:
        return [
            str((await connection.exec_driver_sql(f"SHOW CREATE TABLE `{table.name}`")).mappings().one())
            for table in OPENML_TABLES
        ]


async def test_start_when_database_is_behind_then_the_command_to_run(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path / "var")

    with pytest.raises(MigrationError, match="Run: openml-web migrate"):
        async with running(settings):
            pass


@pytest.mark.long
async def test_start_when_database_is_ahead_then_said_so(tmp_path: Path, empty_mariadb: str) -> None:
    database = database_at(empty_mariadb, tmp_path)
    await migrate(database.engine)
    async with database.engine.begin() as connection:
        columns = sa.table(VERSION_TABLE, sa.column("version_num"), sa.column(WORKS_FROM))
        await connection.execute(sa.update(columns).values(version_num="z", works_from="z"))

    with pytest.raises(MigrationError, match="ahead of this version"):
        (await find_schema(database.engine)).require_usable()
    await database.close()


def is_meant_for(dialect: str) -> Callable[..., bool]:
    """Leave out what is made on SQLite only."""
    return lambda _object, name, *_: name != "users_email" or dialect == "sqlite"


async def test_tables_when_migrated_then_as_the_code_describes_them(
    database_uri: str, tmp_path: Path
) -> None:
    def differences(connection: Connection) -> list[object]:
        options = {"version_table": VERSION_TABLE, "include_object": is_meant_for(connection.dialect.name)}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    database = database_at(database_uri, tmp_path)
    async with database.engine.connect() as connection:
        found = await connection.run_sync(differences)
    await database.close()

    assert found == []


async def test_uploads_when_in_every_state_then_kept_by_each_way_through_the_last_migration(
    empty_mariadb: str, tmp_path: Path
) -> None:
    def move(connection: Connection, how: Callable[[Config, str], None], revision: str) -> None:
        how(migrations._config(connection), revision)
        connection.commit()

    before, newest = REVISIONS[-2:]
    database = database_at(empty_mariadb, tmp_path)
    async with database.engine.connect() as connection:
        await connection.run_sync(move, command.upgrade, before)
        for state in UploadState:
            statement = (
                "INSERT INTO uploads (id, user_id, state, file_name, format, created_at, available_at) "
                "VALUES (:id, 1, :id, 't.csv', 'csv', now(), now())"
            )
            await connection.execute(sa.text(statement), {"id": state.value})
        await connection.commit()
        ways = [(command.upgrade, newest), (command.downgrade, before), (command.upgrade, newest)]
        for how, revision in ways:
            await connection.run_sync(move, how, revision)
            found = await connection.execute(sa.text("SELECT id FROM uploads WHERE state = id"))
            assert sorted(row[0] for row in found) == sorted(UploadState)
        reading = await connection.execute(sa.text("SELECT count(*) FROM uploads WHERE reading IS NULL"))
        assert reading.scalar() == len(UploadState)
    await database.close()


async def test_migration_when_many_start_at_once_then_one_does_it(empty_mariadb: str, tmp_path: Path) -> None:
    databases = [database_at(empty_mariadb, tmp_path) for _ in range(4)]

    await asyncio.gather(*(migrate(database.engine) for database in databases))

    for database in databases:
        (await find_schema(database.engine)).require_usable()
        await database.close()


@pytest.mark.long
async def test_openmls_tables_when_they_exist_then_adopted_untouched(
    empty_mariadb: str, tmp_path: Path
) -> None:
    database = database_at(empty_mariadb, tmp_path)
    await run_script(database, OPENML_SCHEMA.read_text())
    before = await definitions(database)

    await migrate(database.engine)

    assert await definitions(database) == before
    async with database.engine.connect() as connection:
        rows = (await connection.execute(sa.text("SELECT id, username FROM users"))).all()
        groups = (await connection.execute(sa.text("SELECT count(*) FROM users_groups"))).scalar()
    assert [tuple(row) for row in rows] == [(7, "ada")]
    assert groups == 2
    await database.close()


async def test_users_when_it_is_another_applications_then_refused(tmp_path: Path) -> None:
    database = database_at(f"sqlite:///{tmp_path / 'other.db'}", tmp_path)
    await run_script(database, "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);\n")

    with pytest.raises(MigrationError, match="The existing table users lacks"):
        await migrate(database.engine)

    async with database.engine.connect() as connection:
        assert await connection.run_sync(lambda c: sa.inspect(c).get_table_names()) == ["users"]
    await database.close()


@pytest.mark.parametrize("mode", ["STRICT_ALL_TABLES", ""])
async def test_accounts_when_openmls_tables_were_adopted_then_sign_up_and_log_in_work(
    empty_mariadb: str, tmp_path: Path, sandbox_url: str, mode: str
) -> None:
    uri = make_url(empty_mariadb).update_query_dict({"init_command": f"SET SESSION sql_mode='{mode}'"})
    settings = Settings(
        _env_file=None,
        data_dir=tmp_path / "var",
        database_uri=uri.render_as_string(hide_password=False),
        openml_server=sandbox_url,
    )
    database = Database(settings)
    await run_script(database, OPENML_SCHEMA.read_text())
    await migrate(database.engine)
    await database.close()
    person = {
        "first_name": "Bob",
        "last_name": "B",
        "email": "bob@example.org",
        "password": "a long password",
    }

    async with running(settings) as app:
        assert (await app.client.post("/signup", json=person)).json() == {"msg": "User created"}
        async with app.resources.database.session() as session:
            assert await session.scalar(sa.text("SELECT @@sql_mode")) == mode
            await session.execute(sa.text("UPDATE users SET active = 1 WHERE username = 'bob@example.org'"))
        answer = await app.client.post("/login", json=person)

    assert "access_token" in answer.json()


def test_revisions_when_compared_with_the_files_of_migrations_then_all_are_named_in_their_order() -> None:
    scripts = ScriptDirectory(str(ROOT / "alembic"))

    assert [script.revision for script in scripts.walk_revisions()] == [*reversed(REVISIONS)]


async def test_alembic_by_hand_when_nothing_has_changed_then_nothing_to_migrate(
    database_uri: str, tmp_path: Path
) -> None:
    environment = {**os.environ, "DATABASE_URI": database_uri, "DATA_DIR": str(tmp_path / "var")}

    check = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "alembic", "check"), cwd=ROOT, env=environment, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await check.communicate()

    assert (check.returncode, b"No new upgrade operations" in said) == (0, True), said.decode()
