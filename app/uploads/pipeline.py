"""One upload, from the bytes on disk to a dataset on OpenML: each step is recorded before the next begins.

    verifying --verify--> ready (waits for its owner; verifying once more after another choice), or at once
    received --check--> checked --convert--> converted --send--> published
                                                 ^           |
                                                 `- resend --+--> sending (the answer was lost: look, then decide)

Uploads are taken from the queue, and worked on for as long as their lease can be renewed. A worker that ends in a step
loses the lease, and the next one continues from the recorded state.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import tracing
from app.core.errors import DatabaseUnavailableError, InternalError, ProblemError
from app.core.settings import Settings
from app.core.tasks import heed_cancellation
from app.db import upload_queues, uploads, users
from app.db.engine import Database, notify_after_commit
from app.db.upload_queues import TO_PUBLISH
from app.db.upload_states import Actor, UploadState, expiry
from app.db.upload_values import Upload, UploadProgress
from app.events.notifications import UPLOADS, upload_topic
from app.openml.client import OpenMLClient
from app.openml.errors import (
    LIMITS,
    MAY_PASS,
    PASSING,
    ListTooLargeError,
    LostAnswerError,
    NotSentError,
    RefusedError,
)
from app.openml.fields import require_ignorable
from app.openml.problems import DatasetRefusedError, OpenMLUnreachableError
from app.openml.translation import problem_of
from app.storage.parts import UploadStorage
from app.storage.problems import BytesLostError, StorageFullError, StorageUnavailableError
from app.tabular import Conversion
from app.uploads.at_openml import reconcile, send
from app.uploads.choices import choices_of, preview_version
from app.uploads.claimed import ClaimedUpload
from app.uploads.conversion import NO_ROOM, Converter, TryAgainError
from app.uploads.lifecycle import bytes_to_keep, release, tidy_up_after
from app.uploads.previewing import make_preview
from app.uploads.problems import DigestMismatchError
from app.worker.queues import Lease, LeaseLostError, back_off
from app.worker.scheduling import FairScheduler

log = structlog.get_logger(__name__)

ATTEMPTS = 30
ROOM_ATTEMPTS = 6
"""Attempts where the disk is full, about a minute: an upload that waits for room occupies disk itself."""
FIRST_PAUSE_SECONDS = 2
LONGEST_PAUSE_SECONDS = 3600
LARGE_BYTES = 1_000_000
"""From here on error 102, 130 or 135 after a good key means that OpenML's limits are smaller than the file."""


