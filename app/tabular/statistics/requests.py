"""What a child is asked about a published file; standard library only, because the server makes it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from app.tabular.types import MIB, Limits

Task = Literal["statistics", "rows", "export"]
ExportFormat = Literal["csv", "parquet", "feather", "jsonl"]
Operator = Literal["eq", "ne", "lt", "le", "gt", "ge", "contains", "missing", "present"]
MOST_COLUMNS, MOST_CELLS = 100, 10_000
"""Of one page."""
HEAD_ROWS = 100
"""First rows that are kept beside the statistics."""
_PATHS = ("source", "target", "copy")
LIMITS = Limits(
    max_columns=100_000, max_labels=2_000_000, max_cell_bytes=4 * MIB, max_unpacked_bytes=16_000_000_000
)
"""Of files that OpenML has already: wider than those of tables that are published here."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows are wanted, and how.

    Attributes:
        offset: rows that are skipped.
        limit: rows, at most.
        columns: names; none stands for the first ones, as many as make `MOST_CELLS` cells.
        sort: the name of a column to sort by; empty for the file's order.
        descending: whether the largest come first.
        column: the name of the column that is compared; empty for all rows.
        operator: how it is compared.
        value: with what.
    """

    offset: int = 0
    limit: int = 20
    columns: tuple[str, ...] = ()
    sort: str = ""
    descending: bool = False
    column: str = ""
    operator: Operator = "eq"
    value: str = ""


@dataclass(frozen=True, slots=True)
class FileRequest:
    """One question about a published file.

    Attributes:
        task: what to do.
        source: the file, ARFF or Parquet, for `statistics`.
        target: where statistics, or the exported file, go.
        copy: the columnar copy: written by `statistics`, read by the others.
        target_attribute: the column that models predict; empty if none does.
        format: what `export` writes.
        page: what `rows` returns.
        limits: how large the table may be.
    """

    task: Task
    copy: Path
    source: Path | None = None
    target: Path | None = None
    target_attribute: str = ""
    format: ExportFormat = "csv"
    page: Page = field(default_factory=Page)
    limits: Limits = LIMITS

    def to_json(self) -> str:
        """Return the request as one line of JSON, with absolute paths."""
        paths = {name: path and str(path.absolute()) for name in _PATHS for path in [getattr(self, name)]}
        return json.dumps({**asdict(self), **paths})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Build the request that `to_json` described."""
        fields: dict[str, Any] = json.loads(text)
        page: Mapping[str, Any] = fields["page"]
        fields |= {name: fields[name] and Path(fields[name]) for name in _PATHS}
        fields["page"] = Page(**{**page, "columns": tuple(page["columns"])})
        fields["limits"] = Limits(**fields["limits"])
        return cls(**fields)
