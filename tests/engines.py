"""The suites once more on other engines (`make test-engines`): their settings, and two workers beside each test."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from app.core.settings import Settings
from app.core.timings import Timings

ENGINES = os.environ.get("TEST_ENGINES", "")
"""Empty: local disk, the database's queue, one worker inside. `s3-redis`, or `rabbitmq`: two worker processes."""
WORKERS = 2


@contextmanager
def engine_settings(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Yield the settings that put a test on the engines that were asked for."""
    from tests.broker_servers import shared_broker

    if not ENGINES:
        yield {}
    elif ENGINES == "s3-redis":
        with shared_broker("redis") as server:
            store = request.getfixturevalue("s3_server").settings(f"tests/{secrets.token_hex(4)}")
            yield {**store, "redis_url": server.url, "broker_url": server.url, "broker_prefix": server.prefix}
    elif ENGINES == "rabbitmq":
        with shared_broker("rabbitmq") as server:
            yield {"broker_url": server.url, "broker_prefix": server.prefix}
    else:
        pytest.fail(f"TEST_ENGINES is {ENGINES}; there are s3-redis and rabbitmq")


@asynccontextmanager
async def outside_workers(settings: Settings) -> AsyncIterator[Settings]:
    """Yield settings of a web process alone, with workers beside it that have the same."""
    environment = {**os.environ, **as_environment(settings), "EMBEDDED_WORKER": "false"}
    command = [sys.executable, "-m", "app.cli", "worker"]
    workers = [await asyncio.create_subprocess_exec(*command, env=environment) for _ in range(WORKERS)]
    try:
        yield settings.model_copy(update={"embedded_worker": False})
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            await worker.wait()


def as_environment(settings: Settings) -> dict[str, str]:
    """Return what a process needs to have the same settings."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    plain = {
        name: value.get_secret_value()
        if isinstance(value, SecretStr)
        else value.model_dump_json()
        if isinstance(value, Timings)
        else value
        for name, value in given.items()
    }
    return {
        name.upper(): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in plain.items()
    }
