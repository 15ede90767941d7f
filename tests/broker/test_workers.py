"""One web process and two workers of their own, as on several machines; each part is killed in turn."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.broker_servers import BrokerServer, OwnRedis, shared_broker
from tests.service import Service, wait_for
from tests.test_processes import published
from tests.upload.test_data_upload import CSV, form

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
LARGE = CSV + b"x,1,no\n" * 1_000_000


@pytest.fixture(params=["redis", "rabbitmq"])
def broker_server(request: pytest.FixtureRequest) -> Iterator[BrokerServer]:
    with shared_broker(request.param) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    from tests.conftest import free_port

    server = OwnRedis(tmp_path, free_port.__wrapped__())  # type: ignore[attr-defined]
    server.start()
    yield server
    server.kill()


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


def name_of(tmp_path: Path, what: str) -> str:
    return f"{tmp_path.parent.name}-{tmp_path.name}-{what}".replace("_", "-")


def test_upload_when_its_worker_is_killed_then_the_other_goes_on(
    service: Service, sandbox_url: str, tmp_path: Path, broker_server: BrokerServer
) -> None:
    environment = {"BROKER_URL": broker_server.url, "BROKER_PREFIX": broker_server.prefix}
    service.start(EMBEDDED_WORKER="false", **environment)
    workers = [service.start_worker(**environment) for _ in range(2)]
    headers = service.sign_up_and_log_in()
    names = [name_of(tmp_path, str(number)) for number in range(3)]
    for name in names:
        upload(service, headers, CSV, name)
    for name in names:
        wait_for(lambda: active(service, name))  # noqa: B023 - called before the loop goes on
        assert len(published(sandbox_url, name)) == 1

    large = name_of(tmp_path, "large")
    upload(service, headers, LARGE, large)
    wait_for(lambda: row(service, large)["state"] == "checked", pause=0.005)
    holder = next(each for each in workers if f":{each.pid}:" in row(service, large)["lease_owner"])
    os.killpg(holder.pid, signal.SIGKILL)
    wait_for(lambda: active(service, large), seconds=60)
    assert published(sandbox_url, large) == [row(service, large)["dataset_id"]]

    (left,) = (each for each in workers if each is not holder)
    left.terminate()
    assert left.wait(30) == 0


def test_upload_when_redis_goes_and_returns_then_it_is_published(
    service: Service, sandbox_url: str, tmp_path: Path, own_redis: OwnRedis
) -> None:
    """Rate limits, wake-ups and the queue are all there."""
    environment = {"REDIS_URL": own_redis.url, "BROKER_URL": own_redis.url}
    service.start(EMBEDDED_WORKER="false", **environment)
    for _ in range(2):
        service.start_worker(**environment)
    headers = service.sign_up_and_log_in()
    before, without, after = (name_of(tmp_path, what) for what in ("before", "without", "after"))

    upload(service, headers, LARGE, before)
    own_redis.kill()
    upload(service, headers, CSV, without)
    feedback = {"email": "ada@example.org", "feedback": "a shared rate limit stands before this"}
    assert httpx.post(f"{service.url}/feedback", json=feedback, timeout=30).status_code < 500
    wait_for(lambda: active(service, before) and active(service, without), seconds=60)
    own_redis.start()
    upload(service, headers, CSV, after)
    wait_for(lambda: active(service, after), seconds=60)

    for name in (before, without, after):
        assert len(published(sandbox_url, name)) == 1


def test_worker_when_told_to_stop_then_it_gives_its_lease_back(service: Service, tmp_path: Path) -> None:
    service.start(EMBEDDED_WORKER="false", LEASE_SECONDS="600")
    worker = service.start_worker(LEASE_SECONDS="600")
    name = name_of(tmp_path, "given-back")
    upload(service, service.sign_up_and_log_in(), LARGE, name)
    wait_for(lambda: row(service, name)["state"] == "checked", pause=0.005)

    worker.terminate()
    assert worker.wait(30) == 0

    assert row(service, name)["lease_owner"] is None
    service.start_worker(LEASE_SECONDS="600")
    wait_for(lambda: active(service, name), seconds=60)
