"""Edits, tags, tasks and collections on the wire, against a server that says what OpenML's was seen to say."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.openml.client import OpenMLClient
from app.openml.errors import HalfAnswerError, LostAnswerError, RefusedError, TaskExistsError
from tests.openml.test_client import INDEX_JUNK, KEY, NS, Upstream, client_of, error

INPUTS = {"source_data": "42", "target_feature": "a<b&c", "estimation_procedure": "1"}


async def make_task(client: OpenMLClient) -> int:
    return await client.create_task(1, INPUTS, api_key=KEY)


async def make_study(client: OpenMLClient) -> int:
    return await client.create_study("task", alias="a", name="n", description="d", ids=[1, 2], api_key=KEY)


async def edit(client: OpenMLClient) -> None:
    await client.edit_dataset(42, {"citation": "c", "description": "a & b"}, api_key=KEY)


async def tag(client: OpenMLClient) -> None:
    await client.tag_dataset(42, "t", api_key=KEY)


CALLS: list[tuple[Callable[[OpenMLClient], Awaitable[Any]], str, str]] = [
    (make_task, "/api/v1/xml/task", f"<oml:upload_task {NS}><oml:id>7</oml:id></oml:upload_task>"),
    (make_study, "/api/v1/xml/study", f"<oml:study_upload {NS}><oml:id>7</oml:id></oml:study_upload>"),
    (edit, "/api/v1/xml/data/edit", f"<oml:data_edit {NS}><oml:id>42</oml:id></oml:data_edit>"),
    (tag, "/api/v1/xml/data/tag", f"<oml:data_tag {NS}><oml:id>42</oml:id></oml:data_tag>"),
]


@pytest.mark.parametrize(("call", "path", "answer"), CALLS, ids=lambda value: getattr(value, "__name__", ""))
async def test_write_when_sent_then_the_key_is_a_field_and_never_in_the_address(
    call: Callable[[OpenMLClient], Awaitable[Any]], path: str, answer: str
) -> None:
    upstream = Upstream(200, answer)
    async with client_of(upstream) as client:
        await call(client)

    (request,) = upstream.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(f"POST {path} HTTP/1.1\r\n".encode())
    assert KEY.encode() not in head
    assert KEY.encode() in body


async def test_write_when_sent_then_the_document_is_a_file_in_the_order_of_the_schema() -> None:
    upstream = Upstream(200, CALLS[2][2])
    async with client_of(upstream) as client:
        await edit(client)

    (request,) = upstream.requests
    assert b'name="edit_parameters"; filename="description.xml"' in request
    document = request.partition(b"<oml:data_edit_parameters")[2]
    assert document.index(b"<oml:description>a &amp; b<") < document.index(b"<oml:citation>c<")


async def test_private_dataset_when_read_then_the_key_is_a_field_of_a_second_request() -> None:
    upstream = Upstream(412, error(112, "No access granted"))
    async with client_of(upstream) as client:
        with pytest.raises(RefusedError):
            await client.describe_dataset(42, api_key=KEY)

    first, second = upstream.requests
    assert first.startswith(b"GET /api/v1/xml/data/42 ")
    assert KEY.encode() not in first
    assert second.startswith(b"POST /api/v1/xml/data/42 ")
    assert KEY.encode() not in second.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, INDEX_JUNK + CALLS[0][2]),
        (412, error(105, "An Elastic Search Exception occured.") + CALLS[0][2]),
        (500, error(473, "Entity already tagged by this tag.") + CALLS[0][2]),
    ],
)
async def test_task_when_an_id_is_in_the_answer_then_made(status: int, body: str) -> None:
    async with client_of(Upstream(status, body)) as client:
        assert await make_task(client) == 7


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (412, error(105, "An Elastic Search Exception occured.")),
        (500, error(473, "Entity already tagged by this tag.")[:90]),
        (500, ""),
        (200, ""),
        (504, "<html>"),
    ],
)
async def test_task_when_nobody_says_how_it_went_then_lost(status: int, body: str) -> None:
    async with client_of(Upstream(status, body)) as client:
        with pytest.raises(LostAnswerError):
            await make_task(client)


async def test_task_when_it_exists_then_the_oldest_of_them() -> None:
    refusal = error(614, "Task already exists.", "matched id(s): [12,34]")
    async with client_of(Upstream(412, refusal)) as client:
        with pytest.raises(TaskExistsError) as raised:
            await make_task(client)
    assert raised.value.task_id == 12


class Slow(Upstream):
    """A server that takes a moment, and remembers how many asked at once."""

    def __init__(self) -> None:
        super().__init__(200, CALLS[0][2])
        self.asking = self.most = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asking += 1
        self.most = max(self.most, self.asking)
        await asyncio.sleep(0.05)
        await super().answer(reader, writer)
        self.asking -= 1


async def test_tasks_when_equal_ones_come_at_once_then_one_after_the_other() -> None:
    equal, different = Slow(), Slow()
    async with client_of(equal) as client:
        await asyncio.gather(*(make_task(client) for _ in range(4)))
    async with client_of(different) as client:
        await asyncio.gather(*(client.create_task(kind, INPUTS, api_key=KEY) for kind in (1, 3)))

    assert (equal.most, len(equal.requests)) == (1, 4)
    assert different.most == 2


async def test_tag_when_it_was_there_or_only_the_index_failed_then_done() -> None:
    for code, status in ((473, 500), (105, 412)):
        async with client_of(Upstream(status, error(code, "x"))) as client:
            await tag(client)
    async with client_of(Upstream(412, error(475, "Tag not found."))) as client:
        await client.untag_dataset(42, "t", api_key=KEY)
        with pytest.raises(RefusedError):
            await tag(client)


async def test_lists_when_asked_by_many_then_one_request() -> None:
    names = "<oml:measure>area</oml:measure><oml:measure>kappa</oml:measure>"
    answer = f"<oml:evaluation_measures {NS}><oml:measures>{names}</oml:measures></oml:evaluation_measures>"
    upstream = Upstream(200, answer)
    async with client_of(upstream) as client:
        found = await asyncio.gather(*(client.list_measures() for _ in range(20)))

    assert found == [frozenset({"area", "kappa"})] * 20
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("key", ["", "x", '" OR 1=1 -- ', "0" * 31, "normaluser"])
async def test_write_when_the_key_is_malformed_then_nothing_is_sent(key: str) -> None:
    upstream = Upstream()
    async with client_of(upstream) as client:
        for call in (client.tag_dataset(42, "t", api_key=key), client.create_task(1, INPUTS, api_key=key)):
            with pytest.raises(ValueError, match="API key"):
                await call
    assert upstream.requests == []


@pytest.mark.parametrize(
    "text", ["<oml:id>x</oml:id>", "<oml:tasks><oml:task_id>x</oml:task_id></oml:tasks>"]
)
async def test_collection_when_its_numbers_are_none_then_the_answer_counts_as_broken(text: str) -> None:
    kind = "<oml:main_entity_type>task</oml:main_entity_type>"
    async with client_of(Upstream(200, f"<oml:study {NS}>{kind}{text}</oml:study>")) as client:
        with pytest.raises(HalfAnswerError):
            await client.find_study("a")
