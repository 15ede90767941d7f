"""Published names: those that OpenML cannot take are rewritten, and each change is reported."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from app.core.ascii import SIGNS_IN_NAMES, in_ascii
from app.tabular.schema.names import MAX_NAME, check_known, check_names, name_fault
from app.tabular.types import ConversionRequest, Repair, TabularError
from app.tabular.wording import counted, shortened

_QUOTES = re.compile(r"['\"\\]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
# OpenML's alphabet for columns that have a role, but for the comma, at which it splits them.
_NO_ROLE = re.compile(r"[^a-zA-Z0-9_\-.()]")
_MAX_RENAMINGS = 100
ROW_NAME = "row_name"
"""The name of a column that names the rows, where the file has none for it."""
_MOST_NAMED = 10
_NEEDED = ("target attribute", "row id attribute")


@dataclass(frozen=True, slots=True)
class Naming:
    """The names under which columns are published.

    Attributes:
        names: one for each column; of those that are left out, that in the file.
        left_out: the columns that their owner left out, by their place in `names`.
        repairs: what was changed.
        request: the request, with columns by these names.
    """

    names: list[str]
    left_out: frozenset[int]
    repairs: tuple[Repair, ...]
    request: ConversionRequest


def published_names(
    names: Sequence[str],
    request: ConversionRequest,
    *,
    positions: Sequence[int] | None = None,
    lines: Sequence[int] | None = None,
) -> Naming:
    """Determine the published names of the columns.

    Args:
        names: of the columns in the file, in order.
        request: may name a column as the file does, as it would be published, or as it renames it.
        positions: the place of each in the file, from 1, where some columns are not published.
        lines: the line on which each is declared, where each has its own.

    Raises:
        TabularError: `bad-column-name`, `duplicate-column`, `unknown-column`, `left-out-column`, `no-columns`.
    """
    positions = positions or range(1, len(names) + 1)
    choices = _Choices(names, request)
    kept = [index for index in range(len(names)) if index not in choices.left_out]
    if names and not kept:
        message = "All columns are left out."
        raise TabularError("no-columns", message, hint="Keep one at least: take it from `leave_out`.")
    places = [positions[index] for index in kept]
    own_lines = [lines[index] for index in kept] if lines else None
    wanted = {*request.target_attributes, *request.ignore_attributes}
    wanted |= {request.row_id_attribute} if request.row_id_attribute else set()
    asked = [choices.renamed.get(index, names[index]) for index in kept]
    if not request.repair:
        check_names(asked, positions=places, lines=own_lines)
        _check_roles(asked, wanted)
    plain = [
        _published(name, names[index], wanted, position)
        for name, index, position in zip(asked, kept, places, strict=True)
    ]
    choices.check_collisions(kept, plain)
    unique = _unique(plain, asked, {at for at, index in enumerate(kept) if index in choices.renamed})
    check_names(unique, positions=places, lines=own_lines)
    published = list(names)
    for index, name in zip(kept, unique, strict=True):
        published[index] = name
    repairs = [_renaming(old, new) for old, new in zip(asked, unique, strict=True) if old != new]
    return Naming(
        published,
        choices.left_out,
        (*_bounded(repairs), *choices.leavings()),
        _resolved(request, names, published, choices),
    )


class _Choices:
    """Which columns their owner renamed and left out.

    Attributes:
        left_out: columns by their place.
        renamed: the new names of columns, by their place.
    """

    def __init__(self, names: Sequence[str], request: ConversionRequest) -> None:
        """Find the columns.

        Raises:
            TabularError: `unknown-column`, `bad-column-name`.
        """
        self._names = names
        self.left_out: frozenset[int] = frozenset()
        self.renamed: dict[int, str] = {}
        if not request.leave_out and not request.rename:
            return
        tidied = [tidy(name) for name in names]
        # A name that occurs twice means its first column, and its later ones as they are published.
        numbered = _unique(tidied, names, set())
        places = _places(tidied, numbered, names)
        check_known(request.leave_out, list(places), "column to leave out,")
        check_known(request.rename, list(places), "column to rename,")
        self.left_out = frozenset(places[name] for name in request.leave_out)
        for name, new in request.rename.items():
            index = places[name]
            if self.renamed.setdefault(index, new) != new:
                message = f"The column {shortened(names[index])} is given two names."
                raise TabularError("bad-column-name", message, column=names[index], hint="Give it one.")
            if fault := name_fault(new):
                message = f"The new name {shortened(new)} of the column {shortened(name)} {fault}."
                hint = f"Choose 1 to {MAX_NAME} ASCII characters without quotes and backslashes."
                raise TabularError("bad-column-name", message, column=name, hint=hint)

    def check_collisions(self, kept: Sequence[int], published: Sequence[str]) -> None:
        """Refuse a new name that another column has, by choice or in the file.

        Args:
            kept: the columns that are published.
            published: what they would be called.

        Raises:
            TabularError: `duplicate-column`.
        """
        owners: dict[str, int] = {}
        for index, name in zip(kept, published, strict=True):
            if index not in self.renamed and self._names[index] != name:
                continue
            other = owners.setdefault(name, index)
            if other != index and not self.renamed.keys().isdisjoint({index, other}):
                first, second = shortened(self._names[other]), shortened(self._names[index])
                message = f"The columns {first} and {second} would both be called {name!r}."
                hint = "Give each column a name of its own."
                raise TabularError("duplicate-column", message, column=name, hint=hint)

    def leavings(self) -> list[Repair]:
        """Return the repairs that report columns left out."""
        if not self.left_out:
            return []
        names = [shortened(self._names[index]) for index in sorted(self.left_out)]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        shown = f"{', '.join(names[:_MOST_NAMED])}{more}"
        return [Repair("", f"{counted(len(names), 'column')} left out: {shown}.", "Their owner chose so.")]


def _check_roles(names: Sequence[str], wanted: set[str]) -> None:
    for name in names:
        if name in wanted and _NO_ROLE.search(name):
            raise TabularError(
                "bad-column-name",
                "A target, row id or ignored column may have letters, digits and _ - . ( ) in its name only.",
                column=name,
                hint="Rename the column, or allow the repair.",
            )


def _published(name: str, file_name: str, wanted: set[str], position: int) -> str:
    plain = tidy(name)
    if not plain:
        hint = "Name it; a row index of pandas is left out by to_csv(index=False)."
        raise TabularError("bad-column-name", f"Column {position} has no name.", hint=hint)
    strict = _NO_ROLE.sub("_", plain)
    return strict if wanted & {file_name, tidy(file_name), name, plain, strict} else plain


def tidy(name: str) -> str:
    """Return a name as at most 64 ASCII characters without quotes, backslashes and control characters."""
    if name_fault(name) is None:
        return name
    text = _CONTROLS.sub(" ", name)
    if not text.isascii():
        text = "".join(
            in_ascii(character, SIGNS_IN_NAMES) or f"u{ord(character):04X}"
            for character in unicodedata.normalize("NFC", text)
        )
    return _QUOTES.sub("_", text).strip()[:MAX_NAME].rstrip()


def _unique(names: Sequence[str], asked: Sequence[str], chosen: Collection[int]) -> list[str]:
    """Add `.1`, `.2` … to names that occur twice, as pandas does; a name that was not changed keeps it.

    Args:
        names: as they would be published.
        asked: as they are in the file, or as their owner chose.
        chosen: places of the latter.
    """
    taken = set(names)
    holders = {names[index]: index for index in reversed(range(len(names))) if names[index] == asked[index]}
    holders |= {names[index]: index for index in chosen}
    seen: set[str] = set()
    last: dict[str, int] = {}
    unique = []
    for index, name in enumerate(names):
        new = name if holders.get(name, index) == index else ""
        while not new or new in seen or (new != name and new in taken):
            last[name] = last.get(name, 0) + 1
            ending = f".{last[name]}"
            new = name[: MAX_NAME - len(ending)] + ending
        seen.add(new)
        unique.append(new)
    return unique


def _renaming(old: str, new: str) -> Repair:
    return Repair(
        column=new,
        change=f"The column {shortened(old)} is published as {new!r}.",
        reason="OpenML takes names of 1 to 64 ASCII characters without quotes, each once.",
    )


def _bounded(repairs: list[Repair]) -> tuple[Repair, ...]:
    if len(repairs) <= _MAX_RENAMINGS:
        return tuple(repairs)
    more = Repair(
        "", f"{len(repairs) - _MAX_RENAMINGS} more columns were renamed likewise.", repairs[0].reason
    )
    return (*repairs[:_MAX_RENAMINGS], more)


def _resolved(
    request: ConversionRequest, names: Sequence[str], published: Sequence[str], choices: _Choices
) -> ConversionRequest:
    """Return the request with published names in place of those of the file.

    Raises:
        TabularError: `unknown-column`; `left-out-column` for a target or row id that is left out.
    """
    places = _places([tidy(name) for name in names], published, names)
    fields: dict[str, list[str]] = {}
    row_id = request.row_id_attribute
    for role, asked in (
        ("target attribute", request.target_attributes),
        ("row id attribute", (row_id,) if row_id else ()),
        ("ignored attribute", request.ignore_attributes),
        ("attribute with a declared type", tuple(request.attributes)),
    ):
        check_known(asked, list(places), role)
        gone = next((name for name in asked if places[name] in choices.left_out), None)
        if gone is not None and role in _NEEDED:
            message = f"The {role} {shortened(gone)} is left out."
            raise TabularError("left-out-column", message, column=gone, hint="Keep it, or name another one.")
        fields[role] = [name for name in asked if places[name] not in choices.left_out]
    targets, row_ids, ignored, typed = fields.values()
    return replace(
        request,
        target_attributes=tuple(published[places[name]] for name in targets),
        row_id_attribute=next((published[places[name]] for name in row_ids), None),
        ignore_attributes=tuple(published[places[name]] for name in ignored),
        attributes={published[places[name]]: request.attributes[name] for name in typed},
    )


def _places(*forms: Sequence[str]) -> dict[str, int]:
    """Return which column each name means: the first of that name, and the last form before the others.

    Args:
        forms: the names of all columns, in several forms.
    """
    return {name: index for names in forms for index, name in reversed(list(enumerate(names)))}
