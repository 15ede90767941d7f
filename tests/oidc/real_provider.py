"""`oidc-provider-mock`, a provider made with authlib, as a process of its own."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import find_free_port, wait_until_up


@pytest.fixture(scope="session")
def real_provider() -> Iterator[str]:
    """The address of a provider that lets in whoever gives a subject."""
    port = find_free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        wait_until_up(url, process)
        yield url
        process.terminate()
