"""Collection of the labels of nominal columns."""

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.schema.categories import Categories
from app.tabular.schema.cells import BLANKS, Spelling, boolean_labels, does_not_fit, in_order
from app.tabular.schema.names import MAX_LABEL, label_fault, too_many_labels
from app.tabular.schema.plan import ColumnPlan
from app.tabular.table import position_of
from app.tabular.types import ConversionRequest, Repair, TabularError
from app.tabular.wording import shortened

# Printable ASCII without quotes, neither a blank at an end nor a backslash at the last, and more than a question mark.
_PLAIN_LABEL = r"^(?:[!#-&(-~][ !#-&(-~]*[!#-&(-\[\]-~]|[!#-&(->@-\[\]-~])$"


class InferredLabels:
    """The distinct values of a column that is, or may become, nominal."""

    needs_all_rows = True
    expected_pattern = None

    def __init__(
        self,
        name: str,
        limit: int,
        missing_words: frozenset[str],
        *,
        is_boolean: bool = False,
        is_ordered: bool = False,
        repair: bool = True,
        categories: tuple[str, ...] = (),
    ) -> None:
        """Create an empty collection of at most `limit` labels.

        Args:
            name: of the column.
            limit: how many there may be.
            missing_words: texts that stand for a missing value.
            is_boolean: whether they must be a pair such as true and false.
            is_ordered: whether they keep the order in which they are added.
            repair: whether blanks around them may be trimmed.
            categories: words for a missing value that may be labels.
        """
        self.name = name
        self._limit = limit
        self._missing_words = missing_words
        self._is_boolean = is_boolean
        self._is_ordered = is_ordered
        self._repair = repair
        # What is written, and what stands in the file, with its blanks.
        self._labels: dict[str, str] = {}
        self._has_blanks = False
        self._fault: TabularError | None = None
        self._categories = Categories(name, categories)

    @property
    def is_settled(self) -> bool:
        """Whether there are too many values, or one that cannot be a label."""
        return self._fault is not None or len(self._labels) > self._limit

    def update(self, column: pa.Array, first_row: int) -> None:
        """Take the next block."""
        self._categories.update(column)
        distinct = pc.unique(column.drop_null())
        values = distinct.to_pylist()
        if pc.all(are_plain_labels(distinct)).as_py() is not False and self.took_plain(values):
            return
        value = self.add(values)
        if value is not None and self._fault:
            self._fault.row = first_row + position_of(column, value) + 1

    def add(self, values: Iterable[str]) -> str | None:
        """Add values, and return the first that cannot be a label."""
        for value in values:
            label = value.strip(BLANKS) if self._repair else value
            if self._labels.get(label) == value:
                continue
            if self.is_settled:
                return None
            if label in self._missing_words:
                self._has_blanks = self._has_blanks or label != value
                continue
            self._fault = self._take(label, value)
            if self._fault:
                return value
        return None

    def took_plain(self, labels: Sequence[str]) -> bool:
        """Add labels that have passed `are_plain_labels` at once, if none needs a closer look, and return whether."""
        if self._is_boolean or self._has_blanks or self._fault:
            return False
        if len(self._labels) + len(labels) > self._limit or not self._missing_words.isdisjoint(labels):
            return False
        self._labels.update(zip(labels, labels, strict=True))
        return True

    def plan(self) -> ColumnPlan:
        """Return the plan: labels sorted, or false before true.

        Raises:
            TabularError: `too-many-labels`, `empty-column`, and with the first row that holds it `bad-label` or
                `value-does-not-fit`.
        """
        if self._fault:
            raise self._fault
        if self.is_settled:
            raise too_many_labels(self.name, self._limit)
        if not self._labels:
            message = "A column without any value has no labels."
            raise TabularError("empty-column", message, column=self.name)
        labels = boolean_labels(self._labels) if self._is_boolean else tuple(self._labels)
        if not self._is_boolean and not self._is_ordered:
            labels = in_order(self._labels)
        return ColumnPlan(
            self.name,
            "nominal",
            labels,
            missing_words=self._missing_words,
            is_plain=not self._has_blanks,
            repairs=(_without_blanks(self.name),) if self._has_blanks else (),
            doubts=self._categories.doubts(),
        )

    def _take(self, label: str, value: str) -> TabularError | None:
        """Add a new value, and return the error if it cannot be a label."""
        if label in self._labels:
            return self._bad_label(value, "differs from another label in blanks only")
        self._labels[label] = value
        self._has_blanks = self._has_blanks or label != value
        if not self._is_boolean:
            fault = label_fault(label)
            return self._bad_label(value, fault) if fault else None
        if boolean_labels(self._labels) is None:
            return does_not_fit(self.name, value, "is not one of two opposites such as true and false", 0)
        return None

    def _bad_label(self, value: str, fault: str) -> TabularError:
        return TabularError(
            "bad-label",
            f"{shortened(value)} cannot be a label on OpenML: it {fault}.",
            column=self.name,
            hint='Change it, or declare the column as "string".',
            choices={"attributes": ["string"]},
        )


def target_labels(name: str, request: ConversionRequest, spelling: Spelling) -> InferredLabels | None:
    """Return the scan of a default target's labels, or None for other columns."""
    if name not in request.target_attributes:
        return None
    return InferredLabels(name, request.limits.max_labels, spelling.in_labels, repair=request.repair)


def _without_blanks(name: str) -> Repair:
    return Repair(
        column=name,
        change=f"Blanks around the labels of {name!r} were left out.",
        reason="OpenML does not keep them.",
    )


def are_plain_labels(labels: pa.Array) -> pa.Array:
    """Return of each text whether it is a label by one pattern, without blanks around it; false may be too strict."""
    are_plain = pc.match_substring_regex(labels, _PLAIN_LABEL)
    return pc.and_(are_plain, pc.less_equal(pc.binary_length(labels), MAX_LABEL))
