"""What only real processes and sockets show: several workers, a kill at any moment, a client that goes away."""

import json
import os
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest
import redis

from app.core.limits import LIMITS
from app.db.open_requests import RECEIVER_LEASE
from tests.conftest import LONG, PATIENCE_SECONDS, find_free_port
from tests.service import ADA, Service, wait_for
from tests.timings import short_timings, timings
from tests.uploads.test_data_upload import CSV, form

REDIS = "redis://127.0.0.1:6379/{}"
"""What is counted there goes by the numbers of accounts, so each kind of database has a place of its own."""


def published(sandbox_url: str, name: str) -> list[int]:
    path = f"api/v1/json/data/list/data_name/{name}/status/all"
    listed = httpx.get(sandbox_url + path, timeout=PATIENCE_SECONDS).json()
    return [dataset["did"] for dataset in listed.get("data", {}).get("dataset", [])]


@pytest.mark.long
def test_logout_when_done_on_one_worker_then_refused_by_all_and_after_a_restart(service: Service) -> None:
    service.start(workers=2)
    headers = service.sign_up_and_log_in()

    def statuses() -> set[int]:
        # A new connection each time, so that both workers are asked.
        return {service.ask("GET", "/profile", headers=headers).status_code for _ in range(40)}

    assert statuses() == {200}
    assert service.ask("POST", "/logout", headers=headers).status_code == 200
    assert statuses() == {401}
    service.kill()
    service.start()
    assert statuses() == {401}


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
def test_mail_when_killed_between_sign_up_and_delivery_then_delivered_after_the_restart(
    service: Service,
) -> None:
    service.start(EMBEDDED_WORKER="false")
    assert service.ask("POST", "/signup", json=ADA).json() == {"msg": "User created"}
    service.kill()
    assert not service.mails()

    service.start()

    service.confirm()


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
def test_upload_when_killed_halfway_then_a_row_says_so_and_nothing_else_is_left(
    service: Service, sandbox_url: str
) -> None:
    service.start()
    headers = service.sign_up_and_log_in()
    with service.send(headers, form(dataset_name="killed-halfway"), all_but=50):
        wait_for(lambda: bool(service.spooled()))
        service.kill()
    assert service.uploads()[0]["state"] == "receiving"

    service.start()

    wait_for(lambda: service.uploads()[0]["state"] == "failed")
    assert "broke off" in json.dumps(service.uploads()[0]["error"])
    wait_for(lambda: not service.spooled())
    assert published(sandbox_url, "killed-halfway") == []


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
def test_form_when_its_process_was_killed_then_its_key_says_when_and_is_free_in_seconds(
    service: Service,
) -> None:
    service.environment["TIMINGS"] = short_timings(lease_seconds=60, upload_stall_seconds=60)
    service.start()
    headers = {**service.sign_up_and_log_in(), "Idempotency-Key": "once"}
    with service.send(headers, form(), all_but=50):
        wait_for(lambda: bool(service.uploads()))
        service.kill()
    service.start()

    answer = service.ask("POST", "/data-upload", headers=headers, files=form())
    if answer.status_code == 409:  # The machine may have taken longer than the lease to start.
        assert 1 <= int(answer.headers["Retry-After"]) <= RECEIVER_LEASE.total_seconds()
        time.sleep(int(answer.headers["Retry-After"]))
        answer = service.ask("POST", "/data-upload", headers=headers, files=form())

    assert answer.status_code == 200, answer.text
    states = [upload["state"] for upload in service.uploads()]
    assert (states[0], len(states)) == ("failed", 2)


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
def test_form_when_it_comes_slowly_then_its_key_stays_taken_and_says_for_how_long(service: Service) -> None:
    service.start(TIMINGS=short_timings(lease_seconds=60, upload_stall_seconds=60))
    headers = {**service.sign_up_and_log_in(), "Idempotency-Key": "once"}
    with service.send(headers, form(), all_but=50):
        wait_for(lambda: bool(service.uploads()))
        first = service.uploads()[0]["available_at"]
        wait_for(lambda: service.uploads()[0]["available_at"] > first)
        answer = service.ask("POST", "/data-upload", headers=headers, files=form())

    assert answer.status_code == 409
    assert 1 <= int(answer.headers["Retry-After"]) <= RECEIVER_LEASE.total_seconds()


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_upload_when_the_client_goes_away_then_a_row_says_so_at_once(service: Service) -> None:
    service.start(TIMINGS=short_timings(upload_stall_seconds=60))
    headers = service.sign_up_and_log_in()
    with service.send(headers, form(), all_but=50):
        wait_for(lambda: bool(service.uploads()))

    wait_for(lambda: service.uploads()[0]["state"] == "failed")
    wait_for(lambda: not service.spooled())


