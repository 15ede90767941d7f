"""Files that are read by writing them anew first, in a format that is read."""

import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import pyarrow as pa

from app.tabular.disk import DiskBudget, is_of_disk
from app.tabular.reading import ReadingReport
from app.tabular.types import ConversionRequest, Repair, TabularError


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A file that was written anew.

    Attributes:
        request: for the file that was written; of an archive, for the one that was in it.
        reading: how the file before it was read.
        repairs: what was changed.
        remarks: what its owner should know, as sentences.
        comments: lines that begin with `%`, for the ARFF file.
        hidden: fields of the reading that say nothing about the file before.
        keeps_lines: whether lines of the two are the same.
    """

    request: ConversionRequest
    reading: ReadingReport
    repairs: tuple[Repair, ...] = ()
    remarks: tuple[str, ...] = ()
    comments: tuple[str, ...] = field(default=())
    hidden: frozenset[str] = frozenset({"format"})
    keeps_lines: bool = False


def rewritten(rewriter: Callable[[ConversionRequest], Rewritten], request: ConversionRequest) -> Rewritten:
    """Run the rewriter of a file's format, and return its result.

    The libraries that read such files raise whatever comes up where one is damaged; a panic of Rust is not even an
    `Exception`. It may be a fault of ours as well, so that it is in the log.

    Raises:
        TabularError: `broken-file`, and what the rewriter raises.
    """
    try:
        return rewriter(request)
    except (TabularError, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        if is_of_disk(error):
            raise
        traceback.print_exception(error)
        message = "The file is damaged, or has something that is not read here."
        hint = "Open it in the program that made it, and save it anew, or as .csv."
        raise TabularError("broken-file", message, hint=hint) from None


class BoundedFile:
    """A file that is written within what a request may take of the disk."""

    def __init__(self, file: BinaryIO, budget: DiskBudget) -> None:
        self._file = file
        self._budget = budget

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes.

        Raises:
            TabularError: as `DiskBudget.spend`.
        """
        self._budget.spend(len(data))
        return self._file.write(data)


@contextmanager
def new_file(request: ConversionRequest, ending: str) -> Iterator[tuple[Path, BoundedFile]]:
    """Yield the path of a new file in the request's workspace, and the file, open for writing."""
    request.workspace.mkdir(exist_ok=True)
    path = request.workspace / f"{len(list(request.workspace.iterdir()))}.{ending}"
    with path.open("wb") as file:
        yield path, BoundedFile(file, DiskBudget(file.fileno(), request.limits))


@contextmanager
def new_arrow_file(
    request: ConversionRequest, schema: pa.Schema
) -> Iterator[tuple[Path, pa.ipc.RecordBatchFileWriter]]:
    """Yield the path of a new Arrow file in the request's workspace, and what writes its batches."""
    with new_file(request, "feather") as (path, file):
        sink = pa.PythonFile(_Sink(file), mode="w")
        with pa.ipc.new_file(sink, schema) as writer:
            yield path, writer


class _Sink:
    """What pyarrow asks of a file that it writes."""

    closed = False

    def __init__(self, file: BoundedFile) -> None:
        self._file = file

    def write(self, data: pa.Buffer) -> int:
        return self._file.write(memoryview(data))

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: the file is its opener's."""


def rewrite_stream(request: ConversionRequest) -> Rewritten:
    """Write an Arrow stream as an Arrow file, which is read any number of times.

    Raises:
        TabularError: `broken-file`.
    """
    try:
        with (
            pa.OSFile(str(request.source)) as source,
            pa.ipc.open_stream(source) as stream,
            new_arrow_file(request, stream.schema) as (path, writer),
        ):
            for batch in stream:
                batch.validate()
                writer.write_batch(batch)
    except pa.ArrowMemoryError as error:
        raise MemoryError from error
    except (pa.ArrowException, OSError) as error:
        if is_of_disk(error):
            raise
        hint = "Save or upload it anew."
        raise TabularError("broken-file", "The Arrow stream is damaged or cut off.", hint=hint) from None
    return Rewritten(replace(request, source=path), ReadingReport(request.reading))


def library(name: str) -> ModuleType:
    """Import a library of the extra `tables`, which may need numpy.

    Raises:
        TabularError: `not-installed`.
    """
    if sys.modules.get("numpy", sys) is None:
        del sys.modules["numpy"]  # app.tabular.__main__ keeps it from all who do not need it
    try:
        return importlib.import_module(name)
    except ImportError:
        raise TabularError(
            "not-installed",
            f"Such files are read by {name.partition('.')[0]}, which this server does not have.",
            hint="Save the table as .csv or .parquet; or ask whoever runs the server to install openml-web[tables].",
        ) from None
