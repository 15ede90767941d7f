"""A backup is a folder: rows as JSON lines, bytes by their names, SHA-256 of each, and a manifest that is written last.

    manifest.json          which version made it, of which revision of the database; how many rows, files and bytes
    SHA256SUMS             as `sha256sum --check` reads it, of all that follows
    tables/{table}.jsonl   the names of the columns, then a row a line
    files/…                what rows name: parts of uploads, previews, pictures

Until it is whole it has `.partial` behind its name. What was copied then is listed in `copied`, and not copied again.
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from pydantic import BaseModel, Field, ValidationError

from app.backup.site import BackupError
from app.core.hidden import printable
from app.core.system import write_through
from app.db.snapshots import Row
from app.storage.objects import Checksum, LocalObjects, ObjectStore, Stored, copy, is_object_name

FORMAT = 1
MANIFEST, SUMS, COPIED, TABLES, FILES = "manifest.json", "SHA256SUMS", "copied", "tables", "files"
ROWS_AT_ONCE = 200
LONGEST_LINE = 400


LARGEST_NUMBER = 2**62
"""Of a row or of rows: a thousand more has to fit into a column as well."""
Text = Annotated[str, Field(max_length=200)]
Number = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]
_SUM = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<name>[^\n]{1,300})\n", re.ASCII)
_TABLE = re.compile(r"tables/[a-z_]{1,64}\.jsonl", re.ASCII)


class Manifest(BaseModel):
    """What a backup says of itself.

    Attributes:
        format: of the folder.
        version: of the service that made it.
        revision: of the database's tables.
        has_users: whether OpenML's tables are in it, which with MySQL are OpenML's own.
        moment: when the database was as it is here, ISO 8601.
        rows: how many each table has.
        last_ids: the last number of each table that gives none twice.
        files: how many, without those of the tables.
        bytes: of those files.
        lost: names of files that rows name and that were nowhere.
        sums: SHA-256 of `SHA256SUMS`.
    """

    format: int = FORMAT
    version: Text
    revision: Text
    has_users: bool
    moment: Text
    rows: dict[Text, Number]
    last_ids: dict[Text, Number]
    files: Number
    bytes: Number
    lost: list[str]
    sums: str = ""


class Draft:
    """A backup in progress."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._draft = folder.with_name(f"{folder.name}.partial")
        self._objects = LocalObjects(self._draft / FILES, spread=False)
        self._copied: dict[str, Checksum] = {}
        self._named: dict[str, Checksum] = {}
        self._tables: dict[str, str] = {}
        self._journal: BinaryIO | None = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Create the folder, or resume an unfinished one; it is locked for the body.

        Raises:
            BackupError: there is a backup by this name, or somebody makes it, or the folder cannot be made.
        """
        if self._folder.exists():
            raise BackupError(f"{self._folder} is there already. Name a folder that is not.")
        try:
            (self._draft / TABLES).mkdir(parents=True, exist_ok=True, mode=0o700)
            self._draft.chmod(0o700)
            self._journal = _create(self._draft / COPIED, os.O_APPEND)
        except OSError as error:
            raise BackupError(f"{self._draft} cannot be written: {error.strerror}.") from None
        with self._journal:
            try:
                fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupError(f"Another process is writing {self._draft}.") from None
            self._copied = dict(_journal_lines((self._draft / COPIED).read_text()))
            yield

    def begin_round(self) -> None:
        """Clear the list of named files; copies are kept."""
        self._named = {}

    async def take(self, one: Stored, source: ObjectStore) -> None:
        """Copy a file into the backup, unless it was copied before.

        Raises:
            FileNotFoundError: it is not there.
        """
        known = self._copied.get(one.name)
        if (
            known is None
            or one.length not in {None, known.length}
            or await self._objects.length(one.name) != known.length
        ):
            known = await copy(one, source, self._objects)
            assert self._journal is not None  # noqa: S101 - it is open
            self._journal.write(f"{known.sha256} {known.length} {one.name}\n".encode())
            self._journal.flush()
            self._copied[one.name] = known
        self._named[one.name] = known

    async def write_table(self, name: str, columns: Sequence[str], rows: AsyncIterator[list[Row]]) -> int:
        """Write the rows of a table; return how many there are."""
        path, sha256, count = self._draft / TABLES / f"{name}.jsonl", hashlib.sha256(), 0
        with _create(path, os.O_TRUNC) as file:
            heading = _line(columns)
            sha256.update(heading)
            file.write(heading)
            async for some in rows:
                lines = b"".join(map(_line, some))
                sha256.update(lines)
                file.write(lines)
                count += len(some)
            file.flush()
            write_through(file.fileno())
        self._tables[f"{TABLES}/{name}.jsonl"] = sha256.hexdigest()
        return count

    @property
    def files(self) -> int:
        """How many files are named."""
        return len(self._named)

    @property
    def bytes(self) -> int:
        """How many bytes they have."""
        return sum(each.length for each in self._named.values())

    def finish(self, manifest: Manifest) -> None:
        """Remove what is not named any more, write checksums and manifest, and give the folder its name."""
        for path in list((self._draft / FILES).rglob("*")):
            # Named by an earlier snapshot, or half of a file.
            if path.is_file() and str(path.relative_to(self._draft / FILES)) not in self._named:
                path.unlink()
        sums = {**self._tables, **{f"{FILES}/{name}": each.sha256 for name, each in self._named.items()}}
        text = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()
        _write(self._draft / SUMS, text)
        (self._draft / COPIED).unlink()
        told = manifest.model_copy(update={"sums": hashlib.sha256(text).hexdigest()})
        _write(self._draft / MANIFEST, told.model_dump_json(indent=2).encode())
        self._draft.rename(self._folder)
        _sync_folder(self._folder.parent)


class Backup:
    """A finished backup, according to its manifest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.manifest = _read_manifest(folder)
        self.objects = LocalObjects(folder / FILES, spread=False)

    def verify(self) -> None:
        """Return if every file is there as it was written; blocking.

        Raises:
            BackupError: one is not; the text names it.
        """
        if _sha256(self._folder / SUMS) != self.manifest.sums:
            raise BackupError(f"{self._folder / SUMS} is not as it was written.")
        for name, sha256 in self._sums():
            if self._is_elsewhere(name) or _sha256(self._folder / name) != sha256:
                raise BackupError(f"{self._folder / name} is not as it was written. Take another backup.")
        listed = {name for name, _ in self._sums() if name.startswith(f"{TABLES}/")}
        if listed != {f"{TABLES}/{table}.jsonl" for table in self.manifest.rows}:
            raise BackupError(f"{self._folder / MANIFEST} names other tables than {SUMS}.")

    def files(self) -> Iterator[tuple[Stored, str]]:
        """Yield each file, and its SHA-256."""
        for name, sha256 in self._sums():
            kind, _, rest = name.partition("/")
            if kind == FILES:
                yield Stored(rest, (self._folder / name).stat().st_size), sha256

    async def columns(self, table: str) -> list[str]:
        """Return the columns of a table here.

        Raises:
            BackupError: they are none.
        """
        with self._open(table) as file:
            columns = _values(file.readline(), table)
        if (
            not columns
            or not all(isinstance(each, str) for each in columns)
            or len(set(columns)) < len(columns)
        ):
            raise BackupError(f"{table} has no columns in this backup, which somebody has changed.")
        return [str(each) for each in columns]

    async def rows(self, table: str) -> AsyncIterator[list[Row]]:
        """Yield the rows of a table, some at a time.

        Raises:
            BackupError: one is none.
        """
        width = len(await self.columns(table))
        with self._open(table) as file:
            file.readline()
            some: list[Row] = []
            for line in file:
                some.append(_values(line, table))
                if len(some[-1]) != width:
                    raise BackupError(f"A row of {table} has not as many values as there are columns.")
                if len(some) == ROWS_AT_ONCE:
                    yield some
                    some = []
            if some:
                yield some

    def _open(self, table: str) -> BinaryIO:
        return (self._folder / TABLES / f"{table}.jsonl").open("rb")

    def _sums(self) -> Iterator[tuple[str, str]]:
        with (self._folder / SUMS).open(encoding="ascii", errors="replace") as file:
            while line := file.readline(LONGEST_LINE):
                found = _SUM.fullmatch(line)
                name = found["name"] if found else ""
                if found is None or not (
                    _TABLE.fullmatch(name) or is_object_name(name.removeprefix(f"{FILES}/"))
                ):
                    raise BackupError(
                        f"{self._folder / SUMS} is not as it was written: {printable(line[:100])}"
                    )
                yield name, found["sha256"]

    def _is_elsewhere(self, name: str) -> bool:
        """Say whether a file is none of this folder's own: a link may lead anywhere."""
        path = self._folder / name
        return not path.is_file() or path.resolve() != self._folder.resolve() / name


