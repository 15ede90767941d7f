"""The command, `openml-web`. Only what is called is imported: clients cannot import the service everywhere."""

import gc

gc.disable()  # As in app/main.py.

import sys
from collections.abc import Mapping
from importlib import import_module

import click

from app import __version__
from app.core.collector import start_collecting
from app.core.errors import DatabaseUnavailableError, OperatorError

INTERRUPTED = 130
"""The exit code of what Ctrl-C ended, as shells count (128 + SIGINT)."""
FOR_CLIENTS = {"upload": "app.commands.upload:upload"}
"""What runs on Windows, too."""
FOR_OPERATORS = {
    "dev": "app.commands.service:dev",
    "serve": "app.commands.service:serve",
    "worker": "app.commands.worker:worker",
    "sandbox": "app.commands.sandbox:sandbox",
    "migrate": "app.commands.migrate:migrate_command",
    "backup": "app.commands.backup:backup_command",
    "restore": "app.commands.backup:restore_command",
    "move": "app.commands.backup:move_command",
    "log-level": "app.commands.log_level:log_level",
    "config": "app.commands.service:config",
    "licences": "app.commands.licences:licences",
    "doctor": "app.commands.doctor:doctor",
    "health": "app.commands.health:health",
    "mail": "app.commands.mail:mail",
    "user": "app.commands.user:user",
    "uploads": "app.commands.uploads:uploads",
    "workers": "app.commands.site:workers",
    "store": "app.commands.store:store",
    "drain": "app.commands.drain:drain",
    "maintenance": "app.commands.site:maintenance",
    "announcements": "app.commands.site:announcements",
    "index": "app.commands.index:index",
    "reports": "app.commands.site:reports",
}


def commands_on(platform: str) -> Mapping[str, str]:
    """Return the commands of a platform (as `sys.platform` names it), and where each is: `module:name`."""
    return FOR_CLIENTS if platform == "win32" else {**FOR_OPERATORS, **FOR_CLIENTS}


class LazyCommands(click.Group):
    """A group whose commands are imported when they are looked at."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names, in the order in which help shows them."""
        return list(commands_on(sys.platform))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command."""
        place = commands_on(sys.platform).get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        found: click.Command = getattr(import_module(module), attribute)
        start_collecting()
        return found

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; one that is interrupted ends as shells expect, where click would say 1."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None


@click.group(cls=LazyCommands, context_settings={"show_default": True})
@click.version_option(__version__, prog_name="openml-web", message="%(prog)s %(version)s")
def cli() -> None:
    """The service, its worker, and what operators and uploaders need."""
    import structlog  # noqa: PLC0415 - it takes longer than all that --version needs

    # What commands print may be read by programs.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def main() -> None:
    """Run the command; a mistake of configuration is a sentence, not a traceback."""
    try:
        cli()
    except OperatorError as error:
        _refuse(str(error))
    except DatabaseUnavailableError as error:
        from app.db.faults import sentence_of  # noqa: PLC0415 - whoever raised it has imported that

        _refuse(sentence_of(error))


def _refuse(sentence: str) -> None:
    click.echo(sentence, err=True)
    raise SystemExit(2) from None


if __name__ == "__main__":
    main()
