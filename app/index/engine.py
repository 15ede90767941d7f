"""The index as the service asks it: in threads of its own, each search with a bound, the same for every process."""

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar

import structlog

from app.core.concurrency import BoundedExecutor
from app.core.errors import TooBusyError
from app.core.shares import Shares, ShareUsedUpError, Subject
from app.index import catalogue
from app.index.catalogue import Filters, Results, Wanted
from app.index.cleaning import clean
from app.index.reading import ReadingConnection, open_reader
from app.index.search import SearchTooLongError, search
from app.index.shaping import decorate
from app.index.status import IndexStatus, status_of
from app.index.store import OWN, Put, want

log = structlog.get_logger(__name__)
T = TypeVar("T")
THREADS: Final = 2
"""Most of a search over many documents is Python's arithmetic, of which one thread at a time does some: more of them
answer no more, and keep the event loop waiting twice as long."""
WAITING: Final = 200
PLACES: Final = 16
"""Searches that are carried out or wait for a thread; no network has more of them than it leaves to the others."""
PLACE_SECONDS: Final = 2.0
SEARCH_SECONDS: Final = 2.0
"""What one search may take of the processor."""
LONGEST_SECONDS: Final = 10.0
"""And in all."""
OURSELVES: Final[Subject] = ("this service",)
OWN_SECONDS: Final = 60.0
"""How often it is looked for the private datasets of somebody who searches."""
OWNERS_KEPT: Final = 10_000


class IndexUnavailableError(Exception):
    """The index gives no answer to this; the text says why."""


