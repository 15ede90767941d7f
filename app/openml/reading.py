"""Parsers of OpenML's answers: bounded streaming for lists, whole documents otherwise."""

import codecs
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar, cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from app.openml import xml
from app.openml.errors import HalfAnswerError, ListTooLargeError
from app.openml.records import (
    DatasetDescription,
    DatasetInfo,
    Feature,
    ListedDataset,
    ListedTask,
    Procedure,
    Study,
)

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
    """Parses a list incrementally. `feed` and `finish` are CPU-bound: call them in a thread."""

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
            HalfAnswerError: the list is cut off.
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
        """Append the text before the list to `head`, and return the rest."""
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


LISTS = ("creator", "contributor", "ignore_attribute")
"""Fields of a dataset that may be repeated."""
TEXTS = tuple(name for name in xml.EDIT_FIELDS if name not in LISTS)
PAGE = 1000
"""Entries that are asked for at once where a list can have any number of them."""
_ENTRY_BYTES = 64 << 10
"""Of a dataset or task in a list, with more than a hundred qualities."""
_SHORT_LIST_BYTES = 8 << 20
_LEAST_COLUMNS = 100_000
_FEATURE_BYTES = 4 << 10
"""Of a column: its name and flags take 700 bytes at most, the rest is for labels, of which few columns have many."""


def _whole_number(element: Element, name: str) -> int:
    return int(xml.child_text(element, name) or 0)


def _feature(item: Element) -> Feature:
    # Four words for fifty thousand columns.
    return Feature(xml.child_text(item, "name") or "", sys.intern(xml.child_text(item, "data_type") or ""))


def _listed_dataset(item: Element) -> ListedDataset:
    return ListedDataset(
        dataset_id=_whole_number(item, "did"),
        uploader=_whole_number(item, "uploader") or None,
        status=sys.intern(xml.child_text(item, "status") or ""),
    )


def _listed_task(item: Element) -> ListedTask:
    inputs = {node.get("name", ""): node.text or "" for node in item.findall(f"{xml.OML}input")}
    return ListedTask(_whole_number(item, "task_id"), inputs)


def _procedure(item: Element) -> Procedure:
    return Procedure(
        procedure_id=_whole_number(item, "id"),
        type_id=_whole_number(item, "ttid"),
        name=xml.child_text(item, "name") or "",
    )


def features(max_columns: int) -> ListKind[Feature]:
    """Return how the list of a dataset's columns is read, of the largest table that is published here and larger."""
    most = max(max_columns, _LEAST_COLUMNS)
    return ListKind(
        name="list of columns",
        root="data_features",
        item="feature",
        fields=frozenset({"name", "data_type"}),
        read=_feature,
        most=most,
        limit_bytes=most * _FEATURE_BYTES,
    )


DATASETS = ListKind(
    name="list of datasets",
    root="data",
    item="dataset",
    fields=frozenset({"did", "uploader", "status"}),
    read=_listed_dataset,
    most=PAGE,
    limit_bytes=PAGE * _ENTRY_BYTES,
)
TASKS = ListKind(
    name="list of tasks",
    root="tasks",
    item="task",
    fields=frozenset({"task_id", "input"}),
    read=_listed_task,
    most=PAGE,
    limit_bytes=PAGE * _ENTRY_BYTES,
)
PROCEDURES = ListKind(
    name="list of estimation procedures",
    root="estimationprocedures",
    item="estimationprocedure",
    fields=frozenset({"id", "ttid", "name"}),
    read=_procedure,
    most=10_000,
    limit_bytes=_SHORT_LIST_BYTES,
)
MEASURES = ListKind(
    name="list of evaluation measures",
    root="evaluation_measures",
    item="measure",
    fields=frozenset(),
    read=lambda item: (item.text or "").strip(),
    most=10_000,
    limit_bytes=_SHORT_LIST_BYTES,
)


def read_info(dataset_id: int, document: Element) -> DatasetInfo:
    """Return a dataset's status, MD5 and processing error."""
    return DatasetInfo(
        dataset_id=dataset_id,
        name=xml.child_text(document, "name") or "",
        status=xml.child_text(document, "status") or "",
        md5=xml.child_text(document, "md5_checksum") or "",
        error=xml.child_text(document, "error") or "",
    )


def read_description(dataset_id: int, document: Element, *, private: bool) -> DatasetDescription:
    """Return how a dataset is described."""
    return DatasetDescription(
        dataset_id=dataset_id,
        name=xml.child_text(document, "name") or "",
        status=xml.child_text(document, "status") or "",
        error=xml.child_text(document, "error") or "",
        texts={name: xml.child_text(document, name) or "" for name in TEXTS},
        lists={name: xml.child_texts(document, name) for name in LISTS},
        tags=xml.child_texts(document, "tag"),
        private=private,
    )


def read_inputs(document: Element) -> dict[str, str]:
    """Return the inputs of a task."""
    return {item.get("name", ""): item.text or "" for item in document.findall(f"{xml.OML}input")}


def read_study(document: Element) -> Study:
    """Return a collection.

    Raises:
        HalfAnswerError: it has numbers that are none.
    """
    try:
        return _study(document)
    except ValueError as error:
        raise HalfAnswerError("OpenML's description of the collection cannot be read") from error


def _study(document: Element) -> Study:
    kind = xml.child_text(document, "main_entity_type") or ""
    ids = document.findall(f"{xml.OML}{kind}s/{xml.OML}{kind}_id")
    return Study(
        study_id=_whole_number(document, "id"),
        kind=kind,
        name=xml.child_text(document, "name") or "",
        description=xml.child_text(document, "description") or "",
        ids=frozenset(int(item.text or 0) for item in ids),
    )


def may_equal(task: ListedTask, inputs: Mapping[str, str]) -> bool:
    """Return whether the inputs that a list shows contradict the ones that are looked for."""
    return all(inputs.get(name) == value for name, value in task.inputs.items() if value)
