"""Explanations of column types, in one sentence each."""

from collections.abc import Mapping
from typing import NamedTuple

from app.tabular.profile.alternatives import TypeViolation
from app.tabular.schema.cells import CellClass
from app.tabular.schema.plan import ColumnPlan
from app.tabular.types import AttributeType
from app.tabular.wording import counted, shortened


class Evidence(NamedTuple):
    """The facts about a column from which its type is explained.

    Attributes:
        plan: how it would be published.
        values: number of values that are not missing.
        fitting: those of them that are whole numbers (for a column of real numbers) or numbers (for one of text).
        declared: what its owner declared.
        found: if its type is inferred from its cells, the first cell of each kind: its row, from 0, and its text.
        stored: its type in the file, if the format has types.
        not_whole: the first value that is not a whole number.
        is_target: whether it is a default target.
    """

    plan: ColumnPlan
    values: int
    fitting: int
    declared: AttributeType | None
    found: Mapping[CellClass, tuple[int, str]] | None
    stored: str | None
    not_whole: TypeViolation | None
    is_target: bool


def reason(evidence: Evidence) -> str:
    """Return why a column has its type, as a sentence."""
    if evidence.declared is not None:
        kind = evidence.declared
        return f"You declared it {kind!r}." if isinstance(kind, str) else "You declared its labels."
    if evidence.found is None:
        return _of_file(evidence)
    if not evidence.values:
        return "It has no value at all."
    labels = " It is a default target, so its values become labels."
    is_text_target = evidence.plan.kind == "nominal" and "boolean" not in evidence.found
    return _of_cells(evidence, evidence.found) + (labels if is_text_target else "")


def _of_file(evidence: Evidence) -> str:
    if evidence.stored is None:
        return "All its values are true or false."
    labels = evidence.plan.kind == "nominal" and evidence.is_target and evidence.stored == "text"
    because = {
        ("integer", "string"): ": one value is beyond 2^53, which OpenML reads with other digits.",
        ("text", "nominal"): "; it is a default target, so its values become labels." if labels else ".",
    }
    stored = "whole numbers" if evidence.stored.startswith(("int", "uint")) else evidence.stored
    key = ("integer" if stored == "whole numbers" else stored, evidence.plan.kind)
    return f"The file says that it is of type {evidence.stored}{because.get(key, '.')}"


def _of_cells(evidence: Evidence, found: Mapping[CellClass, tuple[int, str]]) -> str:
    values, kind = evidence.values, evidence.plan.kind
    if kind == "integer":
        return _all(values, "whole numbers", "a whole number")
    if kind == "real":
        return _of_reals(evidence)
    if found.keys() <= {"boolean", "missing"} and not evidence.fitting:
        spelled = " and ".join(map(repr, evidence.plan.labels or ()))
        return (
            _all(values, spelled, f"one of {spelled}")
            if spelled
            else "It spells true and false in more than two ways."
        )
    whys: tuple[tuple[CellClass, str], ...] = (
        ("text", "which is no number"),
        ("boolean", "which is no number"),
        ("code", "whose leading zero a number would lose"),
        ("long", "whose digits OpenML would change in a number, as it is beyond 2^53"),
        ("infinite", "which is no finite number"),
    )
    for verdict, why in whys:
        if verdict in found:
            row, text = found[verdict]
            share = f"{_share(evidence.fitting, values)} numbers; row" if evidence.fitting else "Row"
            return f"{share} {row + 1} has {shortened(text)}, {why}."
    return _all(values, "text", "text")


def _of_reals(evidence: Evidence) -> str:
    fault = evidence.not_whole
    if fault is None or fault.value is None or fault.row is None:
        return _all(evidence.values, "numbers", "a number")
    place = f"row {fault.row} has {shortened(fault.value)}"
    if not evidence.fitting:
        return f"{_all(evidence.values, 'numbers', 'a number')[:-1]}; {place}."
    return f"{_share(evidence.fitting, evidence.values)} whole numbers; {place}."


def _all(values: int, what: str, singular: str) -> str:
    return f"Its only value is {singular}." if values == 1 else f"All {values} values are {what}."


def _share(fitting: int, values: int) -> str:
    if fitting == values > 1:
        return f"All {values} values are"
    return f"{fitting} of {counted(values, 'value')} {'is' if fitting == 1 else 'are'}"
