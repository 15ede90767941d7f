"""The one place that calls OpenML and reads its answers. The API key is an argument, never state, never in a URL."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from weakref import WeakValueDictionary
from xml.etree.ElementTree import Element

import httpx

from app.core.outgoing import open_http
from app.openml import xml
from app.openml.errors import LostAnswerError, NotSentError, RefusedError, TaskExistsError
from app.openml.multipart import FilePart, MultipartBody
from app.openml.records import (
    DatasetDescription,
    DatasetInfo,
    EntityKind,
    Feature,
    ListedDataset,
    Procedure,
    Study,
)
from app.openml.remembered import Remembered

API_KEY = re.compile(r"[0-9a-fA-F]{32}")
"""OpenML pastes the key into SQL text: nothing else may be sent."""
ANSWER_BYTES = 8 << 20
"""Bytes of an answer that are read; error texts can list every dataset of the server."""
CONNECT_SECONDS = 15
WRITE_SECONDS = 120
READ_SECONDS = 60
REMEMBER_SECONDS = 600
"""How long the lists of procedures and measures are kept."""
TASKS_LISTED = 10_000
NO_DATASETS, NO_TASKS = 372, 482
NO_ACCESS = frozenset({112, 275})
NO_STUDY = 601
TAGGED_ALREADY, NOT_TAGGED = 473, 475
INDEX_FAILED = 105
_TASK_EXISTS = 614
NEWEST_TASKS = 20
"""Tasks whose inputs are compared; what was just made is among the newest."""
IDS_IN_A_LIST = 100
"""More would make an address longer than servers take."""
LISTS = ("creator", "contributor", "ignore_attribute")
"""Fields of a dataset that may be repeated."""
TEXTS = tuple(name for name in xml.EDIT_FIELDS if name not in LISTS)
_MATCHES = re.compile(r"matched id\(s\): \[([0-9,]+)\]")


def is_api_key(text: str | None) -> bool:
    """Say whether `text` has the shape of a key."""
    return text is not None and API_KEY.fullmatch(text) is not None


@asynccontextmanager
async def open_client(base_url: str, *, timeout_seconds: float) -> AsyncIterator["OpenMLClient"]:
    """Yield a client for the server at `base_url` (its root, with a slash at the end)."""
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, write=WRITE_SECONDS)
    async with open_http(
        base_url=f"{base_url}api/v1/xml/", timeout=timeout, headers={"Accept": "text/xml"}
    ) as http:
        yield OpenMLClient(http, site_url=base_url, upload_timeout_seconds=timeout_seconds)


class OpenMLClient:
    """Calls of the REST API v1. Every method may raise the errors of `app.openml.errors`."""

    def __init__(self, http: httpx.AsyncClient, *, site_url: str, upload_timeout_seconds: float) -> None:
        self._http = http
        self._site_url = site_url
        self._upload_timeout_seconds = upload_timeout_seconds
        self._procedures = Remembered(self._list_procedures, seconds=REMEMBER_SECONDS)
        self._measures = Remembered(self._list_measures, seconds=REMEMBER_SECONDS)
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
            await self._post("data", data={"api_key": api_key})
        except RefusedError as error:
            if error.code != 135:  # noqa: PLR2004 - OpenML's "please provide description xml"
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

        `file_name` should be unique and end in `.arff`; `on_progress` is told how many bytes of the file are sent.
        """
        if not is_api_key(api_key):
            raise ValueError("not an API key")
        body = MultipartBody(
            {"api_key": api_key},
            [
                FilePart("description", "description.xml", "text/xml", description, len(description)),
                FilePart("dataset", file_name, "text/plain", arff, arff_bytes),
            ],
            on_progress=on_progress,
        )
        timeout = httpx.Timeout(self._upload_timeout_seconds, connect=CONNECT_SECONDS, write=WRITE_SECONDS)
        request = self._http.build_request(
            "POST", "data", content=body, headers=body.headers, timeout=timeout
        )
        status, text = await self._send(request)
        # An id means success whatever else was printed: errors of the search index, of tags, stray warnings.
        dataset_id = xml.find_id(text, "upload_data_set")
        if dataset_id is None:
            _require_good(status, text)
            raise LostAnswerError("OpenML's answer to the upload holds no id")
        return dataset_id

    async def get_dataset(self, dataset_id: int) -> DatasetInfo:
        """Return what OpenML says of a public dataset."""
        text = await self._get(f"data/{dataset_id}")
        document = xml.parse_document(text, "data_set_description")
        if document is None:
            raise LostAnswerError("OpenML's description of the dataset cannot be read")
        return DatasetInfo(
            dataset_id=dataset_id,
            name=xml.child_text(document, "name") or "",
            status=xml.child_text(document, "status") or "",
            md5=xml.child_text(document, "md5_checksum") or "",
            error=xml.child_text(document, "error") or "",
        )

    async def list_datasets(self, name: str) -> list[ListedDataset]:
        """Return every dataset of that name, whatever its status, oldest first."""
        try:
            text = await self._get(f"data/list/data_name/{name}/status/all/limit/10000")
        except RefusedError as error:
            if error.code == NO_DATASETS:
                return []
            raise
        document = xml.parse_document(text, "data")
        if document is None:
            raise LostAnswerError("OpenML's list of datasets cannot be read")
        return [
            ListedDataset(
                dataset_id=int(xml.child_text(item, "did") or 0),
                uploader=int(xml.child_text(item, "uploader") or 0) or None,
                status=xml.child_text(item, "status") or "",
            )
            for item in document.findall(f"{xml.OML}dataset")
        ]

    async def describe_dataset(self, dataset_id: int, *, api_key: str) -> DatasetDescription:
        """Return how a dataset is described; a private one is asked for with the key."""
        text, private = await self._read_as(f"data/{dataset_id}", api_key)
        document = _require(xml.parse_document(text, "data_set_description"), "description of the dataset")
        return _read_description(dataset_id, document, private=private)

    async def find_uploader(self, dataset_id: int) -> int | None:
        """Return the number of a public dataset's owner; only the list tells it."""
        try:
            text = await self._get(f"data/list/data_id/{dataset_id}/status/all/limit/1")
        except RefusedError as error:
            if error.code == NO_DATASETS:
                return None
            raise
        document = _require(xml.parse_document(text, "data"), "list of datasets")
        uploader = document.findtext(f"{xml.OML}dataset/{xml.OML}uploader")
        return int(uploader) if uploader and uploader.isdecimal() else None

    async def list_features(self, dataset_id: int, *, api_key: str) -> list[Feature]:
        """Return the columns of a processed dataset.

        Raises:
            RefusedError: 273 if it is not processed yet.
        """
        text, _ = await self._read_as(f"data/features/{dataset_id}", api_key)
        document = _require(xml.parse_document(text, "data_features"), "list of columns")
        return [
            Feature(xml.child_text(item, "name") or "", xml.child_text(item, "data_type") or "")
            for item in document.findall(f"{xml.OML}feature")
        ]

    async def edit_dataset(self, dataset_id: int, changes: Mapping[str, str], *, api_key: str) -> None:
        """Change what describes a dataset; the same edit a second time does no harm."""
        part = _document_part("edit_parameters", xml.edit_parameters(changes))
        body = MultipartBody({"api_key": _sendable(api_key), "data_id": str(dataset_id)}, [part])
        await self._write("data/edit", body, "data_edit")

    async def tag_dataset(self, dataset_id: int, tag: str, *, api_key: str) -> None:
        """Tag a dataset, if it is not tagged so."""
        await self._set_tag("data/tag", dataset_id, tag, api_key, TAGGED_ALREADY)

    async def untag_dataset(self, dataset_id: int, tag: str, *, api_key: str) -> None:
        """Remove a tag of a dataset, if it is there."""
        await self._set_tag("data/untag", dataset_id, tag, api_key, NOT_TAGGED)

    async def list_procedures(self) -> Sequence[Procedure]:
        """Return the estimation procedures that the server has; remembered for a while."""
        return await self._procedures.get()

    async def list_measures(self) -> frozenset[str]:
        """Return the names of the evaluation measures that the server has; remembered for a while."""
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
                return await self._write("task", body, "upload_task")
        except RefusedError as error:
            matches = _MATCHES.search(error.details)
            if error.code == _TASK_EXISTS and matches is not None:
                raise TaskExistsError(min(map(int, matches.group(1).split(",")))) from error
            raise

    async def find_task(self, type_id: int, inputs: Mapping[str, str]) -> int | None:
        """Return the newest task with exactly these inputs, or None."""
        source = inputs["source_data"]
        try:
            text = await self._get(
                f"task/list/data_id/{source}/type/{type_id}/status/all/limit/{TASKS_LISTED}"
            )
        except RefusedError as error:
            if error.code == NO_TASKS:
                return None
            raise
        document = _require(xml.parse_document(text, "tasks"), "list of tasks")
        candidates = [item for item in document.findall(f"{xml.OML}task") if _may_equal(item, inputs)]
        ids = sorted((int(xml.child_text(item, "task_id") or 0) for item in candidates), reverse=True)
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
                text = await self._get(f"task/list/task_id/{ids}/status/all/limit/{IDS_IN_A_LIST}")
            except RefusedError as error:
                if error.code != NO_TASKS:
                    raise
                continue
            found |= set(map(int, re.findall(r"<oml:task_id>\s*(\d+)", text)))
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
        return await self._write("study", body, "study_upload")

    async def find_study(self, alias: str) -> Study | None:
        """Return the collection of that alias, or None."""
        try:
            text = await self._get(f"study/{alias}")
        except RefusedError as error:
            if error.code == NO_STUDY:
                return None
            raise
        document = _require(xml.parse_document(text, "study"), "description of the collection")
        kind = xml.child_text(document, "main_entity_type") or ""
        ids = document.findall(f"{xml.OML}{kind}s/{xml.OML}{kind}_id")
        return Study(
            study_id=int(xml.child_text(document, "id") or 0),
            kind=kind,
            name=xml.child_text(document, "name") or "",
            description=xml.child_text(document, "description") or "",
            ids=frozenset(int(item.text or 0) for item in ids),
        )

    async def _list_procedures(self) -> Sequence[Procedure]:
        text = await self._get("estimationprocedure/list")
        document = _require(xml.parse_document(text, "estimationprocedures"), "list of estimation procedures")
        return tuple(
            Procedure(
                procedure_id=int(xml.child_text(item, "id") or 0),
                type_id=int(xml.child_text(item, "ttid") or 0),
                name=xml.child_text(item, "name") or "",
            )
            for item in document.findall(f"{xml.OML}estimationprocedure")
        )

    async def _list_measures(self) -> frozenset[str]:
        text = await self._get("evaluationmeasure/list")
        document = _require(xml.parse_document(text, "evaluation_measures"), "list of evaluation measures")
        names = (item.text for item in document.iter(f"{xml.OML}measure"))
        return frozenset(name.strip() for name in names if name)

    async def _get_inputs(self, task_id: int) -> dict[str, str] | None:
        # The server escapes nothing here: a value with & makes the document unreadable, and the task unfound.
        document = xml.parse_document(await self._get(f"task/inputs/{task_id}"), "task_inputs")
        if document is None:
            return None
        return {item.get("name", ""): item.text or "" for item in document.findall(f"{xml.OML}input")}

    async def _set_tag(self, path: str, dataset_id: int, tag: str, api_key: str, done: int) -> None:
        form = {"data_id": str(dataset_id), "tag": tag, "api_key": _sendable(api_key)}
        try:
            await self._post(path, data=form)
        except RefusedError as error:
            # Where only the search index failed the tag has changed all the same.
            if error.code not in {done, INDEX_FAILED}:
                raise

    async def _read_as(self, path: str, api_key: str) -> tuple[str, bool]:
        """Return an answer, and whether it took the key, which goes into a form: every GET answers to POST as well."""
        try:
            return await self._get(path), False
        except RefusedError as error:
            if error.code not in NO_ACCESS:
                raise
        return await self._post(path, data={"api_key": _sendable(api_key)}), True

    async def _write(self, path: str, body: MultipartBody, root: str) -> int:
        """Send a document and return the id in the answer.

        Raises:
            LostAnswerError: it may have been carried out, and that includes "the search index failed".
        """
        request = self._http.build_request("POST", path, content=body, headers=body.headers)
        status, text = await self._send(request)
        # An id means success whatever else was printed.
        number = xml.find_id(text, root)
        if number is not None:
            return number
        if xml.is_cut(text):
            raise LostAnswerError("OpenML's answer is cut off")
        try:
            _require_good(status, text)
        except RefusedError as error:
            if error.code == INDEX_FAILED:
                raise LostAnswerError("OpenML's search index failed") from error
            raise
        raise LostAnswerError("OpenML's answer holds no id")

    async def _get(self, path: str) -> str:
        status, text = await self._send(self._http.build_request("GET", path))
        _require_good(status, text)
        return text

    async def _post(self, path: str, data: dict[str, str]) -> str:
        status, text = await self._send(self._http.build_request("POST", path, data=data))
        _require_good(status, text)
        return text

    async def _send(self, request: httpx.Request) -> tuple[int, str]:
        """Return the status and the text of the answer; without a whole answer, say what that means."""
        try:
            response = await self._http.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSentError("OpenML cannot be reached") from error
        except httpx.HTTPError as error:
            raise LostAnswerError(f"the connection to OpenML broke ({type(error).__name__})") from error
        try:
            text = await _read_text(response)
        except httpx.HTTPError as error:
            raise LostAnswerError(f"OpenML's answer broke off ({type(error).__name__})") from error
        finally:
            await response.aclose()
        return response.status_code, text


