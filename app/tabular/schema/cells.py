"""Classification of single cells: missing, a number that is exact as a double, a boolean, or text."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from app.tabular.schema.numbers import PLAIN, Notation
from app.tabular.types import Kind, TabularError
from app.tabular.wording import shortened

# What pandas.read_csv takes as missing, apart from the empty cell; and what MySQL, PostgreSQL, Hive and Spark write.
MISSING_WORDS = frozenset({
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", r"\N", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
})  # fmt: skip
LABEL_MISSING = MISSING_WORDS | {""}
NUMBER_MISSING = MISSING_WORDS | {"", "?"}


@dataclass(frozen=True, slots=True)
class Spelling:
    """Which texts of a format stand for missing values and booleans.

    Attributes:
        in_numbers: the words for a missing value among numbers and booleans, beside cells that are null already.
        in_texts: those in a column of text.
        in_labels: those among labels.
        has_booleans: whether `true` and `false` are booleans, not text.
        notation: how numbers are written.
        listed: those of the words that a sample has, to name beside others.
        categories: those of the words that may be values, if they are frequent in a column.
        trims_texts: whether blanks around the texts of a column are left out if each of them begins with one.
    """

    in_numbers: frozenset[str] = frozenset()
    in_texts: frozenset[str] = frozenset()
    in_labels: frozenset[str] = frozenset()
    has_booleans: bool = False
    notation: Notation = PLAIN
    listed: tuple[str, ...] = ()
    trims_texts: bool = False
    categories: tuple[str, ...] = ()


DELIMITED = Spelling(NUMBER_MISSING, MISSING_WORDS, LABEL_MISSING, has_booleans=True)
EXPLICIT = Spelling()
"""For formats with their own mark for a missing value."""
TYPED = Spelling(in_labels=frozenset({""}))
"""For formats with typed values; an empty text cannot be a label."""

BLANKS = " \t"
BOOLEANS = ("True", "False")
"""The labels of booleans that have no spelling of their own: as openml-python writes them, in its order."""
EXACT_INTEGER = 2**53
"""OpenML's engine reads every number as a double: whole numbers beyond this lose digits."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]")
_FINITE_LENGTH = 300
"""A number without an exponent that is not longer than this is finite."""
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_BOOLEANS = frozenset({"False", "FALSE", "false", "True", "TRUE", "true"})
_BOOLEAN_PAIRS = (("false", "true"), ("f", "t"), ("no", "yes"), ("n", "y"), ("0", "1"))

CellClass = Literal["missing", "boolean", "infinite", "text", "code", "long", "whole", "real"]


def classify(cell: str, spelling: Spelling = DELIMITED) -> CellClass:
    """Return the class of a cell in a column that may hold numbers.

    `code` is a number with a leading zero, `long` a whole number beyond 2**53: as numbers both would lose digits.
    """
    if spelling.has_booleans and cell in _BOOLEANS:
        return "boolean"
    text = cell.strip(BLANKS)
    if text in spelling.in_numbers:
        return "missing"
    number = spelling.notation.plain(text)
    if number is None:
        return "infinite" if _INFINITE.fullmatch(text) else "text"
    text = number
    if _LEADING_ZERO.match(text):
        return "code"
    if text.lstrip("+-").isdigit():
        return "whole" if _is_exact(text) else "long"
    return "infinite" if _is_infinite(text) else "real"


def number_fault(text: str, kind: Kind) -> str | None:
    """Return why a text is not a number that all readers of ARFF read alike, or None."""
    if not _NUMBER.fullmatch(text):
        return "is not a number"
    if _is_infinite(text):
        return "is too large for a number"
    if kind == "integer" and not _is_exact(text):
        return "is not a whole number between -2^53 and 2^53"
    return None


def _is_infinite(text: str) -> bool:
    # Nothing but an exponent, or hundreds of digits, makes a number so large.
    return ("e" in text or "E" in text or len(text) > _FINITE_LENGTH) and abs(float(text)) == float("inf")


def _is_exact(text: str) -> bool:
    """Return whether a number is whole and at most 2**53 in magnitude."""
    digits = text.lstrip("+-").lstrip("0") or "0"
    if digits.isdigit():
        # The length first: int() refuses more than 4300 digits.
        return len(digits) <= len(str(EXACT_INTEGER)) and int(digits) <= EXACT_INTEGER
    return float(text).is_integer() and abs(float(text)) <= EXACT_INTEGER


def boolean_labels(values: Iterable[str]) -> tuple[str, str] | None:
    """Return the labels for false and true, spelled as in `values`; None if these are no pair such as `no` and `yes`.

    A label that does not occur is spelled like the other one: `TRUE` alone gives `FALSE`, `TRUE`.
    """
    values = set(values)
    spelled = {value.lower(): value for value in values}
    pair = next((pair for pair in _BOOLEAN_PAIRS if spelled.keys() <= set(pair)), None)
    if not values or pair is None or len(spelled) < len(values):
        return None
    model = next(iter(values))
    spell = str.title if model.istitle() and len(model) > 1 else str.upper if model.isupper() else str.lower
    false, true = (spelled.get(word, spell(word)) for word in pair)
    return false, true


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Return labels sorted: as numbers if all of them are, else by their characters."""
    words = sorted(labels)
    if all(_NUMBER.fullmatch(word) for word in words):
        words.sort(key=float)
    return tuple(words)


def does_not_fit(column: str, value: str, fault: str, row: int) -> TabularError:
    """Return the error for a value that its column's type does not allow; `row` counts from 0."""
    return TabularError(
        "value-does-not-fit",
        f"{shortened(value)} {fault}.",
        row=row + 1,
        column=column,
        hint="Change the value, or declare another type for the column.",
    )
