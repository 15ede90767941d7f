"""Lists of OpenML's, read while they arrive: no tree of the whole is built, and what nobody asked for is dropped.

The list of features of a table with 45 000 columns has 9 MB, and holds every label of every column.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar, cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from app.openml import xml
from app.openml.errors import HalfAnswerError, ListTooLargeError

T = TypeVar("T")

HEAD_BYTES = 1 << 20
"""Of what may stand before the list: errors of the search index, PHP's warnings, or an error in its place."""
TEXT_CHARACTERS = 1 << 20
"""Longest text between two tags; a parser keeps it whole."""
MOST_FIELDS = 1000
"""Of one entry, among those that are kept."""


@dataclass(frozen=True, slots=True)
class ListKind(Generic[T]):
    """How a list is written, and what is wanted of it.

    Attributes:
        name: what it is called in messages.
        root: its outermost element, without the prefix.
        item: the element of one entry; it may lie at any depth.
        fields: children of an entry that `read` looks at; others are dropped as they come.
        read: makes a record of an entry.
        most: entries that are taken before the list counts as too large.
        limit_bytes: bytes that are read before it does.
    """

    name: str
    root: str
    item: str
    fields: frozenset[str]
    read: Callable[[Element], T]
    most: int
    limit_bytes: int


class ListReader(Generic[T]):
    """Takes an answer piece by piece. `feed` and `finish` compute, and are for a thread."""

    def __init__(self, kind: ListKind[T]) -> None:
        self._kind = kind
        self._start = re.compile(rf"<oml:{kind.root}[\s>]")
        self._item = f"{xml.OML}{kind.item}"
        self._kept = {f"{xml.OML}{name}" for name in kind.fields}
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._parser: XMLPullParser[Element] | None = None
        self._above: list[Element] = []
        self._items: list[T] = []
        self._since_tag = 0
        self._is_whole = False
        self._bytes = 0
        self.head = ""
        """What came before the list; all of the answer, if there is no list in it."""

    def feed(self, chunk: bytes) -> None:
        """Read on.

        Raises:
            ListTooLargeError: there is more of it than is read.
            HalfAnswerError: it is no list as OpenML writes them.
        """
        self._bytes += len(chunk)
        if self._bytes > self._kind.limit_bytes:
            raise self._too_large(f"{self._kind.limit_bytes} bytes")
        text = self._decoder.decode(chunk)
        if self._parser is None:
            text = self._after_head(text)
        if self._parser is not None and not self._is_whole:
            self._parse(self._parser, text)

    def finish(self) -> list[T]:
        """Return the entries.

        Raises:
            HalfAnswerError: the list did not come to its end.
        """
        if self._parser is not None and not self._is_whole:
            self._parse_rest(self._parser)
        if not self._is_whole:
            raise HalfAnswerError(f"OpenML's {self._kind.name} ends in the middle")
        return self._items

    def _parse_rest(self, parser: "XMLPullParser[Element]") -> None:
        """Look at what the parser holds back: from 2.6 on, expat waits for more behind what seems incomplete."""
        flush = getattr(parser, "flush", None)  # Python 3.11.9, 3.12.3
        if flush is not None:
            with suppress(ParseError):  # what is behind the list is not looked at
                flush()
            self._parse(parser, "")

    def _after_head(self, text: str) -> str:
        """Put aside what is before the list, and return the rest."""
        self.head += text
        found = self._start.search(self.head)
        if found is None:
            if len(self.head) > HEAD_BYTES and not xml.begins_error(self.head):
                raise HalfAnswerError(f"OpenML's {self._kind.name} cannot be read")
            self.head = self.head[:HEAD_BYTES]
            return ""
        # No document type can come from here on, and so no entity that grows.
        self._parser = XMLPullParser(["start", "end"])
        self.head, rest = self.head[: found.start()], self.head[found.start() :]
        return rest

    def _parse(self, parser: "XMLPullParser[Element]", text: str) -> None:
        self._since_tag += len(text)
        try:
            parser.feed(text)
            for event, element in cast("Iterator[tuple[str, Element]]", parser.read_events()):
                self._since_tag = 0
                (self._above.append if event == "start" else self._end)(element)
                if self._is_whole:
                    return
        except (ParseError, ValueError) as error:
            raise HalfAnswerError(f"OpenML's {self._kind.name} cannot be read") from error
        if self._since_tag > TEXT_CHARACTERS:
            raise self._too_large(f"{TEXT_CHARACTERS} characters in one field")

    def _end(self, element: Element) -> None:
        self._above.pop()
        if not self._above:
            self._is_whole = True
            return
        if element.tag == self._item:
            if len(self._items) == self._kind.most:
                raise self._too_large(f"{self._kind.most} entries")
            self._items.append(self._kind.read(element))
        elif element.tag in self._kept and self._above[-1].tag == self._item:
            if len(self._above[-1]) > MOST_FIELDS:
                raise self._too_large(f"{MOST_FIELDS} fields in one entry")
            return
        self._above[-1].remove(element)

    def _too_large(self, bound: str) -> ListTooLargeError:
        return ListTooLargeError(f"OpenML's {self._kind.name} has more than {bound}")
