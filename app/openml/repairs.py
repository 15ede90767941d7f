"""What is changed in the texts of a request so that OpenML can take them: by one mechanism, and always told.

The types in `fields` are the ones that repair; whoever validates with them passes `Repairs` as pydantic's context.
Without it, or where the client wants none, what OpenML cannot take is refused.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, ValidationInfo

from app.core.errors import ValidationFailedError

M = TypeVar("M", bound=BaseModel)
_REPAIRS, _FIELD = "repairs", "field"


class RepairResponse(BaseModel):
    """One change that was made so that OpenML can take it; of an upload it stands in the description as well."""

    column: str = Field(description="The column, by its published name; empty where it is none.")
    change: str
    reason: str


class Repairs:
    """Collects what was changed; each change of a field is told once."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], dict[str, str]] = {}

    def add(self, change: str, reason: str) -> None:
        """Note a change."""
        self._made[change, reason] = {"column": "", "change": change, "reason": reason}

    def records(self) -> list[dict[str, str]]:
        """Return the changes as the rows of uploads keep them."""
        return list(self._made.values())

    def sentences(self) -> list[str]:
        """Return the changes for people."""
        return [f"{made['change']} {made['reason']}" for made in self._made.values()]


def validated(kind: type[M], document: Mapping[str, Any], repairs: Repairs | None) -> M:
    """Return the document as a model, repaired where that is wanted.

    Raises:
        ValidationFailedError: some field is not what OpenML takes.
    """
    try:
        return kind.model_validate(dict(document), context={_REPAIRS: repairs})
    except ValidationError as error:
        raise ValidationFailedError.from_pydantic(
            error.errors(include_input=False, include_url=False)
        ) from None


def validated_text(kind: TypeAdapter[str], field: str, value: object, repairs: Repairs | None) -> str:
    """Return one text, repaired where that is wanted; `field` is what its author calls it.

    Raises:
        ValueError: it is not what OpenML takes; the text says what to change.
    """
    try:
        return kind.validate_python(value, context={_REPAIRS: repairs, _FIELD: field})
    except ValidationError as error:
        message = str(error.errors(include_input=False)[0]["msg"])
        raise ValueError(message.removeprefix("Value error, ")) from None


def tell(info: ValidationInfo, change: str, reason: str) -> bool:
    """Note a change of the value that is being validated; False if it must not be changed.

    In `change`, `{field}` stands for the field's name.
    """
    context: Mapping[str, Any] = info.context or {}
    repairs: Repairs | None = context.get(_REPAIRS)
    if repairs is None:
        return False
    repairs.add(change.format(field=info.field_name or context.get(_FIELD, "")), reason)
    return True