class SearchIndex:
    """Reads the index of this machine; one for each process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.executor = BoundedExecutor("index", threads=THREADS, queue=WAITING)
        self._shares = Shares(PLACES)
        self._readers = _Readers(path)
        self._looked: OrderedDict[int, float] = OrderedDict()
        """When who signed in has looked last, as far as that was noted."""
        self.on_want: Callable[[], None] = lambda: None
        """Called when somebody looks who, or at what, is not known whole."""

    def close(self) -> None:
        """Close all connections; what runs ends first."""
        self.executor.close()
        self._readers.close()

    async def search(
        self,
        kinds: tuple[str, ...],
        question: Mapping[str, Any],
        *,
        viewer_id: int | None = None,
        asker: Subject = OURSELVES,
    ) -> dict[str, Any]:
        """Return the answer to a search, in Elasticsearch's form.

        Args:
            kinds: of documents that are searched, of `fields.KINDS`.
            question: as `app.web.search_query` translates one.
            viewer_id: who asks, and sees their own private documents; None: nobody who signed in.
            asker: the networks that ask.

        Raises:
            IndexUnavailableError: there is no answer.
        """
        found = await self._run(asker, search, kinds, question, viewer_id)
        await self._note_owner(viewer_id)
        return found

    async def get(
        self, kind: str, document_id: str, *, viewer_id: int | None = None, asker: Subject = OURSELVES
    ) -> dict[str, Any] | None:
        """Return a document; None if there is none that the viewer may see.

        Raises:
            IndexUnavailableError: there is no answer.
        """
        found = await self._run(asker, _get, kind, document_id, viewer_id)
        await self._note_owner(viewer_id)
        if found is None:
            return None
        document, detailed = found
        if not detailed:
            await self._want(kind, document_id)
        return document

    async def complete(self, put: Put, *, asker: Subject = OURSELVES) -> dict[str, Any]:
        """Return a document that the index does not hold as it would show it.

        Raises:
            IndexUnavailableError: there is no answer.
        """
        return await self._run(asker, _complete, put)

    async def find(
        self,
        text: str = "",
        *,
        kind: str = "data",
        filters: Filters = catalogue.NO_FILTERS,
        sort: str = "",
        page: int = 1,
        viewer_id: int | None = None,
        asker: Subject = OURSELVES,
    ) -> Results:
        """Return a page of results with facets, for our own pages (see `app.index.catalogue`).

        Raises:
            IndexUnavailableError: there is no answer.
        """
        wanted = Wanted(kind, text, filters, sort, page)
        found = await self._run(asker, catalogue.find, wanted, viewer_id)
        await self._note_owner(viewer_id)
        return found

    async def counts(self) -> dict[str, int]:
        """Return how many public documents there are of each kind; of datasets the active ones.

        Raises:
            IndexUnavailableError: there is no answer.
        """
        return await self._run(OURSELVES, catalogue.counts)

    async def status(self) -> IndexStatus:
        """Return what the index holds, and how fresh it is.

        Raises:
            IndexUnavailableError: there is no answer.
        """
        return await self._run(OURSELVES, status_of, self.path)

    async def numbers(self, kind: str, page: int, *, asker: Subject = OURSELVES) -> list[tuple[int, str]]:
        """Return numbers and dates of public documents, `catalogue.LISTED` on a page.

        Raises:
            IndexUnavailableError: there is no answer.
        """
        return await self._run(asker, catalogue.list_numbers, kind, page)

    async def generation(self) -> int:
        """Return a number that rises with each change of the index, for entity tags; 0: there is none.

        Raises:
            IndexUnavailableError: there is no answer.
        """
        return await self._run(OURSELVES, _generation)

    async def _note_owner(self, viewer_id: int | None) -> None:
        """Have the private datasets of who looks read, once in a while."""
        now = time.monotonic()
        if viewer_id is None or now - self._looked.get(viewer_id, -OWN_SECONDS) < OWN_SECONDS:
            return
        self._looked[viewer_id] = now
        self._looked.move_to_end(viewer_id)
        while len(self._looked) > OWNERS_KEPT:
            self._looked.popitem(last=False)
        await self._want(OWN, str(viewer_id))

    async def _want(self, kind: str, document_id: str) -> None:
        with suppress(sqlite3.Error, TooBusyError):
            await self.executor.run(want, self.path, kind, document_id)
            self.on_want()

    async def _run(self, asker: Subject, function: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401 - those of the function
        try:
            with await self._shares.take(asker, seconds=PLACE_SECONDS):
                return await self.executor.run(self._readers.call, function, *arguments)
        except ShareUsedUpError:
            raise IndexUnavailableError("too many searches at once") from None
        except TooBusyError:
            raise IndexUnavailableError("too many searches at once") from None
        except SearchTooLongError:
            raise IndexUnavailableError("the search takes too long") from None
        except sqlite3.Error as error:
            raise IndexUnavailableError("the index cannot be read") from error
        except Exception as error:
            # The frontend repeats what is answered with an error, at once and without end.
            log.exception("a search cannot be carried out")
            raise IndexUnavailableError("the search cannot be carried out") from error


class _Readers:
    """Connections that are lent to threads, and opened anew where the file is another one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._free: list[tuple[int, ReadingConnection]] = []
        self._closed = False

    def call(self, function: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401 - as above
        """Call the function with a connection, and interrupt it when its time is over."""
        with self._lent() as connection:
            # Of the processor: a search must not fail because others are at work on the machine.
            busy, until = time.thread_time() + SEARCH_SECONDS, time.monotonic() + LONGEST_SECONDS
            connection.bound(lambda: time.thread_time() > busy or time.monotonic() > until)
            try:
                return function(connection, *arguments)
            except sqlite3.OperationalError as error:
                if "interrupted" in str(error):
                    raise SearchTooLongError from error
                raise

    def close(self) -> None:
        """Close those that are not lent; the others are closed when they come back."""
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
        for _, connection in free:
            connection.close()

    @contextmanager
    def _lent(self) -> Iterator[ReadingConnection]:
        number, connection = self._take()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            kept = not self._closed
            if kept:
                self._free.append((number, connection))
        if not kept:
            connection.close()

    def _take(self) -> tuple[int, ReadingConnection]:
        try:
            number = self._path.stat().st_ino
        except FileNotFoundError:
            raise sqlite3.OperationalError("there is no index yet") from None
        with self._lock:
            while self._free:
                kept, connection = self._free.pop()
                if kept == number:
                    return number, connection
                connection.close()
        return number, open_reader(self._path)


def _get(
    connection: sqlite3.Connection, kind: str, document_id: str, viewer_id: int | None
) -> tuple[dict[str, Any], bool] | None:
    found = catalogue.read_document(connection, kind, document_id, viewer_id)
    if found is None:
        return None
    document, detailed = found
    decorate(connection, kind, document_id, document)
    return document, detailed


def _complete(connection: sqlite3.Connection, put: Put) -> dict[str, Any]:
    document = clean(put.document)
    decorate(connection, put.kind, put.id, document)
    return document


def _generation(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT value FROM meta WHERE name = 'generation'").fetchone()
    return int(row[0]) if row else 0
