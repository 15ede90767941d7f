"""Statements about runs and their evaluations, inside a transaction."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from openml_sandbox.records import now

# Where the numbers of the runs begin that are sent; the first ten were there before.
_FIRST = 8001


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was sent."""

    id: int
    flow: int
    setup: int
    task: int
    uploader: int
    start_time: str
    error_message: str
    run_details: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A measure of a run, or of a fold of it; a list of values, or a table, is `array_data`."""

    function: str
    value: float | None = None
    array_data: str | None = None
    repeat: int | None = None
    fold: int | None = None


def add_run(
    connection: sqlite3.Connection,
    *,
    flow: int,
    setup: int,
    task: int,
    uploader: int,
    error_message: str,
    run_details: str,
) -> int:
    """Insert a run and return its id."""
    row = connection.execute("SELECT MAX(id) + 1 AS next FROM runs").fetchone()
    run_id = max(int(row["next"]), _FIRST)
    connection.execute("INSERT INTO runs VALUES (?, ?, ?)", (run_id, flow, setup))
    connection.execute(
        "INSERT INTO sent_runs VALUES (?, ?, ?, ?, ?, ?)",
        (run_id, task, uploader, now(), error_message, run_details),
    )
    return run_id


def get_run(connection: sqlite3.Connection, run_id: int | None) -> Run | None:
    """Find a run that was sent."""
    query = (
        "SELECT id, flow, setup, task, uploader, start_time, error_message, run_details"
        " FROM runs JOIN sent_runs ON run = id WHERE id = ?"
    )
    row = connection.execute(query, (run_id,)).fetchone()
    return Run(**row) if row else None


def has_runs(connection: sqlite3.Connection, task_id: int) -> bool:
    """Whether a run was sent for the task."""
    return connection.execute("SELECT 1 FROM sent_runs WHERE task = ?", (task_id,)).fetchone() is not None


def add_run_file(connection: sqlite3.Connection, run_id: int, field: str, file_id: int) -> None:
    """Attach a file to a run."""
    connection.execute("INSERT INTO run_files VALUES (?, ?, ?)", (run_id, field, file_id))


def get_run_files(connection: sqlite3.Connection, run_id: int) -> dict[str, int]:
    """Read the names and the ids of a run's files."""
    rows = connection.execute("SELECT field, file_id FROM run_files WHERE run = ? ORDER BY rowid", (run_id,))
    return {row["field"]: row["file_id"] for row in rows}


def get_next_unevaluated(connection: sqlite3.Connection) -> Run | None:
    """Find the oldest run that was not looked at."""
    row = connection.execute(
        "SELECT MIN(run) AS run FROM sent_runs WHERE run NOT IN (SELECT run FROM evaluated)"
    ).fetchone()
    return get_run(connection, row["run"])


def add_evaluations(
    connection: sqlite3.Connection, run_id: int, error: str | None, found: Iterable[Evaluation] = ()
) -> None:
    """Store what a run came to."""
    connection.execute("INSERT INTO evaluated VALUES (?, ?)", (run_id, error))
    connection.executemany(
        "INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?)",
        ((run_id, each.function, each.repeat, each.fold, each.value, each.array_data) for each in found),
    )


def get_evaluation_error(connection: sqlite3.Connection, run_id: int) -> str | None:
    """Read why a run could not be evaluated."""
    row = connection.execute("SELECT error FROM evaluated WHERE run = ?", (run_id,)).fetchone()
    return row["error"] if row else None


def get_evaluations(connection: sqlite3.Connection, run_id: int) -> list[Evaluation]:
    """Read the evaluations of a run: of all of it, then of each fold."""
    query = (
        "SELECT function, value, array_data, repeat, fold FROM evaluations WHERE run = ?"
        " ORDER BY repeat IS NOT NULL, repeat, fold, function"
    )
    return [Evaluation(**row) for row in connection.execute(query, (run_id,))]
