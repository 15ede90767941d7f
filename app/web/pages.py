"""How a page of ours, and the files it is made of, become answers."""

import os

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

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


_environment = Environment(
    loader=PackageLoader("app.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    auto_reload=False,
)
# Read once, here: a request must not wait for the disk.
_PAGES = {name: _environment.get_template(name) for name in _environment.list_templates()}


def render(
    template: str, *, status: int = 200, policy: str = STRICT, framed_by: str = "'none'", **context: object
) -> HTMLResponse:
    """Return the page, not to be cached, and not to be framed by anybody but `framed_by`."""
    headers = {
        "Content-Security-Policy": f"{policy}; frame-ancestors {framed_by}",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
    }
    return HTMLResponse(_PAGES[template].render(context), status_code=status, headers=headers)


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