@pytest.fixture(scope="module")
def bounded(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, sandbox_url: str
) -> Iterator[tuple[Service, dict[str, str]]]:
    """A service that takes two kilobytes and waits a second for each, and who somebody is there."""
    folder = tmp_path_factory.mktemp("bounded")
    shutil.copy(migrated_sqlite, folder / "openml.db")
    settings = {
        "DATA_DIR": str(folder),
        "OPENML_SERVER": sandbox_url,
        "TIMINGS": timings(upload_stall_seconds=1),
    }
    service = Service(find_free_port(), {**os.environ, **settings, "UPLOAD_MAX_BYTES": "2000"})
    try:
        service.start()
        yield service, service.sign_up_and_log_in()
    finally:
        service.kill()


def test_upload_when_the_client_falls_silent_then_told_to_send_it_again(
    bounded: tuple[Service, dict[str, str]],
) -> None:
    service, headers = bounded
    with service.send(headers, form(), all_but=50) as connection:
        answer = HTTPResponse(connection)
        answer.begin()
        problem = json.loads(answer.read())

    assert answer.status == 408
    assert problem["type"] == "https://openml.org/problems/body-stalled"


@pytest.mark.parametrize(("token", "status"), [("Bearer null", b"401"), ("good", b"413")])
def test_upload_when_it_will_be_refused_then_before_the_first_byte(
    bounded: tuple[Service, dict[str, str]], token: str, status: bytes
) -> None:
    service, headers = bounded
    if token == "good":
        token = headers["Authorization"]
    head = (
        f"POST /data-upload HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nExpect: 100-continue\r\n"
        "Content-Length: 5000000\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 " + status), "no 100 Continue in front"


def test_upload_when_larger_than_it_may_be_then_refused_while_it_comes(
    bounded: tuple[Service, dict[str, str]],
) -> None:
    service, headers = bounded

    answer = service.ask("POST", "/data-upload", files=form(CSV * 40), headers=headers)

    assert answer.status_code == 413
    assert answer.json()["limit_bytes"] == 2000
    assert not service.spooled()


