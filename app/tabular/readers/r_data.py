"""Data frames of R (`.rds`, `.rda`, `.RData`), written anew as an Arrow file."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.readers.formats import first_bytes, packed_with
from app.tabular.readers.packed import unpacked
from app.tabular.readers.r_texts import is_utf8, settle_encoding
from app.tabular.readers.rewriting import Rewritten, library, new_arrow_file
from app.tabular.readers.variables import Measure, Variable
from app.tabular.reading import Doubt, Found, ReadingReport
from app.tabular.schema.cells import EXACT_INTEGER
from app.tabular.schema.names import CONTROL
from app.tabular.types import MIB, ConversionRequest, TabularError
from app.tabular.wording import counted, shortened

ROW_NAMES = "row_names"
_MOST_BYTES = 400 * MIB
"""Of a file, unpacked: it is held in memory as a whole."""
_BATCH_ROWS = 50_000
_INTEGER_NA, _LONG_NA = -(2**31), -(2**63)
_UNITS = {"secs": 1, "mins": 60, "hours": 3600, "days": 86_400, "weeks": 604_800}
# A frame, its columns, their attributes, and the names of those.
_DEPTH = 3
# Flags of a text: in Latin-1, in UTF-8, in ASCII.
_LATIN, _UTF8, _ASCII = 4, 8, 64

_Object = Any  # of rdata, which is imported only where such a file is read


def rewrite_r_data(request: ConversionRequest) -> Rewritten:
    """Write a data frame anew.

    Raises:
        TabularError: `not-installed`, `broken-file`, `file-too-large`, `no-table`, `unknown-member`, `unusable-type`,
            `no-rows`.
    """
    report = ReadingReport(request.reading)
    with _errors_translated():
        top, native = _parsed(request)
        frame = _chosen(_tables(top), report)
        told = settle_encoding(_unmarked(frame, is_any=report.chosen.encoding is not None), native, report)
        attributes = _attributes(frame)
        names = _texts(attributes["names"]) if "names" in attributes else []
        if not names:
            raise TabularError.no_rows()
        variables = [_Vector(name or "", value) for name, value in zip(names, frame.value, strict=True)]
        columns = [each.array for each in variables]
        row_names = _row_names(attributes.get("row.names"), report)
        if row_names:
            names, columns = [ROW_NAMES, *names], [pa.array(row_names, pa.string()), *columns]
        table = pa.table(columns, names=[name or "" for name in names])
    with new_arrow_file(request, table.schema) as (path, writer):
        writer.write_table(table, max_chunksize=_BATCH_ROWS)
    inner = replace(request, source=path, format="feather")
    remarks = (*told, *(each.remark for each in variables if each.remark))
    comments = tuple(CONTROL.sub(" ", f"% {line}") for each in variables for line in each.comments)
    return Rewritten(inner, report, remarks=remarks, comments=comments)


def _parsed(request: ConversionRequest) -> tuple[_Object, str]:
    """Return what the file holds, and the encoding of the system that wrote it, if it says so."""
    parser = library("rdata.parser")
    compression = packed_with(first_bytes(request.source))
    data = bytearray()
    limit = min(_MOST_BYTES, request.limits.max_unpacked_bytes)
    with request.source.open("rb", buffering=0) as file:
        stream = unpacked(file, compression) if compression else file
        while chunk := stream.read(MIB):
            data += chunk
            if len(data) > limit:
                message = (
                    f"Unpacked, the file has more than {limit} bytes, which is the most that is read at once."
                )
                raise TabularError("file-too-large", message, hint=_SMALLER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a file without the mark of `save`, which is one of `saveRDS`
        parsed = parser.parse_data(bytes(data))
    return parsed.object, parsed.extra.encoding or ""


@contextmanager
def _errors_translated() -> Iterator[None]:
    """Translate the exceptions that a damaged or too large file causes into `TabularError`."""
    try:
        yield
    except MemoryError:
        message = "The data of the file take more memory than there is for one table."
        raise TabularError("file-too-large", message, hint=_SMALLER) from None
    except (
        AssertionError,
        ValueError,
        NotImplementedError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        # rdata names no kind of object that it does not know, such as a promise.
        is_unknown = isinstance(error, NotImplementedError) or "RObjectType" in str(error)
        why = "it holds an object of a kind that is not read, such as data that R loads lazily (a promise)"
        message = f"The R data file cannot be read: {why if is_unknown else type(error).__name__}."
        raise TabularError(
            "broken-file", message, hint="In R, save the table anew: saveRDS(table, 'table.rds')."
        ) from None


_SMALLER = "In R, write it with arrow::write_parquet or write.csv, which may be of any length."


def _tables(top: _Object) -> dict[str, _Object]:
    """Return the data frames of a file by name; what `saveRDS` wrote has none."""
    if _type(top) == "LIST":
        objects = {_symbol(node.tag): _followed(node.value[0]) for node in _nodes(top)}
    elif _is_frame(top) or _type(top) != "VEC" or "names" not in _attributes(top):
        objects = {"": top}
    else:
        objects = {
            name or "": value
            for name, value in zip(_texts(_attributes(top)["names"]), top.value, strict=True)
        }
    tables = {name: value for name, value in objects.items() if _is_frame(value)}
    if not tables:
        named = ", ".join(shortened(name) for name in list(objects)[:5] if name)
        found = f": it has {named}" if named else ""
        hint = "In R, save one: saveRDS(as.data.frame(x), 'table.rds')."
        raise TabularError("no-table", f"The file holds no data frame{found}.", hint=hint)
    return tables


def _chosen(tables: dict[str, _Object], report: ReadingReport) -> _Object:
    names = list(tables)
    chosen = report.chosen.member
    if names == [""]:
        return tables[""]
    if chosen is not None and chosen not in tables:
        message = f"There is no data frame {shortened(chosen)}."
        hint = f"There is {', '.join(map(shortened, names[:5]))}."
        raise TabularError("unknown-member", message, hint=hint, choices={"member": names})
    message = f"The file holds {counted(len(names), 'data frame')}: {', '.join(map(shortened, names[:5]))}."
    doubt = Doubt("member", message, tuple(names)) if len(names) > 1 else None
    return tables[report.decide("member", Found(names[0], considered=tuple(names[1:])), doubt)]


def _row_names(value: _Object | None, report: ReadingReport) -> list[str | None]:
    """Return the names of the rows if they are to be a column; numbers of rows are not, unless their owner says so."""
    if value is None:
        return []
    if _type(value) == "STR":
        return (
            _texts(value)
            if report.decide("row_names", Found("keep", considered=("leave-out",))) == "keep"
            else []
        )
    numbers = value.value.tolist()
    is_counted = numbers[:1] == [None] or numbers == list(range(1, len(numbers) + 1))
    if is_counted or report.decide("row_names", Found("leave-out", considered=("keep",))) == "leave-out":
        return []
    return [str(number) for number in numbers]


class _Vector:
    """A column of a data frame.

    Attributes:
        array: its values.
        remark: what its owner should know of it, as a sentence; empty if there is nothing.
        comments: what describes it, a line each.
    """

    def __init__(self, name: str, value: _Object) -> None:
        """Read it.

        Raises:
            TabularError: `unusable-type`.
        """
        self._name = name
        self._attributes = _attributes(value)
        classes = _texts(self._attributes["class"]) if "class" in self._attributes else []
        self.remark, self.comments = "", list[str]()
        title = next(iter(_texts(self._attributes["label"])), None) if "label" in self._attributes else None
        kind = _type(value)
        if "dim" in self._attributes:
            hint = "In R, make a column of each of its columns."
            raise TabularError("unusable-type", "The column is a matrix.", column=name, hint=hint)
        if kind in {"INT", "REAL"} and "factor" in classes:
            self.array = self._factor(value)
        elif kind in {"INT", "REAL", "STR"} and "labels" in self._attributes and "haven_labelled" in classes:
            self.array = self._labelled(value, title or "")
            return
        elif kind in {"INT", "REAL"} and (measure := self._measure(classes)):
            self.array = _measured(name, measure, value, is_utc="POSIXct" in classes)
        elif kind in _PLAIN:
            self.array = _PLAIN[kind](value) if "integer64" not in classes else _longs(value)
        else:
            what = {"VEC": "a list, or times as POSIXlt", "CPLX": "complex numbers", "RAW": "bytes"}.get(
                kind, "no vector"
            )
            hint = "In R, make columns of numbers, texts, dates or POSIXct of it."
            raise TabularError(
                "unusable-type", f"The column is {what}, which ARFF cannot hold.", column=name, hint=hint
            )
        self.comments += [f"{name}: {title}"] if title else []

    def _factor(self, value: _Object) -> pa.Array:
        levels = pa.array(_texts(self._attributes["levels"]), pa.string())
        codes = pa.array([None if code is None else int(code) - 1 for code in _numbers(value)], pa.int32())
        return pa.DictionaryArray.from_arrays(codes, levels, ordered=True)

    def _labelled(self, value: _Object, title: str) -> pa.Array:
        labels = self._attributes["labels"]
        texts = _texts(_attributes(labels)["names"])
        pairs = {
            each: text or "" for each, text in zip(_numbers(labels), texts, strict=True) if each is not None
        }
        missing = [(each, each) for each in _numbers(self._attributes.get("na_values"))]
        limits = _numbers(self._attributes.get("na_range"))
        ranges = [*missing, *([(limits[0], limits[1])] if limits else [])]
        measure = Measure("text" if _type(value) == "STR" else "number")
        variable = Variable(self._name, measure, pairs, ranges, title)
        values = [None if variable.is_missing(each) else each for each in _numbers(value)]
        variable.scan(values)
        self.remark, self.comments = variable.remark(), variable.comments()
        return variable.column(values)

    def _measure(self, classes: Sequence[str | None]) -> Measure | None:
        if "Date" in classes:
            return Measure("moment", _UNITS["days"])
        if "POSIXct" in classes:
            return Measure("moment")
        if "hms" in classes:
            return Measure("time")
        if "difftime" in classes:
            unit = (
                next(iter(_texts(self._attributes["units"])), "secs")
                if "units" in self._attributes
                else "secs"
            )
            return Measure("duration", _UNITS.get(unit or "secs", 1))
        return None


def _measured(name: str, measure: Measure, value: _Object, *, is_utc: bool) -> pa.Array:
    variable = Variable(name, measure, {}, [], "")
    values = _numbers(value)
    variable.scan(values)
    column = variable.column(values)
    return column.cast(pa.timestamp("us", "UTC")) if is_utc else column


def _reals(value: _Object) -> pa.Array:
    """Return numbers; if all are whole, as such."""
    numbers = pa.Array.from_buffers(pa.float64(), len(value.value), [None, pa.py_buffer(value.value.copy())])
    numbers = pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    is_whole = pc.and_(pc.equal(pc.floor(numbers), numbers), pc.less_equal(pc.abs(numbers), EXACT_INTEGER))
    return numbers.cast(pa.int64()) if pc.all(is_whole).as_py() is not False else numbers


def _integers(value: _Object) -> pa.Array:
    return pa.array(value.value.tolist(), pa.int64())


def _longs(value: _Object) -> pa.Array:
    """Return the numbers of bit64, which R has as the bits of doubles."""
    numbers = pa.Array.from_buffers(pa.int64(), len(value.value), [None, pa.py_buffer(value.value.copy())])
    return pc.if_else(pc.equal(numbers, _LONG_NA), pa.scalar(None, pa.int64()), numbers)


_PLAIN: dict[str, Callable[[_Object], pa.Array]] = {
    "LGL": lambda value: pa.array(value.value.tolist(), pa.bool_()),
    "INT": _integers,
    "REAL": _reals,
    "STR": lambda value: pa.array(_texts(value), pa.string()),
}


# --- the objects of rdata


def _type(value: _Object) -> str:
    name: str = value.info.type.name
    return name


def _followed(value: _Object) -> _Object:
    return value.referenced_object if _type(value) == "REF" else value


def _nodes(pairs: _Object | None) -> Iterator[_Object]:
    """Yield the nodes of a linked list."""
    while pairs is not None and _type(pairs) == "LIST":
        yield pairs
        pairs = pairs.value[1]


def _symbol(value: _Object) -> str:
    name: bytes | None = _followed(value).value.value
    return (name or b"").decode(errors="replace")


def _attributes(value: _Object) -> dict[str, _Object]:
    return {_symbol(node.tag): _followed(node.value[0]) for node in _nodes(value.attributes)}


def _is_frame(value: _Object) -> bool:
    attributes = _attributes(value)
    return _type(value) == "VEC" and "class" in attributes and "data.frame" in _texts(attributes["class"])


def _numbers(value: _Object | None) -> list[Any]:
    """Return the values of a vector, None where one is missing; texts as well."""
    if value is None:
        return []
    if _type(value) == "STR":
        return _texts(value)
    return [None if number != number else number for number in value.value.tolist()]  # noqa: PLR0124 - not a number


def _texts(value: _Object) -> list[str | None]:
    return [_text(each) for each in value.value]


def _text(value: _Object) -> str | None:
    data: bytes | None = value.value
    if data is None:
        return None
    if not value.info.gp & _LATIN:
        return data.decode()
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # with control characters, as R has it


def _unmarked(frame: _Object, *, is_any: bool) -> list[_Object]:
    """Return the texts whose encoding is not known: they are not UTF-8, or without a mark and not ASCII (`is_any`)."""
    texts = {
        id(text): text
        for text in _characters(frame, _DEPTH)
        if text.value and not text.info.gp & (_LATIN | _ASCII)
    }
    may_be_other = {text for text, found in texts.items() if is_any and not found.info.gp & _UTF8}
    return [
        text
        for number, text in texts.items()
        if not (text.value.isascii() if number in may_be_other else is_utf8(text.value))
    ]


def _characters(value: _Object, depth: int) -> Iterator[_Object]:
    """Yield the texts of a value, of what it holds and of their attributes."""
    if _type(value) == "STR":
        yield from value.value
    elif _type(value) == "VEC" and depth:
        for each in value.value:
            yield from _characters(_followed(each), depth - 1)
    if depth and value.attributes is not None:
        for each in _attributes(value).values():
            yield from _characters(each, depth - 1)
