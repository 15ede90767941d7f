"""Statements about studies and what is linked to them, inside a transaction."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from openml_sandbox.records import User, now

EntityType = Literal["task", "run"]

_LINKS: dict[EntityType, str] = {"task": "study_tasks", "run": "study_runs"}


@dataclass(frozen=True, slots=True)
class Study:
    """A suite (of tasks) or a study (of runs); all are public."""

    id: int
    alias: str | None
    main_entity_type: EntityType
    name: str
    description: str
    status: str
    creator: int
    creation_date: str

    def may_be_changed_by(self, user: User) -> bool:
        """Whether the user made it or is an administrator."""
        return user.is_admin or user.id == self.creator


@dataclass(frozen=True, slots=True)
class Contents:
    """The ids of what a study holds, or leads to."""

    data: list[int]
    tasks: list[int]
    flows: list[int]
    setups: list[int]
    runs: list[int]


def add_study(
    connection: sqlite3.Connection,
    entity_type: EntityType,
    *,
    alias: str | None,
    name: str,
    description: str,
    creator: int,
) -> int:
    """Insert a study and return its id."""
    row = connection.execute(
        "INSERT INTO studies (alias, main_entity_type, name, description, creator, creation_date)"
        " VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
        (alias, entity_type, name, description, creator, now()),
    ).fetchone()
    return int(row["id"])


def get_study(connection: sqlite3.Connection, study_id: int | None) -> Study | None:
    """Find a study by its id."""
    row = connection.execute("SELECT * FROM studies WHERE id = ?", (study_id,)).fetchone()
    return Study(**row) if row else None


def get_study_by_alias(connection: sqlite3.Connection, alias: str) -> Study | None:
    """Find a study by its alias, in any case."""
    row = connection.execute("SELECT * FROM studies WHERE alias = ?", (alias,)).fetchone()
    return Study(**row) if row else None


def link(connection: sqlite3.Connection, study_id: int, entity_type: EntityType, ids: Iterable[int]) -> bool:
    """Link all entities; False if one does not exist or is linked already, and the caller has to roll back."""
    statement = f"INSERT INTO {_LINKS[entity_type]} VALUES (?, ?)"  # noqa: S608 - fixed texts
    try:
        connection.executemany(statement, [(study_id, entity_id) for entity_id in ids])
    except sqlite3.IntegrityError:
        return False
    return True


def unlink(
    connection: sqlite3.Connection, study_id: int, entity_type: EntityType, ids: Iterable[int]
) -> None:
    """Unlink entities, as far as they are linked."""
    statement = f"DELETE FROM {_LINKS[entity_type]} WHERE study = ? AND entity = ?"  # noqa: S608 - fixed texts
    connection.executemany(statement, [(study_id, entity_id) for entity_id in ids])


def get_linked(connection: sqlite3.Connection, study: Study) -> list[int]:
    """Read the ids of what is linked, in order."""
    query = f"SELECT entity FROM {_LINKS[study.main_entity_type]} WHERE study = ? ORDER BY entity"  # noqa: S608 - fixed texts
    return [row["entity"] for row in connection.execute(query, (study.id,))]


def get_contents(connection: sqlite3.Connection, study: Study) -> Contents:
    """Read what a study holds; runs that were not sent have a flow and a setup, but no task."""
    if study.main_entity_type == "task":
        rows = connection.execute(
            "SELECT entity AS task, CAST(value AS INTEGER) AS dataset FROM study_tasks"
            " JOIN task_inputs ON task_inputs.task = entity AND name = 'source_data'"
            " WHERE study = ? ORDER BY entity",
            (study.id,),
        ).fetchall()
        # A task without a dataset of its own is not listed.
        return Contents(sorted({row["dataset"] for row in rows}), [row["task"] for row in rows], [], [], [])
    rows = connection.execute(
        "SELECT runs.*, sent_runs.task, CAST(value AS INTEGER) AS dataset"
        " FROM study_runs JOIN runs ON runs.id = entity LEFT JOIN sent_runs ON sent_runs.run = runs.id"
        " LEFT JOIN task_inputs ON task_inputs.task = sent_runs.task AND name = 'source_data'"
        " WHERE study = ? ORDER BY entity",
        (study.id,),
    ).fetchall()
    columns = ("dataset", "task", "flow", "setup")
    data, tasks, flows, setups = (
        sorted({row[column] for row in rows if row[column] is not None}) for column in columns
    )
    return Contents(data, tasks, flows, setups, [row["id"] for row in rows])


def set_study_status(connection: sqlite3.Connection, study_id: int, status: str) -> None:
    """Change the status of a study."""
    connection.execute("UPDATE studies SET status = ? WHERE id = ?", (status, study_id))


def delete_study(connection: sqlite3.Connection, study_id: int) -> None:
    """Delete a study and its links."""
    connection.execute("DELETE FROM studies WHERE id = ?", (study_id,))
