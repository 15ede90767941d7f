"""OpenML's objects, with the fields that are used here; `reading` makes them of its documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What OpenML says of one dataset; `error` is the text of a failed processing."""

    dataset_id: int
    name: str
    status: str
    md5: str
    error: str


@dataclass(frozen=True, slots=True)
class ListedDataset:
    """One line of OpenML's list."""

    dataset_id: int
    uploader: int | None
    status: str


@dataclass(frozen=True, slots=True)
class DatasetDescription:
    """A dataset as its owner described it. `texts` holds the fields that OpenML has, by its own names.

    `private` says that OpenML shows it to some users only.
    """

    dataset_id: int
    name: str
    status: str
    error: str
    texts: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]
    tags: tuple[str, ...]
    private: bool = False


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """Where the file of a dataset lies, and what of its description tells how to look at it.

    Attributes:
        dataset_id: its number.
        name: of the dataset.
        path: of the file on OpenML's server, e.g. `data/v1/download/61/iris.arff`; empty if it is kept elsewhere.
        md5: of the file, in hexadecimal; empty if it is not known.
        format: e.g. `ARFF`.
        target: the attribute that models predict; empty if there is none, or several.
        private: whether OpenML shows it to some users only.
        is_described: whether OpenML describes it, with the MD5 that it has; else `md5` is what it is kept by.
    """

    dataset_id: int
    name: str
    path: str
    md5: str
    format: str
    target: str
    private: bool
    is_described: bool = True


@dataclass(frozen=True, slots=True)
class Feature:
    """A column, as OpenML's engine read it; `data_type` is nominal, numeric, string or date."""

    name: str
    data_type: str


@dataclass(frozen=True, slots=True)
class ListedTask:
    """One line of OpenML's list of tasks; `inputs` are those that the list shows."""

    task_id: int
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Procedure:
    """An estimation procedure: which type of tasks it is for."""

    procedure_id: int
    type_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Study:
    """A collection of tasks or of runs."""

    study_id: int
    kind: str
    name: str
    description: str
    ids: frozenset[int]


EntityKind = Literal["task", "run"]
