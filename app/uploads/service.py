"""Services for uploads apart from their bytes: change metadata, publish, retry."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.concurrency import BoundedExecutor
from app.core.errors import problem_from_record
from app.core.locks import Locks
from app.db import uploads, users
from app.db.engine import Database, notify_after_commit
from app.db.upload_states import (
    BEFORE_PUBLISH,
    CAN_CHANGE,
    CAN_RETRY,
    PREVIEWED_ANEW,
    Actor,
    UploadState,
    expiry,
)
from app.db.upload_values import Upload
from app.events.notifications import UPLOADS, upload_topic
from app.storage.parts import UploadStorage
from app.uploads.choices import choices_of, preview_version
from app.uploads.lifecycle import begin_again, can_begin_again, release
from app.uploads.metadata import MERGED, MOST_WARNINGS, Checked, Judged, given, judge, merge
from app.uploads.preview import require_possible_choices
from app.uploads.problems import UploadGoneError, UploadStateError
from app.uploads.stopping import find_upload, moved_on, not_now

JUDGED_AGAIN = 5
"""How often a change is judged where other processes change the same upload meanwhile."""
Write = Callable[[AsyncSession, Upload, Judged], Awaitable[None]]
"""What is written of an upload that was judged; it may be called again where others changed the same rows."""


@dataclass(frozen=True, slots=True)
class Judging:
    """The dependencies for validating changes of an upload."""

    database: Database
    storage: UploadStorage
    """Where the preview is."""
    checks: BoundedExecutor
    locks: Locks

    async def judge_and(
        self,
        write: Write,
        *,
        user_id: int,
        upload_id: str,
        changes: Mapping[str, Any],
        all_of_them: bool,
    ) -> None:
        """Judge an upload with its changes, and call `write` in a transaction that finds it described as it was judged.

        To judge may take long, and a file is read for it: that is done in no transaction. Of two changes at once the
        second is judged again, and made to what the first has left.

        Args:
            write: gets the upload, of a user who is locked.
            user_id: whose upload it is.
            upload_id: which one.
            changes: of what is said of the dataset.
            all_of_them: hold all that is said of columns against the preview, not only what is new.
        """
        async with self.locks.of(upload_id):
            for _ in range(JUDGED_AGAIN):
                async with self.database.session() as session:
                    upload = await find_upload(session, user_id=user_id, upload_id=upload_id)
                if upload.is_partial:
                    raise not_now(upload)
                before = given(upload.description)
                judged = await self.checks.run_for(user_id, judge, merge(before, changes))
                values = judged.draft.values if all_of_them else _news(judged.draft.values, before, changes)
                await require_possible_choices(
                    self.storage, self.checks, upload, values, described=judged.draft.values
                )
                written = partial(
                    _write_if, write, user_id=user_id, upload_id=upload_id, before=before, judged=judged
                )
                if await self.database.unit(written):
                    return
        raise moved_on()


async def change_metadata(
    judging: Judging, *, user_id: int, upload_id: str, changes: Mapping[str, Any]
) -> None:
    """Change what is said of an upload that is not on its way to OpenML yet.

    After another choice of how the table is read or published, its preview is made anew.

    Raises:
        UploadStateError: it is.
        ValidationFailedError: some field is not what OpenML takes, or no type that the column can have.
    """

    async def save(session: AsyncSession, upload: Upload, judged: Judged) -> None:
        now = judging.database.now()
        await _save_metadata(session, now, upload, judged)
        if upload.state in PREVIEWED_ANEW and choices_of(upload.description) != choices_of(
            judged.draft.values
        ):
            await _preview_anew(session, now, upload, judged.draft)

    await judging.judge_and(
        save,
        user_id=user_id,
        upload_id=upload_id,
        changes=changes,
        all_of_them=False,
    )


async def _write_if(
    write: Write,
    session: AsyncSession,
    *,
    user_id: int,
    upload_id: str,
    before: Mapping[str, Any],
    judged: Judged,
) -> bool:
    """Call `write` if the upload is still described as it was; say whether it is."""
    await users.require_open(session, user_id)
    upload = await find_upload(session, user_id=user_id, upload_id=upload_id)
    if given(upload.description) != before:
        return False
    await write(session, upload, judged)
    return True


def _news(values: Mapping[str, Any], known: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changed metadata that differs from the stored; of lists, only new items."""
    news = {name: value for name, value in values.items() if name in changes and value != known.get(name)}
    for name, value in news.items():
        before = known.get(name)
        if isinstance(value, list) and isinstance(before, list):
            news[name] = [one for one in value if one not in before]
    for field in MERGED & news.keys() & changes.keys():
        news[field] = {name: news[field][name] for name in changes[field] or () if name in news[field]}
    return news


