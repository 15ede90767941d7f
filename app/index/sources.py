"""Where documents come from: OpenML's lists and descriptions, and the users of the database."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import structlog

from app.db.engine import Database
from app.db.profiles import get_profile, get_profiles
from app.db.users import get_api_key
from app.index import documents
from app.index.store import Put
from app.openml import listings
from app.openml.client import OpenMLClient
from app.openml.errors import OpenMLError, RefusedError
from app.openml.fields import is_api_key
from app.openml.listings import Entry, Listing
from app.openml.reading import PAGE

log = structlog.get_logger(__name__)

GONE: Final[Mapping[str, frozenset[int]]] = {
    "data": frozenset({111, 112, 113}),
    "task": frozenset({151, 156, 482}),
    "flow": frozenset({181}),
    "study": frozenset({600, 601}),
    "run": frozenset({236}),
}
"""OpenML's error codes for what does not exist, or not for everybody."""
RUNS_KEPT: Final = 100_000
"""Of a server with more of them none is kept: a public one has ten millions, and lists the oldest first."""
MOST_PRIVATE: Final = 1000
"""Private datasets of one user."""
_PROCESSING: Final = frozenset({271, 272, 273, 274, 275, 360, 361, 362, 363, 364})
"""Codes of features and qualities that a dataset does not have (yet)."""


