"""An index with a few documents, a private one of user 7 among them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.index.engine import SearchIndex
from app.index.store import Put, Store, path_in

SECRET = "zzsecret"
DOCUMENTS = [
    Put(
        "data",
        "61",
        {
            "data_id": 61,
            "name": "iris flowers",
            "exact_name": "iris flowers",
            "status": "active",
            "runs": 9,
            "version": 1,
            "date": "2014-04-06 23:23:39",
            "uploader_id": 1,
            "description": "Measured sepals & petals of running flowers",
            "licence": "Attribution (CC BY)",
            "format": "ARFF",
            "tags": [{"tag": "UCI", "uploader": "1"}, {"tag": "study_14", "uploader": "1"}],
            "qualities": {"NumberOfInstances": 150, "NumberOfFeatures": 5, "Skew": 0.25},
            "features": [{"name": "petalwidth", "type": "numeric", "missing": 0}],
        },
    ),
    Put(
        "data",
        "2",
        {
            "data_id": 2,
            "name": "anneal",
            "status": "active",
            "runs": 100,
            "version": 2,
            "date": "2015-01-01 10:00:00",
            "uploader_id": 1,
            "description": "Steel that is annealed",
            "licence": "Public",
            "format": "Sparse_ARFF",
            "tags": [{"tag": "uci", "uploader": "2"}],
            "qualities": {"NumberOfInstances": 898, "NumberOfFeatures": 39},
        },
    ),
    Put(
        "data",
        "3",
        {
            "data_id": 3,
            "name": "kr-vs-kp",
            "status": "in_preparation",
            "uploader_id": 2,
            "description": "Chess. It is hot.",
        },
    ),
    Put(
        "task",
        "59",
        {
            "task_id": 59,
            "tasktype": {"tt_id": 1, "name": "Supervised Classification"},
            "source_data": {"data_id": 61, "name": "iris flowers"},
            "target_feature": "class",
            "uploader_id": 1,
            "runs": 5,
        },
    ),
    Put(
        "task",
        "60",
        {
            "task_id": 60,
            "tasktype": {"tt_id": 2, "name": "Supervised Regression"},
            "source_data": {"data_id": 2, "name": "anneal"},
        },
    ),
    Put("study", "99", {"study_id": 99, "name": "OpenML-CC18 benchmark suite", "study_type": "task"}),
    Put("study", "14", {"study_id": 14, "name": "A comparison", "study_type": "run"}),
    Put(
        "user",
        "1",
        {"user_id": 1, "first_name": "Ada", "last_name": "Lovelace", "bio": "Engines", "email": "ada@x"},
    ),
    Put(
        "measure",
        "predictive-accuracy",
        {"name": "predictive_accuracy", "measure_type": "evaluation_measure"},
    ),
    Put("task_type", "1", {"tt_id": 1, "name": "Supervised Classification"}),
]
PRIVATE = [
    Put(
        "data",
        "62",
        {
            "data_id": 62,
            "name": f"{SECRET} iris",
            "status": "active",
            "uploader_id": 7,
            "description": f"{SECRET} flowers",
            "tags": [{"tag": SECRET, "uploader": "7"}],
            "licence": SECRET,
            "format": SECRET,
            "runs": 1000,
            "date": "2030-01-01 00:00:00",
            "qualities": {"NumberOfInstances": 77777},
            "features": [{"name": SECRET}],
        },
        public=False,
    ),
    Put("study", "15", {"study_id": 15, "name": f"{SECRET} suite", "uploader_id": 7}, public=False),
]


def fill(path: Path, documents: list[Put]) -> Path:
    """Make an index of these."""
    store = Store(path)
    with store.writing():
        store.put(documents)
        store.set_members(99, {"task": [59], "data": [61]})
    store.close()
    return path


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(path_in(tmp_path_factory.mktemp("index")), [*DOCUMENTS, *PRIVATE])


@pytest.fixture
def index(filled: Path) -> Iterator[SearchIndex]:
    opened = SearchIndex(filled)
    yield opened
    opened.close()


def found(answer: dict[str, Any]) -> list[str]:
    """The ids of what was found, in their order."""
    return [hit["_id"] for hit in answer["hits"]["hits"]]
