"""Which versions of the service work on a database, and `openml-web migrate` with its options."""

import asyncio
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy.engine import Connection

from app.commands.migrate import migrate_command
from app.core.errors import OperatorError
from app.core.settings import Settings
from app.db.engine import Database
from app.db.revisions import REVISIONS, VERSION_TABLE, MigrationError, Schema, SchemaStatus
from app.db.tables import OPENML_TABLES, metadata
from tests.conftest import running
from tests.db.test_migrations import OPENML_SCHEMA, ROOT, database_at, is_meant_for, run_script

LAST, NEXT = REVISIONS[-1], f"{int(REVISIONS[-1]) + 1:04}"
"""The newest revision, and one that only the next version knows."""
MARKED_SINCE = "0011"
ADDING = re.compile(
    r"--.*|(BEGIN|COMMIT|CREATE TABLE|CREATE INDEX|UPDATE openml_web_version) ?.*"
    # INSERTs of the version before leave it out.
    r"|ALTER TABLE \w+ ADD COLUMN (?!.* NOT NULL).*|ALTER TABLE \w+ ADD COLUMN .* DEFAULT .*",
    re.DOTALL,
)
NOT_NOTICED: dict[str, str] = {}
"""Migrations that do more than add, each with why the code of the version before does not notice."""


class Migrated:
    """A database, and `openml-web migrate` for it."""

    def __init__(self, uri: str, folder: Path) -> None:
        self.uri = uri
        self._environment = {"DATABASE_URI": uri, "DATA_DIR": str(folder / "var")}

    def migrate(self, *options: str) -> tuple[int, str]:
        """Return the exit code, and what is said."""
        done = CliRunner(env=self._environment).invoke(migrate_command, options)
        if isinstance(done.exception, OperatorError):
            return 2, str(done.exception)  # as `app.cli.main` makes it
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout

    def execute(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.uri.removeprefix("sqlite:///"))) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def say_it_is(self, revision: str, works_from: str) -> None:
        self.execute(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}', works_from = '{works_from}'")


@pytest.fixture
def migrated(tmp_path: Path, migrated_sqlite: Path) -> Migrated:
    shutil.copy(migrated_sqlite, tmp_path / "copy.db")
    return Migrated(f"sqlite:///{tmp_path / 'copy.db'}", tmp_path)


@pytest.mark.parametrize(
    ("schema", "status"),
    [
        (Schema(None), SchemaStatus.BEHIND),
        (Schema(REVISIONS[-2]), SchemaStatus.BEHIND),
        (Schema(LAST, LAST), SchemaStatus.CURRENT),
        (Schema(NEXT, LAST), SchemaStatus.AHEAD),
        (Schema(NEXT, REVISIONS[-3]), SchemaStatus.AHEAD),
        (Schema(NEXT, NEXT), SchemaStatus.TOO_FAR_AHEAD),
        (Schema(NEXT), SchemaStatus.TOO_FAR_AHEAD),
    ],
)
def test_schema_when_compared_with_this_version_then_its_status(schema: Schema, status: SchemaStatus) -> None:
    assert schema.status is status


async def test_start_when_a_newer_version_migrated_then_as_that_one_wrote_down(
    migrated: Migrated, tmp_path: Path
) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path / "var", database_uri=migrated.uri)
    migrated.say_it_is(NEXT, LAST)
    async with running(settings) as app:
        assert (await app.client.get("/health/ready")).status_code == 200

    migrated.say_it_is(NEXT, NEXT)
    with pytest.raises(MigrationError, match=f"those from revision {NEXT} on do. Update it."):
        async with running(settings):
            pass


async def test_ready_when_migrated_beyond_what_works_then_says_so(migrated: Migrated, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path / "var", database_uri=migrated.uri)
    async with running(settings) as app:
        migrated.say_it_is(NEXT, NEXT)
        answer = await app.client.get("/health/ready")

    assert (answer.status_code, "Update it." in answer.json()["detail"]) == (503, True)


@pytest.mark.parametrize(
    ("works_from", "check", "migrate", "said"),
    [(LAST, 3, 0, "which works with it."), (NEXT, 4, 2, "which does not work with it")],
)
def test_migrate_when_a_newer_version_did_then_a_sentence_and_nothing_done(
    migrated: Migrated, works_from: str, check: int, migrate: int, said: str
) -> None:
    migrated.say_it_is(NEXT, works_from)

    for options, exit_code in (((), migrate), (("--check",), check), (("--sql",), migrate), (("--down",), 2)):
        done, text = migrated.migrate(*options)
        assert (done, said in text) == (exit_code, True), (options, text)
    assert f"Only a version that knows revision {NEXT} can take it back." in migrated.migrate("--down")[1]


