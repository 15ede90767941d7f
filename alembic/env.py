"""Run migrations on the connection that `openml-web migrate` hands over, or on the settings' database."""

import asyncio

from alembic import context
from sqlalchemy.engine import Connection

from app.core.settings import load_settings
from app.db.engine import Database
from app.db.revisions import VERSION_TABLE
from app.db.tables import OPENML_TABLES, metadata


def include_name(name: str | None, type_: str, _parents: object) -> bool:
    """Leave alone what is not ours when alembic compares the database with the tables."""
    ours = {table.name for table in metadata.tables.values()} - {table.name for table in OPENML_TABLES}
    return type_ != "table" or name in ours


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        include_name=include_name,
        compare_type=False,
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
