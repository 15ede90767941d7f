"""Start HTTP servers with core.serving (configure, run) alone, and the sandbox with its server module.

uvicorn by itself takes the body of a request that offers an upgrade for the next request; `app/core/framing.py`, which
both of them give it, does not.
"""

import ast
from collections.abc import Iterator

from tests.rules.source import SANDBOX, Source, Violation

KNOW_UVICORN = {
    "app/core/serving.py",
    "app/core/supervisor.py",
    "app/core/framing.py",
    f"{SANDBOX}server.py",
    f"{SANDBOX}framing.py",
}


def violations(source: Source) -> Iterator[Violation]:
    """Yield every import of uvicorn outside the modules that configure it."""
    if source.name in KNOW_UVICORN:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        if any(name.split(".")[0] == "uvicorn" for name in names):
            yield node.lineno, "uvicorn is imported"
