"""The child's side of a question about a published file: isolated before it reads a byte of it."""

from collections.abc import Callable
from typing import Any

from app.core.isolation import isolate
from app.tabular.statistics.computing import compute
from app.tabular.statistics.copy import Copy
from app.tabular.statistics.exporting import export
from app.tabular.statistics.pages import rows
from app.tabular.statistics.requests import FileRequest


def answer(line: str) -> dict[str, Any]:
    """Do what a request says, and return what comes of it.

    Raises:
        TabularError: the file, or the question, is not one that can be answered.
    """
    request = FileRequest.from_json(line)
    is_first = request.task == "statistics"
    reads = [path for path in (request.source, None if is_first else request.copy) if path]
    writes = [path for path in (request.target, request.copy if is_first else None) if path]
    for path in writes:
        path.touch()
    isolate(reads=reads, writes=writes)
    return _TASKS[request.task](request)


def _rows(request: FileRequest) -> dict[str, Any]:
    return rows(Copy(request.copy), request.page)


_TASKS: dict[str, Callable[[FileRequest], dict[str, Any]]] = {
    "statistics": compute,
    "rows": _rows,
    "export": export,
}
