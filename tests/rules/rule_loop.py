"""Call it with resources.checks.run_for(user_id, …), whose threads and queue are its own.

The event loop computes nothing whose size a client, a file or OpenML chose, and the threads for files compute nothing.
"""

import ast
from collections.abc import Iterator

from tests.rules.source import SANDBOX, Source, Violation

GROWING = {
    "suggest",
    "override_violations",
    "read_profile",
    "judge",
    "check_metadata",
    "check_draft",
    "check_complete",
    "_column_errors",
    "_unknown_columns",
    "_similar",
}
"""Functions whose work grows with what they are given."""
EVERYBODYS = ("asyncio.to_thread", "run_in_threadpool")
FOR_FILES = (
    "app/core/",
    "app/db/",
    "app/doctor/",
    "app/imaging/",
    "app/index/filling.py",
    "app/index/lock.py",
    "app/mail/",
    "app/metrics/",
    "app/openml/",
    "app/published/",
    "app/resources.py",
    SANDBOX,
    "app/web/",
    "app/storage/",
    "app/telemetry/",
    "app/tabular/",
    "app/worker/",
    "app/accounts/service_picture.py",
    "app/uploads/at_openml.py",
    "app/uploads/claimed.py",
    "app/uploads/conversion.py",
    "app/uploads/lifecycle.py",
    "app/uploads/previewing.py",
)
"""Where the threads that all share open, write and remove files, a short step at a time."""


def violations(source: Source) -> Iterator[Violation]:
    """Yield each growing function that a coroutine calls itself, and each use of the threads that all share."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.AsyncFunctionDef):
            for call in _own_calls(node):
                if isinstance(call.func, ast.Name) and call.func.id in GROWING:
                    yield call.lineno, f"{call.func.id}() runs on the event loop"
    for name, call in source.calls():
        if name.endswith(EVERYBODYS) and not source.name.startswith(FOR_FILES):
            yield call.lineno, f"{name}() takes one of the threads that all share"
        if name.endswith("run_in_executor") and _is_none(call) and not source.name.startswith(SANDBOX):
            yield call.lineno, "run_in_executor() takes one of the threads that all share"


def _own_calls(function: ast.AsyncFunctionDef) -> Iterator[ast.Call]:
    """Yield the calls of a coroutine, without those of functions that it defines, which may run elsewhere."""
    waiting: list[ast.AST] = [*function.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting += ast.iter_child_nodes(node)


def _is_none(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant)
