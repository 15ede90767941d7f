"""Encoding of columns of text as columns of ARFF tokens, without a Python call per cell.

One form is written for each value, the one that most readers of ARFF read back unchanged (a table in docs/formats.md):
bare if it consists of letters, digits and `_.+-` only, else in double quotes with backslash escapes; `?` for none.
"""

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.schema.cells import BLANKS
from app.tabular.schema.names import not_a_label
from app.tabular.schema.plan import ColumnPlan, RowCounts
from app.tabular.table import LONG_COLUMN, Block, RowMajor, Stack, divided

MISSING = "?"
NUMBERS = frozenset({"integer", "real", "numeric"})
# liac-arff gives up on bare tokens beyond 131 072 characters; quoted ones of any length are fine.
_LONGEST_BARE = 1000

_BARE = r"^[A-Za-z0-9_.+\-]+$"
# As octal numbers where a reader stumbles over the other form: over NUL, and over a backslash before the last quote.
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\0": "\\000"}
_LAST_BACKSLASH = "\\134"
_END = 2**31 - 1
_SAMPLE = 1024


class UnknownLabelError(Exception):
    """A cell, given by its position in an array, that is not among the labels."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class DenseRows:
    """Encodes blocks of dense rows.

    Attributes:
        counts: what was encoded so far.
    """

    def __init__(self, plans: Mapping[int, ColumnPlan]) -> None:
        """Prepare for blocks of which the columns in `plans` are written."""
        self.counts = RowCounts(plans)
        self._plans = plans
        self._groups: dict[object, list[int]] = {}
        self._labels = {index: _Labels(plan) for index, plan in plans.items() if plan.labels}

    def lines(self, block: Block) -> memoryview:
        """Return the rows of a block as the lines of a file.

        Raises:
            TabularError: `value-does-not-fit`, for a value that is not among the labels.
        """
        if not self._groups:
            self._group(block)
        tokens = [self._tokens(Stack(block, indices)) for indices in self._groups.values()]
        self.counts.rows += block.rows
        if isinstance(block.columns, RowMajor):
            return joined_rows(self._woven(tokens, block.rows), len(self._plans))
        columns = dict(pair for stack, cells in tokens for pair in stack.split(cells))
        return joined([columns[index] for index in self._plans])

    def _tokens(self, stack: Stack) -> tuple[Stack, pa.Array]:
        """Return the tokens of a stack's cells, one for each, and add missing values to `counts`."""
        cells = self._encode(stack)
        stated = stack.null_counts(stack.cells)
        for index, count in stack.null_counts(cells).items():
            self.counts.missing[index] += count
            self.counts.words[index] += count - stated.get(index, 0)
        if self._plans[stack.indices[0]].kind in NUMBERS:
            self.counts.squares.add(cells, stack.place, is_row_major=stack.is_row_major)
        return stack, pc.fill_null(cells, MISSING) if cells.null_count else cells

    def _woven(self, stacks: Sequence[tuple[Stack, pa.Array]], rows: int) -> pa.Array:
        """Return the tokens of all columns in row-major order, as they are written."""
        if len(stacks) == 1:
            return stacks[0][1]
        # By column: where its first token stands behind those of other stacks, and how far it is to the next one.
        places: dict[int, tuple[int, int]] = {}
        begin = 0
        for stack, cells in stacks:
            places |= {index: (begin + at, len(stack.indices)) for at, index in enumerate(stack.indices)}
            begin += len(cells)
        firsts, steps = zip(*(places[index] for index in self._plans), strict=True)
        row, column = divided(pa.arange(0, rows * len(self._plans)), len(self._plans))
        steps_of = pa.array(steps, pa.int64()).take(column)
        order = pc.add(pa.array(firsts, pa.int64()).take(column), pc.multiply(row, steps_of))
        return pa.concat_arrays([cells for _, cells in stacks]).take(order)

    def _group(self, block: Block) -> None:
        """Group columns that are encoded alike."""
        for index, plan in self._plans.items():
            is_repetitive = plan.kind == "string" and _is_repetitive(block.columns[index])
            # Columns of labels, or of texts that one dictionary should not mix, stand alone; so do long ones.
            is_long = block.rows > LONG_COLUMN
            alone = index if plan.labels or is_repetitive or is_long else None
            key = (alone, plan.kind == "string", plan.is_plain, plan.missing_words, plan.notation)
            self._groups.setdefault(key, []).append(index)

    def _encode(self, stack: Stack) -> pa.Array:
        first = stack.indices[0]
        plan = self._plans[first]
        encoder = self._labels.get(first) or _encoder(plan, stack.cells)
        try:
            return encoder(stack.cells, plan)
        except UnknownLabelError as unknown:
            _, row = stack.place(unknown.position)
            value = stack.cells[unknown.position].as_py()
            raise not_a_label(value, plan.labels or (), plan.name, row) from None


def tokens_of(labels: Sequence[str]) -> dict[str, str]:
    """Return the token of each label, in their order."""
    return dict(zip(labels, tokens(pa.array(labels, pa.string())).to_pylist(), strict=True))


