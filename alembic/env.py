"""Run migrations on the connection that `openml-web migrate` hands over, or on the settings' database."""

import asyncio
from collections.abc import Iterable

import sqlalchemy as sa
from alembic import context
from alembic.migration import MigrationContext
from alembic.operations.ops import MigrationScript
from sqlalchemy.engine import Connection

from app.core.setting_loading import load_settings
from app.db.engine import Database
from app.db.every_table import metadata
from app.db.revisions import RECORDED_SINCE, REVISIONS, VERSION_TABLE, WORKS_FROM
from app.db.tables import OPENML_TABLES

OURS = {table.name for table in metadata.tables.values()} - {table.name for table in OPENML_TABLES}


def include_name(name: str | None, type_: str, _parents: object) -> bool:
    """Return whether alembic reads this table of the database, to compare it with `app/db/tables.py`."""
    return type_ != "table" or name in OURS


def include_object(_item: object, name: str | None, type_: str, _reflected: object, _other: object) -> bool:
    """Return whether alembic compares this table of `app/db/tables.py`: OpenML's own are never altered, nor made."""
    return type_ != "table" or name in OURS


def give_number(
    _context: MigrationContext,
    _revisions: str | Iterable[str | None] | Iterable[str],
    made: list[MigrationScript],
) -> None:
    """Give a revision that `alembic revision --autogenerate` makes the number after the newest."""
    made[0].rev_id = f"{int(REVISIONS[-1]) + 1:04}"


def record_what_works(*, ctx: MigrationContext, heads: set[str], **_: object) -> None:
    """Write, after each step, the oldest revision whose code works on the database."""
    ran = [script.module for script in context.script.walk_revisions("base", max(heads))]
    if max(heads) >= RECORDED_SINCE:
        works_from = max(getattr(module, "WORKS_FROM", module.revision) for module in ran)
        table = sa.table(VERSION_TABLE, sa.column(WORKS_FROM, sa.String))
        ctx.impl.execute(sa.update(table).values({WORKS_FROM: works_from}))


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        include_name=include_name,
        include_object=include_object,
        compare_type=False,
        process_revision_directives=give_number,
        on_version_apply=record_what_works,
        literal_binds=context.is_offline_mode(),
        transactional_ddl=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_on_settings() -> None:
    database = Database(load_settings())
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(run)
    finally:
        await database.close()


given = context.config.attributes.get("connection")
if given is None:
    asyncio.run(run_on_settings())
else:
    run(given)
