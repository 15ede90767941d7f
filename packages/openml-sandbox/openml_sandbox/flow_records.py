"""Statements about flows, their parameters and their setups, inside a transaction."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openml_sandbox.records import now


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow; `metadata` holds the optional texts of its description."""

    id: int
    name: str
    version: int
    external_version: str
    uploader: int
    upload_date: str
    metadata: dict[str, str]

    @property
    def full_name(self) -> str:
        """The name with the version that the server gave."""
        return f"{self.name}({self.version})"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a flow."""

    id: int
    flow: int
    name: str
    data_type: str
    default_value: str
    description: str


@dataclass(frozen=True, slots=True)
class Setup:
    """A flow with values of parameters, of its own and of its components, by the parameters' ids."""

    id: int
    flow: int
    settings: dict[int, str]
    setup_string: str


def add_flow(
    connection: sqlite3.Connection,
    name: str,
    external_version: str,
    uploader: int,
    metadata: Mapping[str, str],
) -> int:
    """Insert a flow with the next version of its name, and return its id."""
    row = connection.execute("SELECT MAX(version) AS last FROM flows WHERE name = ?", (name,)).fetchone()
    statement = (
        "INSERT INTO flows (name, version, external_version, uploader, upload_date, metadata)"
        " VALUES (?, ?, ?, ?, ?, ?) RETURNING id"
    )
    values = (name, (row["last"] or 0) + 1, external_version, uploader, now(), json.dumps(metadata))
    return int(connection.execute(statement, values).fetchone()["id"])


def get_flow(connection: sqlite3.Connection, flow_id: int | None) -> Flow | None:
    """Find a flow."""
    row = connection.execute("SELECT * FROM flows WHERE id = ?", (flow_id,)).fetchone()
    return to_flow(row) if row else None


def find_flow(connection: sqlite3.Connection, name: str, external_version: str) -> int | None:
    """Find the first flow of a name and an external version."""
    row = connection.execute(
        "SELECT id FROM flows WHERE name = ? AND external_version = ? ORDER BY id", (name, external_version)
    ).fetchone()
    return int(row["id"]) if row else None


def to_flow(row: sqlite3.Row) -> Flow:
    """Make a value of a row of the table of flows."""
    values: dict[str, Any] = dict(row)
    return Flow(**{**values, "metadata": json.loads(values["metadata"])})


def add_parameter(connection: sqlite3.Connection, flow_id: int, *texts: str) -> None:
    """Insert a parameter: its name, type, default value and description."""
    connection.execute(
        "INSERT INTO flow_parameters (flow, name, data_type, default_value, description) VALUES (?, ?, ?, ?, ?)",
        (flow_id, *texts),
    )


def get_parameters(connection: sqlite3.Connection, flow_id: int) -> list[Parameter]:
    """Read the parameters of a flow."""
    rows = connection.execute("SELECT * FROM flow_parameters WHERE flow = ? ORDER BY id", (flow_id,))
    return [Parameter(**row) for row in rows]


def find_parameter(connection: sqlite3.Connection, flow_id: int | None, name: str) -> int | None:
    """Find a parameter of a flow by its name."""
    row = connection.execute(
        "SELECT id FROM flow_parameters WHERE flow = ? AND name = ?", (flow_id, name)
    ).fetchone()
    return int(row["id"]) if row else None


def add_component(connection: sqlite3.Connection, parent: int, identifier: str, child: int) -> None:
    """Let a flow be part of another."""
    connection.execute("INSERT INTO flow_components VALUES (?, ?, ?)", (parent, identifier, child))


def get_components(connection: sqlite3.Connection, flow_id: int) -> list[tuple[str, int]]:
    """Read the identifiers and the ids of a flow's components."""
    rows = connection.execute(
        "SELECT identifier, child FROM flow_components WHERE parent = ? ORDER BY rowid", (flow_id,)
    )
    return [(row["identifier"], row["child"]) for row in rows]


def get_or_add_setup(
    connection: sqlite3.Connection, flow_id: int, settings: Mapping[int, str], setup_string: str
) -> int:
    """Find the setup of a flow with exactly these settings, or make it."""
    key = json.dumps(dict(sorted(settings.items())))
    connection.execute(
        "INSERT INTO setups (flow, settings, setup_string) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (flow_id, key, setup_string),
    )
    row = connection.execute(
        "SELECT id FROM setups WHERE flow = ? AND settings = ?", (flow_id, key)
    ).fetchone()
    return int(row["id"])


def get_setup(connection: sqlite3.Connection, setup_id: int | None) -> Setup | None:
    """Find a setup."""
    row = connection.execute("SELECT * FROM setups WHERE id = ?", (setup_id,)).fetchone()
    return to_setup(row) if row else None


def to_setup(row: sqlite3.Row) -> Setup:
    """Make a value of a row of the table of setups."""
    settings = {int(number): value for number, value in json.loads(row["settings"]).items()}
    return Setup(row["id"], row["flow"], settings, row["setup_string"])


def get_settings(connection: sqlite3.Connection, setup: Setup) -> list[tuple[Parameter, Flow, str]]:
    """Read what is set in a setup: the parameter, the flow that it belongs to, and the value."""
    found = []
    for number, value in setup.settings.items():
        row = connection.execute("SELECT * FROM flow_parameters WHERE id = ?", (number,)).fetchone()
        parameter = Parameter(**row) if row else None
        flow = get_flow(connection, parameter.flow) if parameter else None
        if parameter and flow:
            found.append((parameter, flow, value))
    return found
