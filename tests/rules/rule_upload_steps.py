"""Take a step of an upload with set_state; name a set of states in app/db/upload_states.py, beside TRANSITIONS.

A statement that writes `uploads.state` by itself takes a step that no table knows, and leaves no event.
"""

import ast
from collections.abc import Iterator

from app.db.upload_states import UploadState
from tests.rules.source import Source, Violation, dotted

STATES = "app/db/upload_states.py"
STATEMENTS = "app/db/uploads.py"
WRITERS = {"add_upload", "set_state"}
"""Functions of `STATEMENTS` that write the column."""
SPELLINGS = {str(state) for state in UploadState}


def violations(source: Source) -> Iterator[Violation]:
    """Yield each statement that writes the state of an upload, and each set of states."""
    if source.name == STATES or not source.name.startswith("app/"):
        return
    writers = _nodes_of_writers(source) if source.name == STATEMENTS else set()
    for node in ast.walk(source.tree):
        if id(node) not in writers and _writes_state(node):
            yield node.lineno, "the state of an upload is written"  # type: ignore[attr-defined]  # expressions have lines
        if _is_set_of_states(node):
            yield node.lineno, "a set of states has no name"  # type: ignore[attr-defined]  # expressions have lines


def _nodes_of_writers(source: Source) -> set[int]:
    writers = (
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.AsyncFunctionDef) and node.name in WRITERS
    )
    return {id(node) for writer in writers for node in ast.walk(writer)}


def _writes_state(node: ast.AST) -> bool:
    """Say whether it is `sa.update(uploads)….values(state=…)`, or `{"state": UploadState.…}`."""
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return any(_is_state_key(key) and _is_state(value) for key, value in pairs)
    if not (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "values"
    ):
        return False
    names = {keyword.arg for keyword in node.keywords}
    in_dicts = any(
        _is_state_key(key) for each in node.args if isinstance(each, ast.Dict) for key in each.keys
    )
    return ("state" in names or in_dicts) and _is_of_uploads(node.func.value)


def _is_of_uploads(statement: ast.expr) -> bool:
    """Say whether the statement changes the table of uploads."""
    return any(
        isinstance(node, ast.Call)
        and dotted(node.func).rpartition(".")[2] in {"insert", "update"}
        and any(dotted(argument).rpartition(".")[2] == "uploads" for argument in node.args)
        for node in ast.walk(statement)
    )


def _is_state_key(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and key.value == "state"


def _is_state(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and dotted(node).rpartition(".")[0].endswith("UploadState")


def _is_set_of_states(node: ast.AST) -> bool:
    """Say whether two states or more stand together, or one is put into or taken out of a set."""
    if isinstance(node, ast.BinOp):
        return any(isinstance(side, ast.Set) and _states_in(side) for side in (node.left, node.right))
    return isinstance(node, ast.Set | ast.List | ast.Tuple) and _states_in(node) > 1


def _states_in(node: ast.Set | ast.List | ast.Tuple) -> int:
    spelled = [one for one in node.elts if isinstance(one, ast.Constant) and one.value in SPELLINGS]
    # Words that only look like states stand beside others.
    return sum(map(_is_state, node.elts)) + (len(spelled) if len(spelled) == len(node.elts) else 0)