def _read_manifest(folder: Path) -> Manifest:
    try:
        text = (folder / MANIFEST).read_bytes()
    except OSError as error:
        hint = " It was never finished." if folder.name.endswith(".partial") else ""
        raise BackupError(f"{folder} is no backup: {MANIFEST}: {error.strerror}.{hint}") from None
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError:
        raise BackupError(f"{folder / MANIFEST} is not as it was written.") from None
    if manifest.format != FORMAT:
        raise BackupError(f"{folder} was made by a newer version of the service ({manifest.version}).")
    return manifest


def _values(line: bytes, table: str) -> Row:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or any(isinstance(each, list | dict) for each in found):
        raise BackupError(f"A line of {table} is no row. Somebody has changed the backup.")
    return tuple(found)


def _journal_lines(text: str) -> Iterator[tuple[str, Checksum]]:
    for line in text.splitlines():
        sha256, _, rest = line.partition(" ")
        length, _, name = rest.partition(" ")
        if name and length.isdigit():  # The last line may be half of one.
            yield name, Checksum(int(length), sha256)


def _line(values: Sequence[Any]) -> bytes:
    return (
        json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
    )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}") from None


def _create(path: Path, flags: int) -> BinaryIO:
    return os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600),
        "ab" if flags & os.O_APPEND else "wb",
        buffering=0,
    )


def _write(path: Path, content: bytes) -> None:
    with _create(path, os.O_TRUNC) as file:
        file.write(content)
        file.flush()
        write_through(file.fileno())
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
