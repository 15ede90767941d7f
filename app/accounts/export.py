"""Everything that this service holds about a user, as a stream: one upload or task is in memory at a time."""

from collections.abc import AsyncIterator

from pydantic import TypeAdapter

from app.accounts.schemas_signed_in import ExportHead
from app.db import task_requests, upload_views
from app.db.engine import Database

_ROW = TypeAdapter(dict[str, object])


async def stream_export(database: Database, user_id: int, head: ExportHead) -> AsyncIterator[bytes]:
    """Yield the JSON of an `ExportResponse`: what `head` says of the account, then each upload and each task.

    No connection is held while the client reads.
    """
    async with database.session() as session:
        upload_ids = await upload_views.get_ids_of_user(session, user_id)
        request_ids = await task_requests.get_ids_of_user(session, user_id)
    yield head.model_dump_json().removesuffix("}").encode()
    yield b',"uploads":['
    between = b""
    for upload_id in upload_ids:
        async with database.session() as session:
            mine = await upload_views.get_of_user(session, user_id, only=[upload_id])
        # None, if it has gone while those before it were sent.
        for upload in mine:
            yield between + _ROW.dump_json(upload._asdict())
            between = b","
    yield b'],"tasks":['
    between = b""
    for request_id in request_ids:
        async with database.session() as session:
            found = await task_requests.get_of_user(session, user_id, only=[request_id])
        for request in found:
            yield between + _ROW.dump_json(request._asdict())
            between = b","
    yield b"]}"
