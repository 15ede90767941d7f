"""`openml-web dev`, `serve`, `worker`, `migrate`, `config`: the service and its parts, started."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any

import structlog
import typer

from app.commands.greeting import greet_when_ready
from app.commands.sandbox import sandbox_beside
from app.commands.worker import check_worker
from app.core.logging import configure_logging
from app.core.reference import as_env_example, as_markdown
from app.core.serving import listening, run
from app.core.settings import Settings, load_settings
from app.core.supervisor import Supervisor
from app.db.engine import Database
from app.db.migrations import migrate, require_current
from app.events.first_look import look_at_servers
from app.jobs import run_worker
from app.mail.messages import create_messages
from app.main import create_app
from app.resources import open_resources
from app.worker.run import run_worker_process

log = structlog.get_logger(__name__)


def migrate_command() -> None:
    """Bring the database up to date; OpenML's own tables are adopted, never altered."""
    settings = load_settings()
    asyncio.run(_with_database(settings, bring_up_to_date=True))
    typer.echo("The database is up to date.")


def serve(
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer requests.")] = 1,
) -> None:
    """Answer requests on HOST:PORT."""
    settings = load_settings()
    create_messages(settings)
    configure_logging(settings)
    with listening(settings.host, settings.port, port_setting="PORT") as listener:
        asyncio.run(_with_database(settings, bring_up_to_date=False))
        asyncio.run(look_at_servers(settings))
        if workers == 1:
            run(create_app(settings), listener)
        else:
            Supervisor("app.main:create_app", listener, processes=workers).run()


def worker(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Work on nothing; say whether the worker of this machine works.")
    ] = False,
) -> None:
    """Deliver mail and publish uploads, without answering requests (EMBEDDED_WORKER=false for those that do)."""
    settings = load_settings()
    if check:
        works, sentence = asyncio.run(check_worker(settings))
        typer.echo(sentence, err=not works)
        raise typer.Exit(0 if works else 1)
    configure_logging(settings)
    asyncio.run(look_at_servers(settings))
    asyncio.run(_until_signalled(_work(settings)))


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
        configure_logging(settings)
        asyncio.run(_with_database(settings, bring_up_to_date=True))
        asyncio.run(look_at_servers(settings))
        run(create_app(settings), listener, announce=partial(greet_when_ready, settings))


def config(
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/configuration.md.")] = False,
    env_example: Annotated[bool, typer.Option("--env-example", help="As .env.example.")] = False,
) -> None:
    """Describe every setting."""
    if env_example and not markdown:
        typer.echo(as_env_example(), nl=False)
    else:
        typer.echo(as_markdown(), nl=False)


async def _with_database(settings: Settings, *, bring_up_to_date: bool) -> None:
    database = Database(settings)
    try:
        if bring_up_to_date:
            await migrate(database.engine)
        await require_current(database.engine)
    finally:
        await database.close()


async def _work(settings: Settings) -> None:
    async with open_resources(settings) as resources:
        log.info("worker started", conversions_at_once=settings.conversions_at_once)
        try:
            await run_worker_process(resources, run_worker)
        finally:
            log.info("worker stops")


async def _until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run until SIGTERM or SIGINT; what was begun goes back to the queue."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return


def _exit_in_order(_number: int, _frame: object) -> None:
    raise SystemExit(0)
