"""How the bytes of a file are read as a table: what its owner chose, what was found, and what is in doubt.

Standard library only, because the web process checks choices.
"""

import codecs
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from typing import Any, Literal, Self

Decider = Literal["owner", "file", "default"]
"""Who decided how a file is read: its owner, its content, or nobody (the format's usual way)."""

ENCODINGS = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "ascii",
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258",
    "iso8859-1", "iso8859-2", "iso8859-3", "iso8859-4", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8",
    "iso8859-9", "iso8859-10", "iso8859-11", "iso8859-13", "iso8859-14", "iso8859-15", "iso8859-16",
    "koi8-r", "koi8-u", "mac-roman", "mac-cyrillic", "mac-greek", "mac-latin2", "mac-turkish",
    "cp437", "cp850", "cp852", "cp866", "tis-620",
    "gb18030", "gbk", "gb2312", "big5", "big5hkscs", "shift_jis", "cp932", "euc_jp", "iso2022_jp", "euc_kr", "cp949",
)  # fmt: skip
"""Encodings of text that a file can be read with, as Python names them."""


def encoding_named(name: str) -> str | None:
    """Return the encoding that a usual name of it means, such as `Windows-1252` or `latin1`; None if there is none."""
    try:
        codec = codecs.lookup(name.strip()).name if len(name) <= _LONGEST_NAME else ""
    except (LookupError, UnicodeError, ValueError):
        return None
    return next((known for known in ENCODINGS if codecs.lookup(known).name == codec), None)


_LONGEST_NAME = 40
LONGEST_CHOICE = 1000
"""Characters of a sheet, or of anything else that is chosen by its name."""
MOST_OFFERED = 50
"""Values that are offered for one field."""


@dataclass(frozen=True, slots=True)
class Reading:
    r"""Choices of how a file is read; what is None is found from the file.

    Attributes:
        format: one of `FORMATS`, whatever the file's name says.
        encoding: a name of a text encoding, such as `utf-8` or `cp1252`.
        delimiter: one character between cells; a blank stands for one or more blanks or tabs, nothing for one column.
        quote: the character around quoted cells: `"`, `'`, or nothing if no character quotes.
        escape: how a quote is written inside quotes: `double` (`""`) or `backslash` (`\"`).
        header: whether the first row that is read has the columns' names.
        skip_lines: lines (of a sheet: rows) before the header, or before the first row if there is none.
        comment: the character at the beginning of lines that are no rows; nothing if there are none.
        decimal: `.` or `,`.
        thousands: the mark between thousands; nothing if there is none.
        missing: words that mean a missing value, beside the empty cell.
        quoted_missing: whether such words mean it in quotes as well.
        row_names: `keep` or `leave-out`, for a first column that names the rows.
        sheet: the sheet of a workbook.
        member: the file in an archive, or the object in an R data file.
        array: the name in a JSON document under which the rows are.
        orient: how a JSON document lays out a table, in pandas' words.
    """

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    escape: Literal["double", "backslash"] | None = None
    header: bool | None = None
    skip_lines: int | None = None
    comment: str | None = None
    decimal: Literal[".", ","] | None = None
    thousands: str | None = None
    missing: tuple[str, ...] | None = None
    quoted_missing: bool | None = None
    row_names: Literal["keep", "leave-out"] | None = None
    sheet: str | None = None
    member: str | None = None
    array: str | None = None
    orient: Literal["records", "columns", "index", "split", "table", "values"] | None = None

    @classmethod
    def from_json(cls, choices: Mapping[str, Any]) -> Self:
        """Build it from JSON values; null, or a field that is absent, leaves a choice to the file."""
        known: dict[str, Any] = {field.name: choices.get(field.name) for field in fields(cls)}
        known["missing"] = None if known["missing"] is None else tuple(known["missing"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Found:
    """How one field of the reading was decided.

    Attributes:
        value: as in `Reading`.
        by: who decided.
        considered: the other values that the file would bear.
        why: the reason, as a sentence; empty where there is nothing to say.
    """

    value: Any
    by: Decider = "file"
    considered: tuple[Any, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A guess at which a mistake would lose or change values; the owner's choice of the field settles it.

    Attributes:
        field: of `Reading`, or `attributes` for the type of a column.
        message: what is not clear, with the cells that show it, as a sentence.
        choices: values of the field that would do, the likeliest first.
        column: the published name, if it is about one column.
    """

    field: str
    message: str
    choices: tuple[Any, ...]
    column: str | None = None


class ReadingReport:
    """Collects how a file is read, while it is opened and scanned.

    Attributes:
        found: by field of `Reading`; only fields that apply to the format.
        doubts: in the order in which they arose.
        remarks: what is told of the rows.
        is_complete: whether all rows were read, so that nothing will be added.
    """

    def __init__(self, chosen: Reading) -> None:
        self.chosen = chosen
        self.found: dict[str, Found] = {}
        self.doubts: list[Doubt] = []
        self.remarks: list[str] = []
        self.is_complete = False

    def decide(self, field: str, found: Found, doubt: Doubt | None = None) -> Any:  # noqa: ANN401 - any value of a field
        """Return the owner's choice of a field, if there is one, else what was found; record which, and the doubt."""
        choice = getattr(self.chosen, field)
        if choice is not None:
            self.found[field] = Found(choice, "owner", offered((found.value, *found.considered)))
            return choice
        self.found[field] = replace(found, considered=offered(found.considered))
        self.doubts += [replace(doubt, choices=offered(doubt.choices))] if doubt else []
        return found.value

    @property
    def questions(self) -> tuple[Doubt, ...]:
        """The doubts to ask about: where it is not sure which table is read, that alone; others are of the guess."""
        which = tuple(doubt for doubt in self.doubts if doubt.field in _WHICH_TABLE)
        return which or tuple(self.doubts)

    def to_json(self) -> dict[str, Any]:
        """Return what was found as JSON values, by field, with whether it is sure."""
        in_doubt = {doubt.field for doubt in self.doubts}
        as_json = {
            name: {**asdict(found), "sure": name not in in_doubt} for name, found in self.found.items()
        }
        lists: dict[str, Any] = json.loads(json.dumps(as_json))
        return lists


def offered(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return those values that are offered as choices: a file may have any number of names, of any length."""
    may_be_chosen = (value for value in values if not isinstance(value, str) or len(value) <= LONGEST_CHOICE)
    return tuple(islice(may_be_chosen, MOST_OFFERED))


_WHICH_TABLE = frozenset({"member", "sheet", "array"})
"""Fields that say which table of a file is read."""


def settled(doubts: Iterable[Doubt]) -> dict[str, list[Any]]:
    """Return the choices that would settle doubts, by field."""
    return {doubt.field: list(doubt.choices) for doubt in doubts}
