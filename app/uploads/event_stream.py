"""The steps and the state of an upload as server-sent events, from any process."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from app.core.concurrency import ConcurrencyLimit
from app.core.errors import DatabaseUnavailableError, NotFoundError, TooManyRequestsError
from app.db.engine import Database
from app.db.open_requests import WatchedUploads
from app.db.upload_states import ENDED
from app.openml.client import OpenMLClient
from app.uploads.schemas import UploadEventResponse, UploadStatusResponse
from app.uploads.status import follow_upload

LOOK_SECONDS = 15.0
"""How often the row is looked at though nobody woke us; a proxy must see a byte as often, or it hangs up."""
LONGEST_SECONDS = 600.0
"""Then the client asks again, with a token that is valid then."""
RETRY_MILLISECONDS = 2000
EVENT_NUMBER = re.compile(r"[0-9]{1,18}")


async def stream_events(
    database: Database,
    openml: OpenMLClient,
    watched: WatchedUploads,
    stream_limit: ConcurrencyLimit,
    *,
    user_id: int,
    upload_id: str,
    after: int,
    is_signed_in: Callable[[], Awaitable[bool]],
    is_to_end: Callable[[], bool],
) -> AsyncIterator[bytes]:
    """Yield an event `state` for each step after the given one, and `upload` whenever anything has changed.

    The id of a `state` is the step's number: a client that lost the connection names the last one it saw. Ends when
    nothing more will happen, at the first look (every 15 seconds, or at an event) that `is_signed_in` denies, after
    ten minutes, or as soon as `is_to_end`: then another process has the rest.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LONGEST_SECONDS
    shown: str | None = None
    with stream_limit.take(user_id), watched.listen(upload_id) as listener:
        while loop.time() < deadline:
            try:
                if not await is_signed_in():
                    return
                upload, events = await look(database, openml, user_id=user_id, upload_id=upload_id)
            except (NotFoundError, TooManyRequestsError):
                return  # The account was deleted meanwhile, or its API key cannot be looked at now.
            except DatabaseUnavailableError:
                yield KEEPALIVE_COMMENT  # The answer has begun; it goes on when the database is back.
                await listener.wait(seconds=RETRY_MILLISECONDS / 1000)
                continue
            for event in events:
                if event.id > after:
                    after = event.id
                    yield format_sse_event(
                        data_str=event.model_dump_json(),
                        event="state",
                        id=str(event.id),
                        retry=RETRY_MILLISECONDS,
                    )
            text = upload.model_dump_json()
            yield format_sse_event(data_str=text, event="upload") if text != shown else KEEPALIVE_COMMENT
            shown = text
            if upload.state in ENDED:
                return
            await listener.wait(seconds=LOOK_SECONDS)
            if is_to_end():
                yield b"retry: %d\n\n" % RETRY_MILLISECONDS
                return


async def look(
    database: Database, openml: OpenMLClient, *, user_id: int, upload_id: str
) -> tuple[UploadStatusResponse, list[UploadEventResponse]]:
    """Return the state of an upload, and its steps.

    Raises:
        NotFoundError: there is none, or it is somebody else's.
    """
    async with database.session() as session:
        return await follow_upload(session, openml, user_id=user_id, upload_id=upload_id)


def last_seen(header: str | None) -> int:
    """Return the number of the last step that a client saw; what is no number of ours is none."""
    return int(header) if header and EVENT_NUMBER.fullmatch(header) else 0
