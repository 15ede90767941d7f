"""Words for a missing value that are a category of their column, judged by all rows."""

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.reading import Doubt
from app.tabular.schema.cells import MISSING_WORDS
from app.tabular.table import Block
from app.tabular.wording import counted, shortened

WORDS = ("None", "null")
"""Words for a missing value that people use as a category as well."""
_SAMPLE, _MOST_CATEGORIES = 500, 10
_FEWEST, _MANY, _SHARE = 2, 100, 0.05


class Categories:
    """Counts such words in a column of text that has few other values."""

    def __init__(self, name: str, words: tuple[str, ...]) -> None:
        """Count these words for missing values; without any, no doubts arise."""
        self._name = name
        self._counts = dict.fromkeys(words, 0)
        self._rows = 0
        self._sampled = 0
        self._texts: dict[str, int] = {}
        self._first: tuple[Block, int] | None = None

    @property
    def are_open(self) -> bool:
        """Whether further rows matter: not where nearly each text is another."""
        self._take_first()
        is_known = self._sampled >= _SAMPLE and len(self._texts) > _SAMPLE // 2
        return bool(self._counts) and not is_known

    def begin(self, block: Block, index: int) -> None:
        """Take a column of the first block that has none of the words; it is looked at if the column becomes text."""
        self._first = (block, index)

    def _take_first(self) -> None:
        if self._first:
            (block, index), self._first = self._first, None
            self.update(block.columns[index])

    def update(self, column: pa.Array) -> None:
        """Count the words and other values of the next block."""
        if not self.are_open:
            return
        self._rows += len(column)
        some = column.slice(0, max(_SAMPLE - self._sampled, 0))
        self._sampled += len(some)
        for found in some.drop_null().value_counts().to_pylist():
            if found["values"] not in MISSING_WORDS:
                self._texts[found["values"]] = self._texts.get(found["values"], 0) + found["counts"]
        for word in self._counts:
            self._counts[word] += pc.sum(pc.equal(column, word)).as_py() or 0

    def doubts(self) -> tuple[Doubt, ...]:
        """Return the doubt whether the words are values, if they are frequent and there are few other values."""
        self._take_first()
        lost = {word: count for word, count in self._counts.items() if count >= _FEWEST}
        enough = min(_SHARE * self._rows, _MANY)
        few = max(_MOST_CATEGORIES, self._sampled // 2)
        if not self._texts or len(self._texts) > few or sum(lost.values()) < max(enough, 1):
            return ()
        shown = " and ".join(
            f"{counted(count, 'cell')} with {shortened(word)}" for word, count in lost.items()
        )
        commonest = sorted(self._texts, key=lambda text: -self._texts[text])[:3]
        message = f"Column {self._name!r} has {shown}, beside {', '.join(map(shortened, commonest))}: are they values?"
        kept = tuple(sorted(MISSING_WORDS - set(lost)))
        return (Doubt("missing", message, (kept, tuple(sorted(MISSING_WORDS))), self._name),)
