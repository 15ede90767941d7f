"""Scans of columns whose type the owner declared."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.schema.cells import (
    BLANKS,
    Spelling,
    does_not_fit,
    number_fault,
)
from app.tabular.schema.labels import InferredLabels
from app.tabular.schema.names import check_labels
from app.tabular.schema.numbers import MINUS, unsigned, without_simple
from app.tabular.schema.plan import ColumnPlan
from app.tabular.schema.scans import KnownType, Scan
from app.tabular.table import position_of
from app.tabular.types import AttributeType, ConversionRequest, Kind, Repair, TabularError
from app.tabular.wording import shortened


class DeclaredNumber:
    """A column declared to hold numbers: every cell must be one that all readers of ARFF read alike."""

    is_settled = False

    def __init__(self, name: str, kind: Kind, spelling: Spelling) -> None:
        self.name = name
        # Without words for missing values, a cell is a number as it stands or an error.
        self.needs_all_rows = bool(spelling.in_numbers)
        self._kind = kind
        self._missing_words = spelling.in_numbers
        self._notation = spelling.notation
        self._is_plain = True
        # Signs that are no part of numbers, each with the first cell that has it; and whether other cells have none.
        self._signs: dict[str, tuple[int, str]] = {}
        self._has_bare = False
        self._next_row = 0

    @property
    def expected_pattern(self) -> str | None:
        """The pattern of numbers that need no look; once there are signs, it matters which cells have none."""
        if self._signs:
            return None
        return self._notation.integer_pattern if self._kind == "integer" else self._notation.number_pattern

    def update(self, column: pa.Array, first_row: int) -> None:
        """Take the next block.

        Raises:
            TabularError: `value-does-not-fit`.
        """
        cells = column.drop_null()
        is_whole = self._kind == "integer"
        notation = self._notation
        rest = without_simple(cells, notation.integer_pattern if is_whole else notation.number_pattern)
        rest = without_simple(rest, notation.whole_pattern) if is_whole else rest
        self._has_bare = self._has_bare or len(rest) < len(cells) or first_row > self._next_row
        self._next_row = first_row + len(column)
        for value in pc.unique(rest).to_pylist():
            text = value.strip(BLANKS) if self._missing_words else value
            is_missing = text in self._missing_words
            self._is_plain = self._is_plain and not is_missing and text == value
            fault = None if is_missing else self._fault(text, column, value, first_row)
            if fault:
                raise does_not_fit(self.name, value, fault, first_row + position_of(column, value))

    def _fault(self, text: str, column: pa.Array, value: str, first_row: int) -> str | None:
        """Record a number, and return why it is not one; None if it is."""
        number = self._notation.plain(text)
        signed = unsigned(text, self._notation) if number is None and self._missing_words else None
        if signed:
            number = signed.number
            for sign in signed.signs:
                self._signs.setdefault(sign, (first_row + position_of(column, value), value))
        self._has_bare = self._has_bare or signed is None
        return number_fault(text if number is None else number, self._kind)

    def plan(self) -> ColumnPlan:
        """Return the plan.

        Raises:
            TabularError: `value-does-not-fit`, if a sign makes numbers of different kinds.
        """
        self._check_signs()
        words = frozenset[str]() if self._is_plain else self._missing_words
        return ColumnPlan(
            self.name,
            self._kind,
            missing_words=words,
            is_plain=self._is_plain,
            repairs=tuple(_without_sign(self.name, sign, value) for sign, (_, value) in self._signs.items()),
            notation=replace(self._notation, has_signs=True) if self._signs else self._notation,
        )

    def _check_signs(self) -> None:
        units = [sign for sign in self._signs if sign not in {"()", MINUS}]
        if len(units) > 1 or ("%" in units and self._has_bare):
            row, value = self._signs[units[-1]]
            fault = "has a sign that other values of the column do not have"
            raise does_not_fit(self.name, value, fault, row)


def _without_sign(name: str, sign: str, value: str) -> Repair:
    done = {
        "()": "numbers in parentheses are published as less than zero",
        MINUS: "the sign \u2212 is published as -",
    }
    change = done.get(sign, f"the sign {sign} was left out")
    return Repair(
        name, f"In column {name!r}, {change}, as in {shortened(value)}.", "It is declared to hold numbers."
    )


def declared(name: str, request: ConversionRequest, spelling: Spelling) -> Scan:
    """Return the scan of a column whose type the owner declared; declared text has no words for missing values.

    Raises:
        TabularError: as `csv_scans`.
    """
    return declared_as(request.attributes[name], name, request, spelling)


def declared_as(kind: AttributeType, name: str, request: ConversionRequest, spelling: Spelling) -> Scan:
    """Return the scan of a column for which this type is declared.

    Raises:
        TabularError: as `csv_scans`.
    """
    limit = request.limits.max_labels
    if isinstance(kind, Mapping):
        labels = _declared_labels(name, kind, limit)
        return KnownType(ColumnPlan(name, "nominal", labels, missing_words=spelling.in_labels - set(labels)))
    if kind == "string":
        return KnownType(ColumnPlan(name, "string"))
    if kind in {"integer", "real"}:
        return DeclaredNumber(name, cast("Kind", kind), spelling)
    if kind in {"boolean", "nominal"}:
        is_boolean = kind == "boolean"
        return InferredLabels(
            name,
            limit,
            spelling.in_labels,
            is_boolean=is_boolean,
            repair=request.repair and not is_boolean,
            categories=spelling.categories,
        )
    raise _unknown_type(name, kind)


def _declared_labels(name: str, declared: Mapping[str, list[str]], limit: int) -> tuple[str, ...]:
    labels = declared.get("nominal")
    is_list = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    if labels is None or not is_list or len(declared) != 1:
        raise _unknown_type(name, declared)
    check_labels(labels, name, limit=limit)
    return tuple(labels)


def _unknown_type(name: str, declared: AttributeType) -> TabularError:
    return TabularError(
        "unknown-type",
        f"{shortened(str(declared))} is not a type.",
        column=name,
        hint='Declare "string", "integer", "real", "boolean", "nominal" or {"nominal": ["label", …]}.',
    )
