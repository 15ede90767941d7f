"""`GET evaluation/list`: how good runs were."""

import json
import sqlite3

from openml_sandbox.answers import MEDIA_TYPES, Answer, Node, leaf
from openml_sandbox.call import Call, Route
from openml_sandbox.errors import ApiError
from openml_sandbox.filters import FilterRules, limit_and_offset, natural
from openml_sandbox.records import to_seconds
from openml_sandbox.runs import MOST, check_study, conditions_on_runs

# The one engine that there is.
_ENGINE = 1
_RULES = FilterRules(
    names=(
        *("task", "setup", "flow", "uploader", "run", "tag", "limit", "offset", "function", "per_fold"),
        *("sort_order", "study"),
    ),
    texts=("tag", "function", "per_fold", "sort_order"),
    illegal_name=544,
    illegal_value=541,
    offset_alone=545,
)


def list_evaluations(call: Call) -> Node | Answer:
    """Answer the call; the JSON form has its own template, with numbers as numbers."""
    filters = _RULES.read(call.segments[1:])
    _check(filters)
    is_per_fold = filters.get("per_fold") == "true"
    with call.store.transaction() as connection:
        check_study(connection, filters, 555)
        rows = _find(connection, filters, is_per_fold=is_per_fold)
    if not rows:
        raise ApiError(542)
    if len(rows) > MOST:
        code = 548 if is_per_fold else 543
        raise ApiError(code, f"Size of result set: {len(rows)} runs; max size: {MOST}")
    if call.format == "json":
        found = [{name: _number(name, value) for name, value in _listed(row).items()} for row in rows]
        body = json.dumps({"evaluations": {"evaluation": found}})
        return Answer(200, body.encode(), MEDIA_TYPES["json"])
    return Node(
        "evaluations", [Node("evaluation", [leaf(*field) for field in _listed(row).items()]) for row in rows]
    )


def _check(filters: dict[str, str]) -> None:
    if filters.get("per_fold", "true") not in {"true", "false"}:
        raise ApiError(547, "Filters with illegal values: ")
    if "limit" in filters and natural(filters["limit"]) > MOST:
        raise ApiError(546)
    if filters.get("sort_order", "asc") not in {"asc", "desc"}:
        raise ApiError(549)
    if not filters.keys() - {"offset", "per_fold", "sort_order"}:
        raise ApiError(540)


def _find(connection: sqlite3.Connection, filters: dict[str, str], *, is_per_fold: bool) -> list[sqlite3.Row]:
    conditions = conditions_on_runs(filters)
    if "function" in filters:
        conditions.add("evaluations.function = ?", filters["function"])
    if is_per_fold:
        conditions.add("evaluations.repeat IS NOT NULL")
        columns = "NULL AS value, NULL AS array_data, '[' || GROUP_CONCAT(evaluations.value) || ']' AS folds"
        group = "GROUP BY evaluations.run, evaluations.function "
    else:
        conditions.add("evaluations.repeat IS NULL")
        columns, group = "evaluations.value, evaluations.array_data, NULL AS folds", ""
    # Without the filter the real server promises no order.
    order = {"asc": "evaluations.value,", "desc": "evaluations.value DESC,"}.get(
        filters.get("sort_order", ""), ""
    )
    query = (
        "SELECT runs.id, runs.setup, runs.flow, sent_runs.task, sent_runs.uploader, sent_runs.start_time,"  # noqa: S608 - fixed texts only
        " flows.name AS flow_name, flows.version, datasets.id AS did, datasets.name, evaluations.function,"
        f" {columns} FROM evaluations JOIN runs ON runs.id = evaluations.run"
        " JOIN sent_runs ON sent_runs.run = runs.id JOIN flows ON flows.id = runs.flow"
        " JOIN task_inputs ON task_inputs.task = sent_runs.task AND task_inputs.name = 'source_data'"
        " JOIN datasets ON datasets.id = CAST(task_inputs.value AS INTEGER)"
        f" WHERE {conditions.where} {group}ORDER BY {order} runs.id, evaluations.rowid LIMIT ? OFFSET ?"
    )
    return connection.execute(query, (*conditions.values, *limit_and_offset(filters))).fetchall()


def _listed(row: sqlite3.Row) -> dict[str, object]:
    fields = {
        "run_id": row["id"],
        "task_id": row["task"],
        "setup_id": row["setup"],
        "flow_id": row["flow"],
        "flow_name": f"{row['flow_name']}({row['version']})",
        "data_id": row["did"],
        "data_name": row["name"],
        "evaluation_engine_id": _ENGINE,
        "function": row["function"],
        "upload_time": to_seconds(row["start_time"]),
        "uploader": row["uploader"],
        "value": row["value"],
        "array_data": row["array_data"],
        "values": row["folds"],
    }
    return {name: value for name, value in fields.items() if value is not None}


def _number(name: str, value: object) -> object:
    """The template prints lists as they are."""
    return json.loads(str(value)) if name in {"array_data", "values"} else value


ROUTES = (Route((), "list/*", list_evaluations),)
