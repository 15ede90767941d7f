"""LIBSVM and SVMlight text (`label index:value …`), written anew as sparse ARFF."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from operator import lt

from app.tabular.readers.rewriting import BoundedFile, Rewritten, new_file
from app.tabular.readers.text import BLOCK_BYTES, MAX_ROW_BYTES, TextFile, Utf8Stream, open_text
from app.tabular.reading import ReadingReport
from app.tabular.schema.cells import in_order, number_fault
from app.tabular.types import ConversionRequest, Repair, TabularError
from app.tabular.wording import counted, shortened

LABEL, QUERY = "label", "qid"
_PAIR = re.compile(r"([0-9]{1,9}):([^\s:]+)")
_QUERY = re.compile(r"qid:([0-9]{1,15})")
# A row whose numbers need no closer look.
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,30})?(?:[eE]-?[0-9]{1,2})?"
_PLAIN = re.compile(rf"(?:\+(?!-))?(-?{_NUMBER})(?: qid:([0-9]{{1,15}}))?((?: [0-9]{{1,9}}:-?{_NUMBER})*)")


@dataclass(frozen=True, slots=True)
class _Row:
    """One row, as texts of numbers."""

    label: str
    query: str | None
    values: list[tuple[int, str]]


class _Shape:
    """What all rows have in common.

    Attributes:
        rows: how many there are.
        comments: lines that have one.
        least: the least index, or -1.
        most: the greatest index, or -1.
        has_queries: whether the rows have a `qid`.
        is_whole: whether all labels are whole numbers.
        labels: all labels that are different, if they are collected.
    """

    def __init__(self, text: TextFile, *, collects: bool) -> None:
        """Read the file.

        Raises:
            TabularError: `invalid-svmlight`, `no-rows`.
        """
        self.rows = self.comments = 0
        self.least = self.most = -1
        self.has_queries = False
        self.is_whole = True
        self.labels: set[str] = set()
        for number, data, has_comment in _lines(text):
            self.comments += has_comment
            if data:
                self._add(_row(data, number), number, collects=collects)
        if not self.rows:
            raise TabularError.no_rows()

    @property
    def base(self) -> int:
        """Return the first index: 0 if it occurs, else 1."""
        return 0 if self.least == 0 else 1

    @property
    def names(self) -> list[str]:
        """Return the names of the columns."""
        columns = [f"x{index}" for index in range(self.base, self.most + 1)]
        return [LABEL, *([QUERY] if self.has_queries else []), *columns]

    def label_type(self) -> str:
        """Return the ARFF type of the labels."""
        if self.labels:
            return "{" + ",".join(in_order(self.labels)) + "}"
        return "INTEGER" if self.is_whole else "REAL"

    def _add(self, row: _Row, line: int, *, collects: bool) -> None:
        if self.rows and (row.query is not None) != self.has_queries:
            raise _invalid("Some rows have a `qid`, and others have none.", line)
        self.has_queries = row.query is not None
        self.rows += 1
        self.is_whole = self.is_whole and number_fault(row.label, "integer") is None
        if collects:
            self.labels.add(row.label)
        if row.values:
            first, last = row.values[0][0], row.values[-1][0]
            self.least = first if self.least < 0 else min(self.least, first)
            self.most = max(self.most, last)


def rewrite_svmlight(request: ConversionRequest) -> Rewritten:
    """Write the file anew: columns `label`, `qid` if there is one, then `x1`, `x2` … (`x0` … if an index is 0).

    Raises:
        TabularError: `invalid-svmlight`, `no-rows`, `too-many-columns`, and what `open_text` raises.
    """
    text = open_text(request, ReadingReport(request.reading))
    is_class = request.attributes.get(LABEL) == "nominal"
    shape = _Shape(text, collects=is_class)
    limit = request.limits.max_columns
    if shape.most + 2 > limit:
        message = f"The file has indices up to {shape.most}; {limit} columns are allowed."
        raise TabularError("too-many-columns", message)
    with new_file(request, "arff") as (path, file):
        _write(file, text, shape)
    names = shape.names
    change = f"The columns are named `{names[0]}` to `{names[-1]}`."
    repairs = [Repair("", change, "The file has no names; the numbers are its indices.")]
    if shape.comments:
        left_out = f"{counted(shape.comments, 'comment')} left out."
        repairs.append(Repair("", left_out, "A table has no place for them."))
    attributes = {name: kind for name, kind in request.attributes.items() if not (is_class and name == LABEL)}
    inner = replace(request, source=path, format="arff", compression=None, attributes=attributes)
    return Rewritten(inner, ReadingReport(request.reading), tuple(repairs))


def _write(file: BoundedFile, text: TextFile, shape: _Shape) -> None:
    names = shape.names
    types = [shape.label_type(), *(["INTEGER"] if shape.has_queries else [])]
    types += ["REAL"] * (len(names) - len(types))
    # A relation that readers disagree about is replaced by the dataset's name.
    lines = [
        "@RELATION ''",
        *(f"@ATTRIBUTE {name} {kind}" for name, kind in zip(names, types, strict=True)),
        "@DATA",
    ]
    file.write("".join(f"{line}\n" for line in lines).encode())
    shift = 1 + shape.has_queries - shape.base
    for number, data, _ in _lines(text):
        if not data:
            continue
        row = _row(data, number)
        cells = [f"0 {row.label}", *([f"1 {row.query}"] if row.query else [])]
        cells += [f"{index + shift} {value}" for index, value in row.values]
        file.write(f"{{{','.join(cells)}}}\n".encode())


def _lines(text: TextFile) -> Iterator[tuple[int, str, bool]]:
    """Yield the number of each line, what stands before its comment, and whether it has one."""
    rest, number = b"", 0
    with closing(Utf8Stream(text)) as stream:
        while chunk := stream.read(BLOCK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > MAX_ROW_BYTES:
                raise TabularError("row-too-long", "The line is too long.", line=number + len(lines) + 1)
            for line in lines:
                number += 1
                yield _parted(number, line)
    if rest:
        yield _parted(number + 1, rest)


def _parted(number: int, line: bytes) -> tuple[int, str, bool]:
    data, mark, _ = line.decode().partition("#")
    return number, data.strip(), bool(mark)


def _row(data: str, line: int) -> _Row:
    if plain := _PLAIN.fullmatch(data):
        words = plain[3].replace(":", " ").split()
        indices = [*map(int, words[::2])]
        if all(map(lt, indices, indices[1:])):
            return _Row(plain[1], plain[2], [*zip(indices, words[1::2], strict=True)])
    label, *pairs = data.split()
    if "," in label:
        raise TabularError(
            "invalid-svmlight",
            f"The row has several labels, {shortened(label)}.",
            line=line,
            hint="Save it as sparse ARFF, with a column {0,1} for each label.",
        )
    if ":" in label:
        raise _invalid("The row has no label.", line)
    query = None
    if pairs and (found := _QUERY.fullmatch(pairs[0])):
        query = found[1]
        del pairs[0]
    values: list[tuple[int, str]] = []
    for pair in pairs:
        found = _PAIR.fullmatch(pair)
        if found is None:
            raise _invalid(f"{shortened(pair)} is no pair `index:value`.", line)
        values.append((int(found[1]), _number(found[2], line)))
        if len(values) > 1 and values[-1][0] <= values[-2][0]:
            raise _invalid(
                f"The index {values[-1][0]} stands behind {values[-2][0]}: indices have to ascend.", line
            )
    return _Row(_number(label, line).lstrip("+"), query, values)


def _number(text: str, line: int) -> str:
    if fault := number_fault(text, "real"):
        raise _invalid(f"{shortened(text)} {fault}.", line)
    return text


def _invalid(message: str, line: int) -> TabularError:
    hint = "A row is a label, perhaps `qid:number`, then pairs `index:value` whose indices ascend."
    return TabularError("invalid-svmlight", message, line=line, hint=hint)
