"""What the sandbox keeps on disk: one SQLite file, one folder of files, one folder of parts still arriving."""

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key_digest TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    filename TEXT NOT NULL,
    size INTEGER NOT NULL,
    md5 TEXT NOT NULL,
    media_type TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS datasets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL COLLATE NOCASE,
    version INTEGER NOT NULL,
    format TEXT NOT NULL,
    uploader INTEGER NOT NULL REFERENCES users (id),
    file_id INTEGER NOT NULL REFERENCES files (id),
    upload_date TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'in_preparation',
    visibility TEXT NOT NULL,
    metadata TEXT NOT NULL,
    UNIQUE (name, version)
);
CREATE TABLE IF NOT EXISTS descriptions (
    dataset INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (dataset, version)
);
CREATE TABLE IF NOT EXISTS tags (
    dataset INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    tag TEXT NOT NULL COLLATE NOCASE,
    uploader INTEGER NOT NULL REFERENCES users (id),
    PRIMARY KEY (dataset, tag)
);
CREATE TABLE IF NOT EXISTS processed (
    dataset INTEGER PRIMARY KEY REFERENCES datasets (id) ON DELETE CASCADE,
    processing_date TEXT NOT NULL,
    error TEXT
);
CREATE TABLE IF NOT EXISTS features (
    dataset INTEGER NOT NULL REFERENCES processed (dataset) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    data_type TEXT NOT NULL,
    nominal_values TEXT NOT NULL,
    is_target INTEGER NOT NULL,
    is_ignore INTEGER NOT NULL,
    is_row_identifier INTEGER NOT NULL,
    missing_count INTEGER NOT NULL,
    PRIMARY KEY (dataset, position)
);
CREATE TABLE IF NOT EXISTS qualities (
    dataset INTEGER NOT NULL REFERENCES processed (dataset) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value REAL,
    PRIMARY KEY (dataset, name)
);
-- What a fault keeps the processing step from: for ever (no error), or from succeeding once.
CREATE TABLE IF NOT EXISTS held (
    dataset INTEGER PRIMARY KEY REFERENCES datasets (id) ON DELETE CASCADE,
    error TEXT
);
CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_type INTEGER NOT NULL,
    creator INTEGER NOT NULL REFERENCES users (id),
    creation_date TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS task_inputs (
    task INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (task, name)
);
CREATE INDEX IF NOT EXISTS task_inputs_value ON task_inputs (name, value);
CREATE TABLE IF NOT EXISTS task_tags (
    task INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    tag TEXT NOT NULL COLLATE NOCASE,
    uploader INTEGER NOT NULL REFERENCES users (id),
    PRIMARY KEY (task, tag)
);
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY,
    flow INTEGER NOT NULL,
    setup INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS flows (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    external_version TEXT NOT NULL,
    uploader INTEGER NOT NULL REFERENCES users (id),
    upload_date TEXT NOT NULL,
    metadata TEXT NOT NULL,
    UNIQUE (name, version)
);
CREATE TABLE IF NOT EXISTS flow_parameters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    flow INTEGER NOT NULL REFERENCES flows (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    data_type TEXT NOT NULL,
    default_value TEXT NOT NULL,
    description TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS flow_parameters_flow ON flow_parameters (flow, name);
CREATE TABLE IF NOT EXISTS flow_components (
    parent INTEGER NOT NULL REFERENCES flows (id) ON DELETE CASCADE,
    identifier TEXT NOT NULL,
    child INTEGER NOT NULL REFERENCES flows (id)
);
CREATE INDEX IF NOT EXISTS flow_components_parent ON flow_components (parent);
CREATE TABLE IF NOT EXISTS flow_tags (
    flow INTEGER NOT NULL REFERENCES flows (id) ON DELETE CASCADE,
    tag TEXT NOT NULL COLLATE NOCASE,
    uploader INTEGER NOT NULL REFERENCES users (id),
    PRIMARY KEY (flow, tag)
);
-- A flow with values of its parameters; `settings` is JSON of their ids and values.
CREATE TABLE IF NOT EXISTS setups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    flow INTEGER NOT NULL REFERENCES flows (id),
    settings TEXT NOT NULL,
    setup_string TEXT NOT NULL,
    UNIQUE (flow, settings)
);
-- What is known of the runs that were sent; the first ten were not.
CREATE TABLE IF NOT EXISTS sent_runs (
    run INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    task INTEGER NOT NULL REFERENCES tasks (id),
    uploader INTEGER NOT NULL REFERENCES users (id),
    start_time TEXT NOT NULL,
    error_message TEXT NOT NULL,
    run_details TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS sent_runs_task ON sent_runs (task);
CREATE TABLE IF NOT EXISTS run_files (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    field TEXT NOT NULL,
    file_id INTEGER NOT NULL REFERENCES files (id),
    PRIMARY KEY (run, field)
);
CREATE TABLE IF NOT EXISTS run_tags (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    tag TEXT NOT NULL COLLATE NOCASE,
    uploader INTEGER NOT NULL REFERENCES users (id),
    PRIMARY KEY (run, tag)
);
CREATE TABLE IF NOT EXISTS evaluated (
    run INTEGER PRIMARY KEY REFERENCES sent_runs (run) ON DELETE CASCADE,
    error TEXT
);
-- Of a whole run (no repeat, no fold), or of a fold of it.
CREATE TABLE IF NOT EXISTS evaluations (
    run INTEGER NOT NULL REFERENCES evaluated (run) ON DELETE CASCADE,
    function TEXT NOT NULL,
    repeat INTEGER,
    fold INTEGER,
    value REAL,
    array_data TEXT
);
CREATE INDEX IF NOT EXISTS evaluations_function ON evaluations (function, run);
CREATE TABLE IF NOT EXISTS studies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    alias TEXT UNIQUE COLLATE NOCASE,
    main_entity_type TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'in_preparation',
    creator INTEGER NOT NULL REFERENCES users (id),
    creation_date TEXT NOT NULL
);
-- A task in a suite cannot be deleted, as on the real server.
CREATE TABLE IF NOT EXISTS study_tasks (
    study INTEGER NOT NULL REFERENCES studies (id) ON DELETE CASCADE,
    entity INTEGER NOT NULL REFERENCES tasks (id),
    PRIMARY KEY (study, entity)
);
CREATE TABLE IF NOT EXISTS study_runs (
    study INTEGER NOT NULL REFERENCES studies (id) ON DELETE CASCADE,
    entity INTEGER NOT NULL REFERENCES runs (id),
    PRIMARY KEY (study, entity)
);
-- Each kind is numbered apart, so that nobody takes one id for the other.
INSERT INTO sqlite_sequence (name, seq)
    SELECT start.name, start.seq
    FROM (
        SELECT 'files' AS name, 5000 AS seq UNION SELECT 'tasks', 1000 UNION SELECT 'studies', 100
        UNION SELECT 'flows', 2000 UNION SELECT 'setups', 3000 UNION SELECT 'flow_parameters', 4000
    ) AS start
    WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence AS known WHERE known.name = start.name);
