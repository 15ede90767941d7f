"""Searches and documents; failures of what is searched become empty answers."""

import json
import time
from collections.abc import Iterator
from typing import Any, Final

from app.core.errors import BadRequestError, ProblemError
from app.openml.problems import OpenMLUnreachableError
from app.web import search_answers as answers
from app.web.search_client import SearchFailedError
from app.web.search_query import TYPES, QueryRefusedError, translate
from app.web.search_server import Searcher, SearchServer

Document = dict[str, Any]
SEARCHES_AT_ONCE: Final = 32
"""In one request: the frontend's successor sends seven."""
SEARCHES_SECONDS: Final = 10.0
"""After so long none of a request is begun any more."""
DOCUMENTS_AT_ONCE: Final = 100


async def search(
    server: SearchServer,
    types: tuple[str, ...],
    body: object,
    who: Searcher,
    *,
    total_as_object: bool,
) -> Document:
    """Return what was found, or an empty list that says why."""
    try:
        question = translate(body, types, viewer_id=who.viewer_id, is_embedded=server.is_embedded)
        # What anybody may see is the same for everybody.
        if question["size"] == 0 and who.viewer_id is None:
            found = await server.count(types, question, who)
        else:
            found = await server.search(types, question, who)
    except QueryRefusedError as error:
        problem: ProblemError = BadRequestError(f"This search is not passed on: {error}.")
    except SearchFailedError as error:
        problem = OpenMLUnreachableError(f"The search failed: {error}.")
    else:
        return answers.as_search_answer(found, asked=question, total_as_object=total_as_object)
    return answers.empty_search_answer(problem, asked=body, total_as_object=total_as_object)


async def search_many(
    server: SearchServer, default: tuple[str, ...], lines: bytes, who: Searcher
) -> Document:
    """Return the answers to several searches, one after the other, in the form of `_msearch`.

    Args:
        server: what answers.
        default: the indices of searches that name none.
        lines: JSON in pairs of lines: what is searched, and the search.
        who: asks.
    """
    responses: list[Document] = []
    until = time.monotonic() + SEARCHES_SECONDS
    for types, body in _pairs(lines, default):
        if time.monotonic() > until:
            late = OpenMLUnreachableError("The search failed: those before it took too long.")
            answer = answers.empty_search_answer(late, asked=body, total_as_object=False)
        else:
            answer = await search(server, types, body, who, total_as_object=False)
        responses.append({**answer, "status": 200})
    return {"took": sum(answer["took"] for answer in responses), "responses": responses}


def _pairs(lines: bytes, default: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    texts = [line for line in lines.split(b"\n", 2 * SEARCHES_AT_ONCE + 1) if line.strip()]
    for head, body in list(zip(texts[::2], texts[1::2], strict=False))[:SEARCHES_AT_ONCE]:
        named = parse(head)
        index = named.get("index") if isinstance(named, dict) else None
        names = index if isinstance(index, list) else str(index or "").split(",")
        types = tuple(dict.fromkeys(name for name in names if name in TYPES))
        yield types or default, parse(body)


def parse(text: bytes) -> object:
    """Return what a text of JSON says; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


async def count(server: SearchServer, types: tuple[str, ...], body: object, who: Searcher) -> Document:
    """Return how many documents are like this, in the form of `_count`."""
    query = {"query": body["query"]} if isinstance(body, dict) and "query" in body else {}
    found = await search(server, types, {**query, "size": 0}, who, total_as_object=False)
    return answers.count_answer(found)


async def get_documents(server: SearchServer, kind: str, body: object, who: Searcher) -> Document:
    """Return documents by their ids, in the form of `_mget`; `kind` is that of those that name none."""
    found = []
    for index, document_id in _wanted(body, kind)[:DOCUMENTS_AT_ONCE]:
        found.append(await get_document(server, index, document_id, who))
    return {"docs": found}


def _wanted(body: object, kind: str) -> list[tuple[str, str]]:
    if not isinstance(body, dict):
        return []
    ids = body.get("ids", [])
    docs = body.get("docs", [])
    wanted: list[tuple[object, object]] = [(kind, item) for item in (ids if isinstance(ids, list) else [])]
    wanted += [
        (item.get("_index", item.get("_type", kind)), item.get("_id"))
        for item in (docs if isinstance(docs, list) else [])
        if isinstance(item, dict)
    ]
    return [
        (str(index), str(item)) for index, item in wanted if index in TYPES and isinstance(item, str | int)
    ]


async def get_document(server: SearchServer, kind: str, document_id: str, who: Searcher) -> Document:
    """Return a document, or that there is none."""
    try:
        found = await server.get(kind, document_id, who)
    except SearchFailedError as error:
        problem = OpenMLUnreachableError(f"The search failed: {error}.")
        return answers.missing_document(kind, document_id, problem)
    return answers.as_document(found, kind=kind, document_id=document_id)
