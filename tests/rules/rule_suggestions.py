"""Ask core.suggestions.suggest, which is bounded in candidates, length and time.

difflib takes seconds for a name and a table of some thousand columns, and holds the interpreter all the while.
"""

import ast
from collections.abc import Iterator

from tests.rules.source import Source, Violation


def violations(source: Source) -> Iterator[Violation]:
    """Yield every import of difflib."""
    if source.name == "app/core/suggestions.py":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import) and any(name.name == "difflib" for name in node.names):
            yield node.lineno, "difflib is imported"
        if isinstance(node, ast.ImportFrom) and node.module == "difflib":
            yield node.lineno, "difflib is imported"
