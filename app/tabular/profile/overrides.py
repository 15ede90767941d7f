"""Validation of declared types and roles against the profile of a table.

Loads no pyarrow, because the web process calls it.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from app.core.suggestions import NAMES_HELPED, suggest
from app.tabular.profile.report import names_in
from app.tabular.schema.names import check_labels
from app.tabular.schema.naming import tidy
from app.tabular.types import TYPE_NAMES, AttributeType, TabularError
from app.tabular.wording import shortened


@dataclass(frozen=True, slots=True)
class OverrideViolation:
    """A declared type or role that the conversion would refuse.

    Attributes:
        column: as it was named.
        message: what is wrong, as a sentence.
        row: the first row at fault, from 1, if there is one.
        value: its value, truncated.
        role: what it was named for: `types`, or one of the given roles.
    """

    column: str
    message: str
    row: int | None = None
    value: str | None = None
    role: str = "types"


class _Found(NamedTuple):
    rank: int
    column: Mapping[str, Any]


def override_violations(
    profile: Path,
    types: Mapping[str, AttributeType],
    roles: Mapping[str, Sequence[str]],
    *,
    repair: bool,
    max_labels: int,
) -> list[OverrideViolation]:
    """Return what the conversion would refuse, as far as the profile shows.

    Blocking: call it in a thread.

    Args:
        profile: the file that `profile_in_process` wrote.
        types: by column, as `ConversionRequest.attributes`.
        roles: columns by what they are named for, such as `target_attributes`.
        repair: as in the request of the conversion to come.
        max_labels: as in its limits.

    Raises:
        OSError, ValueError: the profile cannot be read.
    """
    named = [(name, "types") for name in types] + [(name, role) for role in roles for name in roles[role]]
    with profile.open(encoding="utf-8") as lines:
        # What can be repaired into labels depends on whether repairs are allowed.
        is_alike = json.loads(next(lines, ""))["repair"] is repair
        found = _find(lines, {name for name, _ in named})
    unknown = [(name, role) for name, role in named if name not in found]
    known = _all_names(profile) if unknown else []
    wrong = [
        _unknown(name, role, known if place < NAMES_HELPED else [])
        for place, (name, role) in enumerate(unknown)
    ]
    for name, kind in types.items():
        if name in found:
            violation = _violation_of(
                name, kind, found[name].column, is_alike=is_alike, max_labels=max_labels
            )
            wrong += [violation] if violation else []
    return wrong


def known_columns(profile: Path, names: Collection[str]) -> set[str]:
    """Return those of the names that mean a column of the table. Blocking; raises as `override_violations`."""
    with profile.open(encoding="utf-8") as lines:
        next(lines, "")
        return {*_find(lines, names)}


def _find(lines: Iterable[str], wanted: Collection[str]) -> dict[str, _Found]:
    """Return the named columns; the conversion resolves names the same way (app/tabular/schema/naming.py)."""
    found: dict[str, _Found] = {}
    for line in lines:
        in_file, published = names_in(line)
        for rank, name in enumerate((in_file, published, tidy(in_file))):
            if name in wanted and (name not in found or found[name].rank > rank):
                found[name] = _Found(rank, json.loads(line))
    return found


def _all_names(profile: Path) -> list[str]:
    with profile.open(encoding="utf-8") as lines:
        next(lines, "")
        return [names_in(line)[0] for line in lines]


def _unknown(name: str, role: str, known: Sequence[str]) -> OverrideViolation:
    near = " or ".join(map(shortened, suggest(name, known)))
    hint = f" Did you mean {near}?" if near else ""
    return OverrideViolation(name, f"The table has no column {shortened(name)}.{hint}", role=role)


def _violation_of(
    name: str, kind: AttributeType, column: Mapping[str, Any], *, is_alike: bool, max_labels: int
) -> OverrideViolation | None:
    if isinstance(kind, Mapping):
        try:
            check_labels(kind["nominal"], column["name"], limit=max_labels)
        except TabularError as error:
            return OverrideViolation(name, error.message)
        return None
    if kind not in TYPE_NAMES:
        return _no_type(name, kind)
    alternative = next(each for each in column["alternatives"] if each["type"] == kind)
    if alternative["possible"] is not False or (kind == "nominal" and not is_alike):
        return None
    return OverrideViolation(name, _with_row(alternative), alternative["row"], alternative["value"])


def _no_type(name: str, kind: object) -> OverrideViolation:
    types = '"string", "integer", "real", "boolean", "nominal" or {"nominal": ["label", …]}'
    return OverrideViolation(name, f"{shortened(str(kind))} is not a type: give {types}.")


def _with_row(alternative: Mapping[str, Any]) -> str:
    message = alternative["message"] or f"The column cannot be {alternative['type']}."
    return message if alternative["row"] is None else f"Row {alternative['row']}: {message}"
