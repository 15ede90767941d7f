"""A multipart/form-data body, read as it arrives: no part is ever held whole, and nothing touches a disk here."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import Message
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.core.errors import MalformedBodyError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # exists for type checkers only

MAX_HEADER_BYTES = 16_384
MAX_PARTS = 64
EXTENDED_CHARSETS = frozenset({"utf-8", "iso-8859-1"})
"""Those that RFC 8187 names, and RFC 5987 before it."""


@dataclass(frozen=True, slots=True)
class PartStart:
    """A part begins. `file_name` is None for a plain field; it is what the client wrote, so trust nothing in it."""

    name: str
    file_name: str | None


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete."""


PartEvent = PartStart | bytes | PartEnd


async def read_parts(body: AsyncIterator[bytes], content_type: str) -> AsyncIterator[PartEvent]:
    """Yield the start, the bytes and the end of each part.

    Raises:
        MalformedBodyError: the body is no multipart/form-data, or breaks off before its last boundary.
    """
    collector = _Collector()
    try:
        parser = MultipartParser(_boundary(content_type), collector.callbacks())
        async for chunk in body:
            parser.write(chunk)
            for event in collector.drain():
                yield event
        parser.finalize()
    except FormParserError as error:
        raise MalformedBodyError(f"The body is not valid multipart/form-data: {error}") from None
    if not collector.complete:
        raise MalformedBodyError("The body breaks off before its end; send it again.")


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise MalformedBodyError("Send multipart/form-data.")
    return boundary


class _Collector:
    """Turns the parser's callbacks into events."""

    def __init__(self) -> None:
        self.complete = False
        self._events: deque[PartEvent] = deque()
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._header_bytes = 0
        self._headers: dict[bytes, bytes] = {}
        self._parts = 0

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def drain(self) -> list[PartEvent]:
        events = list(self._events)
        self._events.clear()
        return events

    def _on_part_begin(self) -> None:
        self._headers = {}
        self._header_bytes = 0
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise MalformedBodyError(f"The form has more than {MAX_PARTS} parts.")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_value += data[start:end]

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            raise MalformedBodyError("The headers of a part are too long.")

    def _on_header_end(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        name = options.get(b"name")
        if name is None:
            raise MalformedBodyError("A part of the form has no name.")
        plain = options.get(b"filename")
        file_name = _extended_file_name(disposition) if plain is None else _text(plain)
        self._events.append(PartStart(_text(name), file_name))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _on_part_end(self) -> None:
        self._events.append(PartEnd())

    def _on_end(self) -> None:
        self.complete = True


def _extended_file_name(disposition: bytes) -> str | None:
    """Return the name of a client that says it as `filename*` alone (RFC 8187), which the parser passes over.

    Raises:
        MalformedBodyError: it is not as its encoding says, or that is none of the two that there may be.
    """
    if b"filename*" not in disposition.lower():
        return None
    header = Message()
    header["Content-Disposition"] = disposition.decode("latin-1")
    value = header.get_param("filename", header="Content-Disposition")
    if not isinstance(value, tuple):
        return value
    charset, _, text = value
    if (charset or "").lower() not in EXTENDED_CHARSETS:
        raise MalformedBodyError("The part's `filename*` has another encoding than UTF-8.")
    try:
        return text.encode("latin-1").decode(charset or "utf-8")
    except UnicodeError:
        raise MalformedBodyError(f"The part's `filename*` is not {charset}.") from None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")
