"""The labels of the rows of a JSON document: kept beside the columns if they say more than the rows' numbers."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from app.tabular.readers.json_values import Number, texts_of

_PIECE_ROWS = 16_384


class RowLabels:
    """The labels of all rows, in their order."""

    def __init__(self, keep: Callable[[pa.Array], None]) -> None:
        """Count the labels, and pass them to `keep` as texts if they are not the row numbers."""
        self._kinds: set[type] = set()
        self._keep_texts = keep
        self._kept = 0
        self._count = 0
        # The number of the first row, as pandas (0) or R (1) counts; none if the labels are others.
        self._starts = [0, 1]
        self._piece: list[Any] = []

    @property
    def hold_something(self) -> bool:
        """Whether the labels differ from the row numbers."""
        return self._count > 0 and not self._starts

    def add(self, label: Any) -> None:  # noqa: ANN401 - of any type that JSON has
        """Add the label of the next row.

        Raises:
            TabularError: `nested-value`, `not-text`.
        """
        if self._starts:
            text = label.decode() if isinstance(label, Number) else label
            held = self._starts
            self._starts = [start for start in held if text == str(start + self._count)]
            if not self._starts:
                for number in range(held[0], held[0] + self._count):
                    self._keep(str(number) if isinstance(label, str) else str(number).encode())
        if not self._starts:
            self._keep(label)
        self._count += 1

    def finish(self) -> set[type]:
        """End the input, and return the types of the labels that are not null."""
        self._flush()
        return self._kinds

    def _keep(self, label: Any) -> None:  # noqa: ANN401 - of any type that JSON has
        self._piece.append(label)
        if len(self._piece) == _PIECE_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._piece:
            texts, kinds = texts_of("label", self._piece, self._kept)
            self._kinds |= kinds
            self._kept += len(self._piece)
            self._keep_texts(texts)
            self._piece = []


class LabelReader:
    """Reads labels as texts, as many at a time as are asked for."""

    def __init__(self, pieces: Iterator[pa.Array]) -> None:
        self._pieces = pieces
        self._rest = pa.array([], pa.string())

    def take(self, rows: int) -> pa.Array:
        """Return the labels of the next rows; null where there are no more."""
        while len(self._rest) < rows:
            piece = next(self._pieces, pa.nulls(rows - len(self._rest), pa.string()))
            self._rest = pa.concat_arrays([self._rest, piece])
        taken, self._rest = self._rest.slice(0, rows), self._rest.slice(rows)
        return taken


class LabelDigest:
    """The labels of one column's rows, to be compared with those of another without keeping them."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b()
        self._count = 0
        self._are_numbers = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LabelDigest) and self._key() == other._key()

    __hash__ = None  # type: ignore[assignment] # it changes

    def _key(self) -> tuple[int, bytes]:
        return self._count, b"" if self._are_numbers else self._digest.digest()

    def seen(self, pairs: Iterator[tuple[str, Any]], labels: RowLabels | None) -> Iterator[Any]:
        """Yield the values of pairs, and add their labels to `labels` if these are the first."""
        for label, value in pairs:
            if labels is not None:
                labels.add(label)
            self._are_numbers = self._are_numbers and label == str(self._count)
            self._digest.update(f"{len(label)}:{label}".encode(errors="surrogatepass"))
            self._count += 1
            yield value

    def counted(self, values: Iterator[Any]) -> Iterator[Any]:
        """Yield values that have no labels."""
        for value in values:
            self._count += 1
            yield value
