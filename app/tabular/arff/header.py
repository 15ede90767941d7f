"""The header of an ARFF file: relation, attributes, and the line on which the data begins."""

import re
from dataclasses import dataclass, field

from app.tabular.arff.syntax import BARE, BLANKS, QUOTED, refuse, unquote
from app.tabular.schema.names import check_labels
from app.tabular.types import Limits, Repair, TabularError
from app.tabular.wording import shortened

NUMBER_TYPES = ("integer", "real", "numeric")
UNUSABLE_TYPES = {
    "date": 'Declare the column as "string", or allow the repair, to publish its dates as text.',
    "relational": "OpenML cannot read tables within tables: leave the column out.",
    "boolean": 'ARFF has no such type: write the labels, such as {false,true}, or declare the column as "boolean".',
    "binary": 'ARFF has no such type: write the labels, such as {0,1}, or declare the column as "nominal".',
}
PUBLISHED_AS = {"date": "string", "boolean": "boolean", "binary": "nominal"}
"""The types that columns of those can be declared to have."""

_KEYWORD = re.compile(r"@([A-Za-z]*)[ \t]*(.*)")
_NAME = re.compile(rf"""({QUOTED}|[^\s{{}},%'"\\]+)([ \t]*)([A-Za-z]*)(.*)""")
_LABEL = re.compile(rf"[ \t]*({QUOTED}|{BARE})")
_BETWEEN_LABELS = re.compile(r"[ \t]*(,?)[ \t]*(\}?)")
# A range of numbers, or the weight of an attribute, behind its type.
_RANGE = re.compile(r"[ \t]*[\[(][^\])]*[\])]")
_WEIGHT = re.compile(r"[ \t]*\{[ \t]*[0-9.eE+-]+[ \t]*\}")
_KEEL = ("input", "inputs", "output", "outputs")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One `@attribute` line: a type in lower case, with labels if that is `nominal`; of dates, their format."""

    name: str
    type: str
    labels: tuple[str, ...] | None
    line: int
    format: str = ""


@dataclass(slots=True)
class Header:
    """The header read so far.

    Attributes:
        limits: on attributes and labels.
        attributes: the columns, in order.
        comments: the comment lines before the relation.
        relation: the relation's name, if every reader interprets it alike.
        data_line: the line of `@data`, once read.
        repairs: what is not published of it.
    """

    limits: Limits
    attributes: list[Attribute] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    relation: str | None = None
    data_line: int | None = None
    repairs: list[Repair] = field(default_factory=list)
    _has_relation: bool = False

    def add(self, text: str, number: int) -> None:
        """Parse the next line of the header.

        Raises:
            TabularError: `invalid-arff`, `too-many-columns`.
        """
        line = text.strip(BLANKS)
        if line.startswith("%") and not self._has_relation and not self.attributes:
            self.comments.append(line)
        if not line or line.startswith("%"):
            return
        match = _KEYWORD.fullmatch(line)
        keyword = match[1].lower() if match else ""
        rest = match[2] if match else ""
        if keyword == "relation":
            self._add_relation(rest, number)
        elif keyword == "attribute":
            self._add_attribute(rest, number)
        elif keyword == "data":
            _check_end(rest, number)
            self.data_line = number
        elif keyword in _KEEL:
            reason = "KEEL has such lines, ARFF has not; name targets in `target_attributes`."
            self.repairs.append(Repair("", f"The line {shortened(line)} was left out.", reason))
        else:
            refuse(f"{shortened(line)} is no line of an ARFF header.", number)

    def check(self, *, labels: bool = True) -> None:
        """Check the header as a whole, and whether OpenML can take its `labels`.

        Raises:
            TabularError: `invalid-arff`, `bad-label`, `duplicate-label`, `too-many-labels`.
        """
        if self.data_line is None:
            refuse("There is no @data line.", None)
        if not self.attributes:
            refuse("There is no @attribute line.", self.data_line)
        for attribute in self.attributes:
            if labels and attribute.labels is not None:
                limit = self.limits.max_labels
                check_labels(attribute.labels, attribute.name, limit=limit, line=attribute.line)

    def _add_relation(self, text: str, line: int) -> None:
        if self._has_relation or self.attributes:
            refuse("@relation must come once, before the attributes.", line)
        self._has_relation = True
        match = _NAME.fullmatch(text)
        # A name that readers interpret differently is dropped: the relation then has the dataset's name.
        if match and not match[3] and _is_end(match[4]):
            name = match[1].strip(match[1][0]) if match[1][0] in "'\"" else match[1]
            self.relation = None if any(quote in name for quote in "'\"\\") else name

    def _add_attribute(self, text: str, line: int) -> None:
        if len(self.attributes) == self.limits.max_columns:
            message = f"The table has more than {self.limits.max_columns} attributes."
            raise TabularError("too-many-columns", message, line=line)
        attribute, rest = _attribute(text, line)
        for what, pattern in (("range", _RANGE), ("weight", _WEIGHT)):
            found = pattern.match(rest)
            if found and attribute.type not in {"string", "date"}:
                rest = rest[found.end() :]
                change = f"The {what} {found[0].strip(BLANKS)} of the attribute was left out."
                self.repairs.append(
                    Repair(attribute.name, change, "OpenML's check of uploads does not take it.")
                )
        _check_end(rest, line)
        self.attributes.append(attribute)


def _attribute(text: str, line: int) -> tuple[Attribute, str]:
    """Read a name and a type; return the attribute and what comes after it."""
    match = _NAME.fullmatch(text)
    if match is None:
        refuse("The attribute's name cannot be read: put it in quotes.", line)
    written, gap, word, rest = match.groups()
    word, name = word.lower(), unquote(written, line)
    if not word and rest.startswith("{"):
        labels, rest = _labels(rest, line)
        return Attribute(name, "nominal", labels, line), rest
    if gap and word in UNUSABLE_TYPES:
        return Attribute(name, word, None, line, rest.strip(BLANKS)), ""
    if not gap or word not in (*NUMBER_TYPES, "string"):
        refuse(f"The type of the attribute {shortened(name)} is not one of ARFF.", line)
    return Attribute(name, word, None, line), rest


def _labels(text: str, line: int) -> tuple[tuple[str, ...], str]:
    """Read a list in braces; return its labels and what comes after it. Either commas or blanks separate labels."""
    labels: list[str] = []
    marks: list[str] = []
    at, is_end = 1, False
    while not is_end:
        match = _LABEL.match(text, at)
        between = _BETWEEN_LABELS.match(text, match.end()) if match else None
        if match is None or between is None or between.end() == match.end():
            refuse(
                "The list of labels cannot be read: quote those with blanks, and put commas between.", line
            )
        labels.append(unquote(match[1], line))
        at, is_end = between.end(), bool(between[2])
        marks += [] if is_end else [between[1]]
    if len(set(marks)) > 1:
        refuse("Some labels have commas between them, and some have blanks: quote those with blanks.", line)
    return tuple(labels), text[at:]


def _is_end(rest: str) -> bool:
    rest = rest.strip(BLANKS)
    return not rest or rest.startswith("%")


def _check_end(rest: str, line: int) -> None:
    if not _is_end(rest):
        refuse(f"{shortened(rest.strip(BLANKS))} has no place at the end of this line.", line)
