"""From what the owner declares, and what the format knows, to a scan of each column."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from app.tabular.arff.header import NUMBER_TYPES, UNUSABLE_TYPES, Attribute
from app.tabular.cells import LABEL_MISSING, NUMBER_MISSING
from app.tabular.encode import ColumnPlan
from app.tabular.infer import DeclaredNumber, InferredLabels, InferredType, RowNumbers, Scan, Settled
from app.tabular.names import check_known, check_labels, shortened
from app.tabular.types import AttributeType, ConversionRequest, Kind, TabularError


def check_request(request: ConversionRequest, names: Sequence[str]) -> None:
    """Check that all columns which the request names exist.

    Raises:
        TabularError: `unknown-column`.
    """
    check_known(request.target_attributes, names, "target attribute")
    check_known([request.row_id_attribute] if request.row_id_attribute else [], names, "row id attribute")
    check_known(request.ignore_attributes, names, "ignored attribute")
    check_known(request.attributes, names, "attribute with a declared type")


def csv_scans(names: Sequence[str], request: ConversionRequest) -> list[Scan]:
    """Return a scan for each column of a delimited file.

    Raises:
        TabularError: `unknown-type`, `bad-label`, `duplicate-label`, `too-many-labels`.
    """
    return [_csv_scan(name, request) for name in names]


def _csv_scan(name: str, request: ConversionRequest) -> Scan:
    limit = request.limits.max_labels
    if not name:
        return RowNumbers()
    if name in request.attributes:
        return _declared(name, request.attributes[name], limit, _CSV_MISSING)
    is_target = name in request.target_attributes
    return InferredType(name, InferredLabels(name, limit, LABEL_MISSING) if is_target else None)


def arff_scans(attributes: Sequence[Attribute], request: ConversionRequest) -> list[Scan]:
    """Return a scan for each attribute of an ARFF file.

    Raises:
        TabularError: `unusable-type` for one that OpenML cannot read and the request does not replace; and what
            `csv_scans` raises.
    """
    return [_arff_scan(attribute, request) for attribute in attributes]


def _arff_scan(attribute: Attribute, request: ConversionRequest) -> Scan:
    name, limit = attribute.name, request.limits.max_labels
    if name in request.attributes:
        return _declared(name, request.attributes[name], limit, _ARFF_MISSING)
    if attribute.type in UNUSABLE_TYPES:
        message = f"The type {attribute.type} cannot be published."
        hint = UNUSABLE_TYPES[attribute.type]
        raise TabularError("unusable-type", message, line=attribute.line, column=name, hint=hint)
    if attribute.type in NUMBER_TYPES:
        return DeclaredNumber(name, cast("Kind", attribute.type), _ARFF_MISSING.in_numbers)
    return Settled(ColumnPlan(name, cast("Kind", attribute.type), attribute.labels))


class _Missing(NamedTuple):
    """The words for a missing value, beside what the reader of the format knows by itself."""

    in_numbers: frozenset[str]
    in_labels: frozenset[str]


_CSV_MISSING = _Missing(NUMBER_MISSING, LABEL_MISSING)
_ARFF_MISSING = _Missing(frozenset(), frozenset())


def _declared(name: str, declared: AttributeType, limit: int, missing: _Missing) -> Scan:
    """Return the scan of a column whose type the owner declared; a text that was declared has no words for missing."""
    if isinstance(declared, Mapping):
        labels = _declared_labels(name, declared, limit)
        words = missing.in_labels - set(labels)
        return Settled(ColumnPlan(name, "nominal", labels, missing_words=words))
    if declared == "string":
        return Settled(ColumnPlan(name, "string"))
    if declared in {"integer", "real"}:
        return DeclaredNumber(name, cast("Kind", declared), missing.in_numbers)
    if declared in {"boolean", "nominal"}:
        return InferredLabels(name, limit, missing.in_labels, is_boolean=declared == "boolean")
    raise _unknown_type(name, declared)


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
