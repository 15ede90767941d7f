"""`openml-web worker`: what works without answering requests, started or asked whether it works.

It imports nothing that only requests need: an idle worker holds a fifth less memory than an idle web process.
"""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import click
import structlog
import uvloop

from app.commands.health import check_worker
from app.core.log_levels import follow_levels
from app.core.logging import configure_logging
from app.core.removed_settings import warn_of_removed_settings
from app.core.setting_loading import load_settings
from app.core.settings import Settings
from app.core.tasks import in_background
from app.events.first_look import look_at_servers
from app.jobs import run_worker
from app.metrics import measuring
from app.resources import open_resources
from app.telemetry import telling
from app.worker.run import run_worker_process
from app.worker.scheduling import CONVERSIONS_AT_ONCE

log = structlog.get_logger(__name__)


@click.command()
@click.option("--check", is_flag=True, help="Work on nothing; say whether the worker of this machine works.")
def worker(*, check: bool) -> None:
    """Deliver mail and publish uploads, without answering requests (EMBEDDED_WORKER=false for those that do)."""
    settings = load_settings()
    if check:
        works, sentence = asyncio.run(check_worker(settings))
        click.echo(sentence, err=not works)
        raise click.exceptions.Exit(0 if works else 1)
    configure_logging(settings, "worker")
    warn_of_removed_settings()
    asyncio.run(look_at_servers(settings))
    uvloop.run(_until_signalled(_work(settings)))


async def _work(settings: Settings) -> None:
    async with open_resources(settings) as resources, telling(settings), measuring(resources, "worker"):
        log.info("worker started", conversions_at_once=CONVERSIONS_AT_ONCE)
        try:
            async with in_background(follow_levels(settings.data_dir)):
                await run_worker_process(
                    resources.database, resources.notifications, lambda: run_worker(resources)
                )
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
