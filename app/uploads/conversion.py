"""Profiles and converts uploads in child processes, whose number is limited for the machine.

What a child writes is bounded: it ends where the disk's reserve, or its owner's quota, would be used up.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, Literal, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import metrics
from app.core.settings import Settings
from app.core.tasks import watched
from app.db import upload_bytes, users
from app.db.engine import Database
from app.db.upload_values import Phase, Upload
from app.openml.problems import DatasetRefusedError
from app.storage.parts import UploadStorage
from app.storage.problems import StorageFullError
from app.tabular import (
    UPLOAD_LIMITS,
    Conversion,
    ConversionRequest,
    ProcessLimits,
    Profile,
    Progress,
    TabularError,
    format_of,
)
from app.tabular.failures import UNREADABLE, where_to_correct
from app.tabular.process import convert_in_process, profile_in_process
from app.tabular.profile.overrides import known_columns
from app.tabular.reading import Reading
from app.tabular.types import ProgressSink
from app.uploads.choices import digest_choices, preview_version
from app.uploads.lifecycle import preview_bytes, size_of
from app.uploads.problems import QuotaExceededError
from app.worker.queues import LeaseLostError
from app.worker.scheduling import HostSemaphore

log = structlog.get_logger(__name__)
T = TypeVar("T")
CPU_SECONDS = 3600
"""Of one conversion: the largest file takes a quarter of it."""
WORTH_KEEPING_BYTES: Final = 1_000_000
"""Of a file that it takes longer to read than to keep what is known of it."""
RESERVE_SHARE: Final = 1.5
"""Of the reserve, what conversions leave: uploads may go down to the reserve itself, so that small ones always can."""
WATCH_SECONDS: Final = 0.5
"""How often it is looked at what a conversion has written, what others were promised, and what else is chosen."""
NOT_THE_TABLES_FAULT = frozenset({"interrupted", "storage-failed"})
"""How a conversion can fail that may succeed the next time."""
NO_ROOM: Final = (
    "There is no room on this server's disk to convert the table. Its bytes are kept for a while: try it again later "
    "(`retry`), or cancel it and publish it in smaller parts."
)

Report = Callable[[Phase, int, int | None], None]
"""Takes the phase, how many bytes of the file are done, and of how many."""


class TryAgainError(Exception):
    """A step failed for a temporary reason; it may be repeated."""


class Converter:
    """Profiles and converts the uploads of one worker process."""

    def __init__(
        self, database: Database, storage: UploadStorage, settings: Settings, machine: HostSemaphore
    ) -> None:
        self._database = database
        self._storage = storage
        self._settings = settings
        self._machine = machine

    async def convert(self, upload: Upload, report: Report) -> Conversion:
        """Make the ARFF file of the source file.

        Raises:
            DatasetRefusedError: the table cannot be published as it is.
            QuotaExceededError: the owner may not have as much.
            StorageFullError: there is no room for it now.
            TryAgainError: it could not be converted now.
        """
        chosen = await asyncio.to_thread(digest_choices, upload.description or {})
        # Whoever has seen how the file is read has seen what is in doubt.
        is_seen = (upload.reading or {}).get("table") == chosen.table
        request = replace(self._request(upload), refuse_doubts=not is_seen)
        plans = self._storage.path(upload.id, "plans", chosen.choices)
        if await asyncio.to_thread(size_of, plans):
            request = replace(request, plans=plans)

        async def work(request: ConversionRequest) -> Conversion:
            with _timed("convert"):
                return await convert_in_process(request, self._limits(), _sink(report))

        return await self._in_room(upload, request, work)

    async def profile(self, upload: Upload, version: str, report: Report) -> Profile:
        """Profile the columns, and write the profile to storage, beside that of another version.

        Of a large file, what it has learnt of the columns is kept as well, for `convert` on this machine.

        Raises:
            DatasetRefusedError: the table cannot be profiled.
            QuotaExceededError, StorageFullError: as `convert`.
            TryAgainError: it could not be profiled now.
        """
        target = self._storage.path(upload.id, "profile", version)
        is_large = (upload.received_bytes or 0) >= WORTH_KEEPING_BYTES
        plans = self._storage.path(upload.id, "plans", version) if is_large else None
        request = replace(self._request(upload), target=target, plans=plans)

        async def profiled(request: ConversionRequest) -> Profile:
            with _timed("profile"):
                return await profile_in_process(request, self._limits(), _sink(report))

        async def work(request: ConversionRequest) -> Profile:
            try:
                return await profiled(request)
            except TabularError as error:
                if error.slug != "unknown-column":
                    raise
            # A draft: its owner sees which columns there are, and is told of the name before it is published.
            found = await profiled(replace(request, **_NOTHING_CHOSEN))
            known = await asyncio.to_thread(_without_unknown, request)
            return await profiled(known) if known else found

        return await self._in_room(upload, request, work)

    async def _in_room(
        self,
        upload: Upload,
        request: ConversionRequest,
        work: Callable[[ConversionRequest], Coroutine[Any, Any, T]],
    ) -> T:
        """Create a file within the limits of the machine, its disk and the owner's quota, and count it there."""
        file = WorkingFile(
            self._database,
            self._storage,
            self._settings,
            upload=upload,
            request=request,
            kept_bytes=(upload.received_bytes or 0)
            + await preview_bytes(self._storage, upload.id, preview_version(upload)),
        )
        async with self._machine.take():
            limits = replace(
                request.limits,
                min_free_bytes=await require_working_room(self._database, self._storage, self._settings),
                max_kept_bytes=await file.quota_left(),
            )
            with _told_to_the_owner(upload, file):
                made = await file.watch(work(replace(request, limits=limits)))
        try:
            await file.count(await asyncio.to_thread(size_of, request.target))
        except QuotaExceededError:
            await asyncio.to_thread(request.target.unlink, missing_ok=True)
            raise
        return made

    def _request(self, upload: Upload) -> ConversionRequest:
        """Return what the description asks of the conversion; a draft may lack a name."""
        storage = self._storage
        description = upload.description or {}
        kind = format_of(upload.file_name)
        if kind is None:
            raise DatasetRefusedError("The file's name does not say what it is.")
        classes = (
            dict.fromkeys(description["def_tar_att"], "nominal") if description["classification"] else {}
        )
        return ConversionRequest(
            source=storage.path(upload.id, "source"),
            target=storage.path(upload.id, "arff"),
            format=kind.format,
            compression=kind.compression,
            repair=description["repair"],
            relation=description["dataset_name"] or "draft",
            target_attributes=tuple(description["def_tar_att"]),
            row_id_attribute=description["row_id_attribute"],
            ignore_attributes=tuple(description["ignore_attribute"]),
            attributes={**classes, **description["attributes"]},
            reading=Reading.from_json(description.get("reading", {})),
            rename=description.get("rename", {}),
            leave_out=tuple(description.get("leave_out", ())),
            limits=UPLOAD_LIMITS,
        )

    def _limits(self) -> ProcessLimits:
        settings = self._settings
        return ProcessLimits(
            memory_bytes=settings.conversion_memory_bytes,
            cpu_seconds=CPU_SECONDS,
            # Other processes want the processor, too.
            wall_seconds=CPU_SECONDS * 4,
            file_bytes=UPLOAD_LIMITS.max_unpacked_bytes,
        )