async def _save_metadata(session: AsyncSession, now: datetime, upload: Upload, judged: Judged) -> None:
    if upload.state not in CAN_CHANGE or upload.dataset_id is not None:
        raise not_now(upload)
    _require_settled(upload)
    # What is to be published without another question stays complete.
    metadata = judged.complete() if upload.publish_requested else judged.draft
    values: dict[str, Any] = {
        "description": metadata.values,
        "repairs": [
            *(upload.repairs or []),
            *(new for new in metadata.repairs if new not in (upload.repairs or [])),
        ],
        "warnings": list(dict.fromkeys([*(upload.warnings or []), *metadata.warnings]))[:MOST_WARNINGS],
    }
    if upload.expires_at is not None:
        values["expires_at"] = expiry(now)
    if not await uploads.set_values(session, upload.id, values, only_in=CAN_CHANGE):
        raise moved_on()


async def _preview_anew(session: AsyncSession, now: datetime, upload: Upload, draft: Checked) -> None:
    """Queue a new preview, if the present one is of other choices and the bytes are stored."""
    if upload.state == UploadState.READY and (upload.reading or {}).get("choices") == draft.chosen.choices:
        # Back from a choice with which it could not be read.
        moved = await uploads.set_values(session, upload.id, {"error": None}, only_in={UploadState.READY})
        notify_after_commit(session, upload_topic(upload.id))
    elif upload.state == UploadState.READY or await can_begin_again(session, upload, now):
        moved = await begin_again(session, now, upload, draft, publish=False)
    else:
        return
    if not moved:
        raise moved_on()


async def publish_upload(
    judging: Judging, *, user_id: int, upload_id: str, changes: Mapping[str, Any]
) -> None:
    """Let an upload go to OpenML: now, or as soon as its bytes are in. Asked twice, it is the same.

    Raises:
        UploadStateError: it has failed (`retry_upload`), or is on its way with another description.
        UploadGoneError: it was cancelled.
        DatasetRefusedError: its table cannot be read so, and nothing else is chosen.
        ValidationFailedError: the metadata is not complete, or a column cannot have the type that it is given.
    """

    async def publish(session: AsyncSession, upload: Upload, judged: Judged) -> None:
        if upload.state == UploadState.CANCELLED:
            raise UploadGoneError
        if upload.state == UploadState.FAILED:
            raise UploadStateError("The upload has failed; correct it, then POST to its `retry`.")
        if upload.state in BEFORE_PUBLISH:
            await _request(session, judging.database.now(), upload, judged)
        elif _changes_something(upload, judged):
            raise not_now(upload)

    await judging.judge_and(
        publish,
        user_id=user_id,
        upload_id=upload_id,
        changes=changes,
        all_of_them=True,
    )


async def _request(session: AsyncSession, now: datetime, upload: Upload, judged: Judged) -> None:
    """Record that the upload is to be published, and queue it if it waits for that.

    One that could not be read so far needs another choice first.
    """
    has_changed = choices_of(upload.description) != choices_of(judged.draft.values)
    if upload.state == UploadState.READY and upload.error and not (preview_version(upload) or has_changed):
        raise problem_from_record(upload.error)
    await _save_metadata(session, now, upload._replace(publish_requested=True), judged)
    requested = {"publish_requested": True, "error": None}
    if not await uploads.set_values(session, upload.id, requested, only_in=BEFORE_PUBLISH):
        raise moved_on()
    # The worker may have made it ready in this very moment.
    upload = await find_upload(session, user_id=upload.user_id, upload_id=upload.id)
    if upload.state == UploadState.READY and await release(session, upload, now=now) is None:
        raise moved_on()


