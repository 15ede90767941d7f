"""Name what the function needs: database, limits, openml …; only routes and composition points hold all Resources.

A signature that takes everything says nothing, and a test of it has to open everything.
"""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch

from tests.rules.source import Source, Violation

HOLDERS = (
    "app/deps.py",
    "app/resources.py",
    "app/jobs.py",
    "app/main.py",
    "app/commands/*.py",
    "app/metrics/*.py",
    "app/*/routes*.py",
    "app/*/*_routes.py",
)
"""Files that put parts together, or hand them on to a service."""


def violations(source: Source) -> Iterator[Violation]:
    """Yield each parameter and each field that is annotated with all resources."""
    if any(fnmatch(source.name, pattern) for pattern in HOLDERS):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation and _names_all(node.annotation):
            yield node.lineno, f"`{ast.unparse(node)}` takes all resources"


def _names_all(annotation: ast.expr) -> bool:
    """Say whether `Resources` stands in the annotation, alone, in quotes or as a part of it."""
    return any(
        (isinstance(node, ast.Name) and node.id == "Resources")
        or (isinstance(node, ast.Attribute) and node.attr == "Resources")
        or (isinstance(node, ast.Constant) and node.value == "Resources")
        for node in ast.walk(annotation)
    )
