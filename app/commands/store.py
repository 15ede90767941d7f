"""`openml-web store`: which store of bytes belongs to the database, and another one made that."""

import click

from app.commands.running import with_database
from app.core.errors import OperatorError
from app.core.setting_loading import load_settings
from app.db.engine import Database
from app.db.store_marks import adopt, find_other, get_upload_folders
from app.resources import open_storage


class StoreLacksBytesError(OperatorError):
    """A store that is to be adopted lacks bytes that the database names."""


@click.group()
def store() -> None:
    """Say whether the store is the one of the database; make another one that."""


@store.command()
@click.pass_context
def show(ctx: click.Context) -> None:
    """Exit with 0 if the store is the one of the database, with 1 if it is an empty or another one."""

    async def look(database: Database) -> str | None:
        uploads, _ = await open_storage(load_settings())
        return await find_other(database, uploads.mark)

    fault = with_database(look)
    click.echo(fault or "The store is the one of the database, or the database has none yet.")
    ctx.exit(1 if fault else 0)


@store.command("adopt")
@click.option(
    "--yes", "accepts_loss", is_flag=True, help="Also where it lacks bytes that the database names."
)
def adopt_command(*, accepts_loss: bool) -> None:
    """Make the store that the settings name the one of the database; another is refused from then on."""

    async def do(database: Database) -> tuple[str, int]:
        uploads, _ = await open_storage(load_settings())
        missing = len(await get_upload_folders(database) - set(await uploads.upload_ids()))
        if missing and not accepts_loss:
            raise StoreLacksBytesError(
                f"The store lacks bytes of {missing} uploads that are not published. Copy them there, or give --yes if "
                "they are lost."
            )
        return await adopt(database, uploads.mark), missing

    identity, missing = with_database(do)
    click.echo(f"The store is the one of the database from now on (id {identity}).")
    if missing:
        click.echo(f"It lacks bytes of {missing} uploads that are not published.", err=True)
