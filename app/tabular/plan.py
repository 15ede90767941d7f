"""From what the owner declares, and what the format knows, to a scan of each column."""

from collections.abc import Mapping, Sequence
from typing import cast

from app.tabular.arff.header import NUMBER_TYPES, UNUSABLE_TYPES, Attribute
from app.tabular.cells import BOOLEANS, DELIMITED, EXPLICIT, TYPED, Spelling
from app.tabular.encode import ColumnPlan
from app.tabular.infer import DeclaredNumber, InferredLabels, InferredType, Scan, Settled, Unnamed
from app.tabular.names import check_labels, shortened
from app.tabular.types import AttributeType, ConversionRequest, Format, Kind, TabularError


def spelling_of(kind: Format) -> Spelling:
    """Return what a format leaves to the spelling of its cells."""
    return DELIMITED if kind in {"csv", "tsv"} else EXPLICIT if kind == "arff" else TYPED


def csv_scans(names: Sequence[str], request: ConversionRequest) -> list[Scan]:
    """Return a scan for each column of a delimited file, as it is published or without a name.

    Raises:
        TabularError: `unknown-type`, `bad-label`, `duplicate-label`, `too-many-labels`.
    """
    return [
        inferred(name, request, DELIMITED) if name else Unnamed(position)
        for position, name in enumerate(names, start=1)
    ]


def inferred(name: str, request: ConversionRequest, spelling: Spelling) -> Scan:
    """Return the scan of a column of cells whose type is not known, unless the owner declared it.

    Raises:
        TabularError: as `csv_scans`.
    """
    if name in request.attributes:
        return declared(name, request, spelling)
    return InferredType(name, target_labels(name, request, spelling), spelling)


def json_scans(names: Sequence[str], kinds: Sequence[set[type]], request: ConversionRequest) -> list[Scan]:
    """Return a scan for each column of a JSON file, whose values are of these kinds.

    Raises:
        TabularError: as `csv_scans`.
    """
    return [
        Settled(ColumnPlan(name, "nominal", BOOLEANS))
        if kind == {bool} and name not in request.attributes
        else inferred(name, request, TYPED)
        for name, kind in zip(names, kinds, strict=True)
    ]


def target_labels(name: str, request: ConversionRequest, spelling: Spelling) -> InferredLabels | None:
    """Return what collects the labels of a default target, and None for other columns."""
    if name not in request.target_attributes:
        return None
    return InferredLabels(name, request.limits.max_labels, spelling.in_labels, repair=request.repair)


def arff_scans(attributes: Sequence[Attribute], request: ConversionRequest) -> list[Scan]:
    """Return a scan for each attribute of an ARFF file.

    Raises:
        TabularError: `unusable-type` for one that OpenML cannot read and the request does not replace; and what
            `csv_scans` raises.
    """
    return [_arff_scan(attribute, request) for attribute in attributes]


def _arff_scan(attribute: Attribute, request: ConversionRequest) -> Scan:
    name = attribute.name
    if name in request.attributes:
        return declared(name, request, EXPLICIT)
    if attribute.type in UNUSABLE_TYPES:
        message = f"The type {attribute.type} cannot be published."
        hint = UNUSABLE_TYPES[attribute.type]
        raise TabularError("unusable-type", message, line=attribute.line, column=name, hint=hint)
    if attribute.type in NUMBER_TYPES:
        return DeclaredNumber(name, cast("Kind", attribute.type), EXPLICIT.in_numbers)
    return Settled(ColumnPlan(name, cast("Kind", attribute.type), attribute.labels))


def declared(name: str, request: ConversionRequest, spelling: Spelling) -> Scan:
    """Return the scan of a column whose type the owner declared; a text that was declared has no words for missing.

    Raises:
        TabularError: as `csv_scans`.
    """
    return declared_as(request.attributes[name], name, request, spelling)


def declared_as(kind: AttributeType, name: str, request: ConversionRequest, spelling: Spelling) -> Scan:
    """Return the scan that a column has if this type is declared for it.

    Raises:
        TabularError: as `csv_scans`.
    """
    limit = request.limits.max_labels
    if isinstance(kind, Mapping):
        labels = _declared_labels(name, kind, limit)
        return Settled(ColumnPlan(name, "nominal", labels, missing_words=spelling.in_labels - set(labels)))
    if kind == "string":
        return Settled(ColumnPlan(name, "string"))
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
