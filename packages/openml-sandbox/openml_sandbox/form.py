"""Receives a POST body as PHP does: fields in memory, file parts on disk, whatever the order of the parts."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser
from starlette.requests import Request

from openml_sandbox.document import LARGEST_BYTES

# Bytes gathered before a worker thread takes them: large enough to make the hand-over cheap.
_HANDED_OVER_BYTES = 1 << 18
# A form field stays in memory; what is longer is cut. The longest useful one is a description.
_FIELD_MAX_BYTES = 2 * 1024**2

_DISPOSITION_PARAMETER = re.compile(
    rb';\s*(name|filename)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^;]*))', re.IGNORECASE
)


@dataclass(slots=True)
class FilePart:
    """A part with a filename, as `$_FILES` tells it; `size` is 0 where it did not arrive whole."""

    path: Path
    filename: str
    size: int = 0
    md5: str = ""
    media_type: str = ""

    def read_document(self) -> bytes:
        """Read what a parser of descriptions could want; the rest of a huge file stays on disk."""
        with self.path.open("rb") as file:
            return file.read(LARGEST_BYTES + 1)


@dataclass(slots=True)
class Form:
    """What a body held; of parts with the same name the last one counts."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, FilePart] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """Where parts are kept while they arrive, and how large they may be."""

    folder: Path
    upload_max_bytes: int
    post_max_bytes: int


@asynccontextmanager
async def receive_form(request: Request, limits: Limits, executor: Executor) -> AsyncIterator[Form]:
    """Read the whole body; file parts that nobody moved away are deleted at the end.

    A body that is too large, or no form, is read to its end and forgotten.

    Raises:
        starlette.requests.ClientDisconnect: The body did not arrive whole.
    """
    reader = _reader_for(request, limits)
    loop = asyncio.get_running_loop()
    try:
        async for block in _blocks(request):
            await loop.run_in_executor(executor, reader.feed, block)
        yield await loop.run_in_executor(executor, reader.finish)
    finally:
        reader.discard()


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    pending: list[bytes] = []
    size = 0
    # uvicorn stops reading from the socket while this waits, so what is pending stays small.
    async for chunk in request.stream():
        pending.append(chunk)
        size += len(chunk)
        if size >= _HANDED_OVER_BYTES:
            yield b"".join(pending)
            pending, size = [], 0
    yield b"".join(pending)


def _reader_for(request: Request, limits: Limits) -> "_Reader":
    # PHP compares the declared length only: a chunked body of any size passes here.
    declared = request.headers.get("content-length", "0")
    content_type = request.headers.get("content-type", "")
    if declared.isdecimal() and int(declared) > limits.post_max_bytes:
        return _Reader()
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded":
        return _UrlencodedReader()
    boundary = re.search(r'boundary\s*=\s*(?:"([^"]*)"|([^,;]*))', content_type, re.IGNORECASE)
    if media_type != "multipart/form-data" or not boundary:
        return _Reader()
    try:
        return _MultipartReader((boundary[1] or boundary[2] or "").strip().encode("latin-1"), limits)
    except FormParserError:
        return _Reader()  # no boundary, or one of unreasonable length


class _Reader:
    """Reads a body and forgets it."""

    def feed(self, block: bytes) -> None:
        """Take some bytes."""

    def finish(self) -> Form:
        """Take note of the end of the body."""
        return Form()

    def discard(self) -> None:
        """Delete what is left on disk."""


class _UrlencodedReader(_Reader):
    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, block: bytes) -> None:
        self._data += block[: _FIELD_MAX_BYTES - len(self._data)]

    def finish(self) -> Form:
        pairs = parse_qsl(self._data.decode(errors="replace"), keep_blank_values=True, errors="replace")
        return Form(fields=dict(pairs))


class _Part:
    """The part that is arriving: its headers, then its bytes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._file: IO[bytes] | None = None
        self._text = bytearray()
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._media_type = ""
        self.name = ""
        self.file: FilePart | None = None

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def on_header_end(self) -> None:
        key, value = self._header
        self._header = (bytearray(), bytearray())
        if key.lower() == b"content-disposition":
            self._read_disposition(bytes(value))
        elif key.lower() == b"content-type":
            self._media_type = value.decode("latin-1").strip()

    def _read_disposition(self, value: bytes) -> None:
        found: dict[bytes, str] = {}
        # `filename*=` is not looked at, as in PHP: a part that has nothing else is a field.
        for match in _DISPOSITION_PARAMETER.finditer(value):
            quoted, bare = match[2], match[3]
            text = re.sub(rb"\\([\"\\])", rb"\1", quoted) if quoted is not None else bare.strip()
            found[match[1].lower()] = text.decode(errors="replace")
        self.name = found.get(b"name", "")
        if b"filename" in found:
            # Clients may send a whole path; only its last part is kept, and never used on this disk.
            filename = re.split(r"[/\\]", found[b"filename"])[-1]
            self._open(filename)

    def _open(self, filename: str) -> None:
        # The form deletes the file, whatever happens; here it only stays open while the part lasts.
        file = NamedTemporaryFile(dir=self._limits.folder, prefix="part-", delete=False)  # noqa: SIM115 - closed with the form
        self._file = file
        self.file = FilePart(Path(file.name), filename)

    def on_data(self, data: bytes, start: int, end: int) -> None:
        if self.file is None or self._file is None:
            self._text += data[start : min(end, start + _FIELD_MAX_BYTES - len(self._text))]
            return
        self.file.size += end - start
        # The rest of a part that is too large is counted, but costs no disk.
        if self.file.size <= self._limits.upload_max_bytes:
            piece = memoryview(data)[start:end]
            self._file.write(piece)
            self._md5.update(piece)

    def end(self, form: Form, *, is_complete: bool) -> None:
        if self.file is None:
            if self.name:
                form.fields[self.name] = self._text.decode(errors="replace")
            return
        self.close()
        # PHP reports a part that is too large, cut short or without a filename as one of no bytes.
        if not is_complete or not self.file.filename or self.file.size > self._limits.upload_max_bytes:
            self.file.size = 0
        self.file.md5 = self._md5.hexdigest()
        self.file.media_type = self._media_type
        if self.name:
            form.files[self.name] = self.file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _MultipartReader(_Reader):
    def __init__(self, boundary: bytes, limits: Limits) -> None:
        if not boundary:
            raise FormParserError("no boundary")
        self._limits = limits
        self._form = Form()
        self._part: _Part | None = None
        self._parts: list[_Part] = []
        self._delimiter = b"\r\n--" + boundary
        self._tail = b""
        self._is_readable = True
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda *data: self._current().on_header_field(*data),
                "on_header_value": lambda *data: self._current().on_header_value(*data),
                "on_header_end": lambda: self._current().on_header_end(),
                "on_part_data": lambda *data: self._current().on_data(*data),
                "on_part_end": self._end,
            },
        )

    def feed(self, block: bytes) -> None:
        self._tail = (self._tail + block)[-len(self._delimiter) :]
        if not self._is_readable:
            return
        try:
            self._parser.write(block)
        except MultipartParseError:
            # PHP keeps the parts before the place where it loses the thread.
            self._is_readable = False

    def finish(self) -> Form:
        if self._tail == self._delimiter:
            # A delimiter is enough to end a part; the two dashes that close a body are not needed.
            self.feed(b"--\r\n")
        if self._part is not None:
            self._part.end(self._form, is_complete=False)
        return self._form

    def discard(self) -> None:
        for part in self._parts:
            part.close()
            if part.file is not None:
                part.file.path.unlink(missing_ok=True)

    def _current(self) -> _Part:
        if self._part is None:
            raise MultipartParseError("data outside a part")
        return self._part

    def _begin(self) -> None:
        self._part = _Part(self._limits)
        self._parts.append(self._part)

    def _end(self) -> None:
        self._current().end(self._form, is_complete=True)
        self._part = None
