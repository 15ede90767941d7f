"""How deep `app.tabular` is: whoever reads a module has to read what it stands on."""

import ast
from functools import cache
from pathlib import Path

import app.tabular

FOLDER = Path(app.tabular.__file__).parent
MOST_FLOORS = 13
"""With `sample`, which only the fork server has."""


@cache
def imported_by(module: str) -> frozenset[str]:
    """Return the modules of `app.tabular` that one of them imports, wherever it does."""
    path = FOLDER.joinpath(*module.split(".")[2:]).with_suffix(".py")
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path.exists() else iter(())
    found = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return frozenset(name for name in found if name.startswith("app.tabular."))


@cache
def chain_from(module: str) -> tuple[str, ...]:
    return (module, *max((chain_from(other) for other in imported_by(module)), key=len, default=()))


def test_imports_when_followed_then_no_chain_is_longer_than_documented() -> None:
    files = [
        path.relative_to(FOLDER).with_suffix("") for path in FOLDER.rglob("*.py") if path.stem != "__init__"
    ]
    chains = [chain_from(".".join(("app", "tabular", *file.parts))) for file in files]

    assert max(map(len, chains)) == MOST_FLOORS, max(chains, key=len)
    assert len(files) > MOST_FLOORS