class Publication(ClaimedUpload):
    """The steps of one upload that one worker has claimed."""

    def __init__(self, publisher: "Publisher", upload: Upload, lease: Lease) -> None:
        super().__init__(
            publisher.database,
            publisher.storage,
            publisher.openml,
            publisher.settings,
            upload=upload,
            lease=lease,
        )
        self._converter = publisher.converter

    async def run(self) -> None:
        """Go on from the state that was reached until the upload is published, failed, or has to wait."""
        steps: dict[UploadState, Callable[[], Awaitable[None]]] = {
            UploadState.VERIFYING: self._verify,
            UploadState.RECEIVED: self._check,
            UploadState.CHECKED: self._convert,
            UploadState.CONVERTED: partial(send, self),
            UploadState.SENDING: partial(reconcile, self),
        }
        try:
            while step := steps.get(UploadState(self.upload.state)):
                heed_cancellation()
                with tracing.span(f"upload {self.upload.state}"):
                    await step()
        except (StorageUnavailableError, StorageFullError) as problem:
            await self._retry_later(problem.detail, problem)
        except ProblemError as problem:
            await self._fail(problem)
        except TryAgainError as error:
            await self._retry_later(str(error), InternalError())
        except (NotSentError, LostAnswerError) as error:
            await self._retry_later(str(error), _UNREACHABLE)
        except RefusedError as error:
            await self._judge(error)
        except ListTooLargeError as error:
            # Only ever of the list that is asked for before anything is sent.
            text = f"{error}. OpenML has too many datasets of this name; choose another."
            await self._fail(DatasetRefusedError(text, reason="name-used-up"))
        except (LeaseLostError, DatabaseUnavailableError):
            raise  # It says nothing of the upload, which comes back when the lease is over.
        except Exception:
            # A fault of ours, perhaps of this upload alone: it must neither be lost nor be tried for ever.
            log.exception("publishing failed", upload=self.upload.id, state=self.upload.state)
            await self._retry_later("a fault on our side", InternalError())

    async def _verify(self) -> None:
        """Make one file of the parts, see whether it is the one that was announced, and look at its columns."""
        found = {} if self.upload.received_sha256 else await self._hash()
        if self._is_wanted():
            await self._release(found=found)
            return
        if found:
            await self.set_values(found)
        await self.reload()
        is_current = self._is_wanted() or await make_preview(self, self._converter)
        await self._release(is_current=is_current)

    def _is_wanted(self) -> bool:
        """Whether its owner has said that it is to be published, after which it needs no preview."""
        return self.upload.publish_requested

    async def _hash(self) -> dict[str, Any]:
        """Return what is to be written down of the file, once it is one, and the one that was announced."""
        digests = await self.compose()
        expected = self.upload.expected_sha256
        if expected not in {None, digests.sha256}:
            raise DigestMismatchError(
                f"The file that arrived has the SHA-256 {digests.sha256}, not {expected}; send it again."
            )
        return {
            "received_bytes": digests.length,
            "received_md5": digests.md5,
            "received_sha256": digests.sha256,
        }

    async def _release(
        self,
        problem: ProblemError | None = None,
        *,
        is_current: bool = True,
        found: Mapping[str, Any] | None = None,
    ) -> bool:
        """Let the upload wait for its owner, or go on; the owner may decide so in this very moment.

        With a problem, it waits only where there is another preview to go back to, or another choice may help; False if
        that is not so. If it `is_current` no more, its preview is made once more. What was `found` is written with it.
        """
        self.lease.is_ending = True
        values: dict[str, Any] = {}
        if problem:
            # Without what was begun, which is removed.
            kept = await bytes_to_keep(self.database, self.storage, self.upload)
            values = {"error": problem.record(), "reserved_bytes": kept}
        upload = await self.database.unit(
            partial(self._go_on, problem=problem, is_current=is_current, values=values, found=found)
        )
        if upload is None:
            self.lease.is_ending = False
            return False
        if upload.state != self.upload.state:
            log.info("upload", upload=self.upload.id, user=upload.user_id, state=upload.state)
        if upload.state == UploadState.DUPLICATE and not preview_version(upload):
            # Whoever has looked at it may want it all the same, and finds its bytes.
            await self.forget_bytes()
        if upload.lease_owner is None:
            # Whoever comes next, perhaps this worker, takes it from the queue.
            upload = upload._replace(state=UploadState.READY)
        else:
            self.lease.is_ending = False
        self.upload = upload
        return True

    async def _go_on(
        self,
        session: AsyncSession,
        *,
        problem: ProblemError | None,
        is_current: bool,
        values: Mapping[str, Any],
        found: Mapping[str, Any] | None,
    ) -> Upload | None:
        await users.lock_user(session, self.upload.user_id)
        if found and not await self.write(session, found):
            raise LeaseLostError
        upload = await self.mine(session)
        has_changed = not is_current or choices_of(upload.description) != choices_of(self.description)
        moved: Upload | None
        if upload.publish_requested and (problem is None or has_changed):
            goes_on = problem is None
            moved = await release(
                session, upload, now=self.now(), lease_owner=self.lease_owner, goes_on=goes_on
            )
        elif has_changed:
            # Looked at once more, when it is this user's turn again.
            notify_after_commit(session, UPLOADS)
            waits = await upload_queues.set_retry(
                session, upload.id, lease_owner=self.lease_owner, at=self.now(), is_attempt=False
            )
            moved = upload._replace(lease_owner=None) if waits else None
        elif problem is None or (
            not upload.publish_requested
            and (preview_version(upload) or problem.members.get("correct") == "metadata")
        ):
            is_ready = await self._make_ready(session, values)
            moved = upload._replace(state=UploadState.READY, lease_owner=None) if is_ready else None
        else:
            return None
        if moved is None:
            raise LeaseLostError
        return moved

    async def _make_ready(self, session: AsyncSession, values: Mapping[str, Any]) -> bool:
        """Let the upload wait for its owner; False if another worker has taken it over."""
        notify_after_commit(session, upload_topic(self.upload.id))
        return await uploads.set_state(
            session,
            self.upload.id,
            UploadState.READY,
            by=Actor.PUBLISHER,
            now=self.now(),
            lease_owner=self.lease_owner,
            available_at=self.now(),
            values={"expires_at": expiry(self.now()), "progress": None, "error": None, **values},
        )

    async def _check(self) -> None:
        if self.upload.duplicate_of is not None:
            # Another upload of the same file goes first.
            await self._release()
            return
        await self.api_key()
        await self.move(UploadState.CHECKED)

    async def _convert(self) -> None:
        await self.fetch()
        conversion = await self._converter.convert(self.upload, self.report)
        known = [repair for repair in self.upload.repairs or [] if not repair["column"]]
        # What is of no single column must not pass for the description's, which outlives a conversion.
        made = [{**asdict(repair), "column": repair.column or "…"} for repair in conversion.repairs]
        repairs = [*known, *(repair for repair in made if repair not in known)]
        self._require_ignorable(conversion)
        await self.move(
            UploadState.CONVERTED,
            {
                "arff_bytes": conversion.arff_bytes,
                "arff_md5": conversion.arff_md5,
                "arff_format": conversion.arff_format,
                "row_count": conversion.rows,
                "column_count": len(conversion.columns),
                "warnings": list(dict.fromkeys([*(self.upload.warnings or []), *conversion.warnings])),
                "repairs": repairs,
                "reading": {
                    **(self.upload.reading or {}),
                    "fields": conversion.reading,
                    "doubts": [asdict(doubt) for doubt in conversion.doubts],
                },
                "description": {
                    **self.description,
                    # By the names that are published; by those of the file it may be converted once more.
                    "published_names": {
                        "def_tar_att": list(conversion.target_attributes),
                        "row_id_attribute": conversion.row_id_attribute,
                        "ignore_attribute": list(conversion.ignore_attributes),
                    },
                },
            },
        )

    def _require_ignorable(self, conversion: Conversion) -> None:
        try:
            require_ignorable(conversion.ignore_attributes)
        except ValueError as error:
            raise DatasetRefusedError(str(error), reason="too-many-ignored") from None

    async def _judge(self, error: RefusedError) -> None:
        """Decide what OpenML's refusal means: a passing fault, a file too large, or input it does not take."""
        arff_bytes = self.upload.arff_bytes or 0
        if error.code in PASSING | MAY_PASS:
            await self._retry_later(str(error), _UNREACHABLE)
        elif error.code in LIMITS and arff_bytes >= LARGE_BYTES:
            text = f"The dataset is too large for the OpenML server ({arff_bytes} bytes as ARFF)."
            await self._fail(DatasetRefusedError(text, reason="too-large-for-openml", code=error.code))
        else:
            await self._fail(problem_of(error))

    async def _retry_later(self, reason: str, in_the_end: ProblemError) -> None:
        """Give the upload back for a while; after many attempts, fail with `in_the_end`."""
        needs_room = isinstance(in_the_end, StorageFullError)
        if self.upload.attempts >= (ROOM_ATTEMPTS if needs_room else ATTEMPTS):
            await self._fail(StorageFullError(NO_ROOM) if needs_room else in_the_end)
            return
        pause = back_off(
            self.upload.attempts, first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS
        )
        log.warning(
            "upload has to wait",
            upload=self.upload.id,
            user=self.upload.user_id,
            state=self.upload.state,
            problem=in_the_end.slug,
            reason=reason,
        )
        waits: UploadProgress = {
            "phase": "waiting",
            "bytes": 0,
            "total_bytes": None,
            "rows": None,
            "detail": reason,
        }

        async def wait(session: AsyncSession) -> None:
            at, progress = self.now() + pause, waits if needs_room else None
            if not await upload_queues.set_retry(
                session, self.upload.id, lease_owner=self.lease_owner, at=at, progress=progress
            ):
                raise LeaseLostError
            notify_after_commit(session, upload_topic(self.upload.id))

        await self.database.unit(wait)

    async def _fail(self, problem: ProblemError) -> None:
        is_lost = isinstance(problem, BytesLostError | DigestMismatchError)
        if self.upload.state == UploadState.VERIFYING and not is_lost and await self._release(problem):
            return
        kept = await bytes_to_keep(self.database, self.storage, self.upload)
        values = {"error": problem.record(), "reserved_bytes": kept}
        await self.move(UploadState.FAILED, values, detail=problem.detail)
        await tidy_up_after(self.database, self.storage, self.upload.id, problem)