def tokens(cells: pa.Array, quote: str = '"') -> pa.Array:
    """Return the tokens of an array of texts; null stays null.

    Args:
        cells: the texts.
        quote: the character around those that are not bare; what we write has double quotes.
    """
    escaped = _escaped(cells, quote) if _may_hold(cells, "".join((quote, *_ESCAPES)).encode()) else cells
    is_bare = pc.match_substring_regex(cells, _BARE)
    if (pc.max(pc.binary_length(cells)).as_py() or 0) > _LONGEST_BARE:
        is_bare = pc.and_(is_bare, pc.less_equal(pc.binary_length(cells), _LONGEST_BARE))
    if is_bare.true_count == len(cells) - cells.null_count:
        return cells
    mark = quote.encode()
    return pc.if_else(is_bare, cells, _spliced(_spliced(escaped, 0, mark), _END, mark))


def joined(columns: Sequence[pa.Array]) -> memoryview:
    """Return columns of tokens without nulls as the lines of a file."""
    *others, last = columns
    endings = _spliced(last, _END, b"\n")
    return _text(pc.binary_join_element_wise(*others, endings, ",") if others else endings)


def joined_rows(cells: pa.Array, width: int) -> memoryview:
    """Return tokens without nulls, of which `width` make a row, as the lines of a file."""
    rows = pa.ListArray.from_arrays(pa.arange(0, len(cells) + 1, width).cast(pa.int32()), cells)
    return _text(_spliced(pc.binary_join(rows, ","), _END, b"\n"))


def _text(lines: pa.Array) -> memoryview:
    size = pc.sum(pc.binary_length(lines)).as_py() or 0
    return memoryview(lines.buffers()[2]).cast("B")[:size] if size else memoryview(b"")


def _spliced(cells: pa.Array, at: int, piece: bytes) -> pa.Array:
    """Insert bytes into each cell: three times as fast as joining arrays of strings."""
    return pc.binary_replace_slice(cells.view(pa.binary()), at, at, piece).view(pa.string())


def _encoder(plan: ColumnPlan, cells: pa.Array) -> Callable[[pa.Array, ColumnPlan], pa.Array]:
    if plan.kind == "string":
        return _repetitive_texts if _is_repetitive(cells) else _texts
    return _numbers


def _numbers(cells: pa.Array, plan: ColumnPlan) -> pa.Array:
    if plan.is_verbatim:
        return cells
    return plan.notation.plain_cells(without(plan.missing_words, pc.utf8_trim(cells, BLANKS)))


def _texts(cells: pa.Array, plan: ColumnPlan) -> pa.Array:
    return tokens(without(plan.missing_words, cells if plan.is_plain else pc.utf8_trim(cells, BLANKS)))


def _repetitive_texts(cells: pa.Array, plan: ColumnPlan) -> pa.Array:
    """Encode each distinct text once."""
    encoded = cells.dictionary_encode()
    return _texts(encoded.dictionary, plan).take(encoded.indices)


class _Labels:
    """The tokens of a column's labels, made once: there may be millions of them."""

    def __init__(self, plan: ColumnPlan) -> None:
        labels = pa.array(plan.labels or (), pa.string())
        made = tokens(labels)
        # A set of a million labels takes a quarter of what a dictionary of them does.
        self._tokens = None if made.equals(labels) else tokens_of(plan.labels or ())
        self._known = frozenset(plan.labels or ()) if self._tokens is None else self._tokens.keys()

    def __call__(self, cells: pa.Array, plan: ColumnPlan) -> pa.Array:
        cells = without(plan.missing_words, cells if plan.is_plain else pc.utf8_trim(cells, BLANKS))
        encoded = cells.dictionary_encode()
        values = encoded.dictionary.to_pylist()
        are_known = [*map(self._known.__contains__, values)]
        if not all(are_known):
            position = pc.index(encoded.indices, are_known.index(False)).as_py()
            raise UnknownLabelError(position)
        if self._tokens is None:
            return cells
        return pa.array([self._tokens[value] for value in values], pa.string()).take(encoded.indices)


def without(words: frozenset[str], cells: pa.Array) -> pa.Array:
    """Return the cells with null in place of these words."""
    if not words:
        return cells
    is_word = pc.is_in(cells, value_set=pa.array(sorted(words), pa.string()))
    return pc.if_else(is_word, pa.scalar(None, pa.string()), cells) if is_word.true_count else cells


def _escaped(cells: pa.Array, quote: str) -> pa.Array:
    is_unsafe = pc.fill_null(pc.match_substring_regex(cells, rf"[\\\n\r\x00{quote}]"), fill_value=False)
    unsafe = cells.filter(is_unsafe)
    for character, escape in (*_ESCAPES.items(), (quote, f"\\{quote}")):
        unsafe = pc.replace_substring(unsafe, character, escape)
    # Each backslash is two by now.
    unsafe = pc.replace_substring_regex(unsafe, r"\\\\\z", _LAST_BACKSLASH.replace("\\", r"\\"))
    return pc.replace_with_mask(cells, is_unsafe, unsafe)


def _may_hold(cells: pa.Array, characters: bytes) -> bool:
    """Return whether an array's buffer has one of these ASCII characters; of a slice, that of its parent."""
    data = cells.buffers()[2]
    text = data.to_pybytes() if data is not None else b""
    return len(text.translate(None, characters)) < len(text)


def _is_repetitive(cells: pa.Array) -> bool:
    """Estimate from a sample whether encoding each distinct text once is faster."""
    sample = cells.slice(0, _SAMPLE)
    return len(sample) == _SAMPLE and pc.count_distinct(sample).as_py() < _SAMPLE // 4