@pytest.mark.parametrize(
    ("database_uri", "states"),
    [
        ("sqlite", ["sending"]),
        pytest.param("mariadb", ["received", "checked", "converted"], marks=pytest.mark.long),
        pytest.param("mariadb", ["sending", "published"], marks=pytest.mark.long),
    ],
    indirect=["database_uri"],
)
def test_upload_when_killed_in_any_state_then_published_once(
    service: Service, sandbox_url: str, states: list[str]
) -> None:
    """Everything is killed as soon as the row shows the state (or a later one, if that is reached first)."""
    service.start()
    headers = service.sign_up_and_log_in()
    large = CSV + b"x,1,no\n" * 200_000
    for number, state in enumerate(states, 1):
        name = f"killed-{state}-{secrets.token_hex(4)}"
        with service.send(headers, form(large, dataset_name=name)):
            wait_for(
                lambda count=number, state=state: (  # type: ignore[misc]  # mypy infers no lambda with defaults
                    len(service.uploads()) == count and service.upload_reached(state)
                ),
                pause=0.005,
            )
            service.kill()

        service.start()

        wait_for(lambda: service.upload_reached("active"))
        assert published(sandbox_url, name) == [service.uploads()[-1]["dataset_id"]]
        wait_for(lambda: not service.spooled())


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_upload_when_everything_is_told_to_stop_then_it_goes_on_at_once_after_the_start(
    service: Service, sandbox_url: str
) -> None:
    """Ctrl-C and systemd tell the conversion as well, which must not pass for a fault of the table."""
    service.start(TIMINGS=short_timings(lease_seconds=600))
    headers = service.sign_up_and_log_in()
    large = CSV + b"x,1,no\n" * 500_000
    for number in (signal.SIGTERM, signal.SIGINT) if LONG else (signal.SIGTERM,):
        name = f"stopped-{number.name}-{secrets.token_hex(4)}"
        answer = service.ask(
            "POST",
            "/data-upload",
            headers={**headers, "Prefer": "respond-async"},
            files=form(large, dataset_name=name),
        )
        assert answer.status_code == 202
        wait_for(lambda: service.upload_reached("checked"), pause=0.005)
        service.stop(number)
        assert service.uploads()[-1]["state"] != "failed"

        service.start(TIMINGS=short_timings(lease_seconds=600))

        wait_for(lambda: service.upload_reached("active"))
        assert published(sandbox_url, name) == [service.uploads()[-1]["dataset_id"]]


@pytest.mark.parametrize(
    ("database_uri", "shared"),
    [
        *(
            pytest.param(kind, shared, marks=pytest.mark.long)
            for kind, shared in (
                ("openml", ""),
                ("openml", REDIS.format(10)),
                ("strict", ""),
                ("strict", REDIS.format(11)),
                ("sqlite", REDIS.format(14)),
            )
        ),
    ],
    indirect=["database_uri"],
)
def test_account_when_two_workers_serve_it_then_they_agree_on_everything(
    service: Service, shared: str
) -> None:
    """The whole life of an account, each request on whichever worker takes it."""
    if shared:
        with redis.Redis.from_url(shared) as counters:
            counters.flushdb()  # It outlives the test.
    wide = ",".join(f"{name}=1000000/hour" for name in LIMITS if not name.startswith("wrong-password"))
    service.start(workers=2, REDIS_URL=shared, RATE_LIMITS=wide)
    person = {**ADA, "email": f"{secrets.token_hex(4)}@example.org"}
    headers = service.sign_up_and_log_in(person)
    login = {"email": person["email"], "password": person["password"]}
    changed = {"first_name": "Augusta", "last_name": "King", "bio": "b", "email": person["email"]}

    def link(subject: str) -> str:
        def found() -> list[str]:
            texts = [path.read_text() for path in service.mails()]
            return [word for text in texts if subject in text for word in text.split() if "token=" in word]

        wait_for(lambda: bool(found()))
        return found()[0]

    assert service.ask("POST", "/profile", json=changed, headers=headers).status_code == 200
    assert {service.ask("GET", "/profile", headers=headers).json()["first_name"] for _ in range(10)} == {
        "Augusta"
    }
    other = {"Authorization": f"Bearer {service.ask('POST', '/login', json=login).json()['access_token']}"}
    assert len(service.ask("GET", "/sessions", headers=other).json()["sessions"]) == 2
    service.ask("POST", "/forgotpassword", json={"email": person["email"]})
    reset = {"url": link("Reset your OpenML password"), "password": "eleven clouds drift south"}
    statuses = [service.ask("POST", "/resetpassword", json=reset).status_code for _ in range(4)]
    assert statuses == [200, 400, 400, 400], "used up for both workers"
    assert {service.ask("GET", "/profile", headers=each).status_code for each in (headers, other) * 10} == {
        401
    }
    guesses = [service.ask("POST", "/login", json=login).status_code for _ in range(14)]
    assert guesses == [200] * 10 + [429] * 4, "counted together"
