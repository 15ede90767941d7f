"""Waiting for what becomes of an upload."""

import time
from contextlib import ExitStack

from app.core.errors import StillWorkingError, UploadGoneError, problem_from_record
from app.db import uploads
from app.db.reader import Reader
from app.db.upload_states import HAS_OUTCOME, UploadState
from app.db.uploads import Outcome
from app.db.watched import WatchedUploads

LOOK_SECONDS = 15.0
"""How often a waiting request looks at the row though nobody woke it."""


async def wait_for_outcome(
    reader: Reader, watched: WatchedUploads, upload_id: str, *, seconds: float
) -> tuple[str, Outcome]:
    """Return how the upload was published, and which one that was: it may have been an earlier one of the same file.

    Raises:
        Problem: why it was not, as the worker wrote it down.
        StillWorkingError: it takes longer than a request may wait; the upload goes on.
    """
    deadline = time.monotonic() + seconds
    asked_for = upload_id
    with ExitStack() as stack:
        listener = stack.enter_context(watched.listen(upload_id))
        while time.monotonic() < deadline:
            outcome = await uploads.get_outcome(reader, upload_id)
            if outcome and outcome.state == UploadState.FAILED and outcome.error:
                raise problem_from_record(outcome.error, upload_id=upload_id)
            if outcome and outcome.state == UploadState.CANCELLED:
                raise UploadGoneError("The upload was cancelled.", upload_id=upload_id)
            if outcome and outcome.state == UploadState.DUPLICATE and outcome.duplicate_of:
                upload_id = outcome.duplicate_of
                listener = stack.enter_context(watched.listen(upload_id))
                continue
            if outcome and outcome.state in HAS_OUTCOME:
                return upload_id, outcome
            await listener.wait(seconds=min(LOOK_SECONDS, max(deadline - time.monotonic(), 0)))
    raise StillWorkingError(
        "The upload is safe and still being published; look for it on OpenML in a while.", upload_id=asked_for
    )
