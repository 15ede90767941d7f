"""Scans: what determines the type of a column from its rows, block by block."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol, cast

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.schema.numbers import Notation, are_simple
from app.tabular.schema.plan import ColumnPlan
from app.tabular.table import LONG_COLUMN, Block, Stack
from app.tabular.types import Repair, TabularError


class Scan(Protocol):
    """Takes a column block by block, then says how to write it."""

    @property
    def needs_all_rows(self) -> bool:
        """Whether the plan depends on the rows; if not, they are only validated."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether further blocks cannot change the plan."""
        ...

    @property
    def expected_pattern(self) -> str | None:
        """A regular expression; a block all of whose values match it need not be scanned."""
        ...

    def update(self, column: pa.Array, first_row: int) -> None:
        """Take the next block, whose first row is number `first_row` (from 0)."""
        ...

    def plan(self) -> ColumnPlan | Repair | None:
        """Return how to write the column, or why it is left out; None where that was its owner's choice."""
        ...


class OpeningScan(ABC):
    """A scan whose first block may be looked at together with those of other columns."""

    @property
    @abstractmethod
    def opening(self) -> Notation | None:
        """How numbers are written, if `begin` takes a first block of simple numbers and nulls; else None."""

    @abstractmethod
    def begin(self, block: Block, index: int, *, has_whole: bool, has_real: bool) -> None:
        """Take the first block, in which this column has simple numbers and nulls only, and which of them."""


def update_scans(scans: Sequence[Scan], block: Block) -> list[int]:
    """Pass the columns of a block to their scans, except columns that match the expected pattern.

    Returns the indices of the scans whose plan may have changed.

    Raises:
        TabularError: what the scans raise.
    """
    begun = _begun(scans, block) if block.first_row == 0 and block.rows <= LONG_COLUMN else frozenset()
    groups: dict[str | None, list[int]] = {}
    for index, scan in enumerate(scans):
        if not scan.is_settled and index not in begun:
            groups.setdefault(scan.expected_pattern, []).append(index)
    updated = [*begun]
    for pattern, indices in groups.items():
        for index in _unexpected(block, indices, pattern):
            scans[index].update(block.columns[index], block.first_row)
            updated.append(index)
    return updated


def _begun(scans: Sequence[Scan], block: Block) -> frozenset[int]:
    """Begin the scans of those columns of the first block that hold simple numbers only, and return their indices."""
    groups: dict[Notation, list[int]] = {}
    for index, scan in enumerate(scans):
        if isinstance(scan, OpeningScan) and scan.opening:
            groups.setdefault(scan.opening, []).append(index)
    begun: set[int] = set()
    for notation, indices in groups.items():
        stack = Stack(block, indices)
        is_number = are_simple(stack.cells, notation.number_pattern)
        is_whole = are_simple(stack.cells, notation.integer_pattern)
        others = stack.counts(pc.invert(is_number))
        wholes = stack.counts(is_whole)
        reals = stack.counts(pc.and_not(is_number, is_whole))
        for index in indices:
            if index not in others:
                opening = cast("OpeningScan", scans[index])
                opening.begin(block, index, has_whole=index in wholes, has_real=index in reals)
                begun.add(index)
    return frozenset(begun)


def _unexpected(block: Block, indices: Sequence[int], pattern: str | None) -> Sequence[int]:
    if pattern is None:
        return indices
    if block.rows > LONG_COLUMN:
        columns = ((index, block.columns[index]) for index in indices)
        # Null counts as a match.
        return [index for index, column in columns if are_simple(column, pattern).false_count]
    stack = Stack(block, indices)
    return stack.columns_with(pc.invert(are_simple(stack.cells, pattern)))


class KnownType:
    """A column whose type is known; violations are found when it is written."""

    needs_all_rows = False
    is_settled = True
    expected_pattern = None

    def __init__(self, plan: ColumnPlan) -> None:
        self._plan = plan

    def update(self, column: pa.Array, first_row: int) -> None:
        """Do nothing."""

    def plan(self) -> ColumnPlan:
        """Return the plan."""
        return self._plan


class LeftOutColumn:
    """A column that its owner left out; its values are not checked."""

    needs_all_rows = False
    is_settled = True
    expected_pattern = None

    def update(self, column: pa.Array, first_row: int) -> None:
        """Do nothing."""

    def plan(self) -> None:
        """Return None."""


class UnnamedColumn:
    """A column without a name: left out if it is a row index or empty, else an error."""

    needs_all_rows = True
    expected_pattern = None

    def __init__(self, position: int, row_names: str | None = None) -> None:
        """Expect the column at this position, from 1.

        Args:
            position: only the first column may be an index.
            row_names: `leave-out`, if the first one is unwanted whatever it holds.
        """
        self._position = position
        self._is_unwanted = position == 1 and row_names == "leave-out"
        # The number of the first row, as pandas (0) or R (1) counts; None if the column holds something else.
        self._starts = {0, 1} if position == 1 else set[int]()
        self._is_empty = True

    @property
    def is_settled(self) -> bool:
        """Whether the column is known to have other values."""
        return self._is_unwanted or (not self._is_empty and not self._starts)

    def update(self, column: pa.Array, first_row: int) -> None:
        """Compare the next block with its row numbers."""
        self._is_empty = self._is_empty and column.null_count == len(column)
        for start in tuple(self._starts):
            first = first_row + start
            numbers = pa.array(range(first, first + len(column))).cast(pa.string())
            if not column.equals(numbers):
                self._starts.discard(start)

    def plan(self) -> Repair:
        """Return why the column is left out.

        Raises:
            TabularError: `bad-column-name`.
        """
        if self._is_unwanted:
            return Repair("", "The first column, which had no name, was left out.", "`row_names` says so.")
        if self._starts and not self._is_empty:
            return Repair(
                column="",
                change="The first column, which had no name, was left out.",
                reason="It held the numbers of the rows, as pandas and R write them.",
            )
        if self._is_empty:
            return Repair(
                column="",
                change=f"Column {self._position}, which had no name, was left out.",
                reason="It held no value at all, as a delimiter at the end of each row makes it.",
            )
        raise TabularError(
            "bad-column-name",
            f"Column {self._position} has no name.",
            hint="Name it"
            + (
                ", or say in `reading` that `row_names` is keep or leave-out." if self._position == 1 else "."
            ),
            choices={"row_names": ["keep", "leave-out"]} if self._position == 1 else None,
        )
