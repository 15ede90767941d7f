from collections.abc import Callable
from typing import Any

import pytest

from app.core import probes
from tests.conftest import Running, eventually

Wrong = dict[str, str]
"""What is not well: the name of each check, and what it found."""


@pytest.fixture
def looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "KEEP_SECONDS", 0.05)


async def wrong_with(app: Running, *exclude: str) -> Wrong:
    """Return what `/health/ready` finds wrong."""
    answer = await app.client.get("/health/ready", params={"exclude": list(exclude)})
    if answer.status_code == 200:
        assert answer.json() == {"status": "ok"}
        return {}
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"]
    problem = answer.json()
    assert problem["type"].endswith("/not-ready")
    wrong = {check["name"]: check["detail"] for check in problem["checks"] if not check["ok"]}
    assert wrong
    assert all(detail and detail in problem["detail"] for detail in wrong.values())
    assert not set(exclude) & {check["name"] for check in problem["checks"]}
    return wrong


async def until(app: Running, is_so: Callable[[Wrong], Any], *exclude: str) -> Wrong:
    """Return what is wrong once it is so."""

    async def look() -> Wrong | None:
        found = await wrong_with(app, *exclude)
        return found if is_so(found) else None

    return await eventually(look)
