"""Statements about tasks, inside a transaction."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from openml_sandbox.records import User, now


@dataclass(frozen=True, slots=True)
class Task:
    """A task without its inputs."""

    id: int
    task_type: int
    creator: int
    creation_date: str

    def may_be_changed_by(self, user: User) -> bool:
        """Whether the user made it or is an administrator."""
        return user.is_admin or user.id == self.creator


def add_task(connection: sqlite3.Connection, task_type: int, inputs: Mapping[str, str], creator: int) -> int:
    """Insert a task with its inputs and return its id."""
    row = connection.execute(
        "INSERT INTO tasks (task_type, creator, creation_date) VALUES (?, ?, ?) RETURNING id",
        (task_type, creator, now()),
    ).fetchone()
    task_id = int(row["id"])
    connection.executemany(
        "INSERT INTO task_inputs VALUES (?, ?, ?)",
        ((task_id, name, value) for name, value in inputs.items()),
    )
    return task_id


def get_task(connection: sqlite3.Connection, task_id: int | None) -> Task | None:
    """Find a task."""
    row = connection.execute("SELECT * FROM tasks WHERE id = ?", (task_id,)).fetchone()
    return Task(**row) if row else None


def get_inputs(connection: sqlite3.Connection, task_id: int) -> dict[str, str]:
    """Read the inputs of a task, in the order they came in."""
    rows = connection.execute("SELECT name, value FROM task_inputs WHERE task = ? ORDER BY rowid", (task_id,))
    return {row["name"]: row["value"] for row in rows}


def find_tasks(connection: sqlite3.Connection, task_type: int, inputs: Mapping[str, str]) -> list[int]:
    """Find the tasks of a type with exactly these inputs, in any order."""
    # All tasks of a type have a dataset or a list of them, which leaves few to compare.
    name, value = next(((n, v) for n, v in inputs.items() if n.startswith("source_data")), ("", ""))
    rows = connection.execute(
        "SELECT tasks.id FROM tasks JOIN task_inputs ON task_inputs.task = tasks.id"
        " WHERE task_type = ? AND name = ? AND value = ? ORDER BY tasks.id",
        (task_type, name, value),
    ).fetchall()
    return [row["id"] for row in rows if get_inputs(connection, row["id"]) == dict(inputs)]


def has_tasks(connection: sqlite3.Connection, dataset_id: int) -> bool:
    """Whether any task is about the dataset."""
    row = connection.execute(
        "SELECT 1 FROM task_inputs WHERE name = 'source_data' AND CAST(value AS INTEGER) = ?", (dataset_id,)
    ).fetchone()
    return row is not None


def delete_inputs(connection: sqlite3.Connection, task_id: int) -> None:
    """Delete the inputs of a task."""
    connection.execute("DELETE FROM task_inputs WHERE task = ?", (task_id,))


def delete_task(connection: sqlite3.Connection, task_id: int) -> bool:
    """Delete a task; False if a suite holds it."""
    try:
        connection.execute("DELETE FROM tasks WHERE id = ?", (task_id,))
    except sqlite3.IntegrityError:
        return False
    return True
