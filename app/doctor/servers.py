"""Checks of Redis, RabbitMQ and the search server."""

import asyncio

from app.core.clock import utc_now
from app.core.settings import Settings
from app.core.shares import Subject
from app.doctor.diagnosis import Found, Installation, Remark, fault, ok, skipped, warning
from app.events.first_look import ServerAwayError, look_at_server
from app.index.status import read_status
from app.index.store import path_in
from app.web.search_client import SearchFailedError
from app.web.search_server import Searcher
from app.web.upstreams import open_upstreams

ASKER: Subject = ("openml-web doctor",)
INDEX = "data"
OLD_MINUTES = 15
"""Lists are looked at each minute; OpenML may be away for a while."""


async def check_redis(installation: Installation) -> Found:
    """Log in to Redis."""
    yield await _look(installation, "REDIS_URL", "rate limits are counted in the database")


async def check_broker(installation: Installation) -> Found:
    """Log in to the broker."""
    yield await _look(installation, "BROKER_URL", "workers look for work in the database")


async def _look(installation: Installation, setting: str, otherwise: str) -> Remark:
    try:
        place = await look_at_server(installation.settings, setting)
    except ServerAwayError as error:
        return fault(
            f"{setting}: the server does not answer ({error}). Until it does, {otherwise}. See that it runs, and "
            "that the address is right."
        )
    if not place:
        return skipped(f"{setting} is not set: {otherwise}.")
    return ok(f"{place} lets us in.")


def _look_at_index(settings: Settings) -> Remark:
    if not settings.search_index:
        return skipped("ELASTICSEARCH_SERVER is not set, and SEARCH_INDEX is false: the site has no search.")
    found = read_status(path_in(settings.data_dir))
    if found is None:
        return warning("There is no index yet. A worker of this machine makes it: see that one runs.")
    documents = sum(found.documents.values())
    minutes = (utc_now().timestamp() - found.fresh_at) / 60 if found.fresh_at else None
    if minutes is None or minutes > OLD_MINUTES:
        when = f"{minutes:.0f} minutes ago" if minutes is not None else "never"
        return warning(
            f"The index has {documents} documents, and a list of the OpenML server was read to its end {when}. See "
            "that a worker of this machine runs and reaches OpenML (openml-web index status)."
        )
    return ok(
        f"The index has {documents} documents, {found.size / 1e6:.0f} MB, and is {minutes:.0f} minutes old."
    )


async def check_search(installation: Installation) -> Found:
    """Count the datasets of the index, as the frontend does."""
    settings = installation.settings
    if not settings.elasticsearch_server:
        yield await asyncio.to_thread(_look_at_index, settings)
        return
    async with open_upstreams(settings) as upstreams:
        try:
            found = await upstreams.search.search((INDEX,), {"size": 0}, Searcher(None, ASKER))
        except SearchFailedError as error:
            yield fault(f"{settings.elasticsearch_server}: {error}. Check ELASTICSEARCH_SERVER.")
            return
    total = found.get("hits", {}).get("total", 0)
    count = total.get("value", 0) if isinstance(total, dict) else total
    if count:
        yield ok(f"{settings.elasticsearch_server} has {count} datasets in its index.")
    else:
        yield warning(
            f"{settings.elasticsearch_server} has no dataset in its index `{INDEX}`: searches find nothing. Is it "
            "OpenML's?"
        )
