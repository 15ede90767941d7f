"""`openml-web log-level`: what running processes log, looked at and changed."""

import click

from app.core.log_levels import LEVELS, LOOK_SECONDS, read_levels, set_level, write_levels
from app.core.setting_loading import load_settings


@click.command("log-level")
@click.argument("logger", default="")
@click.argument("level", default="", type=click.Choice(["", *LEVELS], case_sensitive=False))
@click.option("--reset", is_flag=True, help="Take back the level of LOGGER; of all, where none is named.")
def log_level(*, logger: str, level: str, reset: bool) -> None:
    """Set the level of a logger (app, app.openml, app.requests …) in all processes with this DATA_DIR.

    With nothing it says what is set. A level stays set until it is taken back.
    """
    data_dir = load_settings().data_dir
    if bool(logger) != bool(level) and not reset:
        raise click.UsageError(
            "Name a logger and a level, e.g. app.openml DEBUG; or nothing, to see what is set."
        )
    if reset and not logger:
        write_levels(data_dir, {})
    elif logger:
        set_level(data_dir, logger, None if reset else level.upper())
        click.echo(f"Processes heed it within {LOOK_SECONDS:g} seconds.", err=True)
    for name, found in sorted(read_levels(data_dir).items()):
        click.echo(f"{name} {found}")
