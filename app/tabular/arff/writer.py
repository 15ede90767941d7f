"""Writing of ARFF files, with their size and MD5."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from app.tabular.arff.tokens import tokens
from app.tabular.disk import DiskBudget
from app.tabular.schema.names import CONTROL
from app.tabular.schema.plan import ColumnPlan
from app.tabular.types import Limits, TabularError


class ArffWriter:
    """One ARFF file, open for writing.

    Attributes:
        size: bytes written so far.
        md5: their MD5, once the file is closed.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        """Open the file."""
        self._file = path.open("wb", buffering=0)
        self._budget = DiskBudget(self._file.fileno(), limits)
        self.size = 0
        self.md5 = hashlib.md5(usedforsecurity=False)
        # Hashing takes longer than writing, and releases the interpreter's lock.
        self._hasher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hasher")
        self._hashing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hasher.shutdown()
        self._file.close()

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes.

        Raises:
            TabularError: `file-too-large`, `over-quota`, `no-room`.
        """
        view = memoryview(data)
        self.size += len(view)
        self._budget.spend(len(view))
        if self._hashing:
            self._hashing.result()
        self._hashing = self._hasher.submit(self.md5.update, view)
        while view:  # an unbuffered file may take less than it is given
            view = view[self._file.write(view) :]

    def write_header(
        self, relation: str, columns: Sequence[ColumnPlan], comments: Sequence[str] = ()
    ) -> None:
        """Write everything up to and including `@DATA`.

        Args:
            relation: the relation's name.
            columns: the attributes.
            comments: lines that begin with `%`; they stand before the relation, where every reader skips them.
        """
        lines = [*comments, f"@RELATION {_relation(relation)}"]
        lines += [f"@ATTRIBUTE '{column.name}' {_type(column)}" for column in columns]
        self.write("".join(f"{line}\n" for line in (*lines, "@DATA")).encode())


def _relation(name: str) -> str:
    if not name.strip() or CONTROL.search(name) or any(quote in name for quote in "'\"\\"):
        raise TabularError(
            "bad-relation",
            "The name of the dataset cannot be the relation of an ARFF file.",
            hint="Use a name without quotes, backslashes and line breaks.",
        )
    return f"'{name}'"


def _type(column: ColumnPlan) -> str:
    if column.labels is None:
        return column.kind.upper()
    return "{" + ",".join(tokens(pa.array(column.labels, pa.string())).to_pylist()) + "}"
