"""Requests to OpenML, and whole answers, or what came instead of one. Documents are read off the event loop."""

import asyncio
import hashlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeVar
from xml.etree.ElementTree import Element

import httpx

from app.core import metrics, tracing
from app.core.concurrency import BoundedExecutor
from app.core.tasks import open_file
from app.openml import xml
from app.openml.errors import (
    SETTLED,
    HalfAnswerError,
    ListTooLargeError,
    LostAnswerError,
    NotSentError,
    OpenMLError,
    RefusedError,
    UnsettledError,
)
from app.openml.reading import PAGE, ListKind, ListReader

T = TypeVar("T")

DOCUMENT_BYTES = 8 << 20
"""Bytes of an answer that is no list. A collection of 10 000 runs has 2 MB, and error texts can list every dataset."""
CHUNK_BYTES = 64 << 10
"""What is read of a list at once; so much of a document is parsed without a thread, and of a file sent in one piece."""
FILE_CHUNK_BYTES = 1 << 20
"""What is read of a file at once that is sent."""
PAGES = 100
TRIES = 3
"""How often a list is begun again that changes while it is read."""
_ENDPOINT: Final = re.compile(r"[a-z]+(/(list|features|edit|tag|untag|reset|inputs))?")
"""What of a path is not somebody's number or name."""
_NO_ANSWER: Final = "none"


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of the form: its bytes, or where they are on disk (`length` of them)."""

    name: str
    file_name: str
    content_type: str
    content: bytes | Path
    length: int


class MultipartBody:
    """A multipart/form-data body whose length is known before the first byte; its files are streamed from disk.

    Fields come first, then files, in the order given. It can be sent once or many times.
    """

    def __init__(
        self,
        fields: Mapping[str, str],
        files: list[FilePart],
        *,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._on_progress = on_progress
        self._boundary = secrets.token_hex(16)
        self._fields = fields
        self._files = files

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that describe the body."""
        return {
            "Content-Type": f"multipart/form-data; boundary={self._boundary}",
            "Content-Length": str(self.length),
        }

    @property
    def length(self) -> int:
        """Return the length of the whole body in bytes."""
        fields = sum(len(self._field(name, value)) for name, value in self._fields.items())
        files = sum(len(self._head(part)) + part.length + len(b"\r\n") for part in self._files)
        return fields + files + len(self._end())

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body; files are read in a thread, a mebibyte at a time.

        Small ones, and what stands between files, are one piece with what follows: each is a packet of its own.
        """
        between = b"".join(self._field(name, value) for name, value in self._fields.items())
        for part in self._files:
            between += self._head(part)
            if isinstance(part.content, bytes):
                between += part.content
            elif part.length <= CHUNK_BYTES:
                between += await asyncio.to_thread(part.content.read_bytes)
                self._on_progress(part.length)
            else:
                yield between
                between, sent = b"", 0
                async for chunk in _read_file(part.content):
                    yield chunk
                    sent += len(chunk)
                    self._on_progress(sent)
            between += b"\r\n"
        yield between + self._end()

    def _field(self, name: str, value: str) -> bytes:
        head = f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        return f"{head}{value}\r\n".encode()

    def _head(self, part: FilePart) -> bytes:
        return (
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="{part.name}"; filename="{part.file_name}"\r\n'
            f"Content-Type: {part.content_type}\r\n\r\n"
        ).encode()

    def _end(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode()


class Connection:
    """What the calls of the client have in common: sending, reading, and telling failures apart."""

    def __init__(self, http: httpx.AsyncClient, readers: BoundedExecutor) -> None:
        self._http = http
        self.readers = readers

    async def read(
        self, path: str, root: str, *, what: str, form: Mapping[str, str] | None = None
    ) -> Element:
        """Return a document; with a form, e.g. for the key, it is asked for by POST, to which every GET answers.

        Raises:
            HalfAnswerError: what came is no such document.
            ListTooLargeError: it is larger than `DOCUMENT_BYTES`.
        """
        with measured(path):
            status, content = await self._send(self._question(path, form))
            return await self._computed(len(content), _document, status, content, root, what)

    async def read_list(
        self, path: str, kind: ListKind[T], *, form: Mapping[str, str] | None = None
    ) -> list[T]:
        """Return a list, read while it arrives.

        Raises:
            HalfAnswerError: it is cut off.
            ListTooLargeError: it is larger than such lists are.
        """
        reader = ListReader(kind)

        async def receive(response: httpx.Response) -> list[T]:
            async for chunk in response.aiter_bytes(CHUNK_BYTES):
                await self._computed(len(chunk) + 1, reader.feed, chunk)
            require_good(response.status_code, reader.head)
            return reader.finish()

        with measured(path):
            return await self._exchange(self._question(path, form), receive)

    async def read_pages(self, path: str, kind: ListKind[T], *, nothing: int) -> list[T]:
        """Return a list of any length, a page at a time. `nothing` is the error code that means an empty one.

        Each page begins with the last entry of the one before: else an entry would be overlooked if one before it is
        deleted meanwhile.

        Raises:
            ListTooLargeError: it has more than `PAGES` pages.
            HalfAnswerError: it changes each time that it is read.
        """
        for _ in range(TRIES):
            found = await self._read_pages(path, kind, nothing)
            if found is not None:
                return found
        raise HalfAnswerError(f"OpenML's {kind.name} changes while it is read")

    async def _read_pages(self, path: str, kind: ListKind[T], nothing: int) -> list[T] | None:
        found: list[T] = []
        for _ in range(PAGES):
            offset = max(len(found) - 1, 0)
            try:
                page = await self.read_list(f"{path}/limit/{PAGE}/offset/{offset}", kind)
            except RefusedError as error:
                if error.code != nothing:
                    raise
                page = []
            if found and page[:1] != found[-1:]:
                return None
            found += page[1:] if found else page
            if len(page) < PAGE:
                return found
        raise ListTooLargeError(f"OpenML's {kind.name} has more than {len(found)} entries")

    async def write(
        self, path: str, root: str, body: MultipartBody, *, read_seconds: float | None = None
    ) -> int:
        """Send a document and return the id in the answer's `<oml:root>`, whatever else was printed around it.

        Raises:
            RefusedError: OpenML refused it before it stored anything.
            LostAnswerError: it may have been carried out.
        """
        request = self._http.build_request("POST", path, content=body, headers=body.headers)
        if read_seconds is not None:
            request.extensions["timeout"]["read"] = read_seconds
        metrics.OPENML_BYTES.add(by=body.length)
        with measured(path):
            status, content = await self._send(request)
            text = _text(content)
            number = xml.find_id(text, root)
            if number is None:
                raise _not_done(path, status, text)
            return number

    async def submit(self, path: str, root: str, form: Mapping[str, str]) -> None:
        """Send a form that changes something; return if OpenML answers with an `<oml:root>`.

        Raises:
            RefusedError: OpenML refused it before it changed anything.
            LostAnswerError: it may have been carried out.
        """
        with measured(path):
            status, content = await self._send(self._question(path, form))
            text = _text(content)
            if xml.find_error(text) is not None or xml.parse_document(text, root) is None:
                raise _not_done(path, status, text)

    async def download(
        self, url: str, target: BinaryIO, *, limit_bytes: int, form: Mapping[str, str] | None = None
    ) -> str:
        """Write a file of OpenML's to an open one, and return its MD5 in hexadecimal.

        Raises:
            ListTooLargeError: it has more than `limit_bytes`.
            HalfAnswerError: it is cut off, or something else came.
        """

        async def receive(response: httpx.Response) -> str:
            if response.status_code != httpx.codes.OK:
                lost = HalfAnswerError(f"OpenML answered {response.status_code} in place of the file")
                lost.answered = response.status_code
                raise lost
            size, digest = 0, hashlib.md5(usedforsecurity=False)
            async for chunk in response.aiter_bytes(FILE_CHUNK_BYTES):
                size += len(chunk)
                if size > limit_bytes:
                    raise ListTooLargeError(f"The file has more than {limit_bytes} bytes")
                await asyncio.to_thread(_write, target, digest, chunk)
            return digest.hexdigest()

        with measured("download"):
            return await self._exchange(self._question(url, form), receive)

    def _question(self, path: str, form: Mapping[str, str] | None) -> httpx.Request:
        if form is None:
            return self._http.build_request("GET", path)
        return self._http.build_request("POST", path, data=dict(form))

    async def _send(self, request: httpx.Request) -> tuple[int, bytes]:
        """Return the status and the beginning of the answer: no more of it than shows that it is too large."""

        async def receive(response: httpx.Response) -> tuple[int, bytes]:
            content = bytearray()
            async for chunk in response.aiter_bytes(CHUNK_BYTES):
                content += chunk
                if len(content) > DOCUMENT_BYTES:
                    break
            return response.status_code, bytes(content)

        return await self._exchange(request, receive)

    async def _exchange(self, request: httpx.Request, receive: Callable[[httpx.Response], Awaitable[T]]) -> T:
        tracing.annotate("http.request.method", request.method)
        try:
            response = await self._http.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSentError("OpenML cannot be reached") from error
        except httpx.HTTPError as error:
            raise LostAnswerError(f"the connection to OpenML broke ({type(error).__name__})") from error
        tracing.annotate("http.response.status_code", response.status_code)
        try:
            return await receive(response)
        except httpx.HTTPError as error:
            raise HalfAnswerError(f"OpenML's answer broke off ({type(error).__name__})") from error
        finally:
            await response.aclose()

    async def _computed(self, size: int, compute: Callable[..., T], *arguments: object) -> T:
        """Compute something of an answer of `size` bytes; what is more than a moment's work in a thread."""
        if size <= CHUNK_BYTES:
            return compute(*arguments)
        return await self.readers.run(compute, *arguments)


