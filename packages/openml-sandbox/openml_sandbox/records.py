"""The rows of the database as values, and the statements that read and write them, inside a transaction."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from openml_sandbox.getcsv import getcsv
from openml_sandbox.settings import Role

# The column of the database, which cuts what is longer without a word.
_MEDIA_TYPE_LENGTH = 32

# What lists of datasets and tasks show of the qualities.
_LISTED = (
    "MajorityClassSize",
    "MinorityClassSize",
    "NumberOfClasses",
    "NumberOfFeatures",
    "NumberOfInstances",
    "NumberOfInstancesWithMissingValues",
    "NumberOfMissingValues",
    "NumberOfNumericFeatures",
    "NumberOfSymbolicFeatures",
)


@dataclass(frozen=True, slots=True)
class User:
    """Who calls."""

    id: int
    role: Role

    @property
    def is_admin(self) -> bool:
        """Whether the user may do what only administrators may."""
        return self.role == "admin"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The bytes of a dataset, as they came."""

    id: int
    filename: str
    size: int
    md5: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Processing:
    """The outcome of the processing step; `error` is None when it went well."""

    processing_date: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Feature:
    """A column, as the processing step found it."""

    position: int
    name: str
    data_type: str
    nominal_values: tuple[str, ...]
    is_target: bool
    is_ignore: bool
    is_row_identifier: bool
    missing_count: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset; `metadata` holds the optional fields of its description, as the server stores them."""

    id: int
    name: str
    version: int
    format: str
    uploader: int
    file_id: int
    upload_date: str
    status: str
    visibility: str
    metadata: dict[str, str]

    def is_visible_to(self, user: User | None) -> bool:
        """Whether the user may see it."""
        return self.visibility == "public" or (user is not None and self.may_be_changed_by(user))

    def may_be_changed_by(self, user: User) -> bool:
        """Whether the user owns it or is an administrator."""
        return user.is_admin or user.id == self.uploader

    def listed(self, field: str) -> list[str]:
        """Read a field of comma-separated values."""
        text = self.metadata.get(field, "")
        return getcsv(text) if text else []


@dataclass(frozen=True, slots=True)
class NewDataset:
    """What a description says about a dataset that is to be made."""

    name: str
    format: str
    description: str
    visibility: str
    metadata: dict[str, str]


def now() -> str:
    """Tell the time in UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(sep=" ", timespec="microseconds")


def to_seconds(moment: str) -> str:
    """Shorten a moment to what the server's database keeps: `2026-11-20 10:42:07`."""
    return moment[: len("2026-11-20 10:42:07")]


def get_or_add_user(connection: sqlite3.Connection, key_digest: str, role: Role) -> User:
    """Find the user of a key, making one at first sight."""
    connection.execute("INSERT INTO users (key_digest) VALUES (?) ON CONFLICT DO NOTHING", (key_digest,))
    row = connection.execute("SELECT id FROM users WHERE key_digest = ?", (key_digest,)).fetchone()
    return User(row["id"], role)


def rename_user(connection: sqlite3.Connection, former: str, key_digest: str) -> None:
    """Let who was known by one digest be known by another, unless that one is somebody already."""
    connection.execute("UPDATE OR IGNORE users SET key_digest = ? WHERE key_digest = ?", (key_digest, former))


def add_file(connection: sqlite3.Connection, filename: str, size: int, md5: str, *, media_type: str) -> int:
    """Insert a file and return its id."""
    statement = "INSERT INTO files (filename, size, md5, media_type) VALUES (?, ?, ?, ?) RETURNING id"
    values = (filename, size, md5, media_type[:_MEDIA_TYPE_LENGTH])
    return int(connection.execute(statement, values).fetchone()["id"])


def get_file(connection: sqlite3.Connection, file_id: int) -> StoredFile | None:
    """Find a file."""
    row = connection.execute("SELECT * FROM files WHERE id = ?", (file_id,)).fetchone()
    return StoredFile(**row) if row else None


def add_dataset(connection: sqlite3.Connection, new: NewDataset, uploader: int, file_id: int) -> int:
    """Insert a dataset with the next version of its name over all users, and return its id."""
    # The version in a description is ignored; names count as equal without regard to case.
    row = connection.execute(
        "SELECT MAX(version) AS last FROM datasets WHERE name = ?", (new.name,)
    ).fetchone()
    dataset_id = connection.execute(
        "INSERT INTO datasets (name, version, format, uploader, file_id, upload_date, visibility, metadata)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            new.name,
            (row["last"] or 0) + 1,
            new.format,
            uploader,
            file_id,
            now(),
            new.visibility,
            json.dumps(new.metadata),
        ),
    ).fetchone()["id"]
    add_description(connection, dataset_id, new.description)
    return int(dataset_id)


