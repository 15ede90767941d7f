"""Published names: those that OpenML cannot take are rewritten, and each change is reported."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.core.ascii import SIGNS_IN_NAMES, in_ascii
from app.tabular.schema.names import MAX_NAME, check_known, check_names, name_fault
from app.tabular.types import ConversionRequest, Repair, TabularError
from app.tabular.wording import shortened

_QUOTES = re.compile(r"['\"\\]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
# OpenML's alphabet for columns that have a role, but for the comma, at which it splits them.
_NO_ROLE = re.compile(r"[^a-zA-Z0-9_\-.()]")
_MAX_RENAMINGS = 100


@dataclass(frozen=True, slots=True)
class Naming:
    """The names under which columns are published.

    Attributes:
        names: one for each column.
        repairs: what was changed.
        request: the request, with columns by these names.
    """

    names: list[str]
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
        request: may name a column either way.
        positions: the place of each in the file, from 1, where some columns are not published.
        lines: the line on which each is declared, where each has its own.

    Raises:
        TabularError: `bad-column-name`, `duplicate-column`, `unknown-column`.
    """
    wanted = {*request.target_attributes, *request.ignore_attributes}
    wanted |= {request.row_id_attribute} if request.row_id_attribute else set()
    positions = positions or range(1, len(names) + 1)
    if not request.repair:
        check_names(names, positions=positions, lines=lines)
        _check_roles(names, wanted)
    published = _unique(
        [_published(name, wanted, position) for name, position in zip(names, positions, strict=True)]
    )
    check_names(published, positions=positions, lines=lines)
    repairs = [_renaming(old, new) for old, new in zip(names, published, strict=True) if old != new]
    return Naming(published, _bounded(repairs), _resolved(request, names, published))


def _check_roles(names: Sequence[str], wanted: set[str]) -> None:
    for name in names:
        if name in wanted and _NO_ROLE.search(name):
            raise TabularError(
                "bad-column-name",
                "A target, row id or ignored column may have letters, digits and _ - . ( ) in its name only.",
                column=name,
                hint="Rename the column, or allow the repair.",
            )


def _published(name: str, wanted: set[str], position: int) -> str:
    plain = tidy(name)
    if not plain:
        hint = "Name it; a row index of pandas is left out by to_csv(index=False)."
        raise TabularError("bad-column-name", f"Column {position} has no name.", hint=hint)
    strict = _NO_ROLE.sub("_", plain)
    return strict if wanted & {name, plain, strict} else plain


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


def _unique(names: Sequence[str]) -> list[str]:
    """Add `.1`, `.2` … to names that stood before, as pandas does."""
    taken = set(names)
    seen: set[str] = set()
    last: dict[str, int] = {}
    unique = []
    for name in names:
        new = name
        while new in seen or (new != name and new in taken):
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
    request: ConversionRequest, names: Sequence[str], published: Sequence[str]
) -> ConversionRequest:
    """Return the request with published names in place of those of the file."""
    # A name that occurs twice means its first column; a name in the file takes precedence over a rewritten one.
    pairs = list(zip(names, published, strict=True))[::-1]
    known = {tidy(old): new for old, new in pairs} | {new: new for new in published} | dict(pairs)
    fields: dict[str, Any] = {}
    row_id = request.row_id_attribute
    for role, asked in (
        ("target attribute", request.target_attributes),
        ("row id attribute", (row_id,) if row_id else ()),
        ("ignored attribute", request.ignore_attributes),
        ("attribute with a declared type", tuple(request.attributes)),
    ):
        check_known(asked, list(known), role)
        fields[role] = tuple(known[name] for name in asked)
    return replace(
        request,
        target_attributes=fields["target attribute"],
        row_id_attribute=next(iter(fields["row id attribute"]), None),
        ignore_attributes=fields["ignored attribute"],
        attributes={known[name]: declared for name, declared in request.attributes.items()},
    )
