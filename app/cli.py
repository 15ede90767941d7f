"""The command, `openml-web`. Only what is called is imported: clients cannot import the service everywhere."""

import gc

gc.disable()  # As in app/main.py.

import sys
from collections.abc import Mapping
from importlib import import_module, metadata
from typing import Annotated, Any

import structlog
import typer
from typer.core import TyperGroup

from app.core.collector import start_collecting
from app.core.errors import DatabaseUnavailableError, OperatorError

FOR_CLIENTS = {"upload": "app.commands.upload:upload"}
"""What runs on Windows, too."""
FOR_OPERATORS = {
    "dev": "app.commands.service:dev",
    "serve": "app.commands.service:serve",
    "worker": "app.commands.service:worker",
    "sandbox": "app.commands.sandbox:sandbox",
    "migrate": "app.commands.service:migrate_command",
    "config": "app.commands.service:config",
    "mail": "app.commands.mail:mail",
    "user": "app.commands.user:user",
}


def commands_on(platform: str) -> Mapping[str, str]:
    """Return the commands of a platform (as `sys.platform` names it), and where each is: `module:name`."""
    return FOR_CLIENTS if platform == "win32" else {**FOR_OPERATORS, **FOR_CLIENTS}


class LazyCommands(TyperGroup):
    """A group whose commands are imported when they are looked at."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(**attributes)
        # The base looks at the names; who looks at a command asks `get_command`.
        names: dict[str, Any] = dict.fromkeys(commands_on(sys.platform))
        self.commands = names

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - typer's copy of click has no public types
        """Import the command, and make it one."""
        place = commands_on(sys.platform).get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        found = getattr(import_module(module), attribute)
        start_collecting()
        if isinstance(found, typer.Typer):
            group = typer.main.get_group(found)
            group.name = cmd_name
            return group
        alone = typer.Typer(add_completion=False)
        alone.command(cmd_name)(found)
        return typer.main.get_command(alone)


cli = typer.Typer(
    cls=LazyCommands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - typer's
    if wanted:
        typer.echo(f"openml-web {metadata.version('openml-web')}")
        raise typer.Exit


@cli.callback()
def options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Show which version this is."),
    ] = False,
) -> None:
    """The service, its worker, and what operators and uploaders need."""


def main() -> None:
    """Run the command; a mistake of configuration is a sentence, not a traceback."""
    # What commands print may be read by programs.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        cli()
    except OperatorError as error:
        _refuse(str(error))
    except DatabaseUnavailableError as error:
        from app.db.faults import sentence_of  # noqa: PLC0415 - whoever raised it has imported that

        _refuse(sentence_of(error))


def _refuse(sentence: str) -> None:
    typer.echo(sentence, err=True)
    raise SystemExit(2) from None


if __name__ == "__main__":
    main()
