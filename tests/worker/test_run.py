"""The worker beside a web process."""

import asyncio

import pytest
from structlog.testing import capture_logs

from app.core.settings import Settings
from app.worker import run
from tests.conftest import Running, eventually


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"embedded_worker": False})


async def test_embedded_worker_when_it_ends_by_a_fault_then_the_log_says_so_and_it_is_started_again(
    app: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = 0

    async def work() -> None:
        if starts == 1:
            raise RuntimeError("a fault of ours")
        await asyncio.sleep(3600)

    async def work_once() -> None:
        nonlocal starts
        starts += 1
        await run.run_side_by_side([work()])

    async def started_again() -> bool | None:
        return starts == 2 or None

    monkeypatch.setattr(run, "RESTART_SECONDS", 0.01)
    with capture_logs() as logs:
        async with run.embedded_worker(app.resources.vitals, work_once):
            await eventually(started_again)
    assert [line["event"] for line in logs if line["log_level"] == "critical"] == [
        "the worker has ended by a fault, and is started again"
    ]