def _sendable(api_key: str) -> str:
    if not is_api_key(api_key):
        raise ValueError("not an API key")
    return api_key


def _document_part(name: str, document: bytes) -> FilePart:
    return FilePart(name, "description.xml", "text/xml", document, len(document))


def _require(document: Element | None, what: str) -> Element:
    if document is None:
        raise LostAnswerError(f"OpenML's {what} cannot be read")
    return document


def _read_description(dataset_id: int, document: Element, *, private: bool) -> DatasetDescription:
    texts = {name: xml.child_text(document, name) or "" for name in TEXTS}
    return DatasetDescription(
        dataset_id=dataset_id,
        name=xml.child_text(document, "name") or "",
        status=xml.child_text(document, "status") or "",
        error=xml.child_text(document, "error") or "",
        texts=texts,
        lists={name: xml.child_texts(document, name) for name in LISTS},
        tags=xml.child_texts(document, "tag"),
        private=private,
    )


def _may_equal(item: Element, inputs: Mapping[str, str]) -> bool:
    """Say whether the inputs that a list shows contradict the ones that are looked for."""
    shown = {node.get("name", ""): node.text or "" for node in item.findall(f"{xml.OML}input")}
    return all(inputs.get(name) == value for name, value in shown.items() if value)


def _require_good(status: int, text: str) -> None:
    """Judge by the document, then by the status: OpenML sends errors with 200."""
    error = xml.find_error(text)
    if error is not None:
        raise RefusedError(error.code, error.message, http_status=status, details=error.details)
    if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        raise RefusedError(413, "Request entity too large", http_status=status)
    if status != httpx.codes.OK:
        raise LostAnswerError(f"OpenML answered {status} without an explanation")


async def _read_text(response: httpx.Response) -> str:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > ANSWER_BYTES:
            break
    return content.decode("utf-8", errors="replace")
