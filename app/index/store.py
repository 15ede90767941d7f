"""The file of the index: its tables, and what is written there. Everything here blocks: call it in a thread.

`entry` has a narrow row for each document, with the columns that lists are filtered and sorted by; `slice` has these as
bitmaps (app/index/bitmaps.py); `body` the document itself; `words_KIND` the words of those of one kind (FTS5, without
the texts); `link` its tags and collections.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from app.index import bitmaps
from app.index.cleaning import clean
from app.index.fields import COLUMNS, KINDS, NUMERIC_COLUMNS, SHELVES, columns_of, links_of, words_of
from app.index.reading import BUSY_SECONDS

LAYOUT: Final = 4
"""Rises with any change of the tables or of what is written to them; a file of another number is made anew."""
WRITER_CACHE_KIB = 64_000
CHECKPOINT_PAGES = 10_000
"""Of 4 KiB: a page that is written often is written to the file once in a while."""
DELETED_AT_ONCE: Final = 1000
OWN: Final = "own"
"""Stands for a kind where it is noted who looks, whose private datasets are to be read."""
_TYPES: Final = {column: "NUMERIC" if column in NUMERIC_COLUMNS else "TEXT" for column in COLUMNS}
_COLUMNS_MADE: Final = ", ".join(f"{name} {kind}" for name, kind in _TYPES.items())
_ENTRY_VALUES: Final = ", ".join("?" * (5 + len(_TYPES)))
_TABLES: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    f"""CREATE TABLE entry (row INTEGER PRIMARY KEY, shelf INTEGER NOT NULL, id TEXT NOT NULL,
        pass INTEGER NOT NULL, detailed INTEGER NOT NULL, {_COLUMNS_MADE})""",
    "CREATE TABLE body (row INTEGER PRIMARY KEY, source TEXT NOT NULL)",
    """CREATE TABLE link (field TEXT NOT NULL, value TEXT NOT NULL, row INTEGER NOT NULL,
        PRIMARY KEY (field, value, row)) WITHOUT ROWID""",
    "CREATE TABLE tally (shelf INTEGER NOT NULL, status TEXT, count INTEGER NOT NULL)",
    """CREATE TABLE member (study INTEGER NOT NULL, shelf INTEGER NOT NULL, id TEXT NOT NULL,
        PRIMARY KEY (study, shelf, id)) WITHOUT ROWID""",
    "CREATE TABLE wanted (kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID",
    *bitmaps.TABLES,
    *(
        f"""CREATE VIRTUAL TABLE words_{kind} USING fts5(name, more, body, content='', prefix='1 2 3',
            tokenize='porter unicode61 remove_diacritics 2')"""
        for kind in KINDS
    ),
)
_INDICES: Final = (
    "CREATE UNIQUE INDEX entry_id ON entry (id, abs(shelf))",
    "CREATE INDEX entry_number ON entry (shelf, number)",
    "CREATE INDEX entry_name ON entry (shelf, name)",
    "CREATE INDEX entry_owner ON entry (owner, shelf)",
    "CREATE INDEX entry_listed ON entry (shelf) WHERE detailed = 0",
    "CREATE INDEX link_row ON link (row)",
    "CREATE INDEX member_of ON member (shelf, id)",
)


class Put(NamedTuple):
    """A document that is to be kept.

    Attributes:
        kind: one of `KINDS`.
        id: as addresses have it.
        document: its fields.
        public: whether everybody may see it; else its uploader alone.
        detailed: whether it is whole, or what a list says of it.
    """

    kind: str
    id: str
    document: Mapping[str, Any]
    public: bool = True
    detailed: bool = True


def path_in(data_dir: Path) -> Path:
    """Return where the index of a `DATA_DIR` is."""
    return data_dir / "index" / f"search-{LAYOUT}.db"


class Store:
    """The one who writes; others may read meanwhile (WAL)."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        # What is lost with the machine is fetched again.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        self._counted: Counter[tuple[int, object]] = Counter()
        """Documents by shelf and status that were added or removed since the last transaction."""
        self._changes = 0
        self._bitmaps = bitmaps.BitmapWriter(self._connection)
        self._words: list[tuple[str, tuple[object, ...]]] = []
        """Statements on the words that this transaction ends with.

        FTS5 writes what it has gathered with each savepoint, and SQLite sets one for most statements on other
        tables: between them, every document would be a segment of its own, to be merged again and again.
        """
        with self.writing():
            self._make()
        self._number = path.stat().st_ino

    def is_current(self) -> bool:
        """Say whether the file still is where it was opened: `openml-web index rebuild` puts another one there."""
        try:
            return self.path.stat().st_ino == self._number
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write everything that the body writes, or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._write_counts()
            self._bitmaps.write()
            for statement, values in self._words:
                self._connection.execute(statement, values)
        except BaseException:
            self._counted.clear()
            self._changes = 0
            self._bitmaps.forget()
            self._connection.execute("ROLLBACK")
            raise
        finally:
            self._words.clear()
        self._connection.execute("COMMIT")

    def put(self, documents: Iterable[Put], *, number_of_pass: int = 0) -> int:
        """Keep documents; of one that is whole already, what a list says is merged into it. Return how many changed."""
        return sum(self._put(item, number_of_pass) for item in documents)

    def get(self, kind: str, document_id: str) -> dict[str, Any] | None:
        """Return a document, whoever may see it."""
        found = self._find(kind, document_id)
        return self._source(found[0]) if found else None

    def delete(self, kind: str, document_id: str) -> bool:
        """Remove a document; False if it is not there."""
        found = self._find(kind, document_id)
        if found is None:
            return False
        self._forget_words(kind, found[0])
        self._uncount(found[0])
        self._bitmaps.remove(found[0])
        for table in ("entry", "body", "link"):
            self._connection.execute(f"DELETE FROM {table} WHERE row = ?", (found[0],))  # noqa: S608 - fixed
        self._changes += 1
        return True

    def delete_all(self, kind: str) -> None:
        """Remove all documents of a kind, some in each transaction."""
        some = "SELECT id FROM entry WHERE shelf IN (?, ?) LIMIT ?"
        values = (SHELVES[kind], -SHELVES[kind], DELETED_AT_ONCE)
        while rows := self._connection.execute(some, values).fetchall():
            with self.writing():
                for (document_id,) in rows:
                    self.delete(kind, document_id)

    def set_members(self, study_id: int, members: Mapping[str, Iterable[int]]) -> None:
        """Note which documents a collection holds, by their kind."""
        self._connection.execute("DELETE FROM member WHERE study = ?", (study_id,))
        self._connection.executemany(
            "INSERT OR IGNORE INTO member VALUES (?, ?, ?)",
            [
                (study_id, SHELVES[kind], str(number))
                for kind, numbers in members.items()
                for number in numbers
            ],
        )
        self._changes += 1

    def get_meta(self, name: str, default: str = "") -> str:
        """Return what is noted under a name."""
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else default

    def set_meta(self, name: str, value: object) -> None:
        """Note something under a name."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, str(value)))

    def clear(self) -> None:
        """Remove all documents and notes."""
        for table in ("entry", "body", "link", "member", "tally", "wanted", "meta", "slice", "label"):
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - fixed names
        self._counted.clear()
        self._words.clear()
        self._bitmaps.forget()
        for kind in KINDS:
            self._connection.execute(f"INSERT INTO words_{kind}(words_{kind}) VALUES ('delete-all')")  # noqa: S608 - our names only

    def unseen(self, kind: str, number_of_pass: int, *, after: int, limit: int) -> list[tuple[int, str]]:
        """Return the next rows and ids, after a row, of documents that a pass over the lists has not seen."""
        # In the order of the rows a million of them are read in a fifth of a second, by an index in three.
        return self._connection.execute(
            "SELECT row, id FROM entry NOT INDEXED WHERE row > ? AND shelf = ? AND pass < ? ORDER BY row LIMIT ?",
            (after, SHELVES[kind], number_of_pass, limit),
        ).fetchall()

    def take_wanted(self, kind: str) -> list[str]:
        """Return what somebody looks at, and forget it."""
        found = [row[0] for row in self._connection.execute("SELECT id FROM wanted WHERE kind = ?", (kind,))]
        self._connection.execute("DELETE FROM wanted WHERE kind = ?", (kind,))
        return found

    def has_wishes(self) -> bool:
        """Say whether anything is looked at, or known by a list's line only."""
        question = "SELECT EXISTS (SELECT 1 FROM wanted) OR EXISTS (SELECT 1 FROM entry WHERE detailed = 0)"
        return bool(self._connection.execute(question).fetchone()[0])

    def private_of(self, kind: str, user_id: int) -> list[str]:
        """Return the ids of somebody's private documents."""
        rows = self._connection.execute(
            "SELECT id FROM entry WHERE owner = ? AND shelf = ?", (user_id, -SHELVES[kind])
        )
        return [row[0] for row in rows]

    def without_details(self, kind: str, *, limit: int) -> list[str]:
        """Return the newest documents of which only a list's line is known; wanted ones come first."""
        wanted = "SELECT id FROM wanted WHERE kind = ? LIMIT ?"
        found = [row[0] for row in self._connection.execute(wanted, (kind, limit))]
        self._connection.execute("DELETE FROM wanted WHERE kind = ?", (kind,))
        rows = self._connection.execute(
            "SELECT id FROM entry WHERE detailed = 0 AND shelf = ? ORDER BY row DESC LIMIT ?",
            (SHELVES[kind], limit),
        )
        return list(dict.fromkeys([*found, *(row[0] for row in rows)]))[:limit]

    def count(self) -> dict[str, int]:
        """Return how many documents there are of each kind, private ones included."""
        rows = self._connection.execute("SELECT abs(shelf), count(*) FROM entry GROUP BY abs(shelf)")
        return {KINDS[number - 1]: count for number, count in rows}

    def note_detailed(self, kind: str, document_id: str) -> None:
        """Ask no more for the details of a document: it has none."""
        self._connection.execute(
            "UPDATE entry SET detailed = 1 WHERE id = ? AND abs(shelf) = ?", (document_id, SHELVES[kind])
        )

    def note_seen(self, kind: str, document_id: str, number_of_pass: int) -> None:
        """Note that a pass has met a document."""
        self._connection.execute(
            "UPDATE entry SET pass = ? WHERE id = ? AND abs(shelf) = ?",
            (number_of_pass, document_id, SHELVES[kind]),
        )

    def _make(self) -> None:
        is_there = self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
        for statement in () if is_there else (*_TABLES, *_INDICES):
            self._connection.execute(statement)

    def _find(self, kind: str, document_id: str) -> tuple[int, int] | None:
        row = self._connection.execute(
            "SELECT row, detailed FROM entry WHERE id = ? AND abs(shelf) = ?", (document_id, SHELVES[kind])
        ).fetchone()
        return (row[0], row[1]) if row else None

    def _source(self, row: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self._connection.execute("SELECT source FROM body WHERE row = ?", (row,)).fetchone()[0]
        )
        return found

    def _put(self, item: Put, number_of_pass: int) -> bool:
        document = {**clean(item.document), "visibility": "public" if item.public else "private"}
        found = self._find(item.kind, item.id)
        detailed = item.detailed
        if found is not None:
            row, was_detailed = found
            before = self._source(row)
            if was_detailed and not item.detailed:
                document = {**before, **document, **_merged(before, document)}
                detailed = True
            if document == before and detailed == bool(was_detailed):
                self._connection.execute("UPDATE entry SET pass = ? WHERE row = ?", (number_of_pass, row))
                return False
            self._forget_words(item.kind, row)
            self._uncount(row)
            self._connection.execute("DELETE FROM link WHERE row = ?", (row,))
        self._write(item, document, detailed=detailed, number_of_pass=number_of_pass, row=found and found[0])
        self._changes += 1
        return True

    def _write(
        self, item: Put, document: dict[str, Any], *, detailed: bool, number_of_pass: int, row: int | None
    ) -> None:
        shelf = SHELVES[item.kind] if item.public else -SHELVES[item.kind]
        columns = columns_of(item.kind, document)
        self._counted[shelf, columns["status"]] += 1
        values = [row, shelf, item.id, number_of_pass, int(detailed), *columns.values()]
        row = self._connection.execute(
            f"INSERT OR REPLACE INTO entry VALUES ({_ENTRY_VALUES})",  # noqa: S608 - question marks
            values,
        ).lastrowid
        self._bitmaps.put(int(row or 0), {"shelf": shelf, **columns})
        source = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        self._connection.execute("INSERT OR REPLACE INTO body VALUES (?, ?)", (row, source))
        self._connection.executemany(
            "INSERT OR IGNORE INTO link VALUES (?, ?, ?)", [(*link, row) for link in links_of(document)]
        )
        statement = f"INSERT INTO words_{item.kind} (rowid, name, more, body) VALUES (?, ?, ?, ?)"  # noqa: S608 - fixed
        self._words.append((statement, (row, *words_of(item.kind, document))))

    def _forget_words(self, kind: str, row: int) -> None:
        # FTS5 without texts is told what the words were.
        statement = (
            f"INSERT INTO words_{kind} (words_{kind}, rowid, name, more, body) VALUES ('delete', ?, ?, ?, ?)"  # noqa: S608 - our names only
        )
        self._words.append((statement, (row, *words_of(kind, self._source(row)))))

    def _uncount(self, row: int) -> None:
        shelf, status = self._connection.execute(
            "SELECT shelf, status FROM entry WHERE row = ?", (row,)
        ).fetchone()
        self._counted[shelf, status] -= 1

    def _write_counts(self) -> None:
        """Write how many there are now, so that the side bar's numbers need not look at a million documents."""
        for (shelf, status), by in self._counted.items():
            changed = self._connection.execute(
                "UPDATE tally SET count = count + ? WHERE shelf = ? AND status IS ?", (by, shelf, status)
            )
            if not changed.rowcount:
                self._connection.execute("INSERT INTO tally VALUES (?, ?, ?)", (shelf, status, by))
        self._counted.clear()
        if self._changes:
            self._connection.execute(
                "INSERT INTO meta VALUES ('generation', ?)"
                " ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + excluded.value",
                (self._changes,),
            )
        self._changes = 0


def _merged(before: Mapping[str, Any], listed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the objects that both have, each with the parts of both: a list shows few of the qualities."""
    return {
        name: {**before[name], **value}
        for name, value in listed.items()
        if isinstance(value, dict) and isinstance(before.get(name), dict)
    }


def want(path: Path, kind: str, document_id: str) -> None:
    """Note that somebody looks at a document of which only a list's line is known."""
    with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
        connection.execute("INSERT OR IGNORE INTO wanted VALUES (?, ?)", (kind, document_id))


def remove_others(path: Path) -> None:
    """Remove the files of indices with another layout."""
    for other in path.parent.glob("search-*.db*"):
        if not other.name.startswith(f"{path.name}"):
            other.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove an index; whoever has it open reads on in what is gone."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
