"""The types that a column could be declared as, and what stands in the way of each."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from app.tabular.profile.stats import shown
from app.tabular.types import TabularError

Choice = Literal["string", "integer", "real", "boolean", "nominal"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
NUMBER_CHOICES: tuple[Literal["integer", "real"], ...] = ("integer", "real")


@dataclass(frozen=True, slots=True)
class Fault:
    """What stands in the way of a type.

    There may be three of them for each of 50 000 columns, so this is no exception, which would keep what it passed.

    Attributes:
        slug: as in `TabularError`, which the conversion would raise; so are the next three.
        message: what is wrong.
        row: the row, from 1.
        hint: what to change.
        value: the first value that does not fit, as far as it is shown, if one is at fault.
    """

    slug: str
    message: str
    row: int | None = None
    hint: str | None = None
    value: str | None = None

    @classmethod
    def of(cls, error: TabularError, value: str | None = None) -> Self:
        """Return what an error says."""
        return cls(error.slug, error.message, error.row, error.hint, None if value is None else shown(value))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Alternative:
    """One type that a column could be declared as.

    Attributes:
        type: as it would be declared.
        is_possible: whether the column would be accepted; None if it has too many values to say so beforehand.
        fault: why not.
    """

    type: Choice
    is_possible: bool | None
    fault: Fault | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the row and the value that are in the way."""
        return {
            "type": self.type,
            "possible": self.is_possible,
            "row": self.fault.row if self.fault else None,
            "value": self.fault.value if self.fault else None,
            "message": self.fault.message if self.fault else None,
        }
