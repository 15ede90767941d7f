"""What an address of the search page asks for, and the addresses that its links lead to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from app.index.catalogue import MOST_PAGES, SORTS, Facet, Filters
from app.web.catalogue.documents import STATUSES
from app.web.catalogue.texts import one_line

KINDS: Final = {"data": "Datasets", "task": "Tasks", "study": "Collections", "user": "People"}
ALIASES: Final = {"benchmark": "study"}
"""What the official frontend calls them, too."""
OLD_SORTS: Final = {"date": "newest"}
SORTS_OF: Final[Mapping[str, Mapping[str, str]]] = {
    "data": {
        "": "Best first",
        "newest": "Newest",
        "oldest": "Oldest",
        "name": "Name",
        "rows": "Most rows",
        "columns": "Most columns",
    },
    "task": {"": "Best first", "runs": "Most runs"},
    "study": {"": "Best first", "newest": "Newest", "oldest": "Oldest", "name": "Name"},
    "user": {"": "Best first", "newest": "Newest", "name": "Name"},
}
ANY: Final = "any"
MOST_TAGS: Final = 10
TEXT_CHARACTERS: Final = 300
SIZE: Final = re.compile(r"(\*|[0-9]{1,12})(?:\.0)?-(\*|[0-9]{1,12})(?:\.0)?")
STUDY_TYPES: Final = {"task": "Tasks", "run": "Runs"}
TARGETS: Final = {"two": "Two classes", "more": "More classes", "number": "A number"}
"""What datasets are made to predict."""
_CLASSES: Final[Mapping[str, tuple[int | None, int | None]]] = {
    "two": (2, 2),
    "more": (3, None),
    "number": (None, 0),
}


@dataclass(frozen=True, slots=True)
class Query:
    """A search of our own pages; what is empty filters nothing.

    Attributes:
        kind: one of `KINDS`.
        status: of datasets; `any` for all of them.
        size: rows of datasets, from and below: `1000-10000`; `*` where there is no bound.
        target: what datasets are made to predict, one of `TARGETS`.
        type: of tasks their type's name, of collections what they hold.
    """

    kind: str = "data"
    text: str = ""
    sort: str = ""
    status: str = "active"
    licence: str = ""
    format: str = ""
    size: str = ""
    target: str = ""
    tags: tuple[str, ...] = ()
    type: str = ""
    data_id: int | None = None
    study_id: int | None = None
    uploader_id: int | None = None
    page: int = 1

    @property
    def filters(self) -> Filters:
        """What the index is asked for."""
        low, high = _bounds(self.size)
        is_data = self.kind == "data"
        fewest, most = _CLASSES.get(self.target, (None, None)) if is_data else (None, None)
        return Filters(
            status=self.status if is_data and self.status != ANY else "",
            licence=self.licence if is_data else "",
            format=self.format if is_data else "",
            tags=self.tags,
            least_rows=low if is_data else None,
            most_rows=high - 1 if is_data and high is not None else None,
            least_classes=fewest,
            most_classes=most,
            uploader_id=self.uploader_id,
            data_id=self.data_id,
            study_id=self.study_id if self.kind in {"data", "task"} else None,
            type=self.type if self.kind in {"task", "study"} else "",
        )

    @property
    def address(self) -> str:
        """The page that shows it."""
        shown = {
            "type": self.kind,
            "q": self.text,
            "sort": self.sort,
            "status": "" if self.kind != "data" or self.status == "active" else self.status,
            **(
                {"licence": self.licence, "format": self.format, "size": self.size, "target": self.target}
                if self.kind == "data"
                else {}
            ),
            "tag": self.tags,
            ("study_type" if self.kind == "study" else "task_type"): self.type,
            **{name: getattr(self, name) or "" for name in ("data_id", "study_id", "uploader_id")},
            "page": self.page if self.page > 1 else "",
        }
        return f"/search?{urlencode({name: value for name, value in shown.items() if value}, doseq=True)}"

    def with_kind(self, kind: str) -> str:
        """Return the address of the same text among another kind of things."""
        return Query(kind=kind, text=self.text).address

    def with_status(self, status: str) -> str:
        """Return the address of the same search among datasets of another status."""
        return replace(self, status=status, page=1).address

    def with_page(self, page: int) -> str:
        """Return the address of another page."""
        return replace(self, page=page).address


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a filter that can be chosen, or taken back."""

    label: str
    count: int | None
    address: str
    is_chosen: bool = False


