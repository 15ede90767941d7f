"""The types that could be declared for a column, and why one is not possible."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, Self, get_args

from app.tabular.profile.stats import shortened_value
from app.tabular.types import TabularError

Choice = Literal["string", "integer", "real", "boolean", "nominal"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
NumberChoice = Literal["integer", "real"]
NUMBER_CHOICES: tuple[NumberChoice, ...] = get_args(NumberChoice)


@dataclass(frozen=True, slots=True)
class TypeViolation:
    """Why a column cannot have a type.

    There may be three for each of 50 000 columns: an exception would keep its traceback.

    Attributes:
        slug: as in `TabularError`, which the conversion would raise; so are the next three.
        message: what is wrong, as a sentence.
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
        """Build it from an error."""
        return cls(
            error.slug,
            error.message,
            error.row,
            error.hint,
            None if value is None else shortened_value(value),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


class TypeAlternative(NamedTuple):
    """One type that could be declared for a column.

    Attributes:
        type: as it would be declared.
        is_possible: whether the column would be accepted; None if the column has too many values to know.
        fault: why not.
    """

    type: Choice
    is_possible: bool | None
    fault: TypeViolation | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the row and value at fault."""
        return {
            "type": self.type,
            "possible": self.is_possible,
            "row": self.fault.row if self.fault else None,
            "value": self.fault.value if self.fault else None,
            "message": self.fault.message if self.fault else None,
        }
