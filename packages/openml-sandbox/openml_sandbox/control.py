"""`/sandbox/faults`: where tests switch faults on and off. It is no part of OpenML's API and asks for no key.

`POST` takes `{"on": "POST /data", "fault": "slow", "times": 2, "delay_seconds": 1.5}`; `on` is a call as `GET` lists
them, or `*` for every call that the fault is for; `times` is 1 unless given, and null stands for "until cleared".
`GET` lists what is on; `DELETE` clears it, and lets the processing step see what `never-active` kept from it.
"""

import asyncio
import json
import math
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from openml_sandbox.api import call_names
from openml_sandbox.engine import Engine
from openml_sandbox.faults import CALLS, EVERY_CALL, FAULT_NAMES, Fault, Faults
from openml_sandbox.records import release
from openml_sandbox.store import Store

_BODY_MAX_BYTES = 16_384
_LARGEST_DELAY_SECONDS = 3600


class _RefusedError(Exception):
    """What was asked for cannot be; the text says what to change."""


class Control:
    """Answers under `/sandbox/faults`."""

    def __init__(self, faults: Faults, store: Store, engine: Engine, executor: Executor) -> None:
        self._faults = faults
        self._store = store
        self._engine = engine
        self._executor = executor

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        try:
            if request.method == "POST":
                self._faults.add(_to_fault(await _read_json(request)))
            elif request.method == "DELETE":
                self._faults.clear()
                await asyncio.get_running_loop().run_in_executor(self._executor, self._release)
                self._engine.wake()
        except _RefusedError as error:
            return JSONResponse(
                {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": str(error)},
                400,
                media_type="application/problem+json",
            )
        return JSONResponse({"faults": self._faults.list_on(), "calls": call_names()})

    def _release(self) -> None:
        with self._store.transaction() as connection:
            release(connection)


async def _read_json(request: Request) -> Mapping[str, Any]:
    # This media type is what a page from elsewhere cannot send without asking first.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise _RefusedError("Send JSON, with Content-Type: application/json.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_MAX_BYTES:
            raise _RefusedError(f"Send at most {_BODY_MAX_BYTES} bytes.")
    try:
        wanted = json.loads(body)
    except (ValueError, RecursionError):
        raise _RefusedError("The body is no JSON.") from None
    if not isinstance(wanted, dict) or not wanted.keys() <= {"on", "fault", "times", "delay_seconds"}:
        raise _RefusedError("Send an object with on, fault, and perhaps times and delay_seconds.")
    return wanted


def _to_fault(wanted: Mapping[str, Any]) -> Fault:
    on, times, delay = wanted.get("on"), wanted.get("times", 1), wanted.get("delay_seconds", 0.0)
    name = next((known for known in FAULT_NAMES if known == wanted.get("fault")), None)
    if name is None:
        raise _RefusedError(f"fault must be one of {', '.join(FAULT_NAMES)}.")
    if on != EVERY_CALL and on not in call_names():
        raise _RefusedError(
            "on must be * or one of the calls that GET /sandbox/faults lists, as in POST /data."
        )
    if on not in {EVERY_CALL, *CALLS.get(name, (on,))}:
        raise _RefusedError(
            f"{name} is seen with {', '.join(CALLS[name])} only; another call would not notice it."
        )
    if times is not None and (type(times) is not int or times < 1):
        raise _RefusedError("times must be a number from 1, or null for: until cleared.")
    if (
        type(delay) not in {int, float}
        or not math.isfinite(delay)
        or not 0 <= delay <= _LARGEST_DELAY_SECONDS
    ):
        raise _RefusedError(f"delay_seconds must be a number from 0 to {_LARGEST_DELAY_SECONDS}.")
    if name == "slow" and not delay:
        raise _RefusedError("slow needs delay_seconds.")
    return Fault(on, name, times, float(delay))
