"""Lists of OpenML's are read while they arrive: as large as what is published here, whole or not at all."""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.openml import connection, reading
from app.openml.client import OpenMLClient, open_client
from app.openml.connection import DOCUMENT_BYTES, PAGES
from app.openml.errors import HalfAnswerError, ListTooLargeError
from app.openml.reading import PAGE, ListKind, ListReader, features
from app.openml.records import Feature
from tests.openml.test_client import INDEX_JUNK, KEY, NS
from tests.servers import serving

COLUMNS = 50_000
NAME = "&quot;" * 60
LABELS = "".join(f"<oml:nominal_value>{'&amp;' * 50}{n}</oml:nominal_value>" for n in range(8))


def feature(number: int, labels: str = "") -> str:
    return (
        f"<oml:feature><oml:index>{number}</oml:index><oml:name>{NAME}{number}</oml:name>"
        f"<oml:data_type>nominal</oml:data_type>{labels}<oml:is_target>false</oml:is_target><oml:is_ignore>false"
        "</oml:is_ignore><oml:is_row_identifier>false</oml:is_row_identifier><oml:number_of_missing_values>0"
        "</oml:number_of_missing_values></oml:feature>"
    )


def feature_list(columns: int, labels: str = "") -> Iterator[bytes]:
    yield f"<oml:data_features {NS}>".encode()
    for start in range(0, columns, 500):
        numbers = range(start, min(start + 500, columns))
        yield "".join(feature(number, labels) for number in numbers).encode()
    yield b"</oml:data_features>\n"


@asynccontextmanager
async def openml(
    answer: Callable[[str], Response], *, max_columns: int = COLUMNS
) -> AsyncIterator[OpenMLClient]:
    """A server that answers each path."""

    async def serve(request: Request) -> Response:
        return answer(request.url.path.removeprefix("/api/v1/xml/"))

    app = Starlette(routes=[Route("/{path:path}", serve, methods=["GET", "POST"])])
    async with serving(app) as url, open_client(url, timeout_seconds=60, max_columns=max_columns) as client:
        yield client


async def longest_pause(until: "asyncio.Future[Any]") -> float:
    """Return the longest time in seconds for which nothing else could run."""
    longest, before = 0.0, time.perf_counter()
    while not until.done():
        await asyncio.sleep(0.005)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return longest


@pytest.mark.long
async def test_columns_when_as_many_as_are_published_then_all_are_read_and_nobody_waits() -> None:
    chunks = list(feature_list(COLUMNS))
    assert sum(map(len, chunks)) > 3 * (8 << 20), "far more than a document may have"

    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async with openml(lambda _: StreamingResponse(body())) as client:
        found = asyncio.ensure_future(client.list_features(42, api_key=KEY))
        pause = await longest_pause(found)

    columns = await found
    assert len(columns) == COLUMNS
    assert columns[-1] == Feature('"' * 60 + str(COLUMNS - 1), "nominal")
    assert pause < 1, "a thread parses, and this machine may be busy"


def test_labels_when_there_are_very_many_then_none_is_kept() -> None:
    reader = ListReader(features(COLUMNS))
    pieces = [f"<oml:data_features {NS}><oml:feature><oml:name>a</oml:name>", *[LABELS] * 2000]
    tracemalloc.start()
    for piece in pieces:
        reader.feed(piece.encode())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    reader.feed(b"</oml:feature></oml:data_features>")

    assert len(reader.finish()) == 1
    assert sum(map(len, pieces)) > 4_000_000
    assert peak < 500_000


@pytest.mark.parametrize("junk", ["", INDEX_JUNK, "<br />\n<b>Warning</b>: \u00fc something in PHP\n"])
@pytest.mark.parametrize("size", [*range(1, 40), 10_000])
def test_list_when_it_comes_in_any_pieces_then_the_same(junk: str, size: int) -> None:
    answer = junk.encode() + b"".join(feature_list(3, LABELS)) + b"behind it"
    reader = ListReader(features(COLUMNS))
    for start in range(0, len(answer), size):
        reader.feed(answer[start : start + size])

    assert [item.name[-1] for item in reader.finish()] == ["0", "1", "2"]


def test_list_when_cut_anywhere_then_half_and_never_a_shorter_one() -> None:
    answer = b"".join(feature_list(2))
    for end in range(len(answer) - len("\n")):
        reader = ListReader(features(COLUMNS))
        reader.feed(answer[:end])
        with pytest.raises(HalfAnswerError):
            reader.finish()


