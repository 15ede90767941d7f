"""One upload, from the bytes on disk to a dataset on OpenML: each step is recorded before the next begins.

    verifying --verify--> ready (waits for its owner), or at once
    received --check--> checked --convert--> converted --send--> published
                                                 ^           |
                                                 `- resend --+--> sending (the answer was lost: look, then decide)

A worker that dies in a step loses its lease, and the next one takes the upload up at the state it reached. Sending
alone cannot simply be repeated: OpenML makes a second dataset of a second request. So the attempt is recorded first,
with the newest dataset of that name, and an upload found in `sending` is looked for among the newer ones.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import (
    ApiKeyMissingError,
    BytesLostError,
    DatabaseUnavailableError,
    DatasetRefusedError,
    DigestMismatchError,
    InternalError,
    OpenMLUnreachableError,
    ProblemError,
    StorageFullError,
    StorageUnavailableError,
    UnauthorizedError,
)
from app.core.openml_shapes import is_api_key
from app.core.tasks import heed_cancellation
from app.db import upload_queues, uploads, users
from app.db.engine import notify_after_commit
from app.db.upload_states import ENDED, Actor, UploadState
from app.db.uploads import Upload
from app.events.notifications import PUBLISHED, upload_topic
from app.mail.messages import MailKind
from app.openml import xml
from app.openml.description import require_ignorable, with_changes
from app.openml.errors import (
    AUTHENTICATION,
    LIMITS,
    MAY_PASS,
    PASSING,
    ListTooLargeError,
    LostAnswerError,
    NotSentError,
    OpenMLError,
    RefusedError,
    UnsettledError,
)
from app.openml.problems import problem_of
from app.resources import Resources
from app.storage.parts import Digests
from app.tabular import Conversion
from app.uploads.append import expiry
from app.uploads.conversion import Converter, TryAgainError
from app.uploads.leftovers import bytes_to_keep, forget_bytes, get_parts, tidy_up_after
from app.uploads.notices import tell_owner
from app.uploads.release import release
from app.uploads.working_space import NO_ROOM, require_working_room
from app.worker.leases import Lease, LeaseLostError
from app.worker.loops import back_off

log = structlog.get_logger(__name__)

ATTEMPTS = 30
ROOM_ATTEMPTS = 6
"""Where the disk is full: about a minute. Whoever waits for room holds bytes that others need."""
FIRST_PAUSE_SECONDS = 2
LONGEST_PAUSE_SECONDS = 3600
LARGE_BYTES = 1_000_000
"""From here on error 102, 130 or 135 after a good key means that OpenML's limits are smaller than the file."""
NOT_OURS = frozenset({111, 112})
"""Refusals of a candidate that settle it: it is gone, or it is private, and what is published here is public."""