def test_down_when_nothing_is_lost_then_done_else_said_what(migrated: Migrated) -> None:
    assert migrated.migrate("--check") == (0, f"The database is up to date (revision {LAST}).\n")
    assert migrated.migrate("--down") == (0, f"The database is back at revision {REVISIONS[-2]}.\n")
    assert migrated.migrate("--check")[0] == 1
    assert migrated.migrate("--down", "0005") == (0, "The database is back at revision 0005.\n")
    assert migrated.migrate("--down", LAST) == (
        2,
        f"{LAST} is no revision before 0005. There are 0001 to 0004.",
    )
    assert migrated.migrate() == (0, "The database is up to date.\n")
    migrated.execute(
        "INSERT INTO notices (kind, text, begins_at) VALUES ('announcement', 'a', '2026-01-01')",
        *(
            "INSERT INTO uploads (id, user_id, state, file_name, format, created_at, available_at, reading, is_partial)"
            f" VALUES ('{name}', 1, 'failed', 't', 'csv', '2026-01-01', '2026-01-01', '{reading}', {partial})"
            for name, reading, partial in (("a", "null", 0), ("b", "{}", 0), ("c", "{}", 1))
        ),
    )

    refused = (
        "To go back to revision 0006 would lose:\n- the column is_partial of uploads: 1 row\n"
        "- the column reading of uploads: 2 rows\n- the table notices: 1 row\n"
        "Make a backup, then repeat it with --yes."
    )
    assert migrated.migrate("--down", "0006") == (2, refused)
    assert migrated.migrate("--check")[0] == 0
    assert migrated.migrate("--down", "0006", "--yes") == (0, "The database is back at revision 0006.\n")


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("mariadb", marks=pytest.mark.long)])
def test_down_when_over_all_migrations_then_each_can_be_undone_and_done_again(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    is_sqlite = kind == "sqlite"
    uri = f"sqlite:///{tmp_path / 'new.db'}" if is_sqlite else str(request.getfixturevalue("empty_mariadb"))
    migrated = Migrated(uri, tmp_path)
    assert migrated.migrate()[0] == 0
    assert migrated.migrate("--down", REVISIONS[0]) == (
        0,
        f"The database is back at revision {REVISIONS[0]}.\n",
    )
    assert migrated.migrate() == (0, "The database is up to date.\n")
    assert asyncio.run(_differences(database_at(uri, tmp_path))) == []


async def _differences(database: Database) -> list[object]:
    """Return where the tables are not as the code describes them."""

    def compare(connection: Connection) -> list[object]:
        options = {"version_table": VERSION_TABLE, "include_object": is_meant_for(connection.dialect.name)}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with database.engine.connect() as connection:
        found = await connection.run_sync(compare)
    await database.close()
    return found


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("mariadb", marks=pytest.mark.long)])
async def test_sql_when_somebody_else_runs_it_then_as_migrated_and_openmls_tables_are_untouched(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    is_sqlite = kind == "sqlite"
    uri = f"sqlite:///{tmp_path / 'new.db'}" if is_sqlite else str(request.getfixturevalue("empty_mariadb"))
    database, found = database_at(uri, tmp_path), Migrated(uri, tmp_path)
    if not is_sqlite:
        await run_script(database, OPENML_SCHEMA.read_text())
    code, script = await asyncio.to_thread(found.migrate, "--sql")
    assert code == 0
    await _run_as_printed(database, script)

    assert (await asyncio.to_thread(found.migrate, "--check"))[0] == 0
    assert await _differences(database) == []
    if not is_sqlite:
        touched = [
            table.name for table in OPENML_TABLES if re.search(rf"\b{table.name}\b *(\(|ADD|SET)", script)
        ]
        assert touched == []


async def _run_as_printed(database: Database, script: str) -> None:
    statements = [text for text in script.split(";\n") if text.strip() not in {"", "BEGIN", "COMMIT"}]
    await run_script(database, ";\n".join(statements))


def test_migrations_when_the_version_before_runs_beside_them_then_they_only_add(migrated: Migrated) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "alembic"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert migrated.migrate("--down", REVISIONS[REVISIONS.index(MARKED_SINCE) - 1])[0] == 0
    printed = migrated.migrate("--sql")[1].split("-- Running upgrade")[1:]

    for text in printed:
        revision = text.split("\n", 1)[0].split("-> ")[1]
        module = scripts.get_revision(revision).module
        assert "0001" <= module.WORKS_FROM <= revision, "see docs/upgrade.md"
        more = [each for each in text.split("\n", 1)[1].split(";") if not ADDING.fullmatch(each.strip())]
        assert revision in NOT_NOTICED or not any(each.strip() for each in more), more
    assert len(printed) == len(REVISIONS) - REVISIONS.index(MARKED_SINCE)


@pytest.mark.parametrize(
    ("statement", "adds"),
    [
        ("ALTER TABLE uploads ADD COLUMN a DATETIME(6)", True),
        ("ALTER TABLE uploads ADD COLUMN a BOOL DEFAULT '0' NOT NULL", True),
        ("ALTER TABLE uploads ADD COLUMN a BOOL NOT NULL", False),
        ("ALTER TABLE uploads DROP COLUMN a", False),
        ("ALTER TABLE uploads MODIFY a INTEGER NOT NULL", False),
        ("CREATE UNIQUE INDEX a ON uploads (b)", False),
        ("DROP TABLE uploads", False),
    ],
)
def test_adding_when_asked_of_statements_then_only_what_the_version_before_does_not_notice(
    statement: str, *, adds: bool
) -> None:
    assert bool(ADDING.fullmatch(statement)) is adds
