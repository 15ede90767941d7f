"""Records of JSON that are all alike as columns, without an object for each of their values.

Most files repeat the same names in the same order. Split at its quotes, which is what Arrow's reader of CSV does when a
quote is its delimiter, such a record becomes pieces that stand outside of strings and within them in turn:

    {"id": 1.50, "city": "Delft"}     {  |  id  |  : 1.50,  |  city  |  :  |  Delft  |  }

The pieces at one place of all records are a column. The names have to be those that are expected, and what stands
outside of strings is held against the grammar of JSON: once for each of its shapes, the text with every digit as 0, of
which there are few. Numbers keep their spelling. Where anything is not certain, nothing is read here.
"""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from app.tabular.readers.json_values import Number
from app.tabular.schema.cells import BOOLEANS

# No text has these bytes, because it is UTF-8 without NUL: for a line end within a record, and for null among strings.
_LINE_END, _NULL = b"\0", b"\xff"
_FLAT = bytes.maketrans(b"\r\n", _LINE_END * 2)
_SHAPE = bytes.maketrans(b"123456789", b"0" * 9)
_BLANK = rb"[ \t\0]*"
_BEGIN, _COLON, _COMMA, _END = (
    re.compile(_BLANK + sign + blank)
    for sign, blank in ((rb"\{", _BLANK), (b":", _BLANK), (b",", _BLANK), (rb"\}", b""))
)
_TOKEN = rb"(?P<number>-?0+(?:\.0+)?(?:[eE][+-]?0+)?)|(?P<boolean>true|false)|null|NaN"
_TOKEN_COMMA, _TOKEN_END = (
    re.compile(_COLON.pattern + b"(?:" + _TOKEN + b")" + end.pattern) for end in (_COMMA, _END)
)
_AROUND_VALUE = " \t\0:,}"
_FIRST_COLON = re.compile(rb'[^"]*"[^"]*("[ \t\0]*:[ \t\0]*)')
_decoder = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class RecordColumn:
    """The values of a name as texts, numbers as spelled, and the types of those that are not null."""

    texts: pa.Array
    kinds: set[type]


class _UncertainError(Exception):
    """The records differ in their names, or have values that this module does not parse."""


def columns_of(
    text: str, between: str, names: Sequence[str], are_texts: Sequence[bool]
) -> list[RecordColumn] | None:
    """Return the columns of records, or None if they are not alike, or not certain to be read as one by one.

    Args:
        text: the records, from the brace of the first to that of the last.
        between: what stands between each two of them.
        names: the names that each has, in this order; no two are the same.
        are_texts: for each name, whether its values are strings or null, or else never strings.
    """
    try:
        return _columns(text.encode(), b"}" + between.encode() + b"{", names, are_texts)
    except _UncertainError:
        return None


def _columns(
    data: bytes, between: bytes, names: Sequence[str], are_texts: Sequence[bool]
) -> list[RecordColumn]:
    has_escapes = b"\\" in data
    if has_escapes:  # each quote that is left begins or ends a string
        data = data.replace(rb"\\", rb"\u005c").replace(rb"\"", rb"\u0022")
    is_flat = between != b"}\n{" or data.count(b"\n") > data.count(between)
    if is_flat:
        data = data.translate(_FLAT).replace(between.translate(_FLAT), b"}\n{")
    texts = [name for name, is_text in zip(names, are_texts, strict=True) if is_text]
    pieces = iter(_split(_with_marked_nulls(data, texts), 1 + 2 * len(names) + 2 * len(texts)))
    _check(_shapes(next(pieces)), _BEGIN)
    columns = []
    for place, (name, is_text) in enumerate(zip(names, are_texts, strict=True), start=1):
        is_last = place == len(names)
        _check_name(next(pieces), name)
        if is_text:
            _check(_shapes(next(pieces)), _COLON)
            columns.append(_strings(next(pieces), has_escapes=has_escapes, is_flat=is_flat))
            _check(_shapes(next(pieces)), _END if is_last else _COMMA)
        else:
            columns.append(_tokens(next(pieces), _TOKEN_END if is_last else _TOKEN_COMMA))
    return columns


