"""The preview of a draft: computed in a child process, and cancelled when the owner's choices change."""

import asyncio
import json
from functools import partial

from app.core.tasks import watched
from app.db import uploads
from app.tabular import read_profile
from app.uploads.choices import Chosen, digest_choices, preview_version
from app.uploads.claimed import ClaimedUpload
from app.uploads.conversion import WATCH_SECONDS, Converter
from app.uploads.lifecycle import preview_bytes


async def make_preview(claimed: ClaimedUpload, converter: Converter) -> bool:
    """Look at the columns, for their owner to see before anything is published.

    The preview that there is stays until the new one is whole. False if it was broken off for another choice, and is to
    be made once more: that choice may have been taken back meanwhile.

    Raises:
        ProblemError, TryAgainError: as `Converter.profile`.
    """
    upload, storage = claimed.upload, claimed.storage
    before = preview_version(upload)
    chosen = await asyncio.to_thread(digest_choices, claimed.description)
    if before == chosen.choices:
        return True
    await claimed.fetch()
    path = storage.path(upload.id, "profile", chosen.choices)
    plans = {version: storage.path(upload.id, "plans", version) for version in (before, chosen.choices)}
    profiling = converter.profile(upload, chosen.choices, claimed.report)
    try:
        found = await watched(profiling, partial(_require, claimed, chosen), seconds=WATCH_SECONDS)
    except _OtherChoiceError:
        for made in (path, plans[chosen.choices]):
            await asyncio.to_thread(made.unlink, missing_ok=True)
        return False
    except BaseException:
        # Nothing counts it, and nothing else takes it for a plan of something else.
        await asyncio.to_thread(plans[chosen.choices].unlink, missing_ok=True)
        raise
    await storage.keep(upload.id, "profile", chosen.choices)
    table = (await asyncio.to_thread(read_profile, path, most=0)).table
    values = {
        "row_count": found.rows,
        "column_count": found.columns,
        "reading": {"fields": table["reading"], "doubts": table["doubts"], **chosen._asdict()},
        "reserved_bytes": (upload.received_bytes or 0)
        + await preview_bytes(storage, upload.id, chosen.choices),
    }
    await claimed.set_values(values)
    await storage.drop(upload.id, "profile", before)
    await asyncio.to_thread(plans[before].unlink, missing_ok=True)
    return True


class _OtherChoiceError(Exception):
    """The owner's choices have changed, so that the preview being made is obsolete."""


async def _require(claimed: ClaimedUpload, chosen: Chosen) -> None:
    said = await uploads.get_description(claimed.database.reader, claimed.upload.id)
    if await asyncio.to_thread(lambda: digest_choices(json.loads(said))) != chosen:
        raise _OtherChoiceError
