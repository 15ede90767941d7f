"""Machines whose clocks are five seconds wrong, each way, behind one database: nobody is refused, nothing lives on."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import FAKETIME
from tests.conftest import PATIENCE_SECONDS, find_free_port
from tests.service import ADA, Service, wait_for
from tests.uploads.test_data_upload import form

SKEWS = {"fast": "+5s", "right": "+0s", "slow": "-5s"}
NEW_PASSWORD = "eleven clouds drift south"
ON_MARIADB = pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
"""SQLite has no clock: who shares it shares the machine."""


@pytest.fixture
def machines(service: Service) -> Iterator[dict[str, Service]]:
    """Web processes with workers of their own, each with another clock."""
    if not FAKETIME.exists():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("not installed: libfaketime")
    skewed = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    found = {
        name: Service(find_free_port(), {**service.environment, **skewed, "FAKETIME": skew})
        for name, skew in SKEWS.items()
    }
    try:
        for machine in found.values():
            machine.start()
        yield found
    finally:
        for machine in found.values():
            machine.kill()


def log_in(machine: Service, password: str = ADA["password"]) -> dict[str, str]:
    answer = machine.ask("POST", "/token", data={"username": ADA["email"], "password": password})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def who_takes(machines: dict[str, Service], token: dict[str, str]) -> set[str]:
    return {
        name
        for name, machine in machines.items()
        if machine.ask("GET", "/profile", headers=token).status_code == 200
    }


def link_of(machine: Service, subject: str) -> str:
    def mails() -> list[Path]:
        return [mail for mail in machine.mails() if subject in mail.read_text()]

    wait_for(lambda: bool(mails()))
    return next(word for word in mails()[0].read_text().split() if "token=" in word)


@ON_MARIADB
@pytest.mark.long
def test_token_when_clocks_of_machines_differ_then_all_take_it_until_it_is_ended(
    machines: dict[str, Service],
) -> None:
    machines["slow"].sign_up_and_log_in()
    everybody = set(machines)
    tokens = {name: log_in(machine) for name, machine in machines.items()}

    assert [who_takes(machines, token) for token in tokens.values()] == [everybody] * 3
    for other, name in zip(("slow", "fast", "right"), tokens, strict=True):
        assert machines[other].ask("POST", "/logout", headers=tokens[name]).status_code == 200
    assert [who_takes(machines, token) for token in tokens.values()] == [set()] * 3


@pytest.mark.long
@ON_MARIADB
def test_reset_when_done_on_a_slow_machine_then_no_earlier_token_lives_and_every_later_one_does(
    machines: dict[str, Service],
) -> None:
    first = machines["fast"]
    first.sign_up_and_log_in()
    earlier = [log_in(machine) for machine in machines.values()]
    machines["fast"].ask("POST", "/forgotpassword", json={"email": ADA["email"]})
    reset = {"url": link_of(first, "Reset your OpenML password"), "password": NEW_PASSWORD}

    last_moment = log_in(machines["fast"])
    assert machines["slow"].ask("POST", "/resetpassword", json=reset).status_code == 200
    later = [log_in(machine, NEW_PASSWORD) for machine in machines.values()]

    assert [who_takes(machines, token) for token in [*earlier, last_moment]] == [set()] * 4
    assert [who_takes(machines, token) for token in later] == [set(machines)] * 3
    # The clock of the fast machine is past the moment that its tokens told.
    time.sleep(5.5)
    assert [who_takes(machines, token) for token in [*earlier, last_moment]] == [set()] * 4


@ON_MARIADB
@pytest.mark.long
def test_sessions_when_ended_on_a_slow_machine_then_the_tokens_of_a_fast_one_end_too(
    machines: dict[str, Service],
) -> None:
    token = machines["fast"].sign_up_and_log_in()

    assert machines["slow"].ask("DELETE", "/sessions", headers=token).is_success

    assert who_takes(machines, token) == set()
    assert who_takes(machines, log_in(machines["fast"])) == set(machines)


@ON_MARIADB
@pytest.mark.long
def test_upload_when_workers_clocks_differ_by_more_than_a_lease_then_one_dataset(
    machines: dict[str, Service],
) -> None:
    token = machines["right"].sign_up_and_log_in()

    answer = machines["slow"].ask("POST", "/data-upload", headers=token, files=form(dataset_name="clocks"))

    assert answer.status_code == 200, answer.text
    (row,) = machines["right"].uploads()
    assert row["dataset_id"] == answer.json()["id"]
    wait_for(lambda: machines["right"].upload_reached("active"), seconds=PATIENCE_SECONDS)
