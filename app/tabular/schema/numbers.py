"""Numbers as people write them: decimal and thousands marks, currency, percent, parentheses for less than zero."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

MINUS = "\u2212"
_ALIKE = ("\u00a0\u202f ", "'\u2019")
"""Marks between thousands that look alike: which of them it is, people do not see."""
_CURRENCY = "[$\u00a2-\u00a5\u0e3f\u20a0-\u20c0]"
_SIGNED = re.compile(
    rf"(?P<open>\(?)(?P<sign>[+\-{MINUS}]?)(?P<before>{_CURRENCY}?)[ \u00a0]?(?P<second>[+\-{MINUS}]?)"
    rf"(?P<number>[0-9.,](?:[0-9.,'\u2019 \u00a0\u202f]*[0-9.,])?(?:[eE][+-]?[0-9]+)?)"
    rf"[ \u00a0\u202f]?(?P<after>%|{_CURRENCY}|)(?P<close>\)?)"
)
_GROUPS = re.compile(r"[+-]?[0-9]{1,3}(?:([.,' \u2019\u00a0\u202f])[0-9]{3})(?:\1[0-9]{3})*")
_FIRST_CELLS = 20
_MOST_DIGITS = 15
# Below 1e308: what matches is a finite double.
_EXPONENT = r"(?:[eE][+-]?(?:[01]?[0-9]{1,2}|2[0-8][0-9]))?"


@dataclass(frozen=True)
class Notation:
    """How numbers are written.

    Attributes:
        decimal: the decimal mark.
        thousands: the mark between thousands, or nothing.
        has_signs: whether they have signs that are no part of them, which `unsigned` takes off.
    """

    decimal: str = "."
    thousands: str = ""
    has_signs: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as ARFF has them."""
        return self.decimal == "." and not self.thousands and not self.has_signs

    @cached_property
    def marks(self) -> str:
        """The characters that stand for the thousands mark."""
        return next((signs for signs in _ALIKE if self.thousands and self.thousands in signs), self.thousands)

    @cached_property
    def _whole(self) -> str:
        # At most 15 digits (`_MOST_DIGITS`): less than 2**53.
        grouped = f"|[1-9][0-9]{{0,2}}(?:[{re.escape(self.marks)}][0-9]{{3}}){{1,4}}" if self.marks else ""
        return f"(?:0|[1-9][0-9]{{0,14}}{grouped})"

    @cached_property
    def integer_pattern(self) -> str:
        """Whole numbers that need no further check."""
        return f"^[+-]?{self._whole}$"

    @cached_property
    def whole_pattern(self) -> str:
        """The same with a decimal mark."""
        return rf"^[+-]?{self._whole}{re.escape(self.decimal)}0*$"

    @cached_property
    def number_pattern(self) -> str:
        """Numbers that need no further check."""
        mark = re.escape(self.decimal)
        return rf"^[+-]?(?:{self._whole}(?:{mark}[0-9]*)?|{mark}[0-9]+){_EXPONENT}$"

    @cached_property
    def _number(self) -> re.Pattern[str]:
        mark = re.escape(self.decimal)
        groups = (
            f"|[0-9]{{1,3}}(?:([{re.escape(self.marks)}])[0-9]{{3}})(?:\\1[0-9]{{3}})*"
            if self.marks
            else "|(?!)()"
        )
        return re.compile(rf"[+-]?(?:(?:[0-9]+{groups})(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?")

    def plain(self, text: str) -> str | None:
        """Return a number as ARFF has it, or None if the text is none in this notation."""
        if self.has_signs and (signed := unsigned(text, self)):
            return signed.number
        if not self._number.fullmatch(text):
            return None
        for mark in self.marks:
            text = text.replace(mark, "")
        return text.replace(self.decimal, ".")

    def plain_cells(self, cells: pa.Array) -> pa.Array:
        """Return cells as ARFF has them, all of which are numbers in this notation or null."""
        if self.has_signs:
            encoded = cells.dictionary_encode()
            numbers = [self.plain(text) for text in encoded.dictionary.to_pylist()]
            return pa.array(numbers, pa.string()).take(encoded.indices)
        for mark in self.marks:
            cells = pc.replace_substring(cells, mark, "")
        return cells if self.decimal == "." else pc.replace_substring(cells, self.decimal, ".")


PLAIN = Notation()


def are_simple(cells: pa.Array, pattern: str) -> pa.Array:
    """Return of each cell whether it matches a notation's pattern of simple numbers; null is null.

    All of these take whole numbers of few digits, which Arrow knows in a fifth of the time; where the first cells are
    such, the others may be.
    """
    if not pc.ascii_is_decimal(cells.slice(0, _FIRST_CELLS)).false_count:
        are_digits = _are_digits(cells)
        if not are_digits.false_count:
            return are_digits
    return pc.match_substring_regex(cells, pattern)