def read_query(parameters: QueryParams) -> Query:
    """Return what an address asks for; what makes no sense in it is left out."""

    def text(name: str) -> str:
        return one_line(parameters.get(name, ""), limit=TEXT_CHARACTERS)

    kind = ALIASES.get(text("type"), text("type"))
    kind = kind if kind in KINDS else "data"
    sort = OLD_SORTS.get(text("sort"), text("sort"))
    status = text("status")
    study_type = text("study_type")
    page = _number(text("page")) or 1
    return Query(
        kind=kind,
        text=text("q") or text("query"),
        sort=sort if sort in SORTS and sort in SORTS_OF[kind] else "",
        status=status if status in STATUSES or status == ANY else "active",
        licence=text("licence"),
        format=text("format"),
        size=text("size") if SIZE.fullmatch(text("size")) else "",
        target=text("target") if text("target") in TARGETS else "",
        tags=tuple(filter(None, (one_line(tag) for tag in parameters.getlist("tag")[:MOST_TAGS]))),
        type=study_type
        if kind == "study" and study_type in STUDY_TYPES
        else text("task_type")
        if kind == "task"
        else "",
        data_id=_number(text("data_id")),
        study_id=_number(text("study_id")),
        uploader_id=_number(text("uploader_id")),
        page=min(page, MOST_PAGES),
    )


def choices(query: Query, facets: Mapping[str, list[Facet]]) -> dict[str, list[Choice]]:
    """Return what results can be narrowed to, by the filter's title."""
    found = {
        "Rows": [
            _choice(query, facet, "size", size_in_words(_size(facet.value)))
            for facet in facets.get("size", [])
        ],
        "Licence": [_choice(query, facet, "licence", facet.value) for facet in facets.get("licence", [])],
        "Format": [_choice(query, facet, "format", facet.value) for facet in facets.get("format", [])],
        "Type": [
            _choice(query, facet, "type", STUDY_TYPES.get(facet.value, facet.value))
            for facet in facets.get("type", [])
        ],
        "Tag": [
            _tag(query, facet) for facet in facets.get("tag", []) if not facet.value.startswith("study_")
        ],
    }
    return {
        title: listed
        for title, listed in found.items()
        if len(listed) > 1 or any(each.is_chosen for each in listed)
    }


def chosen(query: Query) -> list[Choice]:
    """Return the filters that hold, with the addresses without them."""
    first = replace(query, page=1)
    found = [
        (f"Rows: {size_in_words(query.size)}", query.size, replace(first, size="")),
        (f"Predicts: {TARGETS.get(query.target, '')}", query.target, replace(first, target="")),
        (f"Licence: {query.licence}", query.licence, replace(first, licence="")),
        (f"Format: {query.format}", query.format, replace(first, format="")),
        (f"Type: {STUDY_TYPES.get(query.type, query.type)}", query.type, replace(first, type="")),
        (f"Of dataset {query.data_id}", query.data_id, replace(first, data_id=None)),
        (f"In collection {query.study_id}", query.study_id, replace(first, study_id=None)),
        (f"Of user {query.uploader_id}", query.uploader_id, replace(first, uploader_id=None)),
        *((f"Tag: {tag}", tag, replace(first, tags=_without(query.tags, tag))) for tag in query.tags),
    ]
    return [Choice(label, None, without.address, is_chosen=True) for label, value, without in found if value]


def size_in_words(size: str) -> str:
    """Return a range of rows for people."""
    low, high = _bounds(size)
    if low is None:
        return f"under {high:,}" if high is not None else "any"
    return f"{low:,} to {high:,}" if high is not None else f"{low:,} and more"


def _choice(query: Query, facet: Facet, name: str, label: str) -> Choice:
    value = _size(facet.value) if name == "size" else facet.value
    is_chosen = getattr(query, name) == value
    wanted = "" if is_chosen else value
    first = replace(query, page=1)
    changed = {
        "size": replace(first, size=wanted),
        "licence": replace(first, licence=wanted),
        "format": replace(first, format=wanted),
        "type": replace(first, type=wanted),
    }
    return Choice(one_line(label, limit=80), facet.count, changed[name].address, is_chosen)


def _tag(query: Query, facet: Facet) -> Choice:
    is_chosen = facet.value in query.tags
    tags = _without(query.tags, facet.value) if is_chosen else (*query.tags, facet.value)
    return Choice(
        one_line(facet.value, limit=80), facet.count, replace(query, tags=tags, page=1).address, is_chosen
    )


def _without(tags: tuple[str, ...], tag: str) -> tuple[str, ...]:
    return tuple(each for each in tags if each != tag)


def _size(value: str) -> str:
    return value.replace(".0", "")


def _bounds(size: str) -> tuple[int | None, int | None]:
    found = SIZE.fullmatch(size)
    if found is None:
        return None, None
    low, high = ((None if text == "*" else int(text)) for text in found.groups())
    return low, high


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None
