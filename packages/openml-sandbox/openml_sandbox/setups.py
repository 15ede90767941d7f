"""The calls under `setup/`: flows with values of their parameters."""

import sqlite3

from openml_sandbox.answers import Node, leaf
from openml_sandbox.call import Call, Route, to_id
from openml_sandbox.errors import ApiError
from openml_sandbox.filters import Conditions, FilterRules, limit_and_offset
from openml_sandbox.flow_records import Setup, get_settings, get_setup, to_setup

_MOST = 1000
_RULES = FilterRules(
    names=("flow", "setup", "limit", "offset"),
    texts=(),
    illegal_name=671,
    illegal_value=672,
    offset_alone=675,
)


def get_setup_parameters(call: Call) -> Node:
    """Answer `GET setup/{id}`."""
    if call.segments[0] == "0":
        raise ApiError(280)
    with call.store.transaction() as connection:
        setup = get_setup(connection, to_id(call.segments[0]))
        if setup is None:
            raise ApiError(281)
        return Node("setup_parameters", _parts(connection, setup))


def list_setups(call: Call) -> Node:
    """Answer `GET setup/list`."""
    filters = _RULES.read(call.segments[1:])
    if not filters:
        raise ApiError(670)
    conditions = Conditions()
    conditions.add_ids("flow", filters.get("flow"))
    conditions.add_ids("id", filters.get("setup"))
    query = f"SELECT * FROM setups WHERE {conditions.where} ORDER BY id LIMIT ? OFFSET ?"  # noqa: S608 - fixed texts only
    with call.store.transaction() as connection:
        rows = connection.execute(query, (*conditions.values, *limit_and_offset(filters))).fetchall()
        if not rows:
            raise ApiError(674)
        if len(rows) > _MOST:
            raise ApiError(673)
        return Node("setups", [Node("setup", _parts(connection, to_setup(row))) for row in rows])


def _parts(connection: sqlite3.Connection, setup: Setup) -> list[Node]:
    parameters = [
        Node(
            "parameter",
            [
                leaf("id", parameter.id),
                leaf("flow_id", flow.id),
                leaf("flow_name", flow.name),
                leaf("full_name", f"{flow.full_name}_{parameter.name}"),
                leaf("parameter_name", parameter.name),
                leaf("data_type", parameter.data_type),
                leaf("default_value", parameter.default_value),
                leaf("value", value),
            ],
        )
        for parameter, flow, value in get_settings(connection, setup)
    ]
    return [leaf("setup_id", setup.id), leaf("flow_id", setup.flow), *parameters]


ROUTES = (
    Route((), "list/*", list_setups),
    Route(("get", "post"), "#", get_setup_parameters),
)
