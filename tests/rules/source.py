"""What a rule looks at: a source file, parsed once."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

Violation = tuple[int, str]
"""The line, and what stands there."""

SANDBOX = "packages/openml-sandbox/openml_sandbox/"
"""The folder of a server that is not ours to the outside: it behaves as the one it stands for."""


@dataclass(frozen=True)
class Source:
    """A file of `app` or of a package: its name from the root of the project, and its syntax tree."""

    name: str
    tree: ast.Module

    @classmethod
    def parse(cls, name: str, text: str) -> "Source":
        """Return the file of that name and text."""
        return cls(name, ast.parse(text, name))

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        """Yield each call with the dotted name of what is called, as it is written there."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield dotted(node.func), node


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` for an attribute of a name; what a call or an index brings forth is `()`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "()"


def read_sources(root: Path, folders: Sequence[str] = ("app", SANDBOX)) -> list[Source]:
    """Return every file of the service and of the sandbox, without their tests; or of some folders."""
    return [
        Source.parse(path.relative_to(root).as_posix(), path.read_text())
        for folder in folders
        for path in sorted((root / folder).rglob("*.py"))
    ]