class Publication:
    """The steps of one upload, in the hands of one worker."""

    def __init__(self, resources: Resources, converter: Converter, upload: Upload, lease: Lease) -> None:
        self._resources = resources
        self._converter = converter
        self._upload = upload
        self._lease = lease
        self._owner = lease.owner
        self.progress: dict[str, Any] | None = None
        """How far the phase is that the upload is in, see `ProgressResponse`."""

    def news(self) -> Mapping[str, Any]:
        """Return what is written down beside the lease."""
        return {"progress": self.progress}

    def _now(self) -> datetime:
        return self._resources.database.now()

    @property
    def _description(self) -> Mapping[str, Any]:
        return self._upload.description or {}

    async def run(self) -> None:
        """Go on from the state that was reached until the upload is published, failed, or has to wait."""
        steps = {
            UploadState.VERIFYING: self._verify,
            UploadState.RECEIVED: self._check,
            UploadState.CHECKED: self._convert,
            UploadState.CONVERTED: self._send,
            UploadState.SENDING: self._reconcile,
        }
        try:
            while step := steps.get(UploadState(self._upload.state)):
                heed_cancellation()
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
            log.exception("publishing failed", upload=self._upload.id, state=self._upload.state)
            await self._retry_later("a fault on our side", InternalError())

    async def _verify(self) -> None:
        """Make one file of the parts, and see whether it is the one that was announced."""
        upload = self._upload
        digests = await self._compose()
        values = {
            "received_bytes": digests.length,
            "received_md5": digests.md5,
            "received_sha256": digests.sha256,
        }
        if upload.expected_sha256 not in {None, digests.sha256}:
            raise DigestMismatchError(
                f"The file that arrived has the SHA-256 {digests.sha256}, not {upload.expected_sha256}; send it again."
            )
        await self._set_values(values)
        await self._reload()
        if not self._upload.publish_requested:
            await self._profile()
        await self._release()

    async def _compose(self) -> Digests:
        parts = await get_parts(self._resources, self._upload.id)
        total = sum(part.length for part in parts)
        if total != self._upload.total_bytes:
            raise BytesLostError
        source = self._resources.storage.path(self._upload.id, "source")
        if not await asyncio.to_thread(source.exists):
            await require_working_room(self._resources, self._resources.storage.composing_bytes(parts))
        return await self._resources.storage.compose(
            self._upload.id, parts, lambda done: self._report("verifying", done, total)
        )

    async def _release(self) -> None:
        """Let the upload wait for its owner, or go on; the owner may decide so in this very moment."""
        self._lease.is_ending = True
        upload, state = await self._resources.database.unit(self._go_on)
        if state != self._upload.state:
            log.info("upload", upload=self._upload.id, state=state)
        if state == UploadState.DUPLICATE:
            await self._forget_bytes()
        # Whoever comes next, perhaps this worker, takes it from the queue.
        self._upload = upload._replace(state=UploadState.READY)

    async def _go_on(self, session: AsyncSession) -> tuple[Upload, UploadState]:
        await users.lock_user(session, self._upload.user_id)
        upload = await self._mine(session)
        if upload.publish_requested:
            state = await release(session, upload, now=self._now(), owner=self._owner)
        else:
            state = await self._make_ready(session)
        if state is None:
            raise LeaseLostError
        return upload, state

    async def _make_ready(self, session: AsyncSession) -> UploadState | None:
        """Let the upload wait for its owner; None if another worker has taken it over."""
        notify_after_commit(session, upload_topic(self._upload.id))
        moved = await uploads.set_state(
            session,
            self._upload.id,
            UploadState.READY,
            by=Actor.PUBLISHER,
            now=self._now(),
            owner=self._owner,
            available_at=self._now(),
            values={"expires_at": expiry(self._resources), "progress": None},
        )
        return UploadState.READY if moved else None

    async def _profile(self) -> None:
        """Look at the columns, for their owner to see before anything is published."""
        found = await self._converter.profile(self._upload, self._report)
        await self._resources.storage.keep(self._upload.id, "profile")
        values = {"row_count": found.rows, "column_count": found.columns}
        await self._set_values(values)

    async def _set_values(self, values: Mapping[str, Any]) -> None:
        if not await self._resources.database.unit(
            lambda session: uploads.set_values(
                session, self._upload.id, values, only_in={UploadState.VERIFYING}, owner=self._owner
            )
        ):
            raise LeaseLostError

    async def _reload(self) -> None:
        async with self._resources.database.session() as session:
            self._upload = await self._mine(session)

    async def _mine(self, session: AsyncSession) -> Upload:
        upload = await uploads.get_upload(session, self._upload.id)
        if upload is None or upload.lease_owner != self._owner:
            raise LeaseLostError
        return upload

    async def _forget_bytes(self) -> None:
        await forget_bytes(self._resources, self._upload.id)

    def _report(self, phase: str, done: int, total: int | None, rows: int | None = None) -> None:
        """Note how far a phase is; the renewal of the lease writes it down."""
        self.progress = {"phase": phase, "bytes": done, "total_bytes": total, "rows": rows}

    async def _check(self) -> None:
        if self._upload.duplicate_of is not None:
            # Another upload of the same file goes first.
            await self._release()
            return
        await self._api_key()
        await self._move(UploadState.CHECKED)

    async def _convert(self) -> None:
        await self._fetch()
        conversion = await self._converter.convert(self._upload, self._report)
        known = [repair for repair in self._upload.repairs or [] if not repair["column"]]
        repairs = [*known, *(made for repair in conversion.repairs if (made := asdict(repair)) not in known)]
        self._require_ignorable(conversion)
        await self._move(
            UploadState.CONVERTED,
            {
                "arff_bytes": conversion.arff_bytes,
                "arff_md5": conversion.arff_md5,
                "arff_format": conversion.arff_format,
                "row_count": conversion.rows,
                "column_count": len(conversion.columns),
                "warnings": list(dict.fromkeys([*(self._upload.warnings or []), *conversion.warnings])),
                "repairs": repairs,
                "description": {
                    **self._description,
                    # By the names that are published; by those of the file it may be converted once more.
                    "published_names": {
                        "def_tar_att": list(conversion.target_attributes),
                        "row_id_attribute": conversion.row_id_attribute,
                        "ignore_attribute": list(conversion.ignore_attributes),
                    },
                },
            },
        )

    async def _fetch(self) -> None:
        """Have the file on this machine: another one may have verified it."""
        source = self._resources.storage.path(self._upload.id, "source")
        if not await asyncio.to_thread(source.exists):
            await self._compose()

    def _require_ignorable(self, conversion: Conversion) -> None:
        try:
            require_ignorable(conversion.ignore_attributes)
        except ValueError as error:
            raise DatasetRefusedError(str(error), reason="too-many-ignored") from None

    async def _send(self) -> None:
        openml, upload = self._resources.openml, self._upload
        if not await asyncio.to_thread(self._resources.storage.path(upload.id, "arff").exists):
            # Another machine made it, and is gone.
            await self._move(UploadState.CHECKED)
            return
        api_key = await self._api_key()
        await self._check_key(api_key)
        name = self._description["dataset_name"]
        newest = max((dataset.dataset_id for dataset in await openml.list_datasets(name)), default=0)
        await self._move(UploadState.SENDING, {"sent_at": self._now(), "newest_before": newest})
        try:
            dataset_id = await openml.upload_dataset(
                api_key=api_key,
                description=self._description_xml(),
                arff=self._resources.storage.path(upload.id, "arff"),
                arff_bytes=upload.arff_bytes or 0,
                file_name=f"{name}-{upload.id[:8]}.arff",
                on_progress=lambda sent: self._report("sending", sent, upload.arff_bytes),
            )
        except UnsettledError as error:
            # OpenML has ended its work on it, so one look tells.
            found = await self._find_arrived()
            if found is None:
                await self._not_arrived(error.settled())
                return
            dataset_id = found
        except (NotSentError, RefusedError) as error:
            await self._not_arrived(error)
            return
        await self._published(dataset_id)

    async def _not_arrived(self, error: OpenMLError) -> None:
        await self._back_to_converted(str(error))
        if self._upload.state != UploadState.CANCELLED:
            raise error

    async def _check_key(self, api_key: str) -> None:
        try:
            await self._resources.openml.check_key(api_key)
        except RefusedError as error:
            if error.code not in AUTHENTICATION:
                raise
            raise problem_of(error) from error

    async def _reconcile(self) -> None:
        """Find out whether an upload whose answer was lost has arrived."""
        dataset_id = await self._find_arrived()
        if dataset_id is not None:
            await self._published(dataset_id)
            return
        grace = timedelta(seconds=self._resources.settings.reconcile_seconds)
        if self._upload.sent_at is not None and self._now() - self._upload.sent_at < grace:
            # OpenML may still be working on it.
            raise LostAnswerError("OpenML has not got the upload yet")
        await self._back_to_converted("OpenML never got it; sending it again")

    async def _find_arrived(self) -> int | None:
        """Return the dataset that OpenML made of our bytes, None if it made none.

        Raises:
            LostAnswerError: it cannot be told now, and must not be taken for a failure.
        """
        openml, upload = self._resources.openml, self._upload
        try:
            listed = await openml.list_datasets(self._description["dataset_name"])
        except OpenMLError as error:
            raise LostAnswerError(f"OpenML does not say whether it has the upload: {error}") from error
        candidates = [item for item in listed if item.dataset_id > (upload.newest_before or 0)]
        # Ours first. Others as well: not every installation numbers its users as OpenML does, and to overlook a dataset
        # would publish it twice.
        candidates.sort(key=lambda item: item.uploader != upload.user_id)
        newer = [item.dataset_id for item in candidates]
        async with self._resources.database.session() as session:
            taken = await uploads.are_taken(session, newer)
        unknown: OpenMLError | None = None
        for dataset_id in newer:
            if dataset_id in taken:
                continue
            try:
                if (await openml.get_dataset(dataset_id)).md5 == upload.arff_md5:
                    return dataset_id
            except OpenMLError as error:
                if not (isinstance(error, RefusedError) and error.code in NOT_OURS):
                    unknown = error
        if unknown is not None:
            raise LostAnswerError(f"OpenML does not say whose bytes a dataset has: {unknown}") from unknown
        return None

    async def _published(self, dataset_id: int) -> None:
        await self._move(UploadState.PUBLISHED, {"dataset_id": dataset_id, "progress": None}, release=True)
        await self._forget_bytes()

    async def _api_key(self) -> str:
        """Return the key that the account has now: it may have been replaced since the upload came in."""
        async with self._resources.database.session() as session:
            owner = await uploads.get_owner(session, self._upload.user_id)
        if owner is None or not owner.active:
            raise UnauthorizedError("The account was closed before the dataset was published")
        if owner.api_key is None or not is_api_key(owner.api_key):
            raise ApiKeyMissingError
        return owner.api_key

    def _description_xml(self) -> bytes:
        given = {**self._description, **self._description.get("published_names", {})}
        return xml.dataset_description(
            {
                "name": given["dataset_name"],
                "description": with_changes(given["description"], self._upload.repairs or []),
                "format": self._upload.arff_format or "ARFF",
                "creator": given["creator"],
                "contributor": given["contributor"],
                "collection_date": given["collection_date"] or "",
                "language": given["language"] or "",
                "licence": given["licence"] or "",
                "default_target_attribute": ",".join(given["def_tar_att"]),
                "row_id_attribute": given["row_id_attribute"] or "",
                "ignore_attribute": given["ignore_attribute"],
                "citation": given["citation"] or "",
                "original_data_url": given["original_data_url"] or "",
                "paper_url": given["paper_url"] or "",
            }
        )

    async def _judge(self, error: RefusedError) -> None:
        """Decide what OpenML's refusal means: a passing fault, a file too large, or input it does not take."""
        arff_bytes = self._upload.arff_bytes or 0
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
        if self._upload.attempts >= (ROOM_ATTEMPTS if needs_room else ATTEMPTS):
            await self._fail(StorageFullError(NO_ROOM) if needs_room else in_the_end)
            return
        pause = back_off(
            self._upload.attempts, first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS
        )
        log.warning("upload has to wait", upload=self._upload.id, state=self._upload.state, reason=reason)
        waits = {"phase": "waiting", "bytes": 0, "total_bytes": None, "rows": None, "detail": reason}

        async def wait(session: AsyncSession) -> None:
            at, progress = self._now() + pause, waits if needs_room else None
            if not await upload_queues.set_retry(
                session, self._upload.id, owner=self._owner, at=at, progress=progress
            ):
                raise LeaseLostError
            notify_after_commit(session, upload_topic(self._upload.id))

        await self._resources.database.unit(wait)

    async def _fail(self, problem: ProblemError) -> None:
        kept = await bytes_to_keep(self._resources, self._upload.id)
        values = {"error": problem.record(), "reserved_bytes": kept}
        await self._move(UploadState.FAILED, values, detail=problem.detail)
        await tidy_up_after(self._resources, self._upload.id, problem)

    async def _back_to_converted(self, reason: str) -> None:
        """OpenML has nothing: the upload may be sent again from the start, unless its owner wants it no more."""
        await self._reload()
        if self._upload.cancel_requested:
            await self._move(UploadState.CANCELLED, detail="cancelled by its owner")
            await self._forget_bytes()
        else:
            settled = {"sent_at": None, "newest_before": None}
            await self._move(UploadState.CONVERTED, settled, detail=reason)

    async def _move(
        self,
        state: UploadState,
        values: Mapping[str, Any] | None = None,
        *,
        detail: str | None = None,
        release: bool = False,
    ) -> None:
        """Record the state; from here on a crash takes the upload up there."""
        self._lease.is_ending = release or state in ENDED
        now = self._now()

        async def record(session: AsyncSession) -> None:
            if state == UploadState.FAILED:
                await tell_owner(session, self._upload, MailKind.DATASET_FAILED, reason=detail or "")
            mine = await uploads.set_state(
                session,
                self._upload.id,
                state,
                by=Actor.PUBLISHER,
                now=now,
                owner=self._owner,
                available_at=now if release else None,
                detail=detail,
                values=values,
            )
            notify_after_commit(session, upload_topic(self._upload.id))
            if release:
                notify_after_commit(session, PUBLISHED)
            if not mine:
                # Rolls back what was meant for the owner as well.
                raise LeaseLostError

        await self._resources.database.unit(record)
        self._upload = self._upload._replace(state=state, **(values or {}))
        log.info("upload", upload=self._upload.id, state=state)


_UNREACHABLE = OpenMLUnreachableError(
    "OpenML could not be reached for a long time. Try this upload again (`retry`): a new one might be a second dataset."
)
