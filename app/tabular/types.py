"""Requests, results and errors of conversions; all are sent to and from the child process as JSON."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from app.tabular.reading import Doubt, Reading, offered

Format = Literal[
    "csv", "tsv", "json", "jsonl", "arff", "svmlight", "parquet", "feather",
    "workbook", "sav", "por", "dta", "sas7bdat", "xport", "r", "zip",
]  # fmt: skip
Compression = Literal["gzip", "bz2", "xz", "zstd"]
Kind = Literal["integer", "real", "numeric", "nominal", "string"]
AttributeType = str | Mapping[str, list[str]]
"""`"string"`, `"integer"`, `"real"`, `"boolean"`, `"nominal"`, or `{"nominal": [label, ...]}`."""

TYPE_NAMES = ("string", "integer", "real", "boolean", "nominal")

MIB = 1024 * 1024


class TabularError(Exception):
    """A table that cannot be published as it is, described so that its owner can act on it.

    Args:
        slug: stable name of the kind of failure, such as `ragged-row`.
        message: what is wrong, as a sentence; never a path or a traceback.
        row: the data row, counted from 1 without the header.
        line: the physical line of the file, counted from 1, where it is known.
        column: the attribute's name.
        hint: what to change.
        fault: the system's error and the file concerned; for the log, never for the owner.
        choices: values that would do, by field of the reading (`app.tabular.reading`), or of the request:
            types of the column (`attributes`), columns to leave out (`leave_out`).
    """

    def __init__(
        self,
        slug: str,
        message: str,
        *,
        row: int | None = None,
        line: int | None = None,
        column: str | None = None,
        hint: str | None = None,
        fault: str | None = None,
        choices: Mapping[str, list[Any]] | None = None,
    ) -> None:
        super().__init__(slug, message)
        self.slug = slug
        self.message = message
        self.row = row
        self.line = line
        self.column = column
        self.hint = hint
        self.fault = fault
        self.choices = choices and {field: list(offered(values)) for field, values in choices.items()}

    @classmethod
    def empty_file(cls, message: str = "The file is empty.") -> Self:
        """Return the error for a file without a header."""
        return cls("empty-file", message, hint="Send one with a header and at least one row.")

    @classmethod
    def no_rows(cls) -> Self:
        """Return the error for a file that has a header and nothing else."""
        return cls("no-rows", "The table has no rows.", hint="Send one with at least one row.")

    def __str__(self) -> str:
        place = [f"row {self.row}"] if self.row is not None else []
        place += [f"line {self.line}"] if self.line is not None else []
        place += [f"column {self.column!r}"] if self.column is not None else []
        where = ", ".join(place)
        text = f"{where[0].upper()}{where[1:]}: {self.message}" if where else self.message
        return f"{text} {self.hint}" if self.hint else text

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        names = ("slug", "message", "row", "line", "column", "hint", "fault", "choices")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Build the error that `to_json` described."""
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on a table, each enforced while reading.

    Attributes:
        max_columns: columns of the table.
        max_labels: distinct values of one nominal column.
        max_cell_bytes: UTF-8 bytes of one cell.
        max_unpacked_bytes: uncompressed bytes of the source file, and of the ARFF file that is written.
        max_kept_bytes: bytes of the file that is written, by the owner's quota; None is no limit.
        min_free_bytes: bytes that stay free on the disk.
    """

    max_columns: int = 50_000
    max_labels: int = 10_000
    max_cell_bytes: int = MIB
    max_unpacked_bytes: int = 16 * 1024 * MIB
    max_kept_bytes: int | None = None
    min_free_bytes: int = 0


UPLOAD_LIMITS = Limits(
    max_columns=50_000, max_labels=100_000, max_cell_bytes=1_000_000, max_unpacked_bytes=100_000_000_000
)
"""Of tables that are published: beyond what OpenML has, and within what a conversion's memory bears."""


_PATHS = ("source", "target", "plans")


