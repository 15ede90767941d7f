"""Opening of an ARFF file: its attributes' names, and a scan of each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from app.tabular.arff.header import NUMBER_TYPES, PUBLISHED_AS, UNUSABLE_TYPES, Attribute
from app.tabular.readers.arff import ArffTable
from app.tabular.readers.text import open_text
from app.tabular.reading import Found, ReadingReport
from app.tabular.schema.cells import EXPLICIT
from app.tabular.schema.declared import DeclaredNumber, declared
from app.tabular.schema.job import Job
from app.tabular.schema.naming import Naming, published_names
from app.tabular.schema.plan import ColumnPlan
from app.tabular.schema.scans import KnownType, LeftOutColumn, Scan
from app.tabular.types import ConversionRequest, Kind, Repair, TabularError


def open_arff(request: ConversionRequest, reading: ReadingReport) -> Job:
    """Open an ARFF file.

    Raises:
        TabularError: it cannot be read, or has names or types that cannot be published.
    """
    text = open_text(request, reading)
    table = ArffTable(text, request.limits)
    if table.delimiter != ",":
        why = "The first row has blanks or tabs between its values, as Weka reads them."
        reading.found["delimiter"] = Found(table.delimiter, why=why)
    naming = published_names(table.names, request, lines=[attribute.line for attribute in table.attributes])
    attributes = [
        replace(attribute, name=name) for attribute, name in zip(table.attributes, naming.names, strict=True)
    ]
    file_names, table.names = table.names, naming.names
    return Job(
        naming.request,
        table,
        text.size,
        _scans(attributes, naming),
        file_names,
        table.relation or request.relation,
        table.comments,
        table if table.is_sparse else None,
        (*table.repairs, *naming.repairs),
        [attribute.type for attribute in attributes],
        remarks=text.remarks,
        reading=reading,
        spelling=EXPLICIT,
    )


def _scans(attributes: Sequence[Attribute], naming: Naming) -> list[Scan]:
    """Return a scan for each attribute of an ARFF file.

    Raises:
        TabularError: `unusable-type` for one that OpenML cannot read and the request does not replace; and those
            of declared types.
    """
    return [
        LeftOutColumn() if index in naming.left_out else _scan(attribute, naming.request)
        for index, attribute in enumerate(attributes)
    ]


def _scan(attribute: Attribute, request: ConversionRequest) -> Scan:
    name = attribute.name
    if name in request.attributes:
        return declared(name, request, EXPLICIT)
    if attribute.type == "date" and request.repair:
        return KnownType(ColumnPlan(name, "string", repairs=(_as_text(attribute),)))
    if attribute.type in UNUSABLE_TYPES:
        message = f"The type {attribute.type} cannot be published."
        hint = UNUSABLE_TYPES[attribute.type]
        kind = PUBLISHED_AS.get(attribute.type)
        choices = {"attributes": [kind]} if kind else {"leave_out": [name]}
        raise TabularError(
            "unusable-type", message, line=attribute.line, column=name, hint=hint, choices=choices
        )
    if attribute.type in NUMBER_TYPES:
        return DeclaredNumber(name, cast("Kind", attribute.type), EXPLICIT)
    return KnownType(ColumnPlan(name, cast("Kind", attribute.type), attribute.labels))


def _as_text(attribute: Attribute) -> Repair:
    written = f" (as {attribute.format})" if attribute.format else ""
    change = f"The dates of {attribute.name!r}{written} are published as text, as they stand."
    return Repair(attribute.name, change, "OpenML's check of uploads takes no format of dates.")
