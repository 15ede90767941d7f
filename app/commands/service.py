"""`openml-web dev`, `serve`, `config`: the service, started and described."""

import asyncio
import signal
from contextlib import ExitStack
from functools import partial

import click

from app.commands.greeting import greet_when_ready
from app.commands.sandbox import sandbox_beside
from app.core.leaving import drained_mark
from app.core.logging import configure_logging
from app.core.metrics_dashboard import dashboard_as_json
from app.core.metrics_reference import metrics_as_markdown
from app.core.reference import as_env_example, as_markdown
from app.core.removed_settings import warn_of_removed_settings
from app.core.serving import listening, run
from app.core.setting_loading import load_settings
from app.core.settings import Settings
from app.core.supervisor import Supervisor
from app.db.engine import Database
from app.db.revisions import find_schema
from app.events.first_look import look_at_servers
from app.mail.messages import create_messages
from app.main import create_app


@click.command()
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that answer requests.",
)
def serve(workers: int) -> None:
    """Answer requests on HOST:PORT."""
    settings = load_settings()
    create_messages(settings)
    configure_logging(settings, "web" if workers == 1 else "service")
    warn_of_removed_settings()
    with listening(settings.host, settings.port, port_setting="PORT") as listener:
        drained_mark(settings).unlink(missing_ok=True)
        # Each process looks once more (8 ms): here a mistake is a sentence and an exit code, before anything starts.
        asyncio.run(_with_database(settings, bring_up_to_date=False))
        asyncio.run(look_at_servers(settings))
        if workers == 1:
            run(create_app(settings), listener)
        else:
            Supervisor("app.main:create_app", listener, processes=workers).run()


@click.command()
def dev() -> None:
    """Start everything a newcomer needs, on this machine alone: the service, its worker, and the sandbox."""
    settings = load_settings()
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again once it has stopped; by default that would end us before the sandbox.
        signal.signal(number, _exit_in_order)
    with ExitStack() as stack:
        listener = stack.enter_context(listening(settings.host, settings.port, port_setting="PORT"))
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        if settings.uses_sandbox:
            settings = stack.enter_context(sandbox_beside(settings))
        configure_logging(settings, "web")
        warn_of_removed_settings()
        asyncio.run(_with_database(settings, bring_up_to_date=True))
        asyncio.run(look_at_servers(settings))
        run(
            create_app(settings),
            listener,
            announce=partial(greet_when_ready, settings),
            log_level="warning",  # The greeting says that it has started.
        )


@click.command()
@click.option("--markdown", is_flag=True, help="As docs/configuration.md.")
@click.option("--env-example", is_flag=True, help="As .env.example.")
@click.option("--metrics", is_flag=True, help="The metrics, as docs/metrics.md.")
@click.option("--dashboard", is_flag=True, help="A dashboard of them for Grafana.")
def config(*, markdown: bool, env_example: bool, metrics: bool, dashboard: bool) -> None:
    """Describe every setting, or every metric."""
    chosen = {as_markdown: markdown, as_env_example: env_example}
    chosen |= {metrics_as_markdown: metrics, dashboard_as_json: dashboard}
    wanted = next((describe for describe, is_wanted in chosen.items() if is_wanted), as_markdown)
    click.echo(wanted(), nl=False)


async def _with_database(settings: Settings, *, bring_up_to_date: bool) -> None:
    database = Database(settings)
    try:
        if bring_up_to_date:
            from app.db.migrations import migrate  # noqa: PLC0415 - with alembic, which no other command needs

            await migrate(database.engine)
        (await find_schema(database.engine)).require_usable()
    finally:
        await database.close()


def _exit_in_order(_number: int, _frame: object) -> None:
    raise SystemExit(0)
