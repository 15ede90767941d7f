"""Plans by the first rows, so that rows can be written while they are scanned.

They hold for as long as no later row contradicts them. Then the file is what a pass of its own would have written.
"""

from collections.abc import Iterator, Sequence

from app.tabular.schema.job import Job, check_sizes
from app.tabular.schema.plan import ColumnPlan
from app.tabular.schema.scans import Scan, update_scans
from app.tabular.table import Block, prefetched
from app.tabular.types import TabularError

MOST_LABELS = 1000
"""Of a column in the first rows. One that has more there has others further down."""

_FEWEST_ROWS = 20
"""Of the first blocks, by which plans are made: of JSON, the first has one row."""


class EarlyPlans:
    """The plans of a table's columns by its first rows, and the scan of all blocks, which may contradict them.

    Attributes:
        columns: the plans of the columns that are written, by index; None before the first rows are scanned, if they
            allow none, and from the first contradiction on.
    """

    def __init__(self, job: Job, scans: Sequence[Scan] | None = None) -> None:
        """Begin with nothing scanned; `scans` are what those of the job wrap, if it is these that know the plans."""
        self._job = job
        self._scans = scans or job.scans
        self.columns: dict[int, ColumnPlan] | None = None

    def blocks(self) -> Iterator[Block]:
        """Yield the rows, each block once it is scanned and `columns` hold for it or are None.

        Raises:
            TabularError: what the scans and the reader raise.
        """
        job = self._job
        first: list[Block] | None = []
        for block in prefetched(job.table.blocks()):
            check_sizes(job, block)
            scanned = update_scans(job.scans, block)
            if first is not None:
                first.append(block)
                if block.first_row + block.rows >= _FEWEST_ROWS:
                    self.columns = self._first_plans()
                    yield from first
                    first = None
                continue
            if (columns := self.columns) is not None and not all(
                self._holds(index, columns.get(index)) for index in scanned
            ):
                self.columns = None
            yield block
        if first:
            self.columns = self._first_plans()
            yield from first

    def _first_plans(self) -> dict[int, ColumnPlan] | None:
        try:
            plans = [scan.plan() for scan in self._scans]
        except TabularError:
            return None
        columns = {index: plan for index, plan in enumerate(plans) if isinstance(plan, ColumnPlan)}
        return None if any(len(plan.labels or ()) > MOST_LABELS for plan in columns.values()) else columns

    def _holds(self, index: int, early: ColumnPlan | None) -> bool:
        """Return whether the column would be written as its plan by the first rows says; None is not at all."""
        try:
            plan = self._scans[index].plan()
        except TabularError:
            return False
        if early is None or not isinstance(plan, ColumnPlan):
            return early is None and not isinstance(plan, ColumnPlan)
        return early.is_written_as(plan)