def without_simple(column: pa.Array, pattern: str) -> pa.Array:
    """Return the cells of a column that do not match such a pattern; null counts as a match."""
    return column.filter(pc.invert(are_simple(column, pattern)))


def _are_digits(cells: pa.Array) -> pa.Array:
    """Return of each cell whether it has at most 15 digits, the first of which is no zero before others."""
    is_short = pc.less_equal(pc.binary_length(cells), _MOST_DIGITS)
    is_whole = pc.and_(pc.ascii_is_decimal(cells), is_short)
    return pc.or_(pc.and_not(is_whole, pc.starts_with(cells, "0")), pc.equal(cells, "0"))


class Signed(NamedTuple):
    """A number as ARFF has it, and the signs that were around it."""

    number: str
    signs: frozenset[str]


def unsigned(text: str, notation: Notation) -> Signed | None:
    """Return the number in a text with a currency, percent, parentheses or a typographic minus, or None."""
    match = _SIGNED.fullmatch(text)
    if match is None or bool(match["open"]) != bool(match["close"]):
        return None
    number = Notation(notation.decimal, notation.thousands).plain(match["number"])
    sign = match["sign"] + match["second"]
    if number is None or len(sign) + len(match["open"]) > 1 or (match["before"] and match["after"]):
        return None
    signs = {
        match["before"],
        match["after"],
        "()" if match["open"] else "",
        MINUS if sign == MINUS else "",
    } - {""}
    if not signs:
        return None
    return Signed(f"-{number}" if match["open"] or sign in {"-", MINUS} else number, frozenset(signs))


def notations_for(texts: Sequence[str], notation: Notation) -> list[dict[str, str]]:
    """Return the marks, as fields of a reading, with each of which texts that are no numbers in a notation would be.

    Where the decimal mark is known, it stays; signs around the numbers do not matter.
    """
    shown = "".join(texts)
    decimals = ".," if notation.is_plain else notation.decimal
    found: list[dict[str, str]] = []
    for other in (
        Notation(decimal, mark) for decimal in decimals for mark in ("", *",. '") if mark != decimal
    ):
        is_other = (other.decimal, other.thousands) != (notation.decimal, notation.thousands)
        if is_other and all(other.plain(text) or unsigned(text, other) for text in texts):
            marks = {"decimal": other.decimal, "thousands": other.thousands}
            marks = {
                field: mark
                for field, mark in marks.items()
                if mark != getattr(notation, field) and set(mark) & set(shown)
            }
            found += [marks] if marks not in found else []
    return found


def marked(notation: Notation, marks: Mapping[str, str]) -> Notation:
    """Return a notation with other marks, by the fields of a reading."""
    return Notation(marks.get("decimal", notation.decimal), marks.get("thousands", notation.thousands))


def find_notation(columns: Iterable[Sequence[str]]) -> Notation:
    """Return the notation that whole columns of values show; the plain one if none does, or they disagree."""
    decimals: set[str] = set()
    marks: set[str] = set()
    for values in columns:
        shown = shown_by(values)
        if shown:
            decimals |= {shown.decimal} - {""}
            marks |= {shown.thousands} - {""}
    if len(decimals) > 1 or len(marks) > 1 or decimals & marks:
        return PLAIN
    mark = next(iter(marks), "")
    return Notation(next(iter(decimals), "," if mark == "." else "."), mark)


class Shown(NamedTuple):
    """The marks of a column; nothing where it does not show which."""

    decimal: str
    thousands: str


def shown_by(values: Sequence[str]) -> Shown | None:
    """Return the marks that a column shows, or None if it has other values than numbers.

    1,200 may be one thousand two hundred or one and a fifth; 1,5 and 1,200,000 and 1.200,5 can be one thing only.
    """
    simple = [notation for notation in _SIMPLE if _fits(notation, values)]
    text = "".join(values)
    if len(simple) == 1 and simple[0].decimal in text:
        decimal = simple[0].decimal
        # `0,` is a number where others have digits behind their commas, and a text by itself.
        if decimal == "," and not any(_FRACTION.search(value) for value in values):
            return None
        is_open = all(_GROUPS.fullmatch(value) for value in values if decimal in value)
        return Shown("" if is_open else decimal, "")
    if simple:
        return Shown("", "")
    fitting = [notation for notation in _GROUPED if _fits(notation, values)]
    if not fitting:
        return None
    best = next((notation for notation in fitting if notation.decimal in text), fitting[0])
    return Shown(best.decimal if best.decimal in text else "", best.thousands)


_FRACTION = re.compile(",[0-9]")
_SIMPLE = (Notation("."), Notation(","))
_GROUPED = tuple(Notation(decimal, mark) for decimal in ".," for mark in ",. '" if mark != decimal)


def _fits(notation: Notation, values: Sequence[str]) -> bool:
    return bool(values) and all(notation.plain(value) is not None for value in values)