def require_good(status: int, text: str) -> None:
    """Judge by the document, then by the status: OpenML sends errors with 200.

    Raises:
        RefusedError: there is an error document.
        HalfAnswerError: there is the beginning of one.
        LostAnswerError: another status than 200 stands alone.
    """
    error = xml.find_error(text)
    if error is not None:
        raise RefusedError(error.code, error.message, http_status=status, details=error.details)
    if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        raise RefusedError(413, "Request entity too large", http_status=status)
    if xml.begins_error(text):
        raise HalfAnswerError("OpenML's answer is cut off")
    if status != httpx.codes.OK:
        lost = LostAnswerError(f"OpenML answered {status} without an explanation")
        lost.answered = status
        raise lost


def _not_done(path: str, status: int, text: str) -> RefusedError | LostAnswerError:
    """Return what it means that a write was not answered as one that succeeded."""
    try:
        require_good(status, text)
    except RefusedError as error:
        unsettled = UnsettledError(error.code, error.message, http_status=status, details=error.details)
        return error if error.code in SETTLED[path] else unsettled
    except LostAnswerError as error:
        return error
    return HalfAnswerError("OpenML's answer is not the one to such a request")


def _document(status: int, content: bytes, root: str, what: str) -> Element:
    text = _text(content)
    require_good(status, text)
    if len(content) > DOCUMENT_BYTES:
        raise ListTooLargeError(f"OpenML's {what} has more than {DOCUMENT_BYTES} bytes")
    document = xml.parse_document(text, root)
    if document is None:
        raise HalfAnswerError(f"OpenML's {what} cannot be read")
    return document


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")


