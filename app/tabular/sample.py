"""A small table that is converted in the fork server, so that its children inherit initialised code.

What happens once in a process then happens once for all of them: patterns are compiled, and native code is linked.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from app.tabular.convert import write
from app.tabular.readers.opening import open_job
from app.tabular.table import Block
from app.tabular.types import ConversionRequest, Progress

_NAMES = ["id", "x", "word", "kind"]
_ROWS = [(f"{n}", f"{n / 7:.6f}" if n % 9 else "", f"word {n}", "abc"[n % 3]) for n in range(60)]


def convert_sample() -> None:
    """Open a CSV file and write it as ARFF, both in memory; Linux only.

    Its rows are not read by pyarrow, which would start threads that stay.
    """
    source, target = map(os.memfd_create, ("source", "target"))  # type: ignore[attr-defined,unused-ignore]
    try:
        os.write(source, "".join(",".join(row) + "\n" for row in [_NAMES, *_ROWS]).encode())
        request = ConversionRequest(
            Path(f"/proc/self/fd/{source}"),
            Path(f"/proc/self/fd/{target}"),
            "csv",
            "sample",
            target_attributes=("kind",),
        )
        write(replace(open_job(request, _ignore), table=_Rows()), _ignore)
    finally:
        os.close(source)
        os.close(target)


class _Rows:
    """The rows of the sample, as a table that was opened."""

    names = _NAMES

    def blocks(self) -> Iterator[Block]:
        """Yield them as one block."""
        columns = [pa.array([cell or None for cell in column]) for column in zip(*_ROWS, strict=True)]
        yield Block(columns, first_row=0, position=0)

    def blocks_to_scan(self, indices: Collection[int]) -> Iterator[Block]:  # noqa: ARG002 - there is one block
        """Yield the same."""
        return self.blocks()

    def line_of(self, row: int) -> int:
        """Return the line of a row."""
        return row + 1


def _ignore(progress: Progress) -> None:
    """Ignore the progress."""
