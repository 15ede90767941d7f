"""`openml-web index`: what the search index of this machine holds, and making it anew."""

from datetime import UTC, datetime

import click

from app.commands.running import run
from app.core.setting_loading import load_settings
from app.core.settings import Settings, SettingsError
from app.db.engine import Database
from app.index.filling import fill_once
from app.index.lock import is_being_filled
from app.index.sources import Sources
from app.index.status import IndexStatus, read_status
from app.index.store import path_in, remove
from app.openml.client import open_client
from app.openml.errors import OpenMLError


@click.group()
def index() -> None:
    """Look at the search index of this machine, or make it anew. It is derived: nothing is lost with it."""


@index.command()
def status() -> None:
    """Say what the index holds, and how old it is."""
    settings = _settings()
    found = read_status(path_in(settings.data_dir))
    if found is None:
        click.echo("There is no index yet. A worker makes it, or: openml-web index rebuild", err=True)
        raise click.exceptions.Exit(1)
    _show(found)


@index.command()
def rebuild() -> None:
    """Remove the index and fill a new one from the OpenML server; a worker that runs does that by itself."""
    settings = _settings()
    path = path_in(settings.data_dir)
    was_filled = is_being_filled(path)
    remove(path)
    if was_filled:
        click.echo("The index is removed. The worker that kept it fills a new one: openml-web index status")
        return
    try:
        run(_fill(settings))
    except OpenMLError as error:
        click.echo(
            f"{settings.openml_url} cannot be read: {error}. What was read is kept; a worker goes on.",
            err=True,
        )
        raise click.exceptions.Exit(1) from None
    found = read_status(path)
    if found is not None:
        _show(found)


async def _fill(settings: Settings) -> None:
    database = Database(settings)
    try:
        await database.look_at_clock()
        timeout = settings.timings.openml_timeout_seconds
        async with open_client(
            settings.openml_url, timeout_seconds=timeout, way_out=settings.way_out
        ) as openml:
            await fill_once(
                path_in(settings.data_dir),
                server=settings.openml_url,
                sources=Sources(openml, database),
                database=database,
            )
    finally:
        await database.close()


def _settings() -> Settings:
    settings = load_settings()
    if not settings.search_index:
        raise SettingsError("SEARCH_INDEX is false: there is no index.")
    return settings


def _show(found: IndexStatus) -> None:
    for kind, count in found.documents.items():
        click.echo(f"{kind}  {count}")
    fresh = datetime.fromtimestamp(found.fresh_at, UTC) if found.fresh_at else None
    click.echo(f"of {found.server or 'no server yet'}, {found.size / 1e6:.1f} MB")
    click.echo(f"{found.waiting} of them are not read whole yet")
    click.echo(
        f"lists read to their end last: {fresh:%Y-%m-%d %H:%M:%S}Z" if fresh else "no list is read yet"
    )
