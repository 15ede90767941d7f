"""How a page of ours becomes an answer."""

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

STRICT = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'"
API_PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src blob:; form-action 'self'; base-uri 'none'"
)
"""Swagger UI and ReDoc style themselves inline; ReDoc searches in a worker."""


_environment = Environment(
    loader=PackageLoader("app.site"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    auto_reload=False,
)
# Read once, here: a request must not wait for the disk.
_PAGES = {name: _environment.get_template(name) for name in _environment.list_templates()}


def render(template: str, *, status: int = 200, policy: str = STRICT, **context: str) -> HTMLResponse:
    """Return the page, not to be cached, and not to be framed by anybody."""
    headers = {
        "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
    }
    return HTMLResponse(_PAGES[template].render(context), status_code=status, headers=headers)
