"""Requests that come while the routes are still imported."""

import asyncio
import threading

import httpx
from fastapi import FastAPI
from structlog.testing import capture_logs

from app.core.http import install_problem_handlers
from app.core.middleware import LateRoutesMiddleware
from app.core.openapi import DescribedApp, RoutesDescription

NOTHING = RoutesDescription(models=[], request_headers={}, answer_headers={}, everywhere_below={})


class Late:
    """An application whose routes come when the test says so."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.may_come = threading.Event()
        self.added = 0
        self._fault = fault
        self.application = DescribedApp(add_routes=self._add_routes)
        install_problem_handlers(self.application)
        self.application.add_middleware(LateRoutesMiddleware, until_complete=self.application.until_complete)
        transport = httpx.ASGITransport(self.application, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://here")

    def _add_routes(self, application: FastAPI) -> RoutesDescription:
        self.may_come.wait(timeout=30)
        if self._fault is not None:
            raise self._fault
        self.added += 1
        application.add_api_route("/late", lambda: {"came": True})
        application.add_api_route("/health/live", lambda: {"status": "ok"})
        return NOTHING


async def test_request_when_it_comes_before_the_routes_then_it_waits_for_them_and_liveness_does_not() -> None:
    late = Late()

    early = [asyncio.create_task(late.client.get("/late")) for _ in range(50)]
    live = await late.client.get("/health/live")
    await asyncio.sleep(0)
    waiting = sum(not request.done() for request in early)
    late.may_come.set()
    answers = await asyncio.gather(*early)

    assert live.json() == {"status": "ok"}
    assert waiting == len(early)
    assert {answer.text for answer in answers} == {'{"came":true}'}
    assert late.added == 1


async def test_liveness_when_the_routes_are_there_then_it_is_theirs() -> None:
    late = Late()
    late.may_come.set()
    await late.client.get("/late")

    assert (await late.client.get("/health/live")).json() == {"status": "ok"}
    assert (await late.client.post("/health/live")).status_code == 405


async def test_routes_when_they_cannot_be_imported_then_it_is_logged_and_every_request_fails_but_liveness() -> (
    None
):
    late = Late(ModuleNotFoundError("No module named 'lost'"))
    late.may_come.set()

    with capture_logs() as lines:
        await late.application.complete_in_background()

    assert [line["log_level"] for line in lines] == ["critical"]
    assert (await late.client.get("/health/ready")).status_code == 500
    assert (await late.client.get("/health/live")).status_code == 200