_UNREACHABLE = OpenMLUnreachableError(
    "OpenML could not be reached for a long time. Try this upload again (`retry`): a new one might be a second dataset."
)


@dataclass(frozen=True, slots=True)
class Publisher:
    """Takes uploads from the queue, and publishes them."""

    database: Database
    storage: UploadStorage
    openml: OpenMLClient
    settings: Settings
    scheduler: FairScheduler
    converter: Converter
    claiming: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a row is claimed: the loops of one worker are woken together, and mostly for one row."""

    async def publish_one(self, *, lease_owner: str) -> bool:
        """Take the next upload that is due one or more states further; False if there is none."""
        length = timedelta(seconds=self.settings.timings.lease_seconds)
        async with self.claiming:
            now = self.database.now()
            upload = await upload_queues.claim_upload_fairly(
                self.database,
                TO_PUBLISH,
                self.scheduler.choose,
                lease_owner=lease_owner,
                now=now,
                lease=length,
            )
            if upload is None:
                return False
            self.scheduler.served(upload.user_id)
        lease = Lease(self.database, TO_PUBLISH, upload.id, lease_owner, length, until=now + length)
        lease.topic, lease.traceparent = upload_topic(upload.id), upload.traceparent
        publication = Publication(self, upload, lease)
        await lease.work(publication.run(), news=publication.news)
        return True
