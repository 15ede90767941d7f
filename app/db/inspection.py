"""What this service needs of a database server beside its tables, looked at without changing a row."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import DatabaseUnavailableError
from app.db.engine import Database
from app.db.every_table import metadata
from app.db.faults import FORBIDDEN, NO_TABLE, translated
from app.db.migrations import check_adopted
from app.db.tables import groups, users, users_groups

MIGRATE_RIGHTS = ("CREATE", "ALTER", "DROP", "INDEX")
"""What `openml-web migrate` needs beside those of the service, on the database as a whole."""
CHANGED_MEANING = frozenset(
    {
        "ANSI",
        "ANSI_QUOTES",
        "DB2",
        "EMPTY_STRING_IS_NULL",
        "HIGH_NOT_PRECEDENCE",
        "MAXDB",
        "MSSQL",
        "NO_BACKSLASH_ESCAPES",
        "NO_UNSIGNED_SUBTRACTION",
        "ORACLE",
        "PAD_CHAR_TO_FULL_LENGTH",
        "PIPES_AS_CONCAT",
        "POSTGRESQL",
        "SIMULTANEOUS_ASSIGNMENT",
    }
)
"""Values of `sql_mode` with which a statement means something else than it was tested to mean."""
_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?P<place>\S+) TO ", re.IGNORECASE)
_WILD: Mapping[str, str] = {"%": ".*", "_": "."}
"""In the name of a database that rights are granted on."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a MySQL or MariaDB server says of itself.

    Attributes:
        version: as it writes it.
        sql_mode: of our connections.
        time_zone: of our connections, as it is set.
        zone_seconds: by how much `NOW()` is ahead of UTC on them.
        most_connections: how many it takes.
        connections: how many it has.
    """

    version: str
    sql_mode: frozenset[str]
    time_zone: str
    zone_seconds: int
    most_connections: int
    connections: int


@dataclass(frozen=True, slots=True)
class TableFacts:
    """How the tables are, where installations differ.

    Attributes:
        adopted: OpenML's tables that are there.
        missing_columns: of `users`, which it may lack.
        other_engines: tables that are not kept by InnoDB.
        charset: of people's names, as Python calls it.
    """

    adopted: frozenset[str]
    missing_columns: frozenset[str]
    other_engines: Mapping[str, str]
    charset: str


async def get_server_facts(database: Database) -> ServerFacts:
    """Ask a MySQL or MariaDB server.

    Raises:
        DatabaseUnavailableError: it is away, in trouble or full.
    """
    statement = (
        "SELECT VERSION(), @@SESSION.sql_mode, @@SESSION.time_zone, "
        "TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW()), @@GLOBAL.max_connections"
    )
    async with database.connection() as connection:
        version, mode, zone, seconds, most = (await connection.execute(sa.text(statement))).one()
        status = (await connection.execute(sa.text("SHOW GLOBAL STATUS LIKE 'Threads_connected'"))).one()
    modes = frozenset(filter(None, str(mode).split(",")))
    return ServerFacts(str(version), modes, str(zone), int(seconds), int(most), int(status[1]))


async def find_forbidden(database: Database) -> dict[str, list[str]]:
    """Return the rights that the service lacks, and the tables it lacks each on: all are tried, on no row.

    Raises:
        DatabaseUnavailableError: it is away, in trouble, full, or takes no writes.
    """
    refused: dict[str, list[str]] = {}
    async with database.connection() as connection:
        for table in metadata.sorted_tables:
            for right, statement in _trials(table):
                try:
                    with translated():
                        await connection.execute(statement)
                except DatabaseUnavailableError as error:
                    if error.reason == NO_TABLE:
                        break
                    if error.reason != FORBIDDEN:
                        raise
                    refused.setdefault(right, []).append(table.name)
        await connection.rollback()
    return refused


async def find_missing_rights(database: Database) -> list[str]:
    """Return the rights that `openml-web migrate` needs, and that the server does not grant to this user.

    Raises:
        DatabaseUnavailableError: it is away, in trouble or full.
    """
    async with database.connection() as connection:
        lines = (await connection.scalars(sa.text("SHOW GRANTS FOR CURRENT_USER"))).all()
    granted = set(_granted(map(str, lines), str(database.url.database)))
    return [] if "ALL PRIVILEGES" in granted else [right for right in MIGRATE_RIGHTS if right not in granted]


async def get_table_facts(database: Database) -> TableFacts:
    """Return how the tables are.

    Raises:
        DatabaseUnavailableError: it is away, in trouble or full.
        MigrationError: one of OpenML's tables is not as this service knows it; the text says which column it lacks.
    """
    async with database.connection() as connection:
        adopted = await connection.run_sync(check_adopted)
        engines = {} if database.is_sqlite else await _engines(connection)
    if users.name in adopted:
        await database.learn()
    other = {name: engine for name, engine in engines.items() if engine.upper() != "INNODB"}
    return TableFacts(frozenset(adopted), database.missing_columns, other, database.charset)


async def _engines(connection: AsyncConnection) -> dict[str, str]:
    statement = sa.text(
        "SELECT table_name, engine FROM information_schema.tables "
        "WHERE table_schema = DATABASE() AND table_name IN :names AND engine IS NOT NULL"
    ).bindparams(sa.bindparam("names", expanding=True))
    rows = await connection.execute(statement, {"names": list(metadata.tables)})
    return {str(name): str(engine) for name, engine in rows}


def _trials(table: sa.Table) -> Iterator[tuple[str, Any]]:
    """Yield each right that the service uses on a table, and a statement that needs it and touches no row."""
    column = next(iter(table.columns))
    never: sa.ColumnElement[bool] = sa.literal_column("1 = 0")
    yield "SELECT", sa.select(column).where(never)
    if table is groups:
        return
    insert = sa.insert(table).from_select([column.name], sa.select(column).where(never))
    # Else a strict server asks for a value of each column that has no default, though there is no row.
    yield "INSERT", insert.prefix_with("IGNORE", dialect="mysql")
    if table is not users_groups:
        yield "UPDATE", sa.update(table).where(never).values({column.name: column})
    yield "DELETE", sa.delete(table).where(never)


def _granted(lines: Iterable[str], database: str) -> Iterator[str]:
    for line in lines:
        grant = _GRANT.match(line)
        if grant and _names(grant["place"], database):
            yield from (right.strip().upper() for right in grant["rights"].split(","))


def _names(place: str, database: str) -> bool:
    """Say whether the place of a grant, e.g. `*.*` or `openml.*`, is the database as a whole."""
    schema, _, table = place.rpartition(".")
    if table != "*":
        return False
    letters = re.findall(r"\\.|.", schema.strip("`'\""))
    pattern = "".join(_WILD.get(letter) or re.escape(letter[-1]) for letter in letters)
    return schema == "*" or re.fullmatch(pattern, database, re.IGNORECASE) is not None
