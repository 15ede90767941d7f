"""Whether the first row of a table has the names of its columns, judged by all columns of a sample."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from app.tabular.readers.shapes import Shape, shape_of
from app.tabular.wording import shortened

_MOST_COLUMNS = 300
_SHOWN = 5
_SEQUENCE = 3
"""Numbers from which on an order of them says something."""
_REPEATED = 0.5
"""The share of different values below which those of a column repeat."""
_FEW, _MANY = 4, 8
_DIGITS = 4
"""Digits from which on two texts of one form are values of one kind, not a name and a value."""
_YEARS = range(1700, 2200)
_DIGIT, _LETTERS = re.compile("[0-9]"), re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Heading:
    """What the first row is.

    Attributes:
        has_names: whether it has the names.
        is_sure: whether that is certain.
        why: what speaks for it, as a sentence.
    """

    has_names: bool
    is_sure: bool = True
    why: str = ""


@dataclass(slots=True)
class _Evidence:
    """Columns, by how the first cell compares with those below.

    Attributes:
        named: text above numbers, dates or codes.
        alike: numbers, dates or codes above such.
        repeated: a text that stands further down as well.
        distinct: a text above others that repeat.
        open: any other text.
    """

    named: list[int] = field(default_factory=list)
    alike: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    distinct: list[int] = field(default_factory=list)
    open: list[int] = field(default_factory=list)


def heading_of(table: Sequence[Sequence[str]]) -> Heading:
    """Return what the first row of a table is; its rows may have different lengths."""
    first, body = table[0], table[1:]
    if not body:
        return Heading(has_names=True)
    evidence = _evidence(first, body)
    is_short = all(len(row) == len(first) + 1 for row in body)
    if is_short or _has_corner(first, body, evidence):
        # Names of rows have none themselves.
        return Heading(has_names=True)
    if evidence.alike:
        return _of_numbers(first, body, evidence)
    if evidence.named:
        # A text of few rows may be an odd value of its column.
        is_sure = not evidence.repeated and (len(body) >= _FEW or _are_like_names(first, body))
        return Heading(has_names=True, is_sure=is_sure or len(body) >= _MANY)
    found = _of_texts(evidence, len(body))
    return replace(found, is_sure=found.is_sure and (len(body) >= _FEW or _are_like_names(first, body)))


def _has_corner(first: Sequence[str], body: Sequence[Sequence[str]], evidence: _Evidence) -> bool:
    """Return whether a first row has a name for each column but the first, and none of those looks like a value."""
    if first[0] or len(first) == 1 or not all(first[1:]) or not any(row[0] for row in body):
        return False
    numbers = [_number(first[index]) for index in evidence.alike]
    whole = [number for number in numbers if number is not None and number.is_integer()]
    return not evidence.repeated and len(whole) == len(numbers) and _is_rising(whole)


def _are_like_names(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Return whether a first row has words, and each of its cells stands once in the table; of few rows that counts."""
    cells = [cell for cell in first if cell]
    elsewhere = {cell for row in body for cell in row}
    are_words = any(any(map(str.isalnum, cell)) for cell in cells)
    return are_words and len(set(cells)) == len(cells) and not elsewhere & set(cells)


def in_doubt(first: Sequence[str]) -> str:
    """Return the question about a first row, as a sentence."""
    cells = ", ".join(shortened(cell) for cell in first[:_SHOWN])
    more = ", …" if len(first) > _SHOWN else ""
    return f"The first row may have the names of the columns or be a row of values: {cells}{more}."


def _evidence(first: Sequence[str], body: Sequence[Sequence[str]]) -> _Evidence:
    found = _Evidence()
    for index, cell in enumerate(first[:_MOST_COLUMNS]):
        column = [row[index] for row in body if len(row) > index]
        shapes: set[Shape] = {shape_of(other) for other in column} - {"missing"}
        shape = shape_of(cell)
        if not shapes or shape == "missing":
            continue
        if "text" not in shapes:
            (found.named if shape == "text" else found.alike).append(index)
        elif (is_code := _is_code(cell, column)) is not None:
            (found.alike if is_code else found.named).append(index)
        else:
            _add_text(found, index, cell, column)
    return found


def _is_code(cell: str, column: Sequence[str]) -> bool | None:
    """Return whether a text is one of those with digits that a column has; None if that is not clear."""
    texts = [text for text in column if text]
    if len(texts) < _MANY or not all(map(_DIGIT.search, texts)):
        return None
    if not _DIGIT.search(cell):
        return False
    form = _form(cell)
    return True if form.count("0") >= _DIGITS and any(_form(text) == form for text in texts) else None


def _form(text: str) -> str:
    """Return a text with 0 for each digit and a for each run of letters."""
    return _LETTERS.sub("a", _DIGIT.sub("0", text))


