"""`openml-web migrate`: the database, brought to where a version of the service needs it, or back."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import click
from sqlalchemy.ext.asyncio import AsyncEngine

from app.commands.running import with_database
from app.db.engine import Database
from app.db.migrations import PREVIOUS, go_back, migrate, sql_of_migration
from app.db.revisions import SchemaStatus, find_schema

T = TypeVar("T")
EXIT_CODES: Final = {
    SchemaStatus.CURRENT: 0,
    SchemaStatus.BEHIND: 1,
    # 2: it cannot be told, as with every command.
    SchemaStatus.AHEAD: 3,
    SchemaStatus.TOO_FAR_AHEAD: 4,
}
"""Of `--check`."""


@click.command("migrate")
@click.option(
    "--check", is_flag=True, help="Change nothing; exit with 0 (up to date), 1 (behind), 3 or 4 (ahead)."
)
@click.option(
    "--down",
    "back_to",
    is_flag=False,
    flag_value=PREVIOUS,
    metavar="[REVISION]",
    help="Go back to the revision before, or to this one; where nothing is lost by it.",
)
@click.option("--yes", "accepts_loss", is_flag=True, help="With --down: also where something is lost.")
@click.option("--sql", is_flag=True, help="Change nothing; print the statements.")
@click.pass_context
def migrate_command(
    ctx: click.Context, *, check: bool, back_to: str | None, accepts_loss: bool, sql: bool
) -> None:
    """Bring the database up to date; OpenML's own tables are adopted, never altered."""
    if check:
        schema = _on_engine(find_schema)
        click.echo(schema.describe())
        ctx.exit(EXIT_CODES[schema.status])
    if sql:
        click.echo(_on_engine(lambda engine: sql_of_migration(engine, back_to=back_to)), nl=False)
    elif back_to is not None:
        schema = _on_engine(lambda engine: go_back(engine, back_to, accepts_loss=accepts_loss))
        click.echo(f"The database is back at revision {schema.revision}.")
    else:
        schema = _on_engine(migrate)
        is_ahead = schema.status is SchemaStatus.AHEAD
        click.echo(f"{schema.describe()} Nothing was done." if is_ahead else "The database is up to date.")


def _on_engine(work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    async def do(database: Database) -> T:
        return await work(database.engine)

    return with_database(do)
