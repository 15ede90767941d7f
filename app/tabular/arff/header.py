"""The header of an ARFF file: relation, attributes, and the line on which the data begins."""

import re
from dataclasses import dataclass, field

from app.tabular.arff.syntax import BARE, BLANKS, QUOTED, refuse, unquote
from app.tabular.schema.names import check_labels
from app.tabular.types import Limits, TabularError
from app.tabular.wording import shortened

NUMBER_TYPES = ("integer", "real", "numeric")
UNUSABLE_TYPES = {
    "date": 'OpenML cannot read dates: declare the column as "string" to publish them as text.',
    "relational": "OpenML cannot read tables within tables.",
    "boolean": 'ARFF has no such type: write the labels, such as {false,true}, or declare the column as "boolean".',
    "binary": "ARFF has no such type: write the labels, such as {0,1}.",
}

_KEYWORD = re.compile(r"@([A-Za-z]*)[ \t]*(.*)")
_NAME = re.compile(r"""(?:'([^'\\]*)'|"([^"\\]*)"|([^\s{},%'"\\]+))([ \t]*)([A-Za-z]*)(.*)""")
_LABEL = re.compile(rf"[ \t]*({QUOTED}|{BARE})[ \t]*([,}}])")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One `@attribute` line: a type in lower case, with labels if that is `nominal`."""

    name: str
    type: str
    labels: tuple[str, ...] | None
    line: int


@dataclass(slots=True)
class Header:
    """The header read so far.

    Attributes:
        limits: on attributes and labels.
        attributes: the columns, in order.
        comments: the comment lines before the relation.
        relation: the relation's name, if every reader interprets it alike.
        data_line: the line of `@data`, once read.
    """

    limits: Limits
    attributes: list[Attribute] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    relation: str | None = None
    data_line: int | None = None
    _has_relation: bool = False

    def add(self, text: str, number: int) -> None:
        """Read the next line of the header.

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
        else:
            refuse(f"{shortened(line)} is no line of an ARFF header.", number)

    def check(self) -> None:
        """Check the header as a whole.

        Raises:
            TabularError: `invalid-arff`, `bad-label`, `duplicate-label`, `too-many-labels`.
        """
        if self.data_line is None:
            refuse("There is no @data line.", None)
        if not self.attributes:
            refuse("There is no @attribute line.", self.data_line)
        for attribute in self.attributes:
            if attribute.labels is not None:
                limit = self.limits.max_labels
                check_labels(attribute.labels, attribute.name, limit=limit, line=attribute.line)

    def _add_relation(self, text: str, line: int) -> None:
        if self._has_relation or self.attributes:
            refuse("@relation must come once, before the attributes.", line)
        self._has_relation = True
        match = _NAME.fullmatch(text)
        # A name that readers interpret differently is dropped: the relation then has the dataset's name.
        if match and not match[5] and _is_end(match[6]):
            self.relation = match[1] or match[2] or match[3]

    def _add_attribute(self, text: str, line: int) -> None:
        if len(self.attributes) == self.limits.max_columns:
            message = f"The table has more than {self.limits.max_columns} attributes."
            raise TabularError("too-many-columns", message, line=line)
        self.attributes.append(_attribute(text, line))


def _attribute(text: str, line: int) -> Attribute:
    match = _NAME.fullmatch(text)
    if match is None:
        refuse("The attribute's name cannot be read: quotes and backslashes have no place in it.", line)
    single, double, bare, gap, word, rest = match.groups()
    word = word.lower()
    name = single if single is not None else double if double is not None else bare
    if not word and rest.startswith("{"):
        labels, rest = _labels(rest, line)
        _check_end(rest, line)
        return Attribute(name, "nominal", labels, line)
    if gap and word in UNUSABLE_TYPES:
        return Attribute(name, word, None, line)
    if not gap or word not in (*NUMBER_TYPES, "string"):
        refuse(f"The type of the attribute {shortened(name)} is not one of ARFF.", line)
    _check_end(rest, line)
    return Attribute(name, word, None, line)


def _labels(text: str, line: int) -> tuple[tuple[str, ...], str]:
    """Read a list in braces; return its labels and what comes after it."""
    labels: list[str] = []
    at, mark = 1, ","
    while mark == ",":
        match = _LABEL.match(text, at)
        if match is None:
            refuse(
                "The list of labels cannot be read: quote those with blanks, and put commas between.", line
            )
        labels.append(unquote(match[1], line))
        at, mark = match.end(), match[2]
    return tuple(labels), text[at:]


def _is_end(rest: str) -> bool:
    rest = rest.strip(BLANKS)
    return not rest or rest.startswith("%")


def _check_end(rest: str, line: int) -> None:
    if not _is_end(rest):
        refuse(f"{shortened(rest.strip(BLANKS))} has no place at the end of this line.", line)
