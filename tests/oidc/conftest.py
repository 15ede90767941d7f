"""Providers: a real one, and one that does what it is told."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from app.core.clock import utc_now
from app.core.way_out import STRAIGHT
from app.oidc.issuers import Issuers
from tests.conftest import find_free_port, wait_until_up
from tests.oidc.hostile import HostileProvider, serving_provider


@pytest.fixture(scope="session")
def real_provider() -> Iterator[str]:
    """The address of `oidc-provider-mock`, which is made with authlib, as a process of its own."""
    port = find_free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        wait_until_up(url, process)
        yield url
        process.terminate()


@pytest.fixture
async def hostile() -> AsyncIterator[HostileProvider]:
    async with serving_provider() as provider:
        yield provider


@pytest.fixture
def issuers() -> Issuers:
    return Issuers(STRAIGHT, now=utc_now, allow_this_machine=True)
