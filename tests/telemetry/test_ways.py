"""Traces and faults on their way out: through a company's proxy with TLS, and where nobody takes them."""

import asyncio
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trustme

from tests.conftest import PATIENCE_SECONDS, wait_until_up
from tests.forward_proxy import forward_proxy, tls_before
from tests.service import Service, wait_for
from tests.telemetry.receiver import Receiver
from tests.telemetry.test_faults import BROKEN

HOST = "collector.example"
"""Which nobody but the proxy can find."""
pytestmark = [pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True), pytest.mark.long]


def start_broken(service: Service, **settings: str) -> "subprocess.Popen[bytes]":
    """Start the service with a route that ends in a fault."""
    process = subprocess.Popen(
        [sys.executable, "-c", BROKEN],
        env={**service.environment, "PORT": str(service.port), **settings},
        start_new_session=True,
    )
    service.started.append(process)
    wait_until_up(f"{service.url}/health/live", process)
    return process


def be_broken(service: Service) -> None:
    assert service.ask("POST", "/broken/a", json={}).status_code == 500


async def test_told_when_only_a_proxy_finds_the_collector_then_through_it_and_with_tls(
    service: Service, receiver: Receiver, tmp_path: Path
) -> None:
    authority, ca_file = trustme.CA(), tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(context)
    async with (
        tls_before(("127.0.0.1", receiver.port), context) as place,
        forward_proxy(hosts={f"{HOST}:443": place}) as proxy,
    ):
        await asyncio.to_thread(
            start_broken,
            service,
            HTTPS_PROXY=proxy.url,
            SSL_CERT_FILE=str(ca_file),
            OTEL_EXPORTER_OTLP_ENDPOINT=f"https://{HOST}",
            OTEL_TRACES_SAMPLER_ARG="1",
            SENTRY_DSN=f"https://key@{HOST}/7",
        )
        await asyncio.to_thread(be_broken, service)
        wanted = {"/v1/traces", "/api/7/envelope/"}
        await asyncio.to_thread(wait_for, lambda: {one.path for one in receiver.requests} >= wanted)

        assert set(proxy.asked) == {("CONNECT", f"{HOST}:443")}


def test_told_when_nobody_takes_it_then_requests_go_on_and_the_process_stops_in_time(
    service: Service, unused_port: int
) -> None:
    nobody = f"http://127.0.0.1:{unused_port}"
    process = start_broken(
        service,
        OTEL_EXPORTER_OTLP_ENDPOINT=nobody,
        OTEL_TRACES_SAMPLER_ARG="1",
        SENTRY_DSN=f"http://key@127.0.0.1:{unused_port}/7",
    )
    be_broken(service)
    began = time.monotonic()
    for _ in range(20):
        assert service.ask("GET", "/health/live").status_code == 200
    assert time.monotonic() - began < PATIENCE_SECONDS
    process.terminate()

    assert process.wait(PATIENCE_SECONDS) == -signal.SIGTERM
