"""`openml-web backup`, `restore` and `move`: everything that is this site's, kept elsewhere, or taken elsewhere."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click
import httpx

from app.backup.folder import Backup
from app.backup.making import make_backup
from app.backup.moving import STOP_FIRST, Unfinished, find_unfinished, move_database, move_store, settle_store
from app.backup.restoring import restore
from app.backup.site import BackupError, Site, open_site
from app.commands.running import run
from app.core.outgoing import open_http
from app.core.setting_loading import load_settings, load_settings_with
from app.core.settings import Settings
from app.db.snapshots import snapshot

T = TypeVar("T")
MOST_NAMED = 10
SERVICE_SECONDS = 3.0
FOLDER = click.argument("folder", type=click.Path(path_type=Path))


@click.command("backup")
@FOLDER
@click.option(
    "--verify", is_flag=True, help="Write nothing; check the checksums of the backup that is there."
)
def backup_command(folder: Path, *, verify: bool) -> None:
    """Write a backup into FOLDER, which must not be there, while the service runs."""
    if verify:
        found = Backup(folder)
        found.verify()
        click.echo(f"{folder} is whole: {_described(found)}.")
        return
    made = run(_on_site(load_settings(), lambda site: make_backup(site, folder, _say)))
    click.echo(f"{folder}: {_described(made)}.")
    _tell_lost(made.manifest.lost)
    click.echo("It holds hashes of passwords and API keys: keep it as secret as the database.")


@click.command("restore")
@FOLDER
def restore_command(folder: Path) -> None:
    """Restore the backup in FOLDER into an empty database and store, which the settings name."""
    backup = Backup(folder)
    backup.verify()
    done = run(_on_site(load_settings(), lambda site: restore(backup, site, _say)))
    click.echo(f"Restored {done.rows} rows and {done.files} files, each compared with the backup.")
    if done.held:
        click.echo(
            f"{done.held} mails that waited are held, for they may have been sent since: `openml-web mail list --state "
            "failed`, `openml-web mail retry`."
        )
    if done.looked_for:
        click.echo(f"{done.looked_for} uploads are looked for at OpenML before they are sent.")
    if not (done.has_users or backup.manifest.has_users):
        click.echo(
            "There is nobody in `users`: with MySQL that is OpenML's table, and OpenML's backup has it."
        )


@click.command("move")
@click.option(
    "--to",
    "settings_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="A file like `.env` with the settings that will be others: DATABASE_URI, DATA_DIR, STORAGE_URL, …",
)
@click.option("--check", is_flag=True, help="Copy nothing; say what would be moved.")
def move_command(settings_file: Path, *, check: bool) -> None:
    """Take a site that is stopped to another database, another store, or both."""
    before, after = load_settings(), load_settings_with(settings_file)
    moves = _moves(before, after)
    if not moves:
        raise BackupError(f"{settings_file} names the database and the store that are used now.")
    run(_move(before, after, moves, check=check))
    if not check:
        click.echo(
            f"Put the settings of {settings_file} in place of the present ones, then start the service."
        )
        click.echo(
            "What was moved is still where it was; nothing may be started with the old settings any more."
        )


def _moves(before: Settings, after: Settings) -> list[str]:
    moves = []
    if _store_of(before) != _store_of(after):
        moves.append("store")
    if before.database_url != after.database_url:
        moves.append("database")
    return moves


def _store_of(settings: Settings) -> tuple[str, str]:
    if settings.storage_url:
        return settings.storage_url, settings.aws_endpoint_url
    return str(settings.data_dir.resolve()), ""


async def require_no_service(settings: Settings) -> None:
    """Return if no `openml-web serve` answers here; its worker gives no sign of life to the database.

    Raises:
        BackupError: one does.
    """
    async with open_http(settings.local_url, timeout=httpx.Timeout(SERVICE_SECONDS)) as client:
        try:
            answer = await client.get(f"{settings.local_url}/health/live")
        except httpx.HTTPError:
            return
    if answer.text.replace(" ", "") == '{"status":"ok"}':
        raise BackupError(f"openml-web serve answers on {settings.local_url}. {STOP_FIRST}")


async def _move(before: Settings, after: Settings, moves: list[str], *, check: bool) -> None:
    if not check:
        await require_no_service(before)
    async with open_site(before) as source:
        async with snapshot(source.database) as connection:
            _tell_unfinished(await find_unfinished(connection))
        if check:
            click.echo(f"To be moved: {' and '.join(moves)}.")
            return
        async with open_site(after) as target:
            if "store" in moves:
                moved = await move_store(source, target.objects)
                click.echo(
                    f"{moved.files} files, {moved.bytes} bytes, are in the new store, and were read back."
                )
                _tell_lost(moved.lost)
            if "database" in moves:
                counts = await move_database(source, target.database)
                for name, count in counts.items():
                    click.echo(f"{name}: {count} rows, the same in both")
            database = target.database if "database" in moves else source.database
            await settle_store(source.database, database, target.mark if "store" in moves else None)


async def _on_site(settings: Settings, work: Callable[[Site], Awaitable[T]]) -> T:
    async with open_site(settings) as site:
        return await work(site)


def _tell_unfinished(found: Unfinished) -> None:
    click.echo(
        f"{found.uploads} uploads are not finished; {found.bytes} bytes are kept of uploads. They go on after the move."
    )


def _tell_lost(lost: Sequence[str]) -> None:
    if lost:
        click.echo(
            f"{len(lost)} files that the database names are nowhere: {', '.join(lost[:MOST_NAMED])}", err=True
        )


def _described(backup: Backup) -> str:
    manifest = backup.manifest
    return (
        f"{sum(manifest.rows.values())} rows of {len(manifest.rows)} tables, {manifest.files} files with "
        f"{manifest.bytes} bytes, as of {manifest.moment[:19]}Z, revision {manifest.revision}"
    )


def _say(text: str) -> None:
    click.echo(text, err=True)
