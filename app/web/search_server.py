"""What answers searches: a search server, or the index that this service keeps."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from app.core.shares import ShareUsedUpError, Subject
from app.index.documents import of_run
from app.index.engine import IndexUnavailableError, SearchIndex
from app.openml.errors import OpenMLError, RefusedError
from app.web.results.asking import ResultsSource, SlowError
from app.web.search_client import Found, SearchClient, SearchFailedError, Shared
from app.web.search_query import by_id

COUNTS_SECONDS = 2
"""How long a count of our own index is good for: it costs little, and what was just published is to be seen."""

_RUN_ID: Final = re.compile(r"[1-9][0-9]{0,14}")


class Searcher(NamedTuple):
    """Who searches.

    Attributes:
        viewer_id: the user, if one is signed in; their private documents are found as well.
        networks: those that the address lies in.
    """

    viewer_id: int | None
    networks: Subject


class SearchServer(Protocol):
    """Answers searches in Elasticsearch's form; every method raises `SearchFailedError`."""

    is_embedded: bool
    """Whether it is our own index."""

    async def search(self, types: tuple[str, ...], question: Mapping[str, Any], who: Searcher) -> Found:
        """Return the answer to a search; `hits.total` may be a number or an object."""

    async def count(self, types: tuple[str, ...], question: Mapping[str, Any], who: Searcher) -> Found:
        """Return the answer to a search that shows no document and that nobody is signed in for; it may be kept."""

    async def get(self, kind: str, document_id: str, who: Searcher) -> Found:
        """Return the answer to a search for one document."""


class RemoteSearch:
    """A search server, of any version."""

    is_embedded = False

    def __init__(self, client: SearchClient) -> None:
        self._client = client

    async def search(self, types: tuple[str, ...], question: Mapping[str, Any], who: Searcher) -> Found:
        """Return the answer to a search, which names the viewer itself."""
        return await self._client.search(types, question, asker=who.networks)

    async def count(self, types: tuple[str, ...], question: Mapping[str, Any], who: Searcher) -> Found:
        """Return a count."""
        return await self._client.count(types, question, asker=who.networks)

    async def get(self, kind: str, document_id: str, who: Searcher) -> Found:
        """Return one document."""
        return await self._client.search(
            (kind,), by_id(document_id, viewer_id=who.viewer_id), asker=who.networks
        )


class EmbeddedSearch:
    """The index of this machine."""

    is_embedded = True

    def __init__(self, index: SearchIndex, results: ResultsSource | None = None) -> None:
        self._index = index
        self._results = results
        self._counts = Shared(seconds=COUNTS_SECONDS)

    async def search(self, types: tuple[str, ...], question: Mapping[str, Any], who: Searcher) -> Found:
        """Return the answer to a search."""
        try:
            return await self._index.search(types, question, viewer_id=who.viewer_id, asker=who.networks)
        except IndexUnavailableError as error:
            raise SearchFailedError(str(error)) from error

    async def count(self, types: tuple[str, ...], question: Mapping[str, Any], who: Searcher) -> Found:
        """Return a count."""
        return await self._counts.get_for(types, question, lambda: self.search(types, question, who))

    async def get(self, kind: str, document_id: str, who: Searcher) -> Found:
        """Return one document."""
        try:
            found = await self._index.get(kind, document_id, viewer_id=who.viewer_id, asker=who.networks)
        except IndexUnavailableError as error:
            raise SearchFailedError(str(error)) from error
        if found is None and kind == "run":
            found = await self._read_run(document_id, who)
        hits = [{"_index": kind, "_id": document_id, "_source": found}] if found is not None else []
        return {"hits": {"total": len(hits), "hits": hits}}

    async def _read_run(self, run_id: str, who: Searcher) -> dict[str, Any] | None:
        """Return a run that the index does not hold, as OpenML tells it; None if there is none."""
        if self._results is None or not _RUN_ID.fullmatch(run_id):
            return None
        try:
            run = await self._results.run(int(run_id), asker=who.networks)
            return await self._index.complete(of_run(run), asker=who.networks)
        except RefusedError:
            return None
        except (OpenMLError, ShareUsedUpError, SlowError, IndexUnavailableError) as error:
            raise SearchFailedError("OpenML does not tell of the run") from error