def _with_marked_nulls(data: bytes, names: Collection[str]) -> bytes:
    """Write null, where one of these names has it, as a string as well: each record has the same quotes then."""
    colon = _FIRST_COLON.match(data)
    if not names or colon is None or b"null" not in data:
        return data
    null = colon[1] + b"null"
    spelled = {*(name.encode() for name in names), *(json.dumps(name)[1:-1].encode() for name in names)}
    marked = colon[1] + b'"' + _NULL + b'"'
    parts = data.split(null)
    for place, part in enumerate(parts[:-1]):
        parts[place] = part + (marked if part[part.rfind(b'"') + 1 :] in spelled else null)
    return b"".join(parts)


def _split(data: bytes, count: int) -> list[pa.Array]:
    """Split lines at their quotes into that many columns of bytes."""
    names = [str(place) for place in range(count)]
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            read_options=pyarrow.csv.ReadOptions(
                column_names=names, use_threads=False, block_size=len(data) + 1
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter='"', quote_char=False, double_quote=False, ignore_empty_lines=False
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.binary()), check_utf8=False, null_values=[]
            ),
        )
    except pa.ArrowInvalid:
        raise _UncertainError from None
    return [column.chunk(0) for column in table.combine_chunks().columns]


def _shapes(piece: pa.Array) -> list[bytes]:
    """Return the different texts of a piece once each digit is 0."""
    _, ends, data = piece.buffers()
    shaped = pa.py_buffer(data.to_pybytes().translate(_SHAPE))
    shapes: list[bytes] = (
        pa.Array.from_buffers(piece.type, len(piece), [None, ends, shaped]).unique().to_pylist()
    )
    return shapes


def _check(shapes: Sequence[bytes], pattern: re.Pattern[bytes]) -> list[re.Match[bytes]]:
    found = [match for match in map(pattern.fullmatch, shapes) if match]
    if len(found) < len(shapes):
        raise _UncertainError
    return found


def _check_name(piece: pa.Array, name: str) -> None:
    first = piece[0]
    if _unescaped([first.as_py()]) != [name] or not pc.all(pc.equal(piece, first)).as_py():
        raise _UncertainError


def _tokens(piece: pa.Array, pattern: re.Pattern[bytes]) -> RecordColumn:
    found = _check(_shapes(piece), pattern)
    texts = pc.ascii_trim(piece.view(pa.string()), _AROUND_VALUE)
    has_numbers = any(match["number"] for match in found)
    has_booleans = any(match["boolean"] for match in found)
    if not all(match["number"] for match in found):
        texts = pc.if_else(pc.is_in(texts, pa.array(["null", "NaN"])), pa.scalar(None, pa.string()), texts)
    if has_booleans:
        for word, label in zip(("false", "true"), BOOLEANS[::-1], strict=True):
            texts = pc.if_else(pc.equal(texts, word), label, texts)
    if has_numbers:
        _check_zeros(texts)
    return RecordColumn(texts, {*[Number] * has_numbers, *[bool] * has_booleans})


def _check_zeros(numbers: pa.Array) -> None:
    """Refuse numbers with leading zeros, which the shapes do not distinguish from others."""
    positive = pc.ascii_ltrim(numbers, "-")
    with_zero = positive.filter(pc.starts_with(positive, "0"))
    if pc.any(pc.match_substring_regex(with_zero, "^0[0-9]")).as_py():
        raise _UncertainError


def _strings(piece: pa.Array, *, has_escapes: bool, is_flat: bool) -> RecordColumn:
    if is_flat and _LINE_END in piece.buffers()[2].to_pybytes():
        raise _UncertainError
    is_null = pc.equal(piece, _NULL)
    if has_escapes:
        are_escaped = pc.match_substring(piece, "\\")
        escaped = piece.filter(are_escaped).to_pylist()
        if escaped:
            try:
                meant = pa.array(_unescaped(escaped), pa.string())
            except UnicodeEncodeError:  # half a character
                raise _UncertainError from None
            piece = pc.replace_with_mask(piece, are_escaped, meant.view(pa.binary()))
    texts = pc.if_else(is_null, pa.scalar(None, pa.binary()), piece).view(pa.string())
    return RecordColumn(texts, {str} if texts.null_count < len(texts) else set())


def _unescaped(strings: Sequence[bytes]) -> list[str]:
    """Return strings with their JSON escapes decoded; none has a quote in it."""
    try:
        meant: list[str] = _decoder.decode('["' + b'","'.join(strings).decode() + '"]')
    except ValueError:
        raise _UncertainError from None
    return meant
