"""Scans of columns whose type the owner declared."""

from collections.abc import Mapping
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.schema.cells import (
    BLANKS,
    INTEGER_PATTERN,
    NUMBER_PATTERN,
    WHOLE_PATTERN,
    Spelling,
    does_not_fit,
    number_fault,
)
from app.tabular.schema.labels import InferredLabels
from app.tabular.schema.names import check_labels
from app.tabular.schema.plan import ColumnPlan
from app.tabular.schema.scans import KnownType, Scan
from app.tabular.table import position_of, without_matches
from app.tabular.types import AttributeType, ConversionRequest, Kind, TabularError
from app.tabular.wording import shortened


class DeclaredNumber:
    """A column declared to hold numbers: every cell must be one that all readers of ARFF read alike."""

    is_settled = False

    def __init__(self, name: str, kind: Kind, missing_words: frozenset[str]) -> None:
        self.name = name
        # Without words for missing values, a cell is a number as it stands or an error.
        self.needs_all_rows = bool(missing_words)
        self._kind = kind
        self._missing_words = missing_words
        self._is_plain = True
        self.expected_pattern = INTEGER_PATTERN if kind == "integer" else NUMBER_PATTERN

    def update(self, column: pa.Array, first_row: int) -> None:
        """Take the next block.

        Raises:
            TabularError: `value-does-not-fit`.
        """
        rest = without_matches(column.drop_null(), self.expected_pattern)
        if self._kind == "integer":
            rest = without_matches(rest, WHOLE_PATTERN)
        for value in pc.unique(rest).to_pylist():
            text = value.strip(BLANKS) if self._missing_words else value
            is_missing = text in self._missing_words
            self._is_plain = self._is_plain and not is_missing and text == value
            fault = None if is_missing else number_fault(text, self._kind)
            if fault:
                raise does_not_fit(self.name, value, fault, first_row + position_of(column, value))

    def plan(self) -> ColumnPlan:
        """Return the plan."""
        words = frozenset[str]() if self._is_plain else self._missing_words
        return ColumnPlan(self.name, self._kind, missing_words=words, is_plain=self._is_plain)


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
        return DeclaredNumber(name, cast("Kind", kind), spelling.in_numbers)
    if kind in {"boolean", "nominal"}:
        is_boolean = kind == "boolean"
        return InferredLabels(
            name, limit, spelling.in_labels, is_boolean=is_boolean, repair=request.repair and not is_boolean
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
