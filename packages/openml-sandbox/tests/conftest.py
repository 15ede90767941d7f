"""Sandboxes for the tests of this folder."""

from collections.abc import Iterator

import pytest

from sandbox_server import Serve, Server, describe, serve
from sandbox_tasks import SURVIVAL


@pytest.fixture(scope="session", name="serve")
def serve_fixture() -> Serve:
    return serve


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A sandbox that processes at once."""
    with serve(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A sandbox whose processing step never comes."""
    with serve(tmp_path_factory.mktemp("sandbox"), processing_delay_seconds=3600.0) as running:
        yield running


@pytest.fixture(scope="module")
def dataset_id(server: Server) -> int:
    """An active dataset with two numeric columns, a nominal and a text one."""
    number = server.publish(describe(name="tasks", default_target_attribute="c"), SURVIVAL)
    assert server.wait_until_processed(number)["status"] == "active"
    return number
