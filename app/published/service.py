"""Makes statistics, pages of rows and other formats of a dataset's file: once at a time, within bounds, and kept."""

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from app.core.child_limits import ProcessLimits
from app.core.errors import BadRequestError, NotFoundError, ProblemError, TooBusyError, problem_from_record
from app.core.tasks import end
from app.openml.client import OpenMLClient
from app.openml.errors import ListTooLargeError
from app.openml.problems import OpenMLAnswerBrokenError, OpenMLUnreachableError
from app.openml.records import DatasetFile
from app.openml.translation import translated_errors
from app.published.folder import PLACES, PublishedFolder, Taken
from app.published.problems import DatasetNotReadableError, DatasetTooLargeError
from app.storage.problems import StorageFullError
from app.tabular.statistics.process import ask_of_file
from app.tabular.statistics.requests import ExportFormat, FileRequest, Page
from app.tabular.types import TabularError

log = structlog.get_logger(__name__)

LARGEST_BYTES: Final = 6_000_000_000
"""Of a file that is looked at."""
WAITING: Final = 20
"""Files that are looked at, or wait for it, in one process."""
PAGES_AT_ONCE, PAGES_WAITING = 2, 20
FOR_STATISTICS = ProcessLimits(memory_bytes=1_500_000_000, cpu_seconds=1800, wall_seconds=3600.0)
FOR_PAGES = ProcessLimits(memory_bytes=1_000_000_000, cpu_seconds=20, wall_seconds=30.0)
LOOK_SECONDS = 0.2
READ: Final = ("arff", "parquet", "pq")
"""Formats of files that are read, as descriptions name them."""
STATISTICS, COPY = "statistics2", "table"
"""How the names end of the file that `reading` reads, and of the columnar copy; others where their content changes."""
_LOCATED, _LOCATED_SECONDS = 1000, 30.0
_FAULT_SECONDS, _PASSING_SECONDS = 86_400.0, 30.0
_TOO_LARGE = frozenset({"file-too-large", "out-of-memory", "took-too-long", "too-many-columns"})
_OF_THE_QUESTION = frozenset({"unknown-column", "not-a-number", "too-many-rows"})


class NotYetError(Exception):
    """It is being computed; asked for again, it will be there."""