@dataclass(frozen=True, slots=True)
class ConversionRequest:
    """One file to convert.

    Attributes:
        source: the uploaded file.
        target: where the ARFF file goes; removed again if the conversion fails.
        format: of the source, as `format_of` derives it from the file name; the content must agree.
        relation: the ARFF relation, usually the dataset's name.
        target_attributes: default targets; each must be a column, as must the next two.
        row_id_attribute: the column that identifies rows.
        ignore_attributes: columns that models should not use.
        attributes: declared types, by column; the others are inferred.
        limits: how large the table may be.
        compression: with what the source, a file of that format, is packed; None if it is not.
        repair: whether values and names that OpenML cannot take are changed, and the changes listed, where there is one
            safe way; if not, they are refused. Columns may be named above as in the file or as published.
        reading: how the file is read, as far as its owner chose.
        rename: names to publish columns under, by their names in the file.
        leave_out: columns that are not published.
        refuse_doubts: whether a reading that is in doubt is refused; if not, its owner has seen it.
        plans: where the profile of the file keeps the plans of its columns, and the conversion finds them.
    """

    source: Path
    target: Path
    format: Format
    relation: str
    target_attributes: tuple[str, ...] = ()
    row_id_attribute: str | None = None
    ignore_attributes: tuple[str, ...] = ()
    attributes: Mapping[str, AttributeType] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    compression: Compression | None = None
    repair: bool = True
    reading: Reading = field(default_factory=Reading)
    rename: Mapping[str, str] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()
    refuse_doubts: bool = False
    plans: Path | None = None

    @property
    def workspace(self) -> Path:
        """Return the folder of files that only the conversion needs; whoever asks for it removes the folder."""
        return self.target.with_name(f"{self.target.name}.work")

    def to_json(self) -> str:
        """Return the request as one line of JSON, with absolute paths."""
        paths = {name: path and str(path.absolute()) for name in _PATHS for path in [getattr(self, name)]}
        return json.dumps({**asdict(self), **paths})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Build the request that `to_json` described."""
        fields = json.loads(text)
        for name in ("target_attributes", "ignore_attributes", "leave_out"):
            fields[name] = tuple(fields[name])
        fields["reading"] = Reading.from_json(fields["reading"])
        for name in _PATHS:
            fields[name] = fields[name] and Path(fields[name])
        fields["limits"] = Limits(**fields["limits"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Column:
    """One attribute as it was published.

    Attributes:
        name: its name.
        kind: its ARFF type.
        labels: the declared values of a nominal column, in order.
        missing: rows without a value.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...] | None
    missing: int


@dataclass(frozen=True, slots=True)
class Repair:
    """One change that was made to the table so that OpenML can take it."""

    column: str
    change: str
    reason: str


@dataclass(frozen=True, slots=True)
class Conversion:
    """The ARFF file that was written.

    Attributes:
        columns: its attributes, in order.
        rows: its data rows.
        arff_bytes: its length, in bytes.
        arff_md5: its MD5, in hexadecimal; OpenML stores it, so the two can be compared.
        arff_format: the format's name on OpenML.
        warnings: sentences about what OpenML cannot do with the dataset.
        repairs: changes to the table.
        target_attributes: the request's default targets, by the names that were published; as the next two.
        row_id_attribute: the request's, or else the named index that a data frame was saved with.
        ignore_attributes: the request's.
        reading: how the file was read, by field (`ReadingReport.to_json`).
        doubts: what was in doubt in it, where the request does not refuse that.
    """

    columns: tuple[Column, ...]
    rows: int
    arff_bytes: int
    arff_md5: str
    arff_format: Literal["ARFF", "Sparse_ARFF"]
    warnings: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()
    target_attributes: tuple[str, ...] = ()
    row_id_attribute: str | None = None
    ignore_attributes: tuple[str, ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)
    doubts: tuple[Doubt, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Build the conversion that `to_json` described."""
        columns = tuple(
            Column(**{**column, "labels": tuple(column["labels"]) if column["labels"] is not None else None})
            for column in fields["columns"]
        )
        repairs = tuple(Repair(**repair) for repair in fields["repairs"])
        doubts = tuple(Doubt(**{**doubt, "choices": tuple(doubt["choices"])}) for doubt in fields["doubts"])
        names = ("warnings", "target_attributes", "ignore_attributes")
        tuples = {name: tuple(fields[name]) for name in names}
        return cls(**{**fields, **tuples, "columns": columns, "repairs": repairs, "doubts": doubts})


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts of a profile that was written; its content is in its file (`app.tabular.profile.report`).

    Attributes:
        rows: data rows of the table.
        columns: columns that would be published.
        errors: those of them that the conversion would refuse as they are.
    """

    rows: int
    columns: int
    errors: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a conversion or a profile: bytes of the source read in this phase, and its size in bytes.

    While types are found (`types`), rows are written as well, as long as the types of the first hold.
    """

    phase: Literal["reading", "types", "writing", "profile"]
    done_bytes: int
    total_bytes: int


ProgressSink = Callable[[Progress], None]
