"""The one place that calls OpenML and reads its answers. The API key is an argument, never state, never in a URL."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from weakref import WeakValueDictionary

import httpx

from app.core.concurrency import BoundedExecutor
from app.core.outgoing import open_http
from app.core.way_out import STRAIGHT, WayOut
from app.openml import listings, reading, xml
from app.openml.cache import TimedCache
from app.openml.connection import Connection, FilePart, MultipartBody
from app.openml.errors import INDEX_FAILED, HalfAnswerError, RefusedError, TaskExistsError
from app.openml.fields import is_api_key
from app.openml.files import NO_ACCESS, DatasetFiles
from app.openml.records import (
    DatasetDescription,
    DatasetInfo,
    EntityKind,
    Feature,
    ListedDataset,
    Procedure,
    Study,
)
from app.openml.runs import Runs

CONNECT_SECONDS = 15
WRITE_SECONDS = 120
READ_SECONDS = 60
REMEMBER_SECONDS = 600
"""How long the lists of procedures and measures are kept."""
NO_DATASETS, NO_TASKS = 372, 482
NO_STUDY = 601
TAGGED_ALREADY, NOT_TAGGED = 473, 475
_MAY_WRITE = 135
"""Error code of an upload without a description, which OpenML returns only for keys that may write."""
_TASK_EXISTS = 614
NEWEST_TASKS = 20
"""Tasks whose inputs are compared; what was just made is among the newest."""
IDS_IN_A_LIST = 100
"""More would make an address longer than servers take."""
READERS = 2
"""Threads that parse large answers."""
ANSWERS_WAITING = 1000
"""Pieces of answers that may wait for them; each connection has one at most, and there are a hundred."""
_MATCHES = re.compile(r"matched id\(s\): \[([0-9,]+)\]")


@asynccontextmanager
async def open_client(
    base_url: str, *, timeout_seconds: float, max_columns: int = 50_000, way_out: WayOut = STRAIGHT
) -> AsyncIterator["OpenMLClient"]:
    """Yield a client for the server at `base_url` (its root, with a slash at the end).

    Tables of up to `max_columns` columns are published through it, and so their lists of columns have to be read.
    """
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, write=WRITE_SECONDS)
    readers = BoundedExecutor("openml-answers", threads=READERS, queue=ANSWERS_WAITING)
    try:
        async with open_http(
            base_url,
            way_out=way_out,
            base_url=f"{base_url}api/v1/xml/",
            timeout=timeout,
            headers={"Accept": "text/xml"},
        ) as http:
            yield OpenMLClient(
                Connection(http, readers),
                site_url=base_url,
                upload_timeout_seconds=timeout_seconds,
                max_columns=max_columns,
            )
    finally:
        readers.close()


class OpenMLClient:
    """Calls of the REST API v1. Every method may raise the errors of `app.openml.errors`."""

    def __init__(
        self, connection: Connection, *, site_url: str, upload_timeout_seconds: float, max_columns: int
    ) -> None:
        self._connection = connection
        self.readers = connection.readers
        self.files = DatasetFiles(connection, site_url=site_url)
        self.runs = Runs(connection)
        self._site_url = site_url
        self._upload_timeout_seconds = upload_timeout_seconds
        self._features = reading.features(max_columns)
        self._procedures = TimedCache(self._list_procedures, seconds=REMEMBER_SECONDS)
        self._measures = TimedCache(self._list_measures, seconds=REMEMBER_SECONDS)
        # OpenML makes two tasks of two equal ones that come at once, e.g. by a double click: one after the other.
        self._sending: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    def dataset_url(self, dataset_id: int) -> str:
        """Return the address of the dataset's page."""
        return f"{self._site_url}d/{dataset_id}"

    def task_url(self, task_id: int) -> str:
        """Return the address of the task's page."""
        return f"{self._site_url}t/{task_id}"

    def study_url(self, study_id: int) -> str:
        """Return the address of the collection's page."""
        return f"{self._site_url}s/{study_id}"

    async def check_key(self, api_key: str) -> None:
        """Return if the key may write.

        An upload without a description is refused with 135 by those who may write, before anything else; so this
        tells a bad key from the same error numbers after a large upload, where they mean "too large".

        Raises:
            RefusedError: 102, 103 or 104.
        """
        try:
            await self._connection.submit("data", "upload_data_set", {"api_key": _sendable(api_key)})
        except RefusedError as error:
            if error.code != _MAY_WRITE:
                raise

    async def upload_dataset(
        self,
        *,
        api_key: str,
        description: bytes,
        arff: Path,
        arff_bytes: int,
        file_name: str,
        on_progress: Callable[[int], None],
    ) -> int:
        """Publish a dataset and return its id.

        `file_name` should be unique and end in `.arff`; `on_progress` is called with the bytes of the file that are
        sent.
        """
        body = MultipartBody(
            {"api_key": _sendable(api_key)},
            [
                FilePart("description", "description.xml", "text/xml", description, len(description)),
                FilePart("dataset", file_name, "text/plain", arff, arff_bytes),
            ],
            on_progress=on_progress,
        )
        return await self._connection.write(
            "data", "upload_data_set", body, read_seconds=self._upload_timeout_seconds
        )

    async def get_dataset(self, dataset_id: int) -> DatasetInfo:
        """Return what OpenML says of a public dataset."""
        document = await self._connection.read(
            f"data/{dataset_id}", "data_set_description", what="description of the dataset"
        )
        return reading.read_info(dataset_id, document)

    async def list_datasets(self, name: str) -> list[ListedDataset]:
        """Return every dataset of that name, whatever its status, oldest first.

        Raises:
            ListTooLargeError: there are more than a hundred thousand.
        """
        return await self._connection.read_pages(
            f"data/list/data_name/{name}/status/all", reading.DATASETS, nothing=NO_DATASETS
        )

    async def describe_dataset(self, dataset_id: int, *, api_key: str) -> DatasetDescription:
        """Return the description of a dataset; the key is sent for a private one."""
        path, root, what = f"data/{dataset_id}", "data_set_description", "description of the dataset"
        private = False
        try:
            document = await self._connection.read(path, root, what=what)
        except RefusedError as error:
            if error.code not in NO_ACCESS:
                raise
            document = await self._connection.read(
                path, root, what=what, form={"api_key": _sendable(api_key)}
            )
            private = True
        return reading.read_description(dataset_id, document, private=private)

    async def find_uploader(self, dataset_id: int) -> int | None:
        """Return the number of a public dataset's owner; only the list tells it."""
        try:
            listed = await self._connection.read_list(
                f"data/list/data_id/{dataset_id}/status/all/limit/1", reading.DATASETS
            )
        except RefusedError as error:
            if error.code == NO_DATASETS:
                return None
            raise
        return listed[0].uploader if listed else None

    async def list_features(self, dataset_id: int, *, api_key: str) -> list[Feature]:
        """Return the columns of a processed dataset; those of a private one are asked for with the key.

        Raises:
            RefusedError: 273 if it is not processed yet.
            ListTooLargeError: it has more columns than tables that are published here.
        """
        path = f"data/features/{dataset_id}"
        try:
            return await self._connection.read_list(path, self._features)
        except RefusedError as error:
            if error.code not in NO_ACCESS:
                raise
        return await self._connection.read_list(path, self._features, form={"api_key": _sendable(api_key)})

    async def edit_dataset(self, dataset_id: int, changes: Mapping[str, str], *, api_key: str) -> None:
        """Change what describes a dataset; the same edit a second time does no harm."""
        part = _document_part("edit_parameters", xml.edit_parameters(changes))
        body = MultipartBody({"api_key": _sendable(api_key), "data_id": str(dataset_id)}, [part])
        await self._connection.write("data/edit", "data_edit", body)

    async def reset_dataset(self, dataset_id: int, *, api_key: str) -> None:
        """Have a dataset of one's own processed once more; a second time does no harm."""
        await self._connection.submit(
            f"data/reset/{dataset_id}", "data_reset", {"api_key": _sendable(api_key)}
        )

    async def tag_dataset(self, dataset_id: int, tag: str, *, api_key: str) -> None:
        """Tag a dataset, if it is not tagged so."""
        await self._set_tag("data/tag", dataset_id, tag, api_key, TAGGED_ALREADY)

    async def untag_dataset(self, dataset_id: int, tag: str, *, api_key: str) -> None:
        """Remove a tag of a dataset, if it is there."""
        await self._set_tag("data/untag", dataset_id, tag, api_key, NOT_TAGGED)

    async def list_procedures(self) -> Sequence[Procedure]:
        """Return the estimation procedures that the server has; cached for a while."""
        return await self._procedures.get()

    async def list_measures(self) -> frozenset[str]:
        """Return the names of the evaluation measures that the server has; cached for a while."""
        return await self._measures.get()

    async def create_task(self, type_id: int, inputs: Mapping[str, str], *, api_key: str) -> int:
        """Make a task and return its id.

        Raises:
            TaskExistsError: there is such a task.
        """
        document = xml.task_inputs(type_id, inputs)
        body = MultipartBody({"api_key": _sendable(api_key)}, [_document_part("description", document)])
        lock = self._sending.setdefault(document, asyncio.Lock())
        try:
            async with lock:
                return await self._connection.write("task", "upload_task", body)
        except RefusedError as error:
            matches = _MATCHES.search(error.details)
            if error.code == _TASK_EXISTS and matches is not None:
                raise TaskExistsError(min(map(int, matches.group(1).split(",")))) from error
            raise

    async def find_task(self, type_id: int, inputs: Mapping[str, str]) -> int | None:
        """Return the newest task with exactly these inputs, or None."""
        tasks = await self._connection.read_pages(
            f"task/list/data_id/{inputs['source_data']}/type/{type_id}/status/all",
            reading.TASKS,
            nothing=NO_TASKS,
        )
        ids = sorted((task.task_id for task in tasks if reading.may_equal(task, inputs)), reverse=True)
        for task_id in ids[:NEWEST_TASKS]:
            if await self._get_inputs(task_id) == inputs:
                return task_id
        return None

    async def find_missing_tasks(self, task_ids: Sequence[int]) -> list[int]:
        """Return those of the tasks that the server does not list."""
        found: set[int] = set()
        for start in range(0, len(task_ids), IDS_IN_A_LIST):
            ids = ",".join(map(str, task_ids[start : start + IDS_IN_A_LIST]))
            try:
                listed = await self._connection.read_list(
                    f"task/list/task_id/{ids}/status/all/limit/{IDS_IN_A_LIST}", reading.TASKS
                )
            except RefusedError as error:
                if error.code != NO_TASKS:
                    raise
                continue
            found |= {task.task_id for task in listed}
        return [task_id for task_id in task_ids if task_id not in found]

    async def create_study(
        self, kind: EntityKind, *, alias: str, name: str, description: str, ids: Sequence[int], api_key: str
    ) -> int:
        """Make a collection of tasks or runs and return its id.

        Raises:
            RefusedError: 1038 if the alias is taken, 1039 if an id is unknown.
        """
        document = xml.study(kind, alias=alias, name=name, description=description, ids=ids)
        body = MultipartBody({"api_key": _sendable(api_key)}, [_document_part("description", document)])
        return await self._connection.write("study", "study_upload", body)

    async def find_study(self, alias: str) -> Study | None:
        """Return the collection of that alias, or None."""
        try:
            document = await self._connection.read(
                f"study/{alias}", "study", what="description of the collection"
            )
        except RefusedError as error:
            if error.code == NO_STUDY:
                return None
            raise
        return reading.read_study(document)

    async def list_entries(
        self, listing: listings.Listing, *, offset: int = 0, api_key: str | None = None
    ) -> list[listings.Entry]:
        """Return a page of a list, from an offset; shorter than `reading.PAGE` is the last.

        With a key it holds what that user alone may see as well.
        """
        page = f"/limit/{reading.PAGE}/offset/{offset}" if listing.paged else ""
        try:
            return await self._connection.read_list(listing.path + page, listing.kind, form=_keyed(api_key))
        except RefusedError as error:
            if error.code not in listing.nothing:
                raise
            return []

    async def read_entry(self, path: str, root: str, *, api_key: str | None = None) -> listings.Entry:
        """Return what everybody, or whose key it is, may read of one thing: `data/61` as `data_set_description`."""
        document = await self._connection.read(path, root, what="description", form=_keyed(api_key))
        return listings.read_entry(document)

    async def read_features(self, dataset_id: int, *, api_key: str | None = None) -> list[listings.Entry]:
        """Return the first columns of a dataset, as `listings.FEATURES` reads them."""
        path = f"data/features/{dataset_id}"
        found = await self._connection.read_list(path, listings.FEATURES, form=_keyed(api_key))
        return [feature for feature in found if feature is not None]

    async def read_qualities(self, dataset_id: int, *, api_key: str | None = None) -> Mapping[str, str]:
        """Return the qualities of a dataset."""
        path, what = f"data/qualities/{dataset_id}", "list of qualities"
        document = await self._connection.read(path, "data_qualities", what=what, form=_keyed(api_key))
        return listings.read_qualities(document)

    async def _list_procedures(self) -> Sequence[Procedure]:
        return tuple(await self._connection.read_list("estimationprocedure/list", reading.PROCEDURES))

    async def _list_measures(self) -> frozenset[str]:
        names = await self._connection.read_list("evaluationmeasure/list", reading.MEASURES)
        return frozenset(filter(None, names))

    async def _get_inputs(self, task_id: int) -> dict[str, str] | None:
        try:
            document = await self._connection.read(
                f"task/inputs/{task_id}", "task_inputs", what="list of the task's inputs"
            )
        except HalfAnswerError:
            # The server escapes nothing here: a value with & makes the document unreadable, and the task unfound.
            return None
        return reading.read_inputs(document)

    async def _set_tag(self, path: str, dataset_id: int, tag: str, api_key: str, done: int) -> None:
        form = {"data_id": str(dataset_id), "tag": tag, "api_key": _sendable(api_key)}
        try:
            await self._connection.submit(path, path.replace("/", "_"), form)
        except RefusedError as error:
            # Where only the search index failed the tag has changed all the same.
            if error.code not in {done, INDEX_FAILED}:
                raise


def _sendable(api_key: str) -> str:
    if not is_api_key(api_key):
        raise ValueError("not an API key")
    return api_key


def _keyed(api_key: str | None) -> dict[str, str] | None:
    return {"api_key": _sendable(api_key)} if api_key else None


def _document_part(name: str, document: bytes) -> FilePart:
    return FilePart(name, "description.xml", "text/xml", document, len(document))
