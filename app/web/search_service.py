"""Searches and documents; failures of the search server become empty answers."""

from typing import Any

from app.core.errors import BadRequestError, OpenMLUnreachableError, ProblemError
from app.core.shares import Subject
from app.web import search_answers as answers
from app.web.search_client import SearchClient, SearchFailedError
from app.web.search_query import QueryRefusedError, by_id, translate

Document = dict[str, Any]


async def search(
    client: SearchClient,
    types: tuple[str, ...],
    body: object,
    *,
    viewer_id: int | None,
    asker: Subject,
    total_as_object: bool,
) -> Document:
    """Return what was found, or an empty list that says why."""
    try:
        question = translate(body, types, viewer_id=viewer_id)
        # What anybody may see is the same for everybody.
        is_shared_count = question["size"] == 0 and viewer_id is None
        found = await (client.count if is_shared_count else client.search)(types, question, asker=asker)
    except QueryRefusedError as error:
        problem: ProblemError = BadRequestError(f"This search is not passed on: {error}.")
    except SearchFailedError as error:
        problem = OpenMLUnreachableError(f"The search failed: {error}.")
    else:
        return answers.as_search_answer(found, asked=question, total_as_object=total_as_object)
    return answers.empty_search_answer(problem, asked=body, total_as_object=total_as_object)


async def get_document(
    client: SearchClient, kind: str, document_id: str, *, viewer_id: int | None, asker: Subject
) -> Document:
    """Return a document, or that there is none."""
    try:
        found = await client.search((kind,), by_id(document_id, viewer_id=viewer_id), asker=asker)
    except SearchFailedError as error:
        problem = OpenMLUnreachableError(f"The search failed: {error}.")
        return answers.missing_document(kind, document_id, problem)
    return answers.as_document(found, kind=kind, document_id=document_id)
