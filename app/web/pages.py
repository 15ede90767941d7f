"""Responses for this service's own pages and their static files."""

import asyncio
import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

if TYPE_CHECKING:
    from jinja2 import Environment

STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Our own files and nothing else; no script may turn text into markup, even where a browser would let it."""
API_PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src blob:; form-action 'self'; base-uri 'none'"
)
"""Swagger UI and ReDoc style themselves inline; ReDoc searches in a worker."""


async def render(
    template: str, *, status: int = 200, policy: str = STRICT, framed_by: str = "'none'", **context: object
) -> HTMLResponse:
    """Return the page, not to be cached, and not to be framed by anybody but `framed_by`."""
    headers = {**page_headers(policy, framed_by=framed_by), "Cache-Control": "no-store"}
    # In a thread: the first to ask for a page reads its template from the disk.
    return HTMLResponse(await asyncio.to_thread(fill, template, context), status_code=status, headers=headers)


def page_headers(policy: str = STRICT, *, framed_by: str = "'none'") -> dict[str, str]:
    """Return the headers that every page of ours has."""
    return {
        "Content-Security-Policy": f"{policy}; frame-ancestors {framed_by}",
        "Referrer-Policy": "no-referrer",
    }


def fill(template: str, context: Mapping[str, object]) -> str:
    """Return a page's text; call it in a thread."""
    return _templates().get_template(template).render(context)


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - a start needs no page

    return Environment(
        loader=PackageLoader("app.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        auto_reload=False,
    )


class OwnFiles(StaticFiles):
    """Style sheets and scripts that a browser asks for anew: after an update, no page may run yesterday's script."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Return the file, or 304 if the browser has it."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        return response
