"""Look at what it returns, and do nothing else where it is False: somebody was faster, or the lease is lost.

Of a function of `app/db` that returns a bool, the result is whether its UPDATE found what it was meant for.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.rules.source import Source, Violation, dotted, read_sources

ROOT = Path(__file__).parents[2]


@cache
def _answering() -> frozenset[str]:
    """Return the names of the functions of `app/db` that say whether they did something."""
    return frozenset(
        node.name
        for source in read_sources(ROOT, ["app/db"])
        for node in ast.walk(source.tree)
        if isinstance(node, ast.AsyncFunctionDef)
        and isinstance(node.returns, ast.Name)
        and node.returns.id == "bool"
    )


def violations(source: Source) -> Iterator[Violation]:
    """Yield every statement that is nothing but such a call."""
    imported = {
        name.name
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("app.db.")
        for name in node.names
    }
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Await):
            call = node.value.value
            if isinstance(call, ast.Call):
                owner, _, name = dotted(call.func).rpartition(".")
                if name in _answering() and (_is_of_db(owner) if owner else name in imported):
                    yield call.lineno, f"nobody looks at what {name}() says"


def _is_of_db(owner: str) -> bool:
    """Say whether it is a module of statements, or a queue; others have functions of the same names."""
    word = owner.rpartition(".")[2]
    return (ROOT / f"app/db/{word}.py").exists() or word.isupper() or word.endswith("queue")