def get_dataset(connection: sqlite3.Connection, dataset_id: int | None) -> Dataset | None:
    """Find a dataset."""
    row = connection.execute("SELECT * FROM datasets WHERE id = ?", (dataset_id,)).fetchone()
    return to_dataset(row) if row else None


def get_dataset_of_file(connection: sqlite3.Connection, file_id: int) -> Dataset | None:
    """Find the first dataset that uses a file."""
    row = connection.execute("SELECT * FROM datasets WHERE file_id = ? ORDER BY id", (file_id,)).fetchone()
    return to_dataset(row) if row else None


def to_dataset(row: sqlite3.Row | Mapping[str, Any]) -> Dataset:
    """Make a value of a row of the table of datasets."""
    values = dict(row)
    return Dataset(**{**values, "metadata": json.loads(values["metadata"])})


def delete_dataset(connection: sqlite3.Connection, dataset_id: int) -> None:
    """Delete a dataset and what hangs on it; its file stays, since a fork may use it."""
    connection.execute("DELETE FROM datasets WHERE id = ?", (dataset_id,))


def set_status(connection: sqlite3.Connection, dataset_id: int, status: str) -> None:
    """Change the status of a dataset."""
    connection.execute("UPDATE datasets SET status = ? WHERE id = ?", (status, dataset_id))


def set_metadata(connection: sqlite3.Connection, dataset_id: int, metadata: dict[str, str]) -> None:
    """Replace the optional fields of a dataset."""
    connection.execute("UPDATE datasets SET metadata = ? WHERE id = ?", (json.dumps(metadata), dataset_id))


def add_description(connection: sqlite3.Connection, dataset_id: int, text: str) -> None:
    """Add the next version of the description."""
    connection.execute(
        "INSERT INTO descriptions (dataset, version, text)"
        " SELECT ?, COALESCE(MAX(version), 0) + 1, ? FROM descriptions WHERE dataset = ?",
        (dataset_id, text, dataset_id),
    )


def get_descriptions(connection: sqlite3.Connection, dataset_id: int) -> list[tuple[int, str]]:
    """Read all versions of the description, the newest first."""
    rows = connection.execute(
        "SELECT version, text FROM descriptions WHERE dataset = ? ORDER BY version DESC", (dataset_id,)
    )
    return [(row["version"], row["text"]) for row in rows]


Tagged = Literal["data", "task", "flow", "run"]

_TAG_TABLES: dict[Tagged, tuple[str, str]] = {
    "data": ("tags", "dataset"),
    "task": ("task_tags", "task"),
    "flow": ("flow_tags", "flow"),
    "run": ("run_tags", "run"),
}


def get_tags(connection: sqlite3.Connection, kind: Tagged, entity_id: int) -> dict[str, int]:
    """Read the tags of a thing, in order, with who set them."""
    table, column = _TAG_TABLES[kind]
    query = f"SELECT tag, uploader FROM {table} WHERE {column} = ? ORDER BY tag"  # noqa: S608 - fixed texts
    return {row["tag"]: row["uploader"] for row in connection.execute(query, (entity_id,))}


def get_all_tags(connection: sqlite3.Connection, kind: Tagged) -> list[str]:
    """Read every tag that is in use."""
    table, _ = _TAG_TABLES[kind]
    query = f"SELECT DISTINCT tag FROM {table} ORDER BY tag"  # noqa: S608 - fixed texts
    return [row["tag"] for row in connection.execute(query)]


def add_tag(connection: sqlite3.Connection, kind: Tagged, entity_id: int, tag: str, uploader: int) -> bool:
    """Tag a thing; False if the table refuses (it takes tags that differ in case for one)."""
    table, column = _TAG_TABLES[kind]
    statement = f"INSERT INTO {table} ({column}, tag, uploader) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"  # noqa: S608 - fixed texts
    return connection.execute(statement, (entity_id, tag, uploader)).rowcount > 0


