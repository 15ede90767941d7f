"""What `openml-web doctor` says of a MariaDB where something is missing or set otherwise."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pymysql
import pytest
from sqlalchemy.engine import URL, make_url

from app.core.settings import Settings
from app.db.revisions import REVISIONS
from app.doctor import database
from app.doctor.diagnosis import Level
from tests.conftest import SCHEMAS, migrate_database
from tests.doctor.conftest import Diagnose, told
from tests.mariadb_server import own_mariadb

CHECKS = ("database", "server", "migrations", "rights", "layout", "worker", "queues", "clocks")
PASSWORD = "known to nobody"
Ask = Callable[..., None]


@pytest.fixture(scope="module")
def url(mariadb_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """A database of OpenML's, migrated; each test puts back what it changes."""
    folder = tmp_path_factory.mktemp("doctor")
    server = make_url(mariadb_server)
    found = server.set(database=f"openml_web_test_{secrets.token_hex(6)}")
    _ask(server, f"CREATE DATABASE {found.database} CHARACTER SET latin1")
    _ask(found, *filter(str.strip, (SCHEMAS / "openml_users.sql").read_text().split(";\n")))
    address = found.render_as_string(hide_password=False)
    asyncio.run(migrate_database(Settings(_env_file=None, data_dir=folder, database_uri=address)))
    yield found
    _ask(found, f"DROP DATABASE {found.database}")


@pytest.fixture
def ask(url: URL) -> Ask:
    """Send statements as the administrator."""
    return lambda *statements: _ask(url, *statements)


def _ask(url: URL, *statements: str) -> None:
    connection = pymysql.connect(
        host=url.host, port=url.port or 3306, user=url.username, password=url.password or "",
        database=url.database or None, autocommit=True, ssl_disabled=True,
    )  # fmt: skip
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def user(url: URL, ask: Ask) -> Iterator[str]:
    """A user of the server who may do nothing yet but see the database."""
    login = f"doctor_{secrets.token_hex(4)}"
    ask(
        f"CREATE USER {login}@'%' IDENTIFIED BY '{PASSWORD}'",
        f"GRANT CREATE VIEW ON {url.database}.* TO {login}",
    )
    yield login
    ask(f"DROP USER {login}@'%'")


def address_of(url: URL, user: str = "", **query: str) -> str:
    found = url.set(username=user, password=PASSWORD) if user else url
    return found.update_query_dict(query).render_as_string(hide_password=False)


async def test_user_when_rights_are_missing_then_said_which_and_on_what(
    diagnose: Diagnose, url: URL, user: str, ask: Ask
) -> None:
    address = address_of(url, user)
    pattern = str(url.database).replace("_", r"\_")
    ask(
        f"GRANT SELECT, INSERT, UPDATE ON {url.database}.* TO {user}",
        f"GRANT DELETE ON {url.database}.users TO {user}",
    )
    without_delete = told(await diagnose("rights", database_uri=address), Level.FAULT)
    ask(f"GRANT DELETE ON {url.database}.* TO {user}")
    found = await diagnose(*CHECKS, database_uri=address)
    ask(f"UPDATE openml_web_version SET version_num = '{REVISIONS[-2]}'")
    behind = told(await diagnose("rights", "migrations", database_uri=address), Level.FAULT)
    ask("UPDATE openml_web_version SET version_num = '9999', works_from = '9998'")
    ahead = told(await diagnose("migrations", database_uri=address), Level.FAULT)
    ask(f"UPDATE openml_web_version SET version_num = '{REVISIONS[-1]}', works_from = NULL")
    ask(f"GRANT CREATE, ALTER, DROP, INDEX ON `{pattern}`.* TO {user}")
    everything = told(await diagnose("rights", database_uri=address), Level.OK)

    assert without_delete.startswith("rights: The user of DATABASE_URI may not: DELETE on ")
    assert " tables. Run as the database's administrator: GRANT SELECT" in without_delete
    assert not told(found, Level.FAULT)
    assert "openml-web migrate needs a user who may CREATE, ALTER, DROP, INDEX" in told(found, Level.OK)
    assert "migrations: The database is behind this version" in behind
    assert "rights: openml-web migrate needs a user who may" in behind
    assert "(revision 9999), which does not work with it" in ahead
    assert "needs a user" not in everything
    assert PASSWORD not in str(found)