async def require_working_room(
    database: Database, storage: UploadStorage, settings: Settings, wanted_bytes: int = 0
) -> int:
    """Return how many bytes of this machine's disk conversions leave free at present.

    Raises:
        StorageFullError: with the wanted bytes, there would be fewer.
    """
    least = int(settings.disk_reserve_bytes * RESERVE_SHARE)
    # A store elsewhere keeps what comes in, and this disk only what is worked on.
    if storage.is_on_this_disk:
        async with database.session() as session:
            least += await upload_bytes.get_promised_bytes(session)
    if await storage.working_bytes() - wanted_bytes < least:
        raise StorageFullError(NO_ROOM)
    return least


class WorkingFile:
    """A file that a child process makes for an upload, and what it may have of the disk and of its owner's quota."""

    def __init__(
        self,
        database: Database,
        storage: UploadStorage,
        settings: Settings,
        *,
        upload: Upload,
        request: ConversionRequest,
        kept_bytes: int,
    ) -> None:
        """`kept_bytes` is what the upload has on the disk beside the file."""
        self._database = database
        self._storage = storage
        self._settings = settings
        self._upload = upload
        self._request = request
        self._kept = kept_bytes

    async def quota_left(self) -> int:
        """Return how many bytes the file may have.

        Raises:
            QuotaExceededError: none.
        """
        limit = self._settings.upload_user_bytes
        async with self._database.session() as session:
            others = await upload_bytes.get_usage(session, self._upload.user_id, but=self._upload.id)
        left = limit - others.bytes - self._kept
        if left <= 0:
            raise self.over_quota()
        return left

    def over_quota(self) -> QuotaExceededError:
        """Return the problem of a file that its owner may not have."""
        limit = self._settings.upload_user_bytes
        return QuotaExceededError(
            f"Your uploads, with what is made of them, would take more than {limit} bytes. Finish or cancel some "
            "(GET /uploads lists them), then try this one again (`retry`).",
            limit_bytes=limit,
        )

    async def watch(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the work's result; cancel it when the disk or the quota has no room for its output.

        Raises:
            StorageFullError, QuotaExceededError: there is none.
        """

        async def check() -> None:
            await require_working_room(self._database, self._storage, self._settings)
            await self.count(await asyncio.to_thread(_bytes_made, self._request))

        return await watched(work, check, seconds=WATCH_SECONDS)

    async def count(self, size: int) -> None:
        """Record the file's size, in bytes, in the owner's usage.

        Raises:
            QuotaExceededError: they may not have as much.
            LeaseLostError: the upload has ended meanwhile.
        """
        await self._database.unit(partial(self._count, size=size))

    async def _count(self, session: AsyncSession, *, size: int) -> None:
        await users.lock_user(session, self._upload.user_id)
        others = await upload_bytes.get_usage(session, self._upload.user_id, but=self._upload.id)
        if others.bytes + self._kept + size > self._settings.upload_user_bytes:
            raise self.over_quota()
        if not await upload_bytes.set_reserved(session, self._upload.id, self._kept + size):
            raise LeaseLostError


def _bytes_made(request: ConversionRequest) -> int:
    """Return how many bytes a conversion under way has on the disk."""
    with suppress(FileNotFoundError):
        return size_of(request.target) + sum(map(size_of, request.workspace.iterdir()))
    return size_of(request.target)


_NOTHING_CHOSEN: dict[str, Any] = {
    "target_attributes": (),
    "row_id_attribute": None,
    "ignore_attributes": (),
    "attributes": {},
    "rename": {},
    "leave_out": (),
}


def _without_unknown(request: ConversionRequest) -> ConversionRequest | None:
    """Return the request without the columns that the profile at its target does not have; None if that is nothing."""
    row_id = (request.row_id_attribute,) if request.row_id_attribute else ()
    named = (
        *request.target_attributes,
        *row_id,
        *request.ignore_attributes,
        *request.attributes,
        *request.rename,
        *request.leave_out,
    )
    known = known_columns(request.target, named) | {*request.rename.values()}
    if known.isdisjoint(named):
        return None
    return replace(
        request,
        target_attributes=tuple(name for name in request.target_attributes if name in known),
        row_id_attribute=next((name for name in row_id if name in known), None),
        ignore_attributes=tuple(name for name in request.ignore_attributes if name in known),
        attributes={name: kind for name, kind in request.attributes.items() if name in known},
        rename={name: new for name, new in request.rename.items() if name in known},
        leave_out=tuple(name for name in request.leave_out if name in known),
    )


def _sink(report: Report) -> ProgressSink:
    def sink(made: Progress) -> None:
        report("converting" if made.phase == "writing" else "inspecting", made.done_bytes, made.total_bytes)

    return sink


@contextmanager
def _timed(task: Literal["convert", "profile"]) -> Iterator[None]:
    """Note how long a child process takes, and what comes of it: `done`, the name of its fault, or `interrupted`."""
    began, outcome = time.monotonic(), "failed"
    try:
        yield
        outcome = "done"
    except TabularError as error:
        outcome = error.slug
        raise
    except asyncio.CancelledError:
        outcome = "interrupted"
        raise
    finally:
        metrics.CONVERSION_SECONDS.observe(time.monotonic() - began, task, outcome)


@contextmanager
def _told_to_the_owner(upload: Upload, file: WorkingFile) -> Iterator[None]:
    """Translate errors of the table into problems, and failures that it did not cause into `TryAgainError`."""
    try:
        yield
    except TabularError as error:
        if error.fault is not None:
            log.error("a conversion cannot use the disk", upload=upload.id, fault=error.fault)  # noqa: TRY400 - the child's
        if error.slug == "no-room":
            raise StorageFullError(NO_ROOM) from error
        if error.slug == "over-quota":
            raise file.over_quota() from error
        if error.slug in NOT_THE_TABLES_FAULT:
            raise TryAgainError(str(error)) from error
        description = upload.description or {}
        where = where_to_correct(error, repair=description.get("repair", True))
        # Read otherwise, it may be a table: it was one before, its owner has said how to read it, or can still say so.
        is_draft = not upload.publish_requested and error.slug not in UNREADABLE
        may_be_read = error.choices or description.get("reading") or preview_version(upload) or is_draft
        raise DatasetRefusedError(
            str(error),
            reason=error.slug,
            row=error.row,
            line=error.line,
            column=error.column,
            hint=error.hint,
            choices=error.choices,
            correct="metadata" if where == "file" and may_be_read else where,
        ) from error
