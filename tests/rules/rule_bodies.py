"""Read a body with core.bodies.read_body(request, limit) or stream_body, in routers with route_class=BoundedRoute.

The limit is the reader's: where one reads without, a client's path or header decides how much memory it may take.
"""

import ast
from collections.abc import Iterator

from tests.rules.source import SANDBOX, Source, Violation, dotted

READERS = ("request.stream", "request.body", "request.json", "request.form", "request.receive")
PARAMETERS = {"File", "UploadFile"}
"""What makes FastAPI take files. JSON and the fields of small forms it reads within the route's limits."""


def violations(source: Source) -> Iterator[Violation]:
    """Yield every read of a body, and every router whose routes are not bounded."""
    if source.name == "app/core/bodies.py" or source.name.startswith(SANDBOX):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and dotted(node).endswith(READERS):
            yield node.lineno, f"{dotted(node)} is read"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fastapi"):
            for found in node.names:
                if found.name in PARAMETERS:
                    yield node.lineno, f"{found.name} is imported"
    for name, call in source.calls():
        if name.endswith("APIRouter") and not _is_bounded(call):
            yield call.lineno, "a router's routes are not bounded"


def _is_bounded(call: ast.Call) -> bool:
    return any(
        word.arg == "route_class" and dotted(word.value).endswith("BoundedRoute") for word in call.keywords
    )
