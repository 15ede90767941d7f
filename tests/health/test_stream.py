"""A stream that anybody can ask for: bounded in length, and in number."""

import httpx
import pytest

from app.core.settings import Settings
from tests.conftest import serving

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


async def test_stream_when_asked_again_and_again_then_three_events_and_then_refused(
    settings: Settings,
) -> None:
    few = settings.model_copy(update={"rate_limits": ["stream-address=1/hour"]})
    async with serving(few) as app:
        answer: httpx.Response = await app.client.get("/health/stream")
        again = await app.client.get("/health/stream")

    assert answer.text == "data: 1\n\ndata: 2\n\ndata: 3\n\n"
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")
    assert (again.status_code, "retry-after" in again.headers) == (429, True)
