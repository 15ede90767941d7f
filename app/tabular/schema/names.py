"""Rules for attribute names and nominal labels, and suggestions for unknown names."""

import re
from collections.abc import Iterable, Sequence

from app.core.suggestions import suggest
from app.tabular.types import TabularError
from app.tabular.wording import shortened

MAX_NAME = 64
MAX_LABEL = 256
MOST_SHOWN = 10
"""Labels that a message names."""

CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def name_fault(name: str) -> str | None:
    """Return why OpenML cannot take a name for an attribute, or None.

    OpenML's feature list takes 1 to 64 ASCII characters and trims them; liac-arff does not undo escapes in names.
    """
    if not name:
        return "has no name"
    return _fault(name, MAX_NAME, "'\"\\")


def label_fault(label: str) -> str | None:
    """Return why OpenML cannot take a text for a nominal label, or None.

    OpenML's feature list takes 1 to 256 ASCII characters; liac-arff cannot read quotes in labels.
    """
    if not label:
        return "is empty"
    if label == "?":
        return "is ARFF's own mark for a missing value"
    if label.endswith("\\"):
        return "ends in a backslash"
    return _fault(label, MAX_LABEL, "'\"")


def _fault(text: str, longest: int, forbidden: str) -> str | None:
    if len(text) > longest:
        return f"has {len(text)} characters; OpenML takes at most {longest}"
    if not text.isascii():
        odd = next(character for character in text if not character.isascii())
        return f"has the non-ASCII character {odd!r}"
    if CONTROL.search(text):
        return "has a control character such as a tab or a line break"
    found = next((character for character in forbidden if character in text), None)
    if found:
        return f"has the character {found}"
    return "begins or ends with a blank" if text.strip(" ") != text else None


def check_names(
    names: Sequence[str], *, positions: Sequence[int] | None = None, lines: Sequence[int] | None = None
) -> None:
    """Refuse names that OpenML cannot take, or that occur twice (upper and lower case are different).

    Args:
        names: all columns, in order.
        positions: the place of each in the file, from 1; by default all of them are there.
        lines: the line on which each is declared, where each has its own.

    Raises:
        TabularError: `bad-column-name` or `duplicate-column`, with the column's position in the message.
    """
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        position = positions[index] if positions else index + 1
        line = lines[index] if lines else None
        if fault := name_fault(name):
            subject = f"The name of column {position}, {shortened(name)}," if name else f"Column {position}"
            hint = f"Rename it: 1 to {MAX_NAME} ASCII characters without quotes and backslashes."
            raise TabularError("bad-column-name", f"{subject} {fault}.", line=line, hint=hint)
        if name in first:
            message = f"Columns {first[name]} and {position} are both called {name!r}."
            hint = "Give each column a name of its own."
            raise TabularError("duplicate-column", message, line=line, column=name, hint=hint)
        first[name] = position


def check_labels(labels: Sequence[str], column: str, *, limit: int, line: int | None = None) -> None:
    """Refuse a declared list of labels that OpenML cannot take.

    Raises:
        TabularError: `bad-label`, `duplicate-label` or `too-many-labels`.
    """
    if not labels:
        raise TabularError("bad-label", "The list of labels is empty.", column=column, line=line)
    if len(labels) > limit:
        raise too_many_labels(column, limit, line=line)
    seen: set[str] = set()
    for label in labels:
        if fault := label_fault(label):
            message = f"The label {shortened(label)} {fault}."
            raise TabularError("bad-label", message, column=column, line=line, hint="Change the label.")
        if label in seen:
            message = f"The label {shortened(label)} is declared twice."
            raise TabularError("duplicate-label", message, column=column, line=line)
        seen.add(label)


def too_many_labels(column: str, limit: int, *, line: int | None = None) -> TabularError:
    """Return the error for a nominal column with more different values than are allowed."""
    return TabularError(
        "too-many-labels",
        f"It has more than {limit} different values, too many for a nominal column.",
        column=column,
        line=line,
        hint=f'Declare it as text: "attributes": {{"{column}": "string"}}.',
    )


def not_a_label(value: str, labels: Sequence[str], column: str, row: int) -> TabularError:
    """Return the error for a value that is not among the declared labels; `row` counts from 0."""
    near = suggest(value, labels)
    question = f"Did you mean {' or '.join(map(shortened, near))}? " if near else ""
    shown = ", ".join(map(shortened, labels[:MOST_SHOWN])) + (" …" if len(labels) > MOST_SHOWN else "")
    return TabularError(
        "value-does-not-fit",
        f"{shortened(value)} is not one of the column's labels.",
        row=row + 1,
        column=column,
        hint=(
            f"{question}The labels are {shown}. Change the value or the list; or declare the column as "
            '"nominal", and the labels are those of the rows.'
        ),
    )


def check_known(names: Iterable[str], columns: Sequence[str], role: str) -> None:
    """Refuse names that are not columns, and suggest similar ones.

    Raises:
        TabularError: `unknown-column`.
    """
    known = set(columns)
    for name in names:
        if name in known:
            continue
        near = suggest(name, columns)
        hint = f"Did you mean {', '.join(repr(each) for each in near)}?" if near else None
        message = f"The {role} {shortened(name)} is not a column of the table."
        raise TabularError("unknown-column", message, hint=hint)
