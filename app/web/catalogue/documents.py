"""Documents of the index as pages show them: strangers wrote them, and any field may be missing or of any type."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.openml.fields import CHANGES, LICENCES
from app.web.catalogue.texts import first_words, one_line, plain, web_address

Document = Mapping[str, Any]
MOST_TAGS: Final = 100
MOST_QUALITIES: Final = 250
STUDY_TAG: Final = re.compile(r"study_([0-9]{1,18})")
STATUSES: Final = {
    "active": "Active",
    "in_preparation": "In preparation",
    "deactivated": "Deactivated",
}
ROLES: Final = {"target": "target", "identifier": "row number", "ignore": "ignored"}
TASK_KINDS: Final = {1: "classification", 2: "regression", 5: "clustering"}
"""The kinds of tasks that pages offer, by OpenML's numbers."""
SPLITTING: Final = ("crossvalidation", "holdout", "leave one out")
"""Procedures that split rows, by their names at OpenML."""
_LICENCES: Final = {licence.name: licence for licence in LICENCES}
_SPDX: Final = {licence.spdx: licence for licence in LICENCES if licence.spdx}


@dataclass(frozen=True, slots=True)
class ShownFeature:
    """A column of a dataset."""

    name: str
    type: str
    roles: list[str]
    missing: int | None
    distinct: int | None
    labels: list[str]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset; texts are empty and numbers None where they are not known."""

    id: int
    name: str
    version: str
    status: str
    format: str
    licence: str
    licence_url: str
    date: str
    processed: str
    uploader: str
    uploader_id: int | None
    creators: list[str]
    contributors: list[str]
    description: str
    summary: str
    citation: str
    collected: str
    language: str
    target: str
    source: str
    paper: str
    file: str
    parquet: str
    checksum: str
    error: str
    is_private: bool
    tags: list[str]
    collections: list[int]
    rows: int | None
    columns: int | None
    qualities: list[tuple[str, str]]
    features: list[ShownFeature]

    @property
    def year(self) -> str:
        """When it was published, as citations have it."""
        return self.date[:4]

    @property
    def is_parquet(self) -> bool:
        """Whether its file is Parquet; all others are ARFF."""
        return "parquet" in self.format.casefold() or self.format.casefold() == "pq"

    @property
    def status_words(self) -> str:
        """Its state in words."""
        return STATUSES.get(self.status, self.status)


@dataclass(frozen=True, slots=True)
class Task:
    """A task."""

    id: int
    type: str
    dataset_id: int | None
    dataset: str
    target: str
    procedure: str
    measures: str
    date: str
    uploader: str
    uploader_id: int | None
    inputs: list[tuple[str, str]]
    tags: list[str]
    collections: list[int]

    @property
    def name(self) -> str:
        """What it is called on pages."""
        return f"{self.type or 'Task'} on {self.dataset or 'a dataset'}"

    @property
    def has_splits(self) -> bool:
        """Whether rows are split into some that train and others that test."""
        kind, procedure = self.type.casefold(), self.procedure.casefold()
        return "supervised" in kind and any(name in procedure for name in SPLITTING)

    @property
    def goal(self) -> tuple[str, str]:
        """What is to be done, as a sentence: before the target, and after it; empty where it is not known."""
        kind = self.type.casefold()
        if "cluster" in kind:
            return "Find groups of rows that belong together; no column says which they are.", ""
        if not self.target:
            return "", ""
        what = "number" if "regression" in kind else "class"
        return f"Predict the {what} in the column", "from the other columns."


@dataclass(frozen=True, slots=True)
class ShownProcedure:
    """A way to measure a kind of task."""

    id: int
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class ShownCollection:
    """A collection of tasks, or of runs."""

    id: int
    name: str
    alias: str
    type: str
    description: str
    summary: str
    date: str
    uploader: str
    uploader_id: int | None
    counts: list[tuple[str, int]]

    @property
    def alias_is_random(self) -> bool:
        """Whether its other name tells people nothing, as those that we give."""
        return re.fullmatch(r"[0-9a-f]{32}", self.alias) is not None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody's public profile."""

    id: int
    name: str
    bio: str
    company: str
    country: str
    date: str
    uploads: list[tuple[str, int]]

    @property
    def initials(self) -> str:
        """What stands in place of a picture."""
        return "".join(word[0] for word in self.name.split()[:2]).upper()


