"""Prometheus itself (Debian's `prometheus`), and the processes that it asks, started in each way that there is."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import PATIENCE_SECONDS, find_free_port
from tests.metrics.promtool import needed
from tests.service import Service, wait_for

CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 900ms}}
scrape_configs:
- job_name: openml-web
  static_configs: [{{targets: ['{address}']}}]
"""


@contextmanager
def prometheus(folder: Path, address: str) -> Iterator[str]:
    """Run Prometheus, which asks the address every second; yield its own."""
    program, port = needed("prometheus"), find_free_port()
    (folder / "prometheus.yml").write_text(CONFIGURATION.format(address=address))
    process = subprocess.Popen(
        [
            program,
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def ask(prometheus_url: str, query: str) -> float | None:
    """Return the one value of a query; None while there is none."""
    try:
        answer = httpx.get(f"{prometheus_url}/api/v1/query", params={"query": query}, trust_env=False)
    except httpx.ConnectError:
        return None
    found = answer.json().get("data", {}).get("result", []) if answer.is_success else []
    return float(found[0]["value"][1]) if found else None


def serving_process(address: str) -> int:
    """Return the number of the process that listens there."""
    port = f":{int(address.rpartition(':')[2]):04X}"
    inodes = {
        fields[9]
        for fields in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
        if fields[1].endswith(port) and fields[3] == "0A"
    }
    links = (
        link
        for link in Path("/proc").glob("[0-9]*/fd/*")
        if _target(link) in {f"socket:[{each}]" for each in inodes}
    )
    return int(next(links).parts[2])


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_prometheus_when_two_workers_answer_and_one_dies_then_the_sums_are_right(
    service: Service, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{find_free_port()}"
    service.environment["METRICS_LISTEN"] = address
    service.start(workers=2, EMBEDDED_WORKER="false")
    service.start_worker()
    answered = 'sum(openml_web_http_requests_total{route="/limits",status="200"})'
    with prometheus(tmp_path, address) as url:
        for _ in range(40):
            assert service.ask("GET", "/limits").status_code == 200
        wait_for(lambda: ask(url, answered) == 40)
        wait_for(lambda: ask(url, "sum(openml_web_processes)") == 3)
        wait_for(lambda: ask(url, "openml_web_workers") == 1)

        os.kill(serving_process(address), signal.SIGKILL)
        wait_for(lambda: service.ask("GET", "/limits").status_code == 200)

        wait_for(lambda: ask(url, answered) == 41 and ask(url, "sum(openml_web_processes)") == 3)
        for _ in range(9):
            service.ask("GET", "/limits")
        wait_for(lambda: ask(url, answered) == 50)
        assert ask(url, 'sum(openml_web_http_request_duration_seconds_count{route="/limits"})') == 50


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_metrics_when_uvicorn_starts_the_workers_then_they_are_summed_and_clean(service: Service) -> None:
    address = f"127.0.0.1:{find_free_port()}"
    environment = {**service.environment, "METRICS_LISTEN": address}
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app", "--workers", "2"),
            *("--port", str(service.port)),
        ],
        env=environment,
        start_new_session=True,
    )
    service.started.append(process)

    def text() -> str:
        try:
            return httpx.get(f"http://{address}/metrics", trust_env=False).text
        except httpx.ConnectError:
            return ""

    wait_for(lambda: 'openml_web_processes{kind="web"} 2.0' in text())
    for _ in range(20):
        assert service.ask("GET", "/limits").status_code == 200
    counted = 'openml_web_http_requests_total{method="GET",route="/limits",status="200"} 20.0'
    wait_for(lambda: counted in text())
    found = text()
    checked = subprocess.run(
        [needed("promtool"), "check", "metrics"], input=found, text=True, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