class PublishedFiles:
    """What is computed of published files by one process, and kept on its machine."""

    def __init__(self, folder: Path, openml: OpenMLClient, *, reserve_bytes: int) -> None:
        self._folder = PublishedFolder(folder)
        self._openml = openml
        self._reserve = reserve_bytes
        self._making: dict[str, asyncio.Task[None]] = {}
        self._located: OrderedDict[tuple[str, int], tuple[float, DatasetFile]] = OrderedDict()
        self._pages = asyncio.Semaphore(PAGES_AT_ONCE)
        self._asking = 0

    async def close(self) -> None:
        """End what is being computed."""
        await end(*self._making.values())

    async def measure(self) -> Taken:
        """Return what is kept on this machine."""
        return await asyncio.to_thread(self._folder.measure)

    async def locate(self, dataset_id: int, api_key: str | None) -> DatasetFile:
        """Return where a dataset's file lies, as far as OpenML shows that to whose key this is.

        Raises:
            NotFoundError, NotYoursError: there is none for them.
            OpenMLUnreachableError: OpenML is away.
        """
        name = ("dataset", dataset_id)
        if (known := self._recall(name)) is not None:
            return known
        with translated_errors():
            file = await self._openml.files.locate(dataset_id, api_key=api_key)
        return self._remember(name, file)

    async def locate_splits(self, task_id: int) -> DatasetFile:
        """Return where the splits of a task lie.

        Raises:
            NotFoundError: there is no such task, or it has none.
            OpenMLUnreachableError: OpenML is away.
        """
        name = ("task", task_id)
        if (known := self._recall(name)) is not None:
            return known
        with translated_errors():
            file = await self._openml.files.locate_splits(task_id)
        if file is None:
            raise NotFoundError(
                "The task has no splits: it is not measured by training on a part of the rows."
            )
        return self._remember(name, file)

    def _recall(self, name: tuple[str, int]) -> DatasetFile | None:
        at, known = self._located.get(name, (0.0, None))
        return known if at > time.monotonic() - _LOCATED_SECONDS else None

    def _remember(self, name: tuple[str, int], file: DatasetFile) -> DatasetFile:
        self._located.pop(name, None)
        if not file.private:
            self._located[name] = (time.monotonic(), file)
            while len(self._located) > _LOCATED:
                self._located.popitem(last=False)
        return file

    async def find_statistics(self, file: DatasetFile) -> Path | None:
        """Return the file of statistics if it is kept, and have nothing computed.

        Raises:
            NotYetError: they are being computed in this process.
            ProblemError: they cannot be.
        """
        found = await self._find(file, STATISTICS)
        if found is None and self._folder.place(file, STATISTICS).name in self._making:
            raise NotYetError
        return found

    async def statistics(self, file: DatasetFile, api_key: str | None) -> Path:
        """Return the file of statistics (`reading`).

        Raises:
            NotYetError: they are being computed.
            ProblemError: they cannot be.
        """
        return await self._kept(file, STATISTICS, partial(self._compute, file, api_key))

    async def export(self, file: DatasetFile, kind: ExportFormat, api_key: str | None) -> Path:
        """Return the dataset's file in another format.

        Raises:
            NotYetError, ProblemError: as `statistics`.
        """
        await self._kept(file, COPY, partial(self._compute, file, api_key))
        return await self._kept(file, kind, partial(self._export, file, kind))

    async def rows(self, file: DatasetFile, page: Page, api_key: str | None) -> dict[str, Any]:
        """Return some rows.

        Raises:
            NotYetError, ProblemError: as `statistics`.
            BadRequestError: the question names a column that is not there, or orders too many rows.
            TooBusyError: too many ask.
        """
        copy = await self._kept(file, COPY, partial(self._compute, file, api_key))
        if self._asking >= PAGES_WAITING:
            raise TooBusyError
        request = FileRequest("rows", copy, page=page)
        self._asking += 1
        try:
            async with self._pages:
                return await self._ask(request, FOR_PAGES)
        finally:
            self._asking -= 1

    async def _find(self, file: DatasetFile, ending: str) -> Path | None:
        """Return what is kept; raise what is known to be wrong with the file."""
        _require_readable(file)
        found = await asyncio.to_thread(self._folder.find, file, ending)
        if found is None and (failure := await asyncio.to_thread(self._folder.failure, file)):
            raise problem_from_record(failure)
        return found

    async def _kept(self, file: DatasetFile, ending: str, make: Callable[[], Awaitable[None]]) -> Path:
        """Return what is kept; have it made if it is not there, by whoever asked first."""
        found = await self._find(file, ending)
        if found is not None:
            return found
        name = self._folder.place(file, ending).name
        if name not in self._making:
            if len(self._making) >= WAITING:
                raise TooBusyError(retry_after_seconds=10)
            task = asyncio.create_task(self._make(file, ending, make))
            self._making[name] = task
            task.add_done_callback(lambda _: self._making.pop(name, None))
        raise NotYetError

    async def _make(self, file: DatasetFile, ending: str, make: Callable[[], Awaitable[None]]) -> None:
        """Make something of a file, unless another process has done it meanwhile; a failure is kept for a while."""
        try:
            async with self._lock(f"file-{file.dataset_id % 1000}"), self._place():
                if await asyncio.to_thread(self._folder.find, file, ending) is None:
                    await asyncio.to_thread(self._folder.prune)
                    await make()
        except ProblemError as problem:
            await self._note(file, problem)
        except Exception:
            log.exception("a published file cannot be looked at", dataset=file.dataset_id)
            await self._note(file, OpenMLUnreachableError("The file cannot be looked at; try again later."))

    async def _note(self, file: DatasetFile, problem: ProblemError) -> None:
        lasts = isinstance(problem, DatasetTooLargeError | DatasetNotReadableError)
        seconds = _FAULT_SECONDS if lasts else _PASSING_SECONDS
        log.warning("a published file is not looked at", dataset=file.dataset_id, reason=problem.detail)
        await asyncio.to_thread(self._folder.note_failure, file, problem.record(), seconds=seconds)

    @asynccontextmanager
    async def _lock(self, *names: str) -> AsyncIterator[None]:
        """Hold the first of these names that no process of this machine holds; wait for one."""
        while True:
            for name in names:
                lock = self._folder.lock(name)
                is_ours = await asyncio.to_thread(lock.__enter__)
                try:
                    if is_ours:
                        yield
                        return
                finally:
                    await asyncio.to_thread(lock.__exit__, None, None, None)
            await asyncio.sleep(LOOK_SECONDS)

    def _place(self) -> AbstractAsyncContextManager[None]:
        return self._lock(*(f"place-{number}" for number in range(PLACES)))

    async def _compute(self, file: DatasetFile, api_key: str | None) -> None:
        parts = {ending: self._folder.part(file, ending) for ending in ("source", COPY, STATISTICS)}
        try:
            await self._fetch(file, parts["source"], api_key)
            request = FileRequest(
                "statistics", parts[COPY], parts["source"], parts[STATISTICS], target_attribute=file.target
            )
            await self._ask(request, FOR_STATISTICS)
            for ending in (COPY, STATISTICS):
                await asyncio.to_thread(parts[ending].replace, self._folder.place(file, ending))
        finally:
            for part in parts.values():
                await asyncio.to_thread(part.unlink, missing_ok=True)

    async def _fetch(self, file: DatasetFile, path: Path, api_key: str | None) -> None:
        limit = min(LARGEST_BYTES, await asyncio.to_thread(self._room))
        if limit <= 0:
            raise StorageFullError("There is no room to look at the file at the moment.")
        target = await asyncio.to_thread(path.open, "wb")
        try:
            with translated_errors():
                try:
                    md5 = await self._openml.files.fetch(file, target, limit_bytes=limit, api_key=api_key)
                except ListTooLargeError:
                    if limit < LARGEST_BYTES:
                        raise StorageFullError(
                            "There is no room to look at the file at the moment."
                        ) from None
                    raise _too_large() from None
        finally:
            await asyncio.to_thread(target.close)
        if file.is_described and md5 != file.md5:
            raise OpenMLAnswerBrokenError("The file that OpenML sends is not the one that it describes.")

    def _room(self) -> int:
        """Return how large a file may be for which, and for its copy, the disk has room beyond the reserve."""
        disk = os.statvfs(self._folder.path)
        return (disk.f_bavail * disk.f_frsize - self._reserve) // 3

    async def _export(self, file: DatasetFile, kind: ExportFormat) -> None:
        part = self._folder.part(file, kind)
        request = FileRequest("export", self._folder.place(file, COPY), target=part, format=kind)
        try:
            await self._ask(request, FOR_STATISTICS)
            await asyncio.to_thread(part.replace, self._folder.place(file, kind))
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)

    async def _ask(self, request: FileRequest, limits: ProcessLimits) -> dict[str, Any]:
        try:
            return await ask_of_file(request, limits)
        except TabularError as error:
            raise _problem(error) from error


