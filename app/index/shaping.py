"""What is shown of a document: the fields that were asked for, and those that follow from other documents."""

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from app.index.fields import KINDS, SHELVES, as_number

_UPLOADS: Final = {"data": "datasets", "task": "tasks", "flow": "flows", "run": "runs"}
MOST_COLLECTIONS: Final = 200
_PATTERNED: Final = re.compile(r"[*?\[\]]")


_READ_ANYWAY: Final[Mapping[str, Mapping[str, Any]]] = {
    "data": {
        **dict.fromkeys(("date", "description"), ""),
        **dict.fromkeys(("features", "tags"), ()),
        **dict.fromkeys(("runs", "nr_of_likes", "nr_of_downloads"), 0),
        "qualities": {},
        "version": 1,
    },
    "task": {"date": "", "tags": (), "tasktype": {}, "source_data": {}, "estimation_procedure": {}},
    "flow": {"date": "", "description": "", "tags": (), "parameters": (), "dependencies": ""},
    "run": {
        **dict.fromkeys(("date", "error"), ""),
        **dict.fromkeys(("tags", "evaluations"), ()),
        **{name: {} for name in ("output_files", "run_task", "run_flow")},
    },
    "study": {
        **dict.fromkeys(("date", "description"), ""),
        **dict.fromkeys((f"{part}_included" for part in ("datasets", "tasks", "flows", "runs")), 0),
    },
    "user": {"first_name": "", "last_name": "", "bio": "", "image": "", "date": ""},
}
"""What the frontend's pages read without looking, and break without: lists tell less than descriptions."""


def decorate(connection: sqlite3.Connection, kind: str, document_id: str, document: dict[str, Any]) -> None:
    """Add what follows from other documents: a user's uploads, the uploader's name, the collections."""
    for name, value in _READ_ANYWAY.get(kind, {}).items():
        if document.get(name) is None:
            document[name] = [] if value == () else value
    if kind == "run":
        _add_names(connection, document)
    if kind == "user":
        _add_uploads(connection, document_id, document)
    elif "uploader_id" in document:
        document["uploader"] = (
            _name_of(connection, as_number(document["uploader_id"])) or document.get("uploader") or "Unknown"
        )
    if kind in {"data", "task"}:
        _add_collections(connection, kind, document_id, document)


def _add_names(connection: sqlite3.Connection, run: dict[str, Any]) -> None:
    """Add what a list's line of a run does not tell, of the documents of its task and flow."""
    task = dict(run["run_task"])
    known = _public(connection, "task", task.get("task_id"))
    for name in ("tasktype", "source_data"):
        parts = [part for part in (known.get(name), task.get(name)) if isinstance(part, dict)]
        told = {field: value for part in parts for field, value in part.items() if value not in (None, "")}
        task[name] = {"name": "", **told}
    run["run_task"] = task
    flow = dict(run["run_flow"])
    if not flow.get("name"):
        flow["name"] = _public(connection, "flow", flow.get("flow_id")).get("name") or ""
    run["run_flow"] = {"parameters": [], **flow}


def _public(connection: sqlite3.Connection, kind: str, number: object) -> dict[str, Any]:
    row = connection.execute(
        "SELECT source FROM entry JOIN body USING (row) WHERE id = ? AND abs(shelf) = ? AND shelf > 0",
        (str(number), SHELVES[kind]),
    ).fetchone()
    found: dict[str, Any] = json.loads(row[0]) if row else {}
    return found


def _add_uploads(connection: sqlite3.Connection, user_id: str, document: dict[str, Any]) -> None:
    rows = connection.execute(
        "SELECT shelf, count(*) FROM entry WHERE owner = CAST(? AS INTEGER) AND shelf > 0 GROUP BY shelf",
        (user_id,),
    )
    counts = {KINDS[shelf - 1]: count for shelf, count in rows}
    uploads = {f"{name}_uploaded": counts.get(kind, 0) for kind, name in _UPLOADS.items()}
    document.update(uploads)
    document["nr_of_uploads"] = sum(uploads.values())


def _name_of(connection: sqlite3.Connection, user_id: float | None) -> str:
    row = connection.execute(
        "SELECT name FROM entry WHERE id = CAST(? AS TEXT) AND abs(shelf) = ?", (user_id, SHELVES["user"])
    ).fetchone()
    return (row[0] or "") if row else ""


def _add_collections(
    connection: sqlite3.Connection, kind: str, document_id: str, document: dict[str, Any]
) -> None:
    rows = connection.execute(
        "SELECT study FROM member WHERE shelf = ? AND id = ? ORDER BY study LIMIT ?",
        (SHELVES[kind], document_id, MOST_COLLECTIONS),
    ).fetchall()
    if kind == "task":
        document["collections"] = [{"type": "task", "id": study} for (study,) in rows]
    tags = document.get("tags")
    own = [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []
    there = {str(tag.get("tag")) for tag in own}
    more = [f"study_{study}" for (study,) in rows]
    document["tags"] = [*own, *({"tag": tag, "uploader": "0"} for tag in more if tag not in there)]


def shown(document: Mapping[str, Any], wanted: Mapping[str, Any] | list[str]) -> dict[str, Any]:
    """Return the fields of a document that were asked for, as Elasticsearch's source filter has it."""
    if isinstance(wanted, list):
        wanted = {"includes": wanted}
    includes, excludes = tuple(wanted.get("includes", ("*",))), frozenset(wanted.get("excludes", ()))
    if "*" in includes:
        return {name: value for name, value in document.items() if name not in excludes}
    found: dict[str, Any] = {}
    for pattern in includes:
        _include(document, pattern.split("."), found)
    return {name: value for name, value in found.items() if name not in excludes}


def _include(document: Mapping[str, Any], steps: list[str], found: dict[str, Any]) -> None:
    first, *rest = steps
    for name in _names(document, first):
        value = document[name]
        if not rest:
            found[name] = value
        elif isinstance(value, Mapping):
            inner = found.get(name)
            found[name] = inner = dict(inner) if isinstance(inner, dict) else {}
            _include(value, rest, inner)
        elif isinstance(value, list):
            found[name] = [_only(item, rest) for item in value if isinstance(item, Mapping)]


def _only(item: Mapping[str, Any], steps: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    _include(item, steps, found)
    return found


def _names(document: Mapping[str, Any], pattern: str) -> Iterable[str]:
    if pattern in document:
        return (pattern,)
    if not _PATTERNED.search(pattern):
        return ()
    return [name for name in document if fnmatchcase(name, pattern)]