def read_dataset(document: Document) -> Dataset:
    """Return a dataset as pages show it."""
    qualities = _mapping(document.get("qualities"))
    tags = _tags(document)
    licence = one_line(document.get("licence"))
    known = _LICENCES.get(licence) or _SPDX.get(licence)
    description = document.get("description")
    return Dataset(
        id=_number(document.get("data_id")) or 0,
        name=one_line(document.get("name")) or "Without a name",
        version=one_line(document.get("version"), limit=20),
        status=one_line(document.get("status"), limit=40),
        format=one_line(document.get("format"), limit=40),
        licence=licence,
        licence_url=(known.url or "") if known else "",
        date=_date(document.get("date")),
        processed=_date(document.get("processing_date")),
        uploader=_uploader(document),
        uploader_id=_number(document.get("uploader_id")),
        creators=_names(document.get("creator")),
        contributors=_names(document.get("contributor")),
        description=description if isinstance(description, str) else "",
        summary=first_words(description.partition(CHANGES)[0]) if isinstance(description, str) else "",
        citation=plain(document.get("citation"), limit=5000),
        collected=one_line(document.get("collection_date")),
        language=one_line(document.get("language"), limit=60),
        target=one_line(document.get("default_target_attribute")),
        source=web_address(document.get("original_data_url")),
        paper=web_address(document.get("paper_url")),
        file=web_address(document.get("url")),
        parquet=web_address(document.get("parquet_url")),
        checksum=one_line(document.get("md5_checksum"), limit=64),
        error=one_line(document.get("error_message"), limit=2000),
        is_private=document.get("visibility") not in {None, "public"},
        tags=[tag for tag in tags if not STUDY_TAG.fullmatch(tag)],
        collections=[int(found.group(1)) for tag in tags if (found := STUDY_TAG.fullmatch(tag))],
        rows=_number(qualities.get("NumberOfInstances")),
        columns=_number(qualities.get("NumberOfFeatures")),
        qualities=sorted(_quality(name, value) for name, value in [*qualities.items()][:MOST_QUALITIES]),
        features=[_feature(feature) for feature in _items(document.get("features"))],
    )


def read_task(document: Document) -> Task:
    """Return a task as pages show it."""
    source = _mapping(document.get("source_data"))
    own = {
        *("task_id", "tasktype", "source_data", "estimation_procedure", "evaluation_measures"),
        *("target_feature", "uploader", "uploader_id", "date", "tags", "collections", "runs", "visibility"),
    }
    inputs = [(one_line(name), one_line(value)) for name, value in document.items() if name not in own]
    return Task(
        id=_number(document.get("task_id")) or 0,
        type=one_line(_mapping(document.get("tasktype")).get("name")),
        dataset_id=_number(source.get("data_id")),
        dataset=one_line(source.get("name")),
        target=one_line(document.get("target_feature")),
        procedure=one_line(_mapping(document.get("estimation_procedure")).get("name")),
        measures=", ".join(_names(document.get("evaluation_measures"))),
        date=_date(document.get("date")),
        uploader=_uploader(document),
        uploader_id=_number(document.get("uploader_id")),
        inputs=[(name, value) for name, value in inputs if value and value != "0"],
        tags=[tag for tag in _tags(document) if not STUDY_TAG.fullmatch(tag)],
        collections=[
            number
            for item in _items(document.get("collections"))
            if (number := _number(item.get("id"))) is not None
        ],
    )


def read_collection(document: Document) -> ShownCollection:
    """Return a collection as pages show it."""
    description = document.get("description")
    counts = {name: _number(document.get(f"{name}_included")) for name in ("datasets", "tasks", "runs")}
    return ShownCollection(
        id=_number(document.get("study_id")) or 0,
        name=one_line(document.get("name")) or "Without a name",
        alias=one_line(document.get("alias"), limit=60),
        type=one_line(document.get("study_type"), limit=20),
        description=description if isinstance(description, str) else "",
        summary=first_words(description) if isinstance(description, str) else "",
        date=_date(document.get("date")),
        uploader=_uploader(document),
        uploader_id=_number(document.get("uploader_id")),
        counts=[(name, count) for name, count in counts.items() if count],
    )


def read_person(document: Document) -> Person:
    """Return a profile as pages show it."""
    names = (one_line(document.get(name), limit=100) for name in ("first_name", "last_name"))
    kinds = ("datasets", "tasks", "flows", "runs")
    return Person(
        id=_number(document.get("user_id")) or 0,
        name=" ".join(filter(None, names)) or "Without a name",
        bio=plain(document.get("bio"), limit=5000),
        company=one_line(document.get("company")),
        country=one_line(document.get("country")),
        date=_date(document.get("date")),
        uploads=[(kind, _number(document.get(f"{kind}_uploaded")) or 0) for kind in kinds],
    )


def read_procedure(document: Document) -> ShownProcedure | None:
    """Return a procedure; None if it is for kinds of tasks that no page offers."""
    number, kind = _number(document.get("proc_id")), TASK_KINDS.get(_number(document.get("task_type")) or 0)
    return ShownProcedure(number, one_line(document.get("name")), kind) if number and kind else None


def _feature(document: Document) -> ShownFeature:
    return ShownFeature(
        name=one_line(document.get("name")),
        type=one_line(document.get("type"), limit=40),
        roles=[role for flag, role in ROLES.items() if document.get(flag) in {"1", 1, "true"}],
        missing=_number(document.get("missing")),
        distinct=_number(document.get("distinct")),
        labels=_names(document.get("labels"))[:10],
    )


def _quality(name: str, value: object) -> tuple[str, str]:
    return one_line(name, limit=100), f"{value:.6g}" if isinstance(value, float) else one_line(
        value, limit=40
    )


def _tags(document: Document) -> list[str]:
    found = (one_line(item.get("tag"), limit=100) for item in _items(document.get("tags"))[:MOST_TAGS])
    return [tag for tag in found if tag]


def _names(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [name for each in values[:MOST_TAGS] if (name := one_line(each))]


def _uploader(document: Document) -> str:
    return one_line(document.get("uploader"), limit=200)


def _date(value: object) -> str:
    found = one_line(value, limit=40)[:10]
    return found if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", found) else ""


def _number(value: object) -> int | None:
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value)


def _mapping(value: object) -> Document:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> list[Document]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
