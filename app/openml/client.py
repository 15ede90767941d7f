"""The one place that calls OpenML and reads its answers. The API key is an argument, never state, never in a URL."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.openml import xml
from app.openml.errors import LostAnswerError, NotSentError, RefusedError
from app.openml.multipart import FilePart, MultipartBody

API_KEY = re.compile(r"[0-9a-fA-F]{32}")
"""OpenML pastes the key into SQL text: nothing else may be sent."""
ANSWER_BYTES = 8 << 20
"""Bytes of an answer that are read; error texts can list every dataset of the server."""
CONNECT_SECONDS = 15
WRITE_SECONDS = 120
READ_SECONDS = 60
NO_RESULTS = 372


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What OpenML says of one dataset; `error` is the text of a failed processing."""

    dataset_id: int
    name: str
    status: str
    md5: str
    error: str


@dataclass(frozen=True, slots=True)
class ListedDataset:
    """One line of OpenML's list."""

    dataset_id: int
    uploader: int | None
    status: str


def is_api_key(text: str | None) -> bool:
    """Say whether `text` has the shape of a key."""
    return text is not None and API_KEY.fullmatch(text) is not None


@asynccontextmanager
async def open_client(base_url: str, *, timeout_seconds: float) -> AsyncIterator["OpenMLClient"]:
    """Yield a client for the server at `base_url` (its root, with a slash at the end)."""
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, write=WRITE_SECONDS)
    headers = {"User-Agent": "openml-web", "Accept": "text/xml"}
    async with httpx.AsyncClient(base_url=f"{base_url}api/v1/xml/", timeout=timeout, headers=headers) as http:
        yield OpenMLClient(http, site_url=base_url, upload_timeout_seconds=timeout_seconds)


class OpenMLClient:
    """Calls of the REST API v1. Every method may raise the errors of `app.openml.errors`."""

    def __init__(self, http: httpx.AsyncClient, *, site_url: str, upload_timeout_seconds: float) -> None:
        self._http = http
        self._site_url = site_url
        self._upload_timeout_seconds = upload_timeout_seconds

    def dataset_url(self, dataset_id: int) -> str:
        """Return the address of the dataset's page."""
        return f"{self._site_url}d/{dataset_id}"

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
        self, *, api_key: str, description: bytes, arff: Path, arff_bytes: int, file_name: str
    ) -> int:
        """Publish a dataset and return its id. `file_name` should be unique and end in `.arff`."""
        if not is_api_key(api_key):
            raise ValueError("not an API key")
        body = MultipartBody(
            {"api_key": api_key},
            [
                FilePart("description", "description.xml", "text/xml", description, len(description)),
                FilePart("dataset", file_name, "text/plain", arff, arff_bytes),
            ],
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
            if error.code == NO_RESULTS:
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