async def _nothing_else(_session: AsyncSession) -> None:
    return


async def retry_upload(
    judging: Judging,
    *,
    user_id: int,
    upload_id: str,
    changes: Mapping[str, Any],
    by: Actor = Actor.OWNER,
    with_it: Callable[[AsyncSession], Awaitable[None]] = _nothing_else,
) -> None:
    """Try a failed upload again, with its bytes and perhaps another description; or publish one that is a duplicate.

    One that is looked at anew since it failed, or was, is published, if it is its owner who asks. One whose file is in
    quarantine goes on, if it is an administrator. `with_it` is written in the same transaction.

    Raises:
        UploadStateError: it has not failed, OpenML has it, or its bytes are gone; or it would be a duplicate again.
        ValidationFailedError: the metadata is not complete, or a column cannot have the type that it is given.
    """

    async def retry(session: AsyncSession, upload: Upload, judged: Judged) -> None:
        now = judging.database.now()
        await with_it(session)
        is_owner = by == Actor.OWNER
        if is_owner and upload.state in BEFORE_PUBLISH and upload.received_sha256 is not None:
            await _request(session, now, upload, judged)
            return
        is_held = not is_owner and upload.quarantined_at is not None
        if upload.state not in CAN_RETRY and not is_held:
            raise UploadStateError("The upload has not failed; there is nothing to try again.")
        if upload.sent_at is not None:
            await _look_again(session, upload, judged, now=now, by=by)
            return
        if not await can_begin_again(session, upload, now):
            raise UploadStateError("The bytes of this upload are not kept any more; send the file again.")
        # What its owner never asked to publish only goes back to waiting for them.
        publish = is_owner or upload.publish_requested
        metadata = judged.complete() if publish else judged.draft
        if upload.state == UploadState.DUPLICATE:
            _require_another(upload, metadata.values)
        if not await begin_again(session, now, upload, metadata, publish=publish, by=by):
            raise moved_on()

    await judging.judge_and(
        retry,
        user_id=user_id,
        upload_id=upload_id,
        changes=changes,
        all_of_them=True,
    )


async def _look_again(
    session: AsyncSession, upload: Upload, judged: Judged, *, now: datetime, by: Actor
) -> None:
    """Go on with an upload that failed while nobody could say whether OpenML has it: look there before it is sent."""
    if _changes_something(upload, judged):
        _require_settled(upload)
    moved = await uploads.set_state(
        session,
        upload.id,
        UploadState.SENDING,
        by=by,
        now=now,
        available_at=now,
        values={"error": None, "finished_at": None, "cancel_requested": False},
    )
    if not moved:
        raise moved_on()
    notify_after_commit(session, UPLOADS)


def _changes_something(upload: Upload, judged: Judged) -> bool:
    """Return whether the description would differ: pages send the whole form, changed or not."""
    return judged.complete().values != merge(upload.description, {})


def _require_settled(upload: Upload) -> None:
    """Refuse to change what OpenML may have got as it was: by that it is looked for there."""
    if upload.state == UploadState.FAILED and upload.sent_at is not None:
        raise UploadStateError(
            "OpenML may have got this upload before it failed; POST to its `retry` without changes, which looks there."
        )


def _require_another(upload: Upload, description: Mapping[str, Any]) -> None:
    """Refuse to retry a duplicate that would be one again."""
    is_same_name = description.get("dataset_name") == (upload.description or {}).get("dataset_name")
    if is_same_name and not description.get("allow_duplicate"):
        raise UploadStateError(
            "The same file was published under this name before; say `allow_duplicate` to publish it once more, or "
            "give it another `dataset_name`."
        )
