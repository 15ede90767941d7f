"""Make clients with app.core.outgoing, whose clients keep no cookie.

A client that serves many users and keeps a cookie makes one session of them all.
"""

import ast
from collections.abc import Iterator

from tests.rules.source import Source, Violation

OTHERS = frozenset(
    {"aiohttp", "requests", "urllib3", "http.client", "urllib.request", "websockets", "http.cookiejar"}
)
"""Modules that make clients, or what they keep cookies in."""
USES = frozenset(
    {"AsyncClient", "Client", "get", "post", "put", "patch", "delete", "head", "options", "request", "stream"}
)
"""What makes a client in httpx; the functions make one for each call."""


def violations(source: Source) -> Iterator[Violation]:
    """Yield every client of HTTP that is made, and every import that could hide one."""
    if source.name == "app/core/outgoing.py":
        return
    modules = {"httpx"}
    for line, name, alias in _imports(source.tree):
        if name == "httpx":
            modules.add(alias)
        elif name in OTHERS or name.rpartition(".")[0] in OTHERS or name in {f"httpx.{use}" for use in USES}:
            yield line, f"{name} is imported"
    for name, call in source.calls():
        module, _, function = name.rpartition(".")
        if module in modules and function in USES:
            yield call.lineno, f"{name}() is called"


def _imports(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Yield the line of each import, what it imports and what that is called there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            package = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                yield node.lineno, f"{package}{alias.name}", alias.asname or alias.name
