"""Who asks how the service fares: load balancers, monitoring, and operators of what stands in front.

`/health/live` (the process answers), `/health/ready` (it can work), `/health/client` (who it takes you for),
`/health/stream` (whether an answer arrives as it is written).
"""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response, status
from fastapi.sse import EventSourceResponse, format_sse_event
from pydantic import BaseModel

from app.core.bodies import BoundedRoute
from app.core.clients import is_trusted
from app.core.errors import NotReadyError, TooManyRequestsError, ValidationFailedError
from app.core.http import declare
from app.core.limits import hits_from
from app.core.probes import Check, Finding
from app.deps import ClientDep, ResourcesDep
from app.health.checks import CheckName, check_stopping, checks_of

STREAM_EVENTS, STREAM_PAUSE_SECONDS = 3, 0.5
STREAM = {
    "description": "A stream of server-sent events, each with its number as `data`.",
    "content": {"text/event-stream": {"schema": {"type": "string"}, "example": "data: 1\n\n"}},
}

router = APIRouter(prefix="/health", tags=["health"], route_class=BoundedRoute)


class HealthResponse(BaseModel):
    """All is well; anything else is another status."""

    status: Literal["ok"] = "ok"


class ClientResponse(BaseModel):
    """Where the request came from, as the service takes it."""

    address: str
    forwarded: Literal["believed", "ignored", "none"]
    """Whether `X-Forwarded-For` counted: it is believed of `TRUSTED_PROXIES` alone."""


class CheckResponse(BaseModel):
    """What one check found."""

    name: CheckName
    ok: bool
    detail: str
    """What is wrong and what to do about it; empty where nothing is."""


class ReadyResponse(HealthResponse):
    """All is well, and what was looked at, if that was asked for."""

    checks: list[CheckResponse] | None = None


@router.get("/live")
async def live() -> HealthResponse:
    """Say that the process answers. Looks at nothing else: a restart would not mend a database."""
    return HealthResponse()


@router.get(
    "/ready", response_model_exclude_none=True, responses=declare(ValidationFailedError, NotReadyError)
)
async def ready(
    resources: ResourcesDep,
    exclude: Annotated[
        list[CheckName] | None, Query(description="What not to look at; may come several times.")
    ] = None,
    *,
    verbose: Annotated[bool, Query(description="List what was looked at where all is well, too.")] = False,
) -> ReadyResponse:
    """Say that the process can work, and that what it accepts is worked off; else which check says no, and why.

    Looked at once a second at most, and for three seconds at most, however many ask.
    """
    left_out = exclude or []
    vitals = resources.vitals if resources.settings.embedded_worker else None
    stopping = partial(check_stopping, resources.leaving, resources.settings)
    others = checks_of(resources.settings, resources.database, vitals, resources.storage, resources.store)
    checks: dict[CheckName, Check] = {CheckName.STOPPING: stopping, **others}
    wanted: dict[str, Check] = {name: check for name, check in checks.items() if name not in left_out}
    findings = await resources.probes.look(wanted)
    wrong = [finding for finding in findings if not finding.ok]
    if wrong:
        raise NotReadyError(_in_words(wrong), checks=[finding._asdict() for finding in findings])
    listed = [CheckResponse(name=CheckName(name), ok=ok, detail=detail) for name, ok, detail in findings]
    return ReadyResponse(checks=listed if verbose else None)


@router.get("/client")
async def show_client(request: Request, client: ClientDep, resources: ResourcesDep) -> ClientResponse:
    """Say which address counts as that of whoever asks, in rate limits, sessions and the log."""
    if "x-forwarded-for" not in request.headers:
        return ClientResponse(address=client.ip_address, forwarded="none")
    peer = request.client.host if request.client else ""
    is_believed = is_trusted(peer, resources.settings.trusted_proxies)
    return ClientResponse(address=client.ip_address, forwarded="believed" if is_believed else "ignored")


@router.get(
    "/stream",
    response_class=Response,
    responses={status.HTTP_200_OK: STREAM, **declare(TooManyRequestsError)},
)
async def show_stream(client: ClientDep, resources: ResourcesDep) -> Response:
    """Send three events, half a second apart: as they come, unless a server in between keeps them back."""
    await resources.limits.hit(*hits_from("stream-address", client))
    return EventSourceResponse(_numbered(), headers={"X-Accel-Buffering": "no"})


async def _numbered() -> AsyncIterator[bytes]:
    yield format_sse_event(data_str="1")
    for number in range(2, STREAM_EVENTS + 1):
        await asyncio.sleep(STREAM_PAUSE_SECONDS)
        yield format_sse_event(data_str=str(number))


def _in_words(wrong: list[Finding]) -> str:
    """Return each sentence once: a database that is away is what several checks find."""
    return " ".join(dict.fromkeys(finding.detail for finding in wrong))
