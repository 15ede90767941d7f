"""The kinds of documents, and which of their fields have a column, words or a table of their own.

Any other field is found as well, in the document itself: that takes a look at each document that is left.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

Document = Mapping[str, Any]
Scalar = str | int | float | None

KINDS: Final = ("data", "task", "flow", "run", "study", "task_type", "measure", "user")
"""OpenML's indices; `benchmark` is a study."""
SHELVES: Final = MappingProxyType({kind: number for number, kind in enumerate(KINDS, start=1)})
"""The number of each kind. A private document has the negative number, so that no search over public ones reads it."""
PRIVATE_FIELDS: Final = frozenset({"email", "password", "session_hash", "api_key", "suggest"})
"""Never kept in a document."""

NUMBERS: Final = MappingProxyType(
    {
        "uploader_id": "owner",
        "runs": "runs",
        "nr_of_likes": "likes",
        "nr_of_downloads": "downloads",
        "version": "version",
        "qualities.NumberOfInstances": "instances",
        "qualities.NumberOfFeatures": "features",
        "qualities.NumberOfClasses": "classes",
        "qualities.NumberOfMissingValues": "missing",
        "qualities.NumberOfNumericFeatures": "numeric",
    }
)
TEXTS: Final = MappingProxyType(
    {
        "status": "status",
        "date": "date",
        "name": "name",
        "exact_name": "name",
        "licence": "licence",
        "format": "format",
    }
)
OWN_NUMBERS: Final = MappingProxyType(
    {
        "data": {"data_id": "number"},
        "task": {"task_id": "number", "source_data.data_id": "parent", "tasktype.tt_id": "type"},
        "flow": {"flow_id": "number"},
        "run": {"run_id": "number", "run_task.task_id": "parent", "run_flow.flow_id": "type"},
        "study": {"study_id": "number"},
        "task_type": {"tt_id": "number"},
        "measure": {},
        "user": {"user_id": "number"},
    }
)
"""Fields of one kind that have a column of numbers."""
OWN_TEXTS: Final = MappingProxyType(
    {
        "task": {"tasktype.name": "subtype"},
        "study": {"study_type": "subtype"},
        "measure": {"measure_type": "subtype"},
    }
)
NUMERIC_COLUMNS: Final = frozenset({*NUMBERS.values(), "number", "parent", "type"})
COLUMNS: Final = tuple(
    dict.fromkeys((*NUMBERS.values(), *TEXTS.values(), "number", "parent", "type", "subtype"))
)
ANALYZED: Final = MappingProxyType({"name": "name", "description": "body"})
"""Fields that are searched by their words, and the column of the words."""
LINKED: Final = MappingProxyType({"tags": "tag", "collections": "id"})
"""Nested fields with a table of their own, and the one part of them that it holds."""
WORDS_COLUMNS: Final = ("name", "more", "body")
WEIGHTS: Final = (10.0, 3.0, 1.0)
"""What a word counts for in each of them."""
LONGEST_NAME = 300
LONGEST_BODY = 20_000
"""Characters of a description that are searched."""
MOST_NAMES = 200
"""Features whose names are searched."""
_MOMENT = re.compile(
    r"[12]\d{3}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])([ T][0-2]\d:[0-5]\d(:[0-5]\d.{0,20})?)?)?)?", re.ASCII
)
_STUDY_TAG = re.compile(r"study_(\d{1,15})")


def column_of(kinds: tuple[str, ...], field: str) -> str | None:
    """Return the column of a field that all these kinds have there; None where it is in the documents only."""
    common = NUMBERS.get(field) or TEXTS.get(field)
    if common:
        return common
    found = {OWN_NUMBERS[kind].get(field) or OWN_TEXTS.get(kind, {}).get(field) for kind in kinds}
    return found.pop() if len(found) == 1 else None


def look_up(document: object, path: str) -> object:
    """Return what stands at a dotted path; None where nothing does."""
    for step in path.split("."):
        if not isinstance(document, Mapping):
            return None
        document = document.get(step)
    return document


