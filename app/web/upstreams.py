"""Clients of the upstream servers that the settings name."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import httpx
from fastapi import Depends, Request

from app.core.outgoing import open_http
from app.core.settings import Settings, SettingsError
from app.index.engine import SearchIndex
from app.openml.client import OpenMLClient
from app.web.results.asking import ResultsSource
from app.web.search_client import SearchClient
from app.web.search_server import EmbeddedSearch, RemoteSearch, SearchServer
from app.web.upstream import BUSY_SECONDS, CONNECT_SECONDS, UpstreamClient

READ_SECONDS = 60
SEARCH_SECONDS = 15
ASKING = 32
"""Requests that are at one server at once; what it answers in full is small, or soon here."""
LARGE = 64
"""Large answers of one server that are read here at once."""


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Every server whose answers may be passed on; None where that is switched off."""

    search: SearchServer
    reads: UpstreamClient | None
    files: UpstreamClient | None
    croissant: UpstreamClient | None
    dashboard: UpstreamClient | None
    results: ResultsSource | None
    """What pages of results are made of, where there is no server of dashboards."""


@asynccontextmanager
async def open_upstreams(
    settings: Settings, index: SearchIndex | None = None, rest: OpenMLClient | None = None
) -> AsyncIterator[Upstreams]:
    """Open a client for each server that is set and wanted; without a search server, `index` answers searches.

    Pages of results are made of what `rest` reads.

    Raises:
        SettingsError: an address is none.
    """
    async with AsyncExitStack() as stack:

        async def open_client(
            name: str, base_url: str, *, seconds: float = READ_SECONDS
        ) -> UpstreamClient | None:
            if not base_url:
                return None
            if not base_url.startswith(("http://", "https://")):
                raise SettingsError(f"{name} is not an address. Write e.g. https://www.openml.org/")
            http = open_http(
                base_url,
                way_out=settings.way_out,
                timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS, pool=BUSY_SECONDS),
                limits=httpx.Limits(max_connections=ASKING + LARGE, max_keepalive_connections=ASKING),
            )
            await stack.enter_async_context(http)
            return UpstreamClient(http, base_url=base_url, asking=ASKING, large=LARGE)

        openml = settings.openml_url
        search = await open_client(
            "ELASTICSEARCH_SERVER",
            settings.elasticsearch_server,
            seconds=SEARCH_SECONDS,
        )
        results = ResultsSource(rest) if rest else None
        embedded = EmbeddedSearch(index, results) if index and search is None else None
        yield Upstreams(
            search=embedded or RemoteSearch(SearchClient(search)),
            reads=await open_client("OPENML_SERVER", openml if "reads" in settings.pass_on else ""),
            files=await open_client("OPENML_SERVER", openml if "files" in settings.pass_on else ""),
            croissant=await open_client(
                "CROISSANT_SERVER", settings.croissant_url if "croissant" in settings.pass_on else ""
            ),
            dashboard=await open_client("DASHBOARD_SERVER", settings.dashboard_server),
            results=results,
        )


async def get_upstreams(request: Request) -> Upstreams:
    """Return what the lifespan opened."""
    upstreams: Upstreams = request.state.upstreams
    return upstreams


UpstreamsDep = Annotated[Upstreams, Depends(get_upstreams)]
