"""Redis and RabbitMQ for tests: the machine's own, under names of each test, and a Redis that may be killed."""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import aio_pika
import pytest
import redis

from tests.conftest import IN_CI
from tests.freezing import freeze
from tests.service import wait_for

REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/13")
RABBITMQ = os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/")


@dataclass(frozen=True)
class BrokerServer:
    """Where to reach one, and the prefix of this test's names there."""

    url: str
    prefix: str = field(default_factory=lambda: f"openml-web-test-{secrets.token_hex(6)}")


@contextmanager
def shared_broker(kind: str) -> Iterator[BrokerServer]:
    """Yield the machine's Redis or RabbitMQ; what the test left there is removed."""
    server = BrokerServer(REDIS if kind == "redis" else RABBITMQ)
    address = urlsplit(server.url)
    try:
        socket.create_connection((address.hostname or "", address.port or 5672), timeout=2).close()
    except OSError as error:
        missing(f"{kind} does not answer at {address.hostname}:{address.port} ({error})")
    yield server
    if kind == "redis":
        with redis.Redis.from_url(server.url) as client:
            for key in client.scan_iter(f"*{server.prefix}*"):
                client.delete(key)
    else:
        asyncio.run(_forget(server))


async def _forget(server: BrokerServer) -> None:
    async with await aio_pika.connect(server.url) as connection:
        channel = await connection.channel()
        for name in ("outbox", "uploads"):
            await channel.queue_delete(f"{server.prefix}.queue.{name}")
        await channel.exchange_delete(f"{server.prefix}.queue")


class OwnRedis:
    """A Redis of a test's own, to be killed and started again on the same port."""

    def __init__(self, folder: Path, port: int, *, password: str = "") -> None:
        if shutil.which("redis-server") is None:
            missing("there is no redis-server on the path")
        self.url = f"redis://:{password}@127.0.0.1:{port}/0" if password else f"redis://127.0.0.1:{port}/0"
        self.prefix = "openml-web"
        self._command = ["redis-server", "--port", str(port), "--save", "", "--dir", str(folder)]
        self._command += ["--requirepass", password] if password else []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen([*self._command, "--loglevel", "warning"])
        wait_for(self._answers)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Freeze it: connections stay, and nobody answers."""
        assert self._process is not None
        freeze(self._process)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


def missing(reason: str) -> NoReturn:
    """Fail in CI, skip on a laptop."""
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)