def _write(target: BinaryIO, digest: "hashlib._Hash", chunk: bytes) -> None:
    target.write(chunk)
    digest.update(chunk)


async def _read_file(path: Path) -> AsyncIterator[bytes]:
    file = await open_file(path)
    try:
        while chunk := await asyncio.to_thread(file.read, FILE_CHUNK_BYTES):
            yield chunk
    finally:
        await asyncio.to_thread(file.close)


def endpoint_of(path: str) -> str:
    """Return what a path asks for, without whose: `data/list` for `data/list/data_name/iris`."""
    found = _ENDPOINT.match(path)
    return found[0] if found else "other"


@contextmanager
def measured(path: str) -> Iterator[None]:
    """Count a call, and what comes of it, and how long that takes."""
    endpoint = endpoint_of(path)
    with tracing.span(f"OpenML {endpoint}", kind="client"):
        yield from _measured(endpoint)


def _measured(endpoint: str) -> Iterator[None]:
    began = time.monotonic()
    status, code = "200", ""
    try:
        yield
    except OpenMLError as error:
        status = _NO_ANSWER
        if isinstance(error, RefusedError):
            status, code = str(error.http_status), str(error.code)
        elif isinstance(error, LostAnswerError):
            status = str(error.answered or _NO_ANSWER)
            metrics.OPENML_LOST.add(endpoint)
        raise
    finally:
        metrics.OPENML_REQUESTS.add(endpoint, status, code)
        metrics.OPENML_SECONDS.observe(time.monotonic() - began, endpoint)
        if code:
            tracing.annotate("openml.error_code", code)
