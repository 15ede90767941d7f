"""`openml-web dev`, `serve`, `worker`, `sandbox`, `migrate`, `config`: the service and its parts, started."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Annotated, Any

import structlog
import typer

from app.commands.greeting import greet_when_ready
from app.commands.sandbox_accounts import account_finder
from app.commands.worker import check_worker
from app.core.logging import configure_logging
from app.core.reference import as_env_example, as_markdown
from app.core.serving import listening, run
from app.core.settings import Settings, SettingsError, load_settings
from app.core.supervisor import Supervisor
from app.db.engine import Database
from app.db.migrations import migrate, require_current
from app.events.first_look import look_at_servers
from app.jobs import run_worker
from app.mail.messages import create_messages
from app.main import create_app
from app.resources import open_resources
from app.sandbox.app import create_sandbox
from app.sandbox.settings import SandboxSettings, parse_keys
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


def sandbox() -> None:
    """Run the stand-in for an OpenML server on HOST:SANDBOX_PORT; nothing leaves this machine."""
    settings = load_settings()
    with listening(settings.host, settings.sandbox_port, port_setting="SANDBOX_PORT") as listener:
        _serve_sandbox(settings, listener)


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
            settings = stack.enter_context(_sandbox_beside(settings))
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


def _serve_sandbox(settings: Settings, listener: socket.socket) -> None:
    configure_logging(settings)
    settings = settings.model_copy(update={"sandbox_port": listener.getsockname()[1]})
    keys = settings.sandbox_keys.get_secret_value()
    try:
        known = parse_keys(keys) if keys else None
    except ValueError as error:
        raise SettingsError(f"SANDBOX_KEYS: {error}") from None
    sandbox_settings = SandboxSettings(
        data_dir=settings.data_dir / "sandbox",
        base_url=settings.sandbox_url.rstrip("/"),
        keys=known,
        account_of=account_finder(settings),
        processing_delay_seconds=settings.sandbox_processing_seconds,
    )
    run(create_sandbox(sandbox_settings), listener)


@contextmanager
def _sandbox_beside(settings: Settings) -> Iterator[Settings]:
    """Run the sandbox as a process of its own, on a socket bound here; yield settings that know its port."""
    with listening(settings.host, settings.sandbox_port, port_setting="SANDBOX_PORT") as listener:
        settings = settings.model_copy(update={"sandbox_port": listener.getsockname()[1]})
        command = [sys.executable, "-m", "app.cli", "sandbox-on", str(listener.fileno())]
        process = subprocess.Popen(command, pass_fds=[listener.fileno()], stdin=subprocess.PIPE)  # noqa: S603 - our own program
    with process:
        try:
            yield settings
        finally:
            process.terminate()


def sandbox_on(descriptor: int) -> None:
    """Run the sandbox on a socket inherited from `dev`, for as long as that process lives."""
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    with socket.socket(fileno=descriptor) as listener:
        _serve_sandbox(load_settings(), listener)


def _stop_with_parent() -> None:
    """End this process when its standard input does: the parent is gone, perhaps without a word."""
    sys.stdin.buffer.read()
    signal.raise_signal(signal.SIGTERM)


def _exit_in_order(_number: int, _frame: object) -> None:
    raise SystemExit(0)