@pytest.mark.parametrize(
    ("query", "level", "says"),
    [
        ("sql_mode='ANSI_QUOTES,PIPES_AS_CONCAT'", Level.FAULT, "sql_mode has ANSI_QUOTES, PIPES_AS_CONCAT"),
        ("sql_mode='EMPTY_STRING_IS_NULL'", Level.FAULT, "sql_mode has EMPTY_STRING_IS_NULL"),
        ("time_zone='+05:30'", Level.WARNING, "time_zone is +05:30: NOW() there is +5.5 hours from UTC"),
        # What is taken by us cannot do harm.
        ("sql_mode=''", Level.OK, "server: MariaDB"),
    ],
)
async def test_server_when_statements_mean_something_else_there_then_said(
    diagnose: Diagnose, url: URL, query: str, level: Level, says: str
) -> None:
    found = await diagnose("server", database_uri=address_of(url, init_command=f"SET SESSION {query}"))

    assert says in told(found, level)
    assert (level is Level.OK) == (not told(found, Level.WARNING) + told(found, Level.FAULT))


async def test_server_when_older_than_what_gets_repairs_then_warned(
    diagnose: Diagnose, url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(database.OLDEST, "MariaDB", (99, 0))

    assert "gets no repairs any more. Update it." in told(
        await diagnose("server", database_uri=address_of(url)), Level.WARNING
    )


async def test_tables_when_they_are_of_another_engine_or_lack_a_column_then_named(
    diagnose: Diagnose, url: URL, ask: Ask
) -> None:
    ask("ALTER TABLE users_groups ENGINE=MyISAM", "ALTER TABLE users DROP COLUMN gamification_visibility")
    other = await diagnose("layout", database_uri=address_of(url))
    ask("ALTER TABLE users_groups ENGINE=InnoDB", "ALTER TABLE users CHANGE bio about text")
    lacking = await diagnose("layout", database_uri=address_of(url))
    ask(
        "ALTER TABLE users CHANGE about bio text", "ALTER TABLE users ADD gamification_visibility varchar(32)"
    )

    assert "users_groups is kept by MyISAM, which has no transactions" in told(other, Level.FAULT)
    assert "in cp1252; users lacks gamification_visibility, and may" in told(other, Level.OK)
    assert "The existing table users lacks bio" in told(lacking, Level.FAULT)


async def test_database_when_it_lets_us_not_in_or_is_none_then_one_fault_and_the_rest_is_looked_at(
    diagnose: Diagnose, url: URL
) -> None:
    wrong = await diagnose(*CHECKS, "limits", database_uri=address_of(url, "nobody"))
    none = await diagnose(*CHECKS, database_uri=url.set(database="no_such").render_as_string())
    away = await diagnose(*CHECKS, database_uri=url.set(port=9).render_as_string())

    assert [each.check for each in wrong] == ["limits", "database", "clocks"]
    assert "Check user and password in DATABASE_URI" in told(wrong, Level.FAULT)
    assert "CREATE DATABASE" in told(none, Level.FAULT)
    assert "that the database runs" in told(away, Level.FAULT)
    assert PASSWORD not in str(wrong)


async def test_worker_and_queues_when_nobody_works_then_as_ready_says(
    diagnose: Diagnose, url: URL, ask: Ask
) -> None:
    ask(
        "INSERT INTO outbox (kind, recipient, parameters, state, created_at, available_at)"
        " VALUES ('test', 'a@b.org', '{}', 'pending', '2020-01-01', '2020-01-01')"
    )
    faults = told(
        await diagnose("worker", "queues", database_uri=address_of(url), embedded_worker=False), Level.FAULT
    )
    ask("DELETE FROM outbox")

    assert "worker: No worker is running" in faults
    assert "queues: Mails have been waiting for" in faults


@pytest.mark.long
async def test_server_when_it_may_only_be_read_or_has_no_connections_left_then_said(
    diagnose: Diagnose, tmp_path: Path
) -> None:
    with own_mariadb(tmp_path, "--max-connections=10") as server:
        folder = tmp_path / "migrate"
        address = server.address
        await migrate_database(Settings(_env_file=None, data_dir=folder, database_uri=address))
        server.ask(f"CREATE USER serve@'%' IDENTIFIED BY '{PASSWORD}'")
        server.ask("GRANT SELECT, INSERT, UPDATE, DELETE ON openml.* TO serve@'%'")
        as_service = address.replace("root@", f"serve:{PASSWORD}@")
        others = [
            pymysql.connect(host="127.0.0.1", port=server.port, user="root", ssl_disabled=True)
            for _ in range(7)
        ]
        crowded = told(await diagnose("server", database_uri=as_service), Level.WARNING)
        for other in others:
            other.close()
        server.ask("SET GLOBAL read_only = 1")
        read_only = told(await diagnose("rights", database_uri=as_service), Level.FAULT)

    assert "of max_connections (10) are in use" in crowded
    assert "it takes no writes" in read_only