_NUMBER: Final = re.compile(r"[1-9][0-9]{0,9}")
_IDS: Final[Mapping[str, re.Pattern[str]]] = {"measure": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")}
"""What documents are called: a number, but for measures."""


class GoneError(Exception):
    """There is no such thing, or not for everybody."""


@dataclass(frozen=True, slots=True)
class ListSource:
    """A list that documents of one kind are made of.

    Attributes:
        name: under which its cursor is noted.
        kind: of the documents.
        listing: the list.
        make: makes a document of an entry; it may need the names of estimation procedures.
        most: entries of a list that is kept at all; None: whatever it has.
    """

    name: str
    kind: str
    listing: Listing
    make: Callable[[Entry, Mapping[str, str]], Put]
    most: int | None = None


def _plain(make: Callable[[Entry], Put]) -> Callable[[Entry, Mapping[str, str]], Put]:
    return lambda entry, _procedures: make(entry)


SOURCES: Final = (
    ListSource("types", "task_type", listings.TASK_TYPES, _plain(documents.of_task_type)),
    ListSource("procedures", "measure", listings.PROCEDURES, _plain(documents.of_procedure)),
    ListSource("measures", "measure", listings.MEASURES, _plain(documents.of_measure)),
    ListSource("qualities", "measure", listings.QUALITIES, _plain(documents.of_quality)),
    ListSource("data", "data", listings.DATASETS, _plain(documents.of_dataset)),
    ListSource(
        "study", "study", listings.STUDIES, _plain(lambda entry: documents.of_study(entry, detailed=False))
    ),
    ListSource("task", "task", listings.TASKS, documents.of_task),
    ListSource(
        "flow", "flow", listings.FLOWS, _plain(lambda entry: documents.of_flow(entry, detailed=False))
    ),
    ListSource("run", "run", listings.RUNS, _plain(documents.of_listed_run), most=RUNS_KEPT),
)
"""In the order in which they are read: what is small, and what pages show first."""


class Whole(NamedTuple):
    """A document with all its details, and the members of a collection."""

    put: Put
    members: Mapping[str, list[int]] | None = None


def is_id(put: Put) -> bool:
    """Say whether a document is called as those of its kind are: what is not cannot be asked for, and is left out."""
    return _IDS.get(put.kind, _NUMBER).fullmatch(put.id) is not None


class Sources:
    """Reads documents for the index."""

    def __init__(self, openml: OpenMLClient, database: Database) -> None:
        self._openml = openml
        self._database = database

    async def page(self, source: ListSource, offset: int) -> tuple[list[Put], int]:
        """Return the documents of a page of a list from an offset, and how many entries it has."""
        procedures = await self._procedures() if source.kind == "task" else {}
        entries = await self._openml.list_entries(source.listing, offset=offset)
        puts = [source.make(entry, procedures) for entry in entries]
        return [put for put in puts if is_id(put)], len(entries)

    async def is_too_long(self, source: ListSource) -> bool:
        """Say whether a list has more entries than are kept."""
        return source.most is not None and bool(
            await self._openml.list_entries(source.listing, offset=source.most)
        )

    async def users(self, after: int) -> tuple[list[Put], int]:
        """Return the next users after a number, and the number of the last; 0 where there are no more."""
        async with self._database.session() as session:
            found = await get_profiles(session, after=after, limit=PAGE)
        return [documents.of_user(profile) for profile in found], found[-1].id if len(found) == PAGE else 0

    async def whole(self, kind: str, number: int, known: Mapping[str, object]) -> Whole:
        """Return everything that is known of one thing; `known` are fields that OpenML may not tell again.

        Raises:
            GoneError: there is no such thing, or not for everybody.
        """
        readers = {
            "data": self._public_dataset,
            "task": self._task,
            "flow": self._flow,
            "study": self._study,
            "run": self._run,
            "user": self._user,
        }
        try:
            whole = await readers[kind](number)
        except RefusedError as error:
            if error.code in GONE.get(kind, ()):
                raise GoneError from error
            raise
        told = {name: value for name, value in whole.put.document.items() if value is not None}
        document = {**known, **told}
        if kind == "data" and "uploader_id" not in document:
            document["uploader_id"] = await self._openml.find_uploader(number)
        return whole._replace(put=whole.put._replace(document=document))

    async def private_datasets(self, user_id: int) -> tuple[list[int], str]:
        """Return the numbers of somebody's private datasets, and the key that shows them."""
        async with self._database.session() as session:
            key = await get_api_key(session, user_id)
        if key is None or not is_api_key(key):
            return [], ""
        own = replace(listings.DATASETS, path=f"data/list/uploader/{user_id}/status/all")
        seen = {entry.get("did") for entry in await self._openml.list_entries(own)}
        found = await self._openml.list_entries(own, api_key=key)
        numbers = [str(entry["did"]) for entry in found if entry.get("did") and entry["did"] not in seen]
        return [int(number) for number in numbers if number.isdecimal()][:MOST_PRIVATE], key

    async def private_dataset(self, number: int, user_id: int, key: str) -> Put:
        """Return the document of a private dataset, as its owner's key shows it.

        Raises:
            RefusedError: there is no such dataset for them.
        """
        whole = await self._dataset(number, key)
        return whole.put._replace(document={**whole.put.document, "uploader_id": user_id})

    async def _public_dataset(self, number: int) -> Whole:
        whole = await self._dataset(number)
        if not whole.put.public:
            raise GoneError
        return whole

    async def _dataset(self, number: int, key: str | None = None) -> Whole:
        entry = await self._openml.read_entry(f"data/{number}", "data_set_description", api_key=key)
        features, qualities = [], {}
        try:
            features = await self._openml.read_features(number, api_key=key)
            qualities = dict(await self._openml.read_qualities(number, api_key=key))
        except RefusedError as error:
            if error.code not in _PROCESSING:
                raise
        except OpenMLError as error:
            # Too large, or not to be understood: the description is worth having.
            log.info("a dataset's columns cannot be read", dataset=number, reason=str(error))
        return Whole(documents.of_description(number, entry, features, qualities))

    async def _task(self, number: int) -> Whole:
        one = Listing(f"task/list/task_id/{number}/status/all", listings.TASKS.kind, frozenset())
        found = await self._openml.list_entries(one)
        if not found:
            raise GoneError
        put = documents.of_task(found[0], await self._procedures())
        tags = (await self._openml.read_entry(f"task/{number}", "task")).get("tag")
        texts = tags if isinstance(tags, list) else [tags] if tags else []
        return Whole(
            put._replace(document={**put.document, "tags": [{"tag": tag, "uploader": "0"} for tag in texts]})
        )

    async def _flow(self, number: int) -> Whole:
        return Whole(
            documents.of_flow(await self._openml.read_entry(f"flow/{number}", "flow"), detailed=True)
        )

    async def _study(self, number: int) -> Whole:
        entry = await self._openml.read_entry(f"study/{number}", "study")
        put = documents.of_study(entry, detailed=True)
        if not put.public:
            raise GoneError
        return Whole(put, documents.members_of(entry))

    async def _run(self, number: int) -> Whole:
        return Whole(documents.of_run(await self._openml.runs.run(number)))

    async def _user(self, number: int) -> Whole:
        async with self._database.session() as session:
            profile = await get_profile(session, number)
        if profile is None:
            raise GoneError
        return Whole(documents.of_user(profile))

    async def _procedures(self) -> dict[str, str]:
        return {str(item.procedure_id): item.name for item in await self._openml.list_procedures()}
