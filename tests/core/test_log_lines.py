"""The line of a request, the levels that change while processes run, and where both go."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.commands.log_level import log_level
from app.core import log_levels
from app.core.log_levels import follow_levels, set_level, write_levels
from app.core.logging import REQUESTS, Origin, RequestFormatter, configure_logging
from app.core.settings import Settings, SettingsError
from tests.conftest import Person, Running, eventually, insert_person
from tests.service import ADA, Service, wait_for

ORIGIN: Origin = {"host": "h", "process": 1, "worker": "web"}


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(RequestFormatter(ORIGIN).format(record))


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler = Kept()
    requests = logging.getLogger(REQUESTS)
    before = requests.level
    requests.addHandler(handler)
    requests.setLevel(logging.INFO)
    yield handler
    requests.removeHandler(handler)
    requests.setLevel(before)


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_line_when_a_request_is_answered_then_it_says_who_what_and_how_long_and_no_secret(
    app: Running, password_hash: str, kept: Kept
) -> None:
    person: Person = await insert_person(app, password_hash)
    answer = await app.client.get("/profile?token=a-secret", headers=person.headers)
    await app.client.get("/uploads/0123?x=a-secret", headers={"X-API-Key": person.api_key})
    await app.client.get("/nobody/knows?x=a-secret")

    first, second, third = map(json.loads, kept.lines)
    assert all(first.pop(name) for name in ("milliseconds", "timestamp", "request_id"))
    assert first == {
        "event": "request", "level": "info", "logger": REQUESTS, **ORIGIN, "method": "GET", "path": "/profile",
        "route": "/profile", "status": 200, "bytes": len(answer.content), "user": person.id, "client": "127.0.0.1",
    }  # fmt: skip
    assert (second["route"], second["user"]) == ("/uploads/{upload_id}", person.id)
    assert (third["route"], third["user"], third["status"]) == ("other", None, 404)
    assert not any(each in "".join(kept.lines) for each in ("a-secret", person.token, person.api_key))


async def test_levels_when_set_and_taken_back_then_heeded_by_who_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_levels, "LOOK_SECONDS", 0.01)
    logger = logging.getLogger("app.openml")
    following = asyncio.create_task(follow_levels(tmp_path))
    try:
        set_level(tmp_path, "app.openml", "ERROR")
        await eventually(lambda: _is(logger, logging.ERROR))
        set_level(tmp_path, "app.openml", None)
        await eventually(lambda: _is(logger, logging.NOTSET))
        set_level(tmp_path, REQUESTS, "WARNING")
        await eventually(lambda: _is(logging.getLogger(REQUESTS), logging.WARNING))
        write_levels(tmp_path, {})
        await eventually(lambda: _is(logging.getLogger(REQUESTS), logging.NOTSET))
    finally:
        following.cancel()


async def _is(logger: logging.Logger, level: int) -> bool | None:
    return logger.level == level or None


def test_command_when_a_logger_is_unknown_then_it_says_so_and_else_what_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    runner = CliRunner()

    assert runner.invoke(log_level, ["app.openml", "debug"]).exit_code == 0
    assert runner.invoke(log_level, []).stdout == "app.openml DEBUG\n"
    for wrong in (["app.opneml", "DEBUG"], ["httpcore", "DEBUG"], ["app..x", "INFO"]):
        assert "There is no logger" in str(runner.invoke(log_level, wrong).exception)
    assert runner.invoke(log_level, ["app.openml", "LOUD"]).exit_code == 2
    assert runner.invoke(log_level, ["app.openml"]).exit_code == 2
    assert runner.invoke(log_level, ["--reset"]).stdout == ""
    (tmp_path / "log-levels.json").write_text('["broken"]')
    assert runner.invoke(log_level, []).stdout == ""


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_log_file_when_several_processes_write_then_each_line_is_whole_and_levels_reach_all(
    service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "log.json"
    service.environment |= {"LOG_FILE": str(path), "EMBEDDED_WORKER": "false"}
    service.start(workers=2)
    service.start_worker()
    service.sign_up_and_log_in()

    def lines() -> list[dict[str, object]]:
        return [json.loads(line) for line in path.read_text().splitlines()]

    def has_reached(level: str) -> bool:
        found = [line for line in lines() if line["event"] == "levels of the log have changed"]
        return len([line for line in found if line["levels"] == {REQUESTS: level}]) == 3

    wait_for(lambda: {line["worker"] for line in lines()} == {"service", "web", "worker"})
    assert any("lease_owner" in line for line in lines() if line["event"] == "mail sent")
    folder = Path(service.environment["DATA_DIR"])
    set_level(folder, REQUESTS, "ERROR")
    wait_for(lambda: has_reached("ERROR"))
    before = sum(line["event"] == "request" for line in lines())
    for _ in range(20):
        assert service.ask("GET", "/limits").status_code == 200
    assert sum(line["event"] == "request" for line in lines()) == before
    assert ADA["password"] not in path.read_text()


def test_start_when_the_log_file_cannot_be_written_then_it_says_so(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path, log_file=str(tmp_path / "none" / "log.json"))
    with pytest.raises(SettingsError, match="LOG_FILE cannot be written"):
        configure_logging(settings, "web")
