"""A Redis that a test may kill."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker_servers import OwnRedis


@pytest.fixture
def own_redis(tmp_path: Path, free_port: int) -> Iterator[OwnRedis]:
    server = OwnRedis(tmp_path, free_port)
    server.start()
    yield server
    server.kill()