-- Ten runs are there from the start, so that a study has something to hold: of one flow, with a setup each, of no task.
WITH RECURSIVE number (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM number WHERE id < 10)
    INSERT OR IGNORE INTO runs (id, flow, setup) SELECT id, 1, id FROM number;
"""

# What makes of a database of before, in which files had no media type and every quality a value, one of today.
_UPGRADE = """
ALTER TABLE files ADD COLUMN media_type TEXT NOT NULL DEFAULT '';
ALTER TABLE qualities RENAME TO qualities_before;
"""
_UPGRADED = """
INSERT INTO qualities SELECT * FROM qualities_before;
DROP TABLE qualities_before;
"""

_FOLDER_MODULO = 10_000


class Store:
    """The database and the folders; every call blocks and belongs in a worker thread."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @property
    def incoming_dir(self) -> Path:
        """Where parts of uploads are kept while they arrive; emptied at each start."""
        return self._data_dir / "incoming"

    def open(self) -> None:
        """Make what is missing, and remove what a killed process left behind."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        # What is in there belongs to no dataset: a file leaves the folder in the transaction that publishes it.
        shutil.rmtree(self.incoming_dir, ignore_errors=True)
        self.incoming_dir.mkdir()
        connection = sqlite3.connect(
            self._data_dir / "sandbox.sqlite3", isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        # A killed process loses nothing in this mode; only a power cut could cost the last commits.
        connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
        )
        columns = {row["name"] for row in connection.execute("PRAGMA table_info(files)")}
        is_of_before = bool(columns) and "media_type" not in columns
        connection.executescript(f"{_UPGRADE}{_SCHEMA}{_UPGRADED}" if is_of_before else _SCHEMA)
        self._connection = connection

    def close(self) -> None:
        """Close the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the one connection; the work is committed as a whole, or not at all."""
        # SQLite has one writer at a time anyway, and a version that was counted has to be used before the next one
        # is: so every unit of work, reading ones too, waits for its turn.
        with self._lock:
            if self._connection is None:
                raise RuntimeError("the store is closed")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def file_path(self, file_id: int) -> Path:
        """Tell where a stored file is; its given name is not used on disk."""
        bucket = file_id // _FOLDER_MODULO * _FOLDER_MODULO
        return self._data_dir / "dataset_structured" / str(bucket) / str(file_id) / "dataset.arff"