def columns_of(kind: str, document: Document) -> dict[str, Scalar]:
    """Return the columns of a document."""
    paths = {**NUMBERS, **TEXTS, **OWN_NUMBERS[kind], **OWN_TEXTS.get(kind, {})}
    found: dict[str, Scalar] = dict.fromkeys(COLUMNS)
    for path, column in paths.items():
        value = look_up(document, path)
        shaped = as_number(value) if column in NUMERIC_COLUMNS else as_text(value)
        if found[column] is None:
            found[column] = shaped
    found["date"] = as_moment(str(found["date"] or ""))
    if kind == "user":
        found["name"] = as_text(" ".join(filter(None, _texts(document, "first_name", "last_name"))))
    return found


def as_number(value: object) -> int | float | None:
    """Return a number, also of a text that is one; None for anything else, and what no number of SQLite is."""
    if isinstance(value, str) and len(value) <= 40:  # noqa: PLR2004 - longer than any number
        value = _parsed(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else None
    return value if value == value and abs(value) != float("inf") else None  # noqa: PLR0124 - NaN


def _parsed(text: str) -> int | float | None:
    for read in (int, float):
        try:
            found: int | float = read(text)
        except ValueError:
            continue
        return found
    return None


def as_moment(text: str, *, is_late: bool = False) -> str | None:
    """Return a moment as documents have it (`2026-11-29 10:00:00`), also of the beginning of one; None for no moment.

    Args:
        text: at least a year.
        is_late: whether what is missing is the end of the day, month or year.
    """
    if not _MOMENT.fullmatch(text):
        return None
    missing = "9999-12-31 23:59:59" if is_late else "0000-01-01 00:00:00"
    return text[:19].replace("T", " ") + missing[len(text[:19]) :]


def as_text(value: object) -> str | None:
    """Return a text of bounded length; None for what is neither text nor number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)[:LONGEST_NAME]


def words_of(kind: str, document: Document) -> tuple[str, str, str]:
    """Return what is searched of a document, by `WORDS_COLUMNS`. The same document always has the same words."""
    name = " ".join(_texts(document, "name", "first_name", "last_name"))
    if kind == "task":
        name = " ".join(_texts(document, "tasktype.name", "source_data.name", "target_feature"))
    elif kind == "run":
        name = " ".join(
            _texts(document, "run_flow.name", "run_task.source_data.name", "run_task.tasktype.name")
        )
    more = [*_more(document), *tags_of(document)]
    body = " ".join(_texts(document, "description", "bio"))
    return name[: 10 * LONGEST_NAME], " ".join(more)[:LONGEST_BODY], body[:LONGEST_BODY]


def _more(document: Document) -> Iterator[str]:
    yield from _texts(
        document,
        *(
            "uploader",
            "licence",
            "format",
            "default_target_attribute",
            "citation",
            "estimation_procedure.name",
        ),
        *("evaluation_measures", "external_version", "alias", "company", "country"),
    )
    for path in ("creator", "contributor"):
        value = look_up(document, path)
        yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str))
    features = document.get("features")
    for feature in (features if isinstance(features, list) else [])[:MOST_NAMES]:
        name = look_up(feature, "name")
        if isinstance(name, str):
            yield name


def _texts(document: Document, *paths: str) -> list[str]:
    return [value for path in paths if isinstance(value := look_up(document, path), str)]


def tags_of(document: Document) -> list[str]:
    """Return the tags of a document."""
    return [tag for tag in _items(document, "tags", "tag") if isinstance(tag, str)]


def links_of(document: Document) -> Iterator[tuple[str, str]]:
    """Yield what its tables hold of a document: the nested field and the value, in lower case."""
    for field, part in LINKED.items():
        for value in _items(document, field, part):
            if isinstance(value, str | int):
                yield field, str(value).lower()[:LONGEST_NAME]


def study_of(tag: str) -> str | None:
    """Return the number of the collection whose members a tag names: `study_14` names those of 14."""
    found = _STUDY_TAG.fullmatch(tag)
    return found[1] if found else None


def _items(document: Document, field: str, part: str) -> list[object]:
    items = document.get(field)
    return [look_up(item, part) for item in items] if isinstance(items, list) else []