def _require_readable(file: DatasetFile) -> None:
    """Raise if a file is none that is looked at here, whatever is in it."""
    if not file.path:
        raise NotFoundError("The dataset's file is kept on another server, which is not asked.")
    if not file.md5:
        raise NotFoundError(
            "OpenML tells no checksum of the dataset's file, by which its copy would be kept."
        )
    if not any(name in file.format.lower() for name in READ):
        raise DatasetNotReadableError(
            f"The dataset's format is {file.format[:100]!r}, which is not read; ARFF and Parquet are."
        )


def _too_large() -> DatasetTooLargeError:
    return DatasetTooLargeError(
        f"The dataset's file has more than {LARGEST_BYTES} bytes, which is more than is looked at here. "
        "Download it, and look at it with a program.",
        limit_bytes=LARGEST_BYTES,
    )


def _problem(error: TabularError) -> ProblemError:
    """Return what a failure of the child means to who asks."""
    if error.slug in _OF_THE_QUESTION:
        return BadRequestError(error.message, reason=error.slug)
    if error.slug in _TOO_LARGE:
        return DatasetTooLargeError(
            f"The dataset is too large to be looked at here: {error}", reason=error.slug
        )
    if error.slug in {"no-room", "storage-failed"}:
        log.error("published files: the disk cannot be used", fault=error.fault)
        return StorageFullError("There is no room to look at the file at the moment.")
    return DatasetNotReadableError(
        f"The dataset's file cannot be read: {error}", reason=error.slug, row=error.row, line=error.line
    )