@pytest.mark.parametrize(
    "answer",
    [
        f"<oml:data_features {NS}><oml:feature></oml:wrong></oml:feature></oml:data_features>",
        f"<oml:data_features {NS}><!DOCTYPE x></oml:data_features>",
        f'<!DOCTYPE x [<!ENTITY a "b">]><oml:data_features {NS}><oml:feature>&a;</oml:feature></oml:data_features>',
        "<oml:data_features></oml:data_features>",
        "x" * (2 << 20),
    ],
)
def test_list_when_it_is_none_then_half(answer: str) -> None:
    with pytest.raises(HalfAnswerError):
        read([answer.encode()], features(COLUMNS))


def read(pieces: list[bytes], kind: ListKind[Feature]) -> list[Feature]:
    reader = ListReader(kind)
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


def _repeated(piece: str, times: int) -> list[bytes]:
    return [f"<oml:data_features {NS}>".encode(), *[piece.encode()] * times]


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        (_repeated("<oml:feature/>" * 1000, 2), "1000 entries"),
        (_repeated(f"<oml:feature>{LABELS}</oml:feature>", 999), "2000000 bytes"),
        (_repeated("x" * (64 << 10), 20), "characters in one field"),
        ([f"<oml:data_features {NS}><oml:feature>".encode(), b"<oml:name/>" * 2000], "fields in one entry"),
    ],
    ids=["entries", "bytes", "a text without an end", "an entry without an end"],
)
def test_list_when_it_does_not_end_then_too_large(pieces: list[bytes], told: str) -> None:
    kind = replace(features(1), most=1000, limit_bytes=2_000_000)
    with pytest.raises(ListTooLargeError, match=told):
        read(pieces, kind)


async def test_document_when_it_does_not_end_then_too_large_and_no_more_is_read() -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield f"<oml:data_set_description {NS}>".encode()
        while True:
            yield b" " * 65_536
            sent += 65_536
            await asyncio.sleep(0)

    async with openml(lambda _: StreamingResponse(body())) as client:
        for question in (client.get_dataset(1), client.describe_dataset(1, api_key=KEY)):
            with pytest.raises(ListTooLargeError):
                await question

    assert sent < 6 * DOCUMENT_BYTES


# --- lists of any length


class Versions:
    """A server with many datasets of one name."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids
        self.asked: list[tuple[int, int]] = []

    def __call__(self, path: str) -> Response:
        words = path.split("/")
        limit, offset = (int(words[words.index(name) + 1]) for name in ("limit", "offset"))
        self.asked.append((limit, offset))
        shown = self.ids[offset : offset + limit]
        if not shown:
            refusal = (
                f"<oml:error {NS}><oml:code>372</oml:code><oml:message>No results</oml:message></oml:error>"
            )
            return Response(refusal, 412)
        qualities = "".join(f'<oml:quality name="Q{n}">1.0</oml:quality>' for n in range(3))
        items = "".join(
            f"<oml:dataset><oml:did>{number}</oml:did><oml:uploader>7</oml:uploader><oml:status>active</oml:status>"
            f"{qualities}</oml:dataset>"
            for number in shown
        )
        return Response(f"<oml:data {NS}>{items}</oml:data>")


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE - 1, 10_345])
async def test_versions_when_there_are_any_number_then_each_once(count: int) -> None:
    server = Versions(list(range(1, count + 1)))
    async with openml(server) as client:
        found = await client.list_datasets("iris")

    assert [item.dataset_id for item in found] == server.ids


async def test_versions_when_one_is_deleted_meanwhile_then_none_is_overlooked() -> None:
    server = Versions(list(range(2 * PAGE)))

    def serve(path: str) -> Response:
        answer = server(path)
        if len(server.asked) == 1:
            del server.ids[5]
        return answer

    async with openml(serve) as client:
        found = await client.list_datasets("iris")

    assert [item.dataset_id for item in found] == server.ids


async def test_versions_when_the_list_never_holds_still_then_half() -> None:
    server = Versions(list(range(5 * PAGE)))

    def serve(path: str) -> Response:
        answer = server(path)
        del server.ids[0]
        return answer

    async with openml(serve) as client:
        with pytest.raises(HalfAnswerError, match="changes"):
            await client.list_datasets("iris")


async def test_versions_when_there_is_no_end_of_them_then_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PAGES * PAGE == 100_000
    monkeypatch.setattr(connection, "PAGES", 3)
    async with openml(Versions(list(range(5 * PAGE)))) as client:
        with pytest.raises(ListTooLargeError, match="entries"):
            await client.list_datasets("iris")


def test_bounds_when_the_operator_lets_more_columns_in_then_they_follow() -> None:
    assert features(COLUMNS).most >= COLUMNS
    assert features(1_000_000).most == 1_000_000
    for columns in (COLUMNS, 1_000_000):
        longest = len("".join(feature(columns))) + 1600
        assert features(columns).limit_bytes >= columns * longest
    assert reading.DATASETS.most == PAGE
