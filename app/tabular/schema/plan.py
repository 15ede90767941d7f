"""How each column is written, and counts of missing values."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from app.tabular.reading import Doubt
from app.tabular.schema.numbers import PLAIN, Notation
from app.tabular.schema.squares import Squares
from app.tabular.types import Kind, Repair


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """How one column is written.

    Attributes:
        name: the attribute's name.
        kind: its ARFF type.
        labels: the values of a nominal column, in order.
        missing_words: texts that stand for a missing value, besides null cells.
        is_plain: whether cells are written as they stand; if not, without the blanks around them.
        repairs: changes to the column.
        advice: a remark for the owner, as a sentence.
        doubts: guesses about its values.
        notation: how its numbers are written in the file.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...] | None = None
    missing_words: frozenset[str] = frozenset()
    is_plain: bool = True
    repairs: tuple[Repair, ...] = ()
    advice: str = ""
    doubts: tuple[Doubt, ...] = ()
    notation: Notation = PLAIN

    @property
    def is_verbatim(self) -> bool:
        """Whether the cells of a column of numbers are written as they stand."""
        return self.is_plain and self.notation.is_plain

    def is_written_as(self, other: "ColumnPlan") -> bool:
        """Return whether the column of another plan is the same in the file, whatever is told of it."""
        mine, theirs = (replace(plan, repairs=(), advice="", doubts=()) for plan in (self, other))
        return mine == theirs


class RowCounts:
    """Counts of rows and missing values.

    Attributes:
        rows: number of rows.
        missing: missing values, by column of the table.
        words: those of them that were spelled, such as NA.
        squares: the sums of squares of columns of numbers.
    """

    def __init__(self, columns: Iterable[int]) -> None:
        self.rows = 0
        self.missing = dict.fromkeys(columns, 0)
        self.words = dict.fromkeys(self.missing, 0)
        self.squares = Squares()
