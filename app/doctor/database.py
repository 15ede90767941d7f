"""Checks of the database: reachability, privileges, migrations and server settings."""

import sqlite3
from collections.abc import Mapping, Sequence

from app.db import inspection
from app.db.engine import Database
from app.db.revisions import SchemaStatus, find_schema
from app.doctor.diagnosis import Found, fault, ok, skipped, warning

OLDEST = {"MariaDB": (10, 6), "MySQL": (8, 0)}
"""What older servers are is not mended by anybody any more."""
FULL = 0.8
"""Share of the server's connections from which on others may soon be refused."""
MOST_NAMED = 5
"""Tables; of more the number is told."""
ZONE_SECONDS = 60
"""Seconds by which `NOW()` may differ from UTC before it counts as another zone."""


async def check_server(database: Database) -> Found:
    """Say which server it is, and what of its settings changes what statements mean."""
    if database.is_sqlite:
        yield ok(f"SQLite {sqlite3.sqlite_version}")
        return
    facts = await inspection.get_server_facts(database)
    kind = "MariaDB" if "MariaDB" in facts.version else "MySQL"
    yield ok(f"{kind} {facts.version}")
    numbers = tuple(int(part) for part in facts.version.split("-")[0].split(".")[:2] if part.isdecimal())
    if numbers < OLDEST[kind]:
        yield warning(f"{kind} {facts.version} gets no repairs any more. Update it.")
    if wrong := sorted(facts.sql_mode & inspection.CHANGED_MEANING):
        yield fault(
            f"sql_mode has {', '.join(wrong)}, with which statements mean something else. Take it out of the "
            "server's sql_mode, or of init_command in DATABASE_URI."
        )
    if abs(facts.zone_seconds) > ZONE_SECONDS:
        yield warning(
            f"time_zone is {facts.time_zone}: NOW() there is {facts.zone_seconds / 3600:+.1f} hours from UTC, in "
            "which this service keeps every time. Nothing of it depends on that; whoever compares by hand uses "
            "UTC_TIMESTAMP(), or sets default_time_zone='+00:00'."
        )
    if facts.connections > FULL * facts.most_connections:
        yield warning(
            f"{facts.connections} of max_connections ({facts.most_connections}) are in use. Raise it, or lower "
            "DATABASE_POOL_SIZE: each process opens twice as many at most."
        )


_REMARKS = {SchemaStatus.CURRENT: ok, SchemaStatus.AHEAD: warning}


async def check_migrations(database: Database) -> Found:
    """Say how far the database is migrated."""
    schema = await find_schema(database.engine)
    yield _REMARKS.get(schema.status, fault)(schema.describe())


async def check_rights(database: Database) -> Found:
    """Say what the user of `DATABASE_URI` may not do, by trying it on no row."""
    schema = await find_schema(database.engine)
    is_behind = schema.status is SchemaStatus.BEHIND
    # What is tried names columns that an older database does not have.
    forbidden = {} if is_behind else await inspection.find_forbidden(database)
    if is_behind:
        yield skipped("The tables are not those of this version yet: see migrations.")
    elif forbidden:
        yield fault(
            f"The user of DATABASE_URI may not: {_summary(forbidden)}. Run as the database's administrator: "
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {database.url.database}.* TO that user."
        )
    else:
        yield ok("This user may read and write every table.")
    if database.is_sqlite:
        return
    missing = await inspection.find_missing_rights(database)
    if missing:
        text = (
            f"openml-web migrate needs a user who may {', '.join(missing)} as well: grant them, or give it a "
            "DATABASE_URI of its own."
        )
        yield fault(text) if is_behind else ok(text)


async def check_layout(database: Database) -> Found:
    """Say how the tables differ between this installation and others."""
    layout = await inspection.get_table_facts(database)
    if not layout.adopted:
        yield fault("There is no table users. Run: openml-web migrate")
        return
    for table, engine in layout.other_engines.items():
        yield fault(
            f"The table {table} is kept by {engine}, which has no transactions. Run: ALTER TABLE {table} "
            "ENGINE=InnoDB"
        )
    lacks = (
        f"; users lacks {', '.join(sorted(layout.missing_columns))}, and may"
        if layout.missing_columns
        else ""
    )
    yield ok(f"users has what is needed, its texts are in {layout.charset}{lacks}.")


def _summary(forbidden: Mapping[str, Sequence[str]]) -> str:
    """Return e.g. `INSERT on 12 tables; DELETE on outbox, uploads`."""
    parts = (
        f"{right} on {', '.join(tables) if len(tables) <= MOST_NAMED else f'{len(tables)} tables'}"
        for right, tables in forbidden.items()
    )
    return "; ".join(parts)
