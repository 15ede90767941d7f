"""One web process and two workers of their own, as on several machines; each part is killed in turn."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.broker_servers import BrokerServer, OwnRedis, shared_broker
from tests.service import Service, wait_for
from tests.test_processes import published
from tests.uploads.test_data_upload import CSV, form

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
LARGE = CSV + b"x,1,no\n" * 400_000


@pytest.fixture(params=[pytest.param(engine, marks=pytest.mark.long) for engine in ("redis", "rabbitmq")])
def broker(
    request: pytest.FixtureRequest, tmp_path: Path, unused_port: int
) -> Iterator[OwnRedis | BrokerServer]:
    """A Redis of the test's own, or the machine's RabbitMQ."""
    if request.param == "rabbitmq":
        with shared_broker("rabbitmq") as server:
            yield server
        return
    own = OwnRedis(tmp_path, unused_port)
    own.start()
    yield own
    own.kill()


def upload(service: Service, headers: dict[str, str], content: bytes, name: str) -> Any:
    """Upload, and return the row as soon as there is one to look at."""
    answer = httpx.post(
        f"{service.url}/data-upload",
        headers={**headers, "Prefer": "respond-async"},
        files=form(content, dataset_name=name),
        timeout=60,
    )
    assert answer.status_code == 202, answer.text
    return row(service, name)


def row(service: Service, name: str) -> Any:
    rows = [each for each in service.uploads() if (each["description"] or {}).get("dataset_name") == name]
    return rows[0] if rows else None


def active(service: Service, name: str) -> bool:
    found = row(service, name)
    assert found["state"] != "failed", found["error"]
    return bool(found["state"] == "active")


def worker_of(service: Service, workers: "list[subprocess.Popen[bytes]]", name: str) -> Any:
    """Wait until one of the workers has the upload's lease, and return which."""
    found: list[Any] = []

    def look() -> bool:
        upload = row(service, name)
        assert upload["state"] not in {"sending", "published", "active"}, "too small a table for this test"
        found[:] = [each for each in workers if f":{each.pid}:" in (upload["lease_owner"] or "")]
        return bool(found)

    wait_for(look, pause=0.005)
    return found[0]


def test_upload_when_a_worker_is_killed_and_one_told_to_stop_then_the_next_go_on(
    service: Service, sandbox_url: str, tmp_path: Path, broker: OwnRedis | BrokerServer
) -> None:
    """With Redis, that is killed as well: rate limits, notifications and the queue go on without."""
    service.environment |= {"BROKER_URL": broker.url, "BROKER_PREFIX": broker.prefix}
    if isinstance(broker, OwnRedis):
        service.environment["REDIS_URL"] = broker.url
    service.start(EMBEDDED_WORKER="false")
    workers = [service.start_worker() for _ in range(2)]
    headers = service.sign_up_and_log_in()
    small, large = (f"{tmp_path.parent.name}-{tmp_path.name}-{size}".replace("_", "-") for size in "sl")
    upload(service, headers, LARGE, large)

    killed = worker_of(service, workers, large)
    os.killpg(killed.pid, signal.SIGKILL)
    if isinstance(broker, OwnRedis):
        broker.kill()
    upload(service, headers, CSV, small)
    feedback = {"email": "ada@example.org", "feedback": "a limit that Redis counts stands before this"}
    assert httpx.post(f"{service.url}/feedback", json=feedback, timeout=30).json() == {"msg": "Email sent"}
    (other,) = set(workers) - {killed}
    assert worker_of(service, [other], large) is other
    if isinstance(broker, OwnRedis):
        broker.start()
    other.terminate()
    assert other.wait(30) == 0
    assert row(service, large)["lease_owner"] is None, "given back"
    service.start_worker()

    wait_for(lambda: active(service, small) and active(service, large), seconds=60)
    for name in (small, large):
        assert published(sandbox_url, name) == [row(service, name)["dataset_id"]]
