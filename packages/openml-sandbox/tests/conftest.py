"""Sandboxes for the tests of this folder."""

from collections.abc import Iterator

import pytest

from sandbox_server import Serve, Server, serve


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
