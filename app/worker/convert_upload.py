"""The table of an upload, looked at and converted in a child process, no more at once than the machine can bear."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from app.core.errors import DatasetRefusedError
from app.db.uploads import Upload
from app.resources import Resources
from app.tabular import (
    Conversion,
    ConversionRequest,
    Limits,
    ProcessLimits,
    Profile,
    Progress,
    TabularError,
    format_of,
)
from app.tabular.failures import where_to_correct
from app.tabular.process import convert_in_process, profile_in_process
from app.tabular.types import ProgressSink
from app.worker.machine import MachineSlots

NOT_THE_TABLES_FAULT = frozenset({"interrupted", "storage-failed"})
"""How a conversion can fail that may succeed the next time."""

Report = Callable[[str, int, int | None], None]
"""Takes the phase, how many bytes of the file are done, and of how many."""


class TryAgainError(Exception):
    """A step did not end, for a reason that passes."""


class Converter:
    """What turns the uploads of one worker into ARFF."""

    def __init__(self, resources: Resources, machine: MachineSlots) -> None:
        self._resources = resources
        self._machine = machine

    async def convert(self, upload: Upload, report: Report) -> Conversion:
        """Make the ARFF file of the source file.

        Raises:
            DatasetRefusedError: the table cannot be published as it is.
            TryAgainError: it could not be converted now.
        """
        async with self._machine.take():
            with _told_to_the_owner(upload):
                return await convert_in_process(self._request(upload), self._limits(), _sink(report))

    async def profile(self, upload: Upload, report: Report) -> Profile:
        """Look at the columns, and write down what there is to see of them.

        Raises:
            DatasetRefusedError: there is nothing that can be seen.
            TryAgainError: it could not be looked at now.
        """
        target = self._resources.storage.path(upload.id, "profile")
        request = replace(self._request(upload), target=target)
        async with self._machine.take():
            with _told_to_the_owner(upload):
                try:
                    return await profile_in_process(request, self._limits(), _sink(report))
                except TabularError as error:
                    if error.slug != "unknown-column":
                        raise
                # A draft: its owner sees which columns there are, and is told of the name before it is published.
                bare = replace(request, **_NOTHING_CHOSEN)
                return await profile_in_process(bare, self._limits(), _sink(report))

    def _request(self, upload: Upload) -> ConversionRequest:
        """Return what the description asks of the conversion; a draft may lack a name."""
        settings, storage = self._resources.settings, self._resources.storage
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
            is_compressed=kind.is_compressed,
            repair=description["repair"],
            relation=description["dataset_name"] or "draft",
            target_attributes=tuple(description["def_tar_att"]),
            row_id_attribute=description["row_id_attribute"],
            ignore_attributes=tuple(description["ignore_attribute"]),
            attributes={**classes, **description["attributes"]},
            limits=Limits(
                max_columns=settings.max_columns,
                max_labels=settings.max_labels,
                max_cell_bytes=settings.max_cell_bytes,
                max_unpacked_bytes=settings.max_unpacked_bytes,
            ),
        )

    def _limits(self) -> ProcessLimits:
        settings = self._resources.settings
        return ProcessLimits(
            memory_bytes=settings.conversion_memory_bytes,
            cpu_seconds=settings.conversion_cpu_seconds,
            # Other processes want the processor, too.
            wall_seconds=settings.conversion_cpu_seconds * 4,
        )


_NOTHING_CHOSEN: dict[str, Any] = {
    "target_attributes": (),
    "row_id_attribute": None,
    "ignore_attributes": (),
    "attributes": {},
}


def _sink(report: Report) -> ProgressSink:
    def sink(made: Progress) -> None:
        report("converting" if made.phase == "writing" else "inspecting", made.done_bytes, made.total_bytes)

    return sink


@contextmanager
def _told_to_the_owner(upload: Upload) -> Iterator[None]:
    """Turn what is wrong with a table into a problem, and what is not its fault into another attempt."""
    try:
        yield
    except TabularError as error:
        if error.slug in NOT_THE_TABLES_FAULT:
            raise TryAgainError(str(error)) from error
        raise DatasetRefusedError(
            str(error),
            reason=error.slug,
            row=error.row,
            line=error.line,
            column=error.column,
            hint=error.hint,
            correct=where_to_correct(error, repair=(upload.description or {}).get("repair", True)),
        ) from error
