"""A server before the sandbox that passes everything on, and answers some calls in its own way."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.conftest import NO_CERTIFICATES, PATIENCE_SECONDS
from tests.servers import serving
from tests.upstream import OML

Distort = Callable[[str, httpx.Response], Awaitable[Response | None]]
"""Takes a call (`POST /data`), and the sandbox's answer; returns another answer, or None for that one."""


def error(code: int, *, message: str = "Something.", status: int = 412) -> Response:
    """An error as OpenML writes it."""
    document = f"<oml:error {OML}><oml:code>{code}</oml:code><oml:message>{message}</oml:message></oml:error>"
    return Response(document, status, media_type="text/xml")


@asynccontextmanager
async def distorted(sandbox_url: str, distort: Distort) -> AsyncIterator[str]:
    """Serve the sandbox, distorted; yield the address."""
    async with httpx.AsyncClient(
        base_url=sandbox_url, timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES
    ) as sandbox:

        async def pass_on(request: Request) -> Response:
            answer = await sandbox.request(
                request.method,
                request.url.path,
                content=await request.body(),
                headers={"Content-Type": request.headers.get("content-type", "")},
            )
            call = f"{request.method} {request.url.path.removeprefix('/api/v1/xml')}"
            instead = await distort(call, answer)
            return instead or Response(answer.content, answer.status_code, media_type="text/xml")

        async with serving(
            Starlette(routes=[Route("/{path:path}", pass_on, methods=["GET", "POST"])])
        ) as url:
            yield url