def _add_text(found: _Evidence, index: int, cell: str, column: Sequence[str]) -> None:
    """Add a column of text."""
    values = set(column)
    # Where no value stands twice, the first row's is none of them.
    if cell in values and not len(values) == len(column) >= _MANY:
        found.repeated.append(index)
    elif len(column) >= _FEW and len(values) <= len(column) * _REPEATED:
        found.distinct.append(index)
    else:
        found.open.append(index)


def _of_texts(evidence: _Evidence, rows: int) -> Heading:
    """Return the decision for a table whose first row has only texts above texts."""
    others = len(evidence.distinct) + len(evidence.open)
    if evidence.repeated:
        is_clear = len(evidence.repeated) > others and rows >= _FEW
        return Heading(not is_clear, is_clear, "Its values stand further down in the same columns as well.")
    is_clear = bool(evidence.distinct) and rows >= _MANY
    return Heading(has_names=True, is_sure=is_clear or others == 0)


def _of_numbers(first: Sequence[str], body: Sequence[Sequence[str]], evidence: _Evidence) -> Heading:
    """Return the decision for a table whose first row has numbers above numbers."""
    numbers = [number for index in evidence.alike if (number := _number(first[index])) is not None]
    is_whole = all(number.is_integer() for number in numbers)
    texts = len(evidence.named) + len(evidence.distinct)
    if evidence.repeated:
        is_sure = not evidence.named
        return Heading(not is_sure, is_sure, "Its texts stand further down in the same columns as well.")
    if not texts and not _is_rising(numbers) and _lies_within(numbers, body, evidence.alike):
        return Heading(has_names=False, why="Its numbers are in no order, and like those of the other rows.")
    if _is_sequence(numbers) and not _are_sequences(body, evidence.alike):
        steps = {round(after - before, 9) for before, after in pairwise(numbers)}
        return Heading(
            has_names=True,
            is_sure=is_whole and len(steps) == 1,
            why="Its numbers are in order, those of other rows are not.",
        )
    if evidence.named:
        # A name above numbers speaks for names; those that are numbers would be years, sizes or such.
        is_distinct = len(set(numbers)) == len(numbers) and not _lies_within(numbers, body, evidence.alike)
        is_sure = is_whole and is_distinct and (len(body) >= _FEW or _are_years(numbers))
        return Heading(is_sure or texts > len(numbers), is_sure, "")
    if is_whole and _are_years(numbers) and not _have_years(body, evidence.alike):
        return Heading(
            has_names=True, is_sure=texts > 0, why="Its numbers are years, those of other rows are not."
        )
    is_sure = not (is_whole and (texts or _are_apart(numbers, body, evidence.alike)))
    return Heading(has_names=False, is_sure=is_sure, why="It has numbers where the other rows have numbers.")


def _number(text: str) -> float | None:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return None


def _is_sequence(numbers: Sequence[float]) -> bool:
    """Return whether numbers rise or fall throughout."""
    if len(numbers) < _SEQUENCE:
        return False
    return _is_rising(numbers) or _is_rising(numbers[::-1])


def _is_rising(numbers: Sequence[float]) -> bool:
    """Return whether each number is larger than the one before, as positions, years and wavelengths are."""
    return all(before < after for before, after in pairwise(numbers))


def _are_sequences(body: Sequence[Sequence[str]], columns: Sequence[int]) -> bool:
    """Return whether the numbers of most rows rise or fall as well."""
    found = [_is_sequence(_numbers(row, columns)) for row in body]
    return sum(found) > len(found) / 2


def _numbers(row: Sequence[str], columns: Sequence[int]) -> list[float]:
    cells = (row[index] for index in columns if index < len(row))
    return [number for cell in cells if (number := _number(cell)) is not None]


def _are_years(numbers: Sequence[float]) -> bool:
    return bool(numbers) and all(number in _YEARS for number in numbers) and len(set(numbers)) == len(numbers)


def _have_years(body: Sequence[Sequence[str]], columns: Sequence[int]) -> bool:
    return any(number in _YEARS for row in body for number in _numbers(row, columns))


def _lies_within(numbers: Sequence[float], body: Sequence[Sequence[str]], columns: Sequence[int]) -> bool:
    """Return whether each of some numbers lies among the others of its column."""
    if len(numbers) != len(columns) or len(body) < _FEW:
        return False
    others = [_numbers(row, columns) for row in body]
    if any(len(row) != len(numbers) for row in others):
        return False
    return all(
        min(column) <= number <= max(column)
        for number, column in zip(numbers, zip(*others, strict=True), strict=True)
    )


def _are_apart(numbers: Sequence[float], body: Sequence[Sequence[str]], columns: Sequence[int]) -> bool:
    """Return whether each of some numbers lies far from all others of its column."""
    if len(numbers) != len(columns) or len(body) < _FEW:
        return False
    for number, index in zip(numbers, columns, strict=True):
        others = [found for row in body for found in _numbers(row, [index])]
        low, high = min(others, default=number), max(others, default=number)
        reach = max(high - low, 1.0)
        if low - reach <= number <= high + reach:
            return False
    return True