def delete_tag(connection: sqlite3.Connection, kind: Tagged, entity_id: int, tag: str) -> None:
    """Remove a tag."""
    table, column = _TAG_TABLES[kind]
    connection.execute(f"DELETE FROM {table} WHERE {column} = ? AND tag = ?", (entity_id, tag))  # noqa: S608 - fixed texts


def get_processing(connection: sqlite3.Connection, dataset_id: int) -> Processing | None:
    """Read the outcome of the processing step, if it took place."""
    row = connection.execute(
        "SELECT processing_date, error FROM processed WHERE dataset = ?", (dataset_id,)
    ).fetchone()
    return Processing(**row) if row else None


def delete_processing(connection: sqlite3.Connection, dataset_id: int) -> None:
    """Forget the processing step, so that it is done again."""
    connection.execute("DELETE FROM processed WHERE dataset = ?", (dataset_id,))


def add_processing(
    connection: sqlite3.Connection,
    dataset_id: int,
    error: str | None,
    features: Iterable[Feature] = (),
    qualities: Mapping[str, float | None] | None = None,
) -> None:
    """Store the outcome of the processing step."""
    connection.execute("INSERT INTO processed VALUES (?, ?, ?)", (dataset_id, now(), error))
    columns = (
        "position, name, data_type, nominal_values, is_target, is_ignore, is_row_identifier, missing_count"
    )
    connection.executemany(
        f"INSERT INTO features (dataset, {columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - fixed texts
        ((dataset_id, *_feature_values(feature)) for feature in features),
    )
    rows = ((dataset_id, name, value) for name, value in (qualities or {}).items())
    connection.executemany("INSERT INTO qualities VALUES (?, ?, ?)", rows)


def _feature_values(feature: Feature) -> tuple[object, ...]:
    position, name, data_type, nominal_values, *counts = astuple(feature)
    return position, name, data_type, json.dumps(nominal_values), *counts


def get_features(connection: sqlite3.Connection, dataset_id: int) -> list[Feature]:
    """Read the columns of a dataset."""
    rows = connection.execute("SELECT * FROM features WHERE dataset = ? ORDER BY position", (dataset_id,))
    return [_to_feature(row) for row in rows]


def _to_feature(row: sqlite3.Row) -> Feature:
    values = dict(row)
    del values["dataset"]
    flags = {name: bool(values[name]) for name in ("is_target", "is_ignore", "is_row_identifier")}
    return Feature(**{**values, **flags, "nominal_values": tuple(json.loads(values["nominal_values"]))})


def get_qualities(connection: sqlite3.Connection, dataset_id: int) -> dict[str, float | None]:
    """Read the qualities of a dataset."""
    rows = connection.execute(
        "SELECT name, value FROM qualities WHERE dataset = ? ORDER BY name", (dataset_id,)
    )
    return {row["name"]: row["value"] for row in rows}


def get_listed_qualities(connection: sqlite3.Connection, dataset_id: int) -> dict[str, float]:
    """Read those qualities of a dataset that lists show, and that have a value."""
    found = get_qualities(connection, dataset_id)
    return {name: value for name in _LISTED if (value := found.get(name)) is not None}


def get_next_unprocessed(connection: sqlite3.Connection) -> Dataset | None:
    """Find the oldest dataset that the processing step has not seen."""
    row = connection.execute(
        "SELECT * FROM datasets WHERE id NOT IN (SELECT dataset FROM processed)"
        " AND id NOT IN (SELECT dataset FROM held WHERE error IS NULL) ORDER BY id LIMIT 1"
    ).fetchone()
    return to_dataset(row) if row else None


def hold(connection: sqlite3.Connection, dataset_id: int, error: str | None) -> None:
    """Keep the processing step from a dataset (no error), or let it fail once."""
    connection.execute("INSERT INTO held VALUES (?, ?)", (dataset_id, error))


def release(connection: sqlite3.Connection) -> None:
    """Let the processing step see every dataset again."""
    connection.execute("DELETE FROM held WHERE error IS NULL")


def take_processing_error(connection: sqlite3.Connection, dataset_id: int) -> str | None:
    """Read and forget the error that the processing step is to fail with."""
    row = connection.execute("DELETE FROM held WHERE dataset = ? RETURNING error", (dataset_id,)).fetchone()
    return row["error"] if row else None


def get_users(connection: sqlite3.Connection, ids: Iterable[int]) -> list[int]:
    """Find those of the ids that are users."""
    rows = connection.execute(
        "SELECT id FROM users WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps(list(ids)),),
    )
    return [row["id"] for row in rows]
