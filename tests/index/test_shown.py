"""What pages read of each kind of document without looking is there, also where a list's line is all that is known."""

from pathlib import Path
from typing import Any

import pytest

from app.index import documents
from app.index.engine import SearchIndex
from app.index.fields import look_up
from app.index.store import Put, path_in
from app.web.search_query import TYPES, translate
from tests.index.conftest import fill

READ: dict[str, dict[type, str]] = {
    "data": {
        int: "data_id version uploader_id runs nr_of_likes nr_of_downloads",
        str: "name status date description uploader",
        list: "features tags",
        dict: "qualities",
    },
    "task": {
        int: "task_id tasktype.tt_id source_data.data_id runs nr_of_likes",
        str: "tasktype.name source_data.name estimation_procedure.name date",
        list: "tags collections",
    },
    "flow": {
        int: "flow_id version runs nr_of_likes",
        str: "name description date dependencies uploader",
        list: "parameters tags",
    },
    "run": {
        int: "run_id uploader_id run_task.task_id run_flow.flow_id nr_of_likes",
        str: "uploader date error run_task.tasktype.name run_task.source_data.name run_flow.name",
        list: "evaluations tags run_flow.parameters",
        dict: "output_files",
    },
    "study": {
        int: "study_id datasets_included tasks_included flows_included runs_included",
        str: "name study_type date description uploader",
    },
    "task_type": {int: "tt_id", str: "name description"},
    "measure": {str: "measure_type name description"},
    "user": {
        int: "user_id datasets_uploaded tasks_uploaded flows_uploaded runs_uploaded",
        str: "first_name last_name bio image date",
    },
}
DATA = {"did": "61", "name": "iris", "version": "1", "status": "active", "uploader": "1", "format": "ARFF"}
TASK = {"task_id": "59", "task_type_id": "1", "task_type": "Classification", "did": "61", "name": "iris"}
LINES = [
    documents.of_dataset({**DATA, "quality": {"NumberOfInstances": "150.0"}}),
    documents.of_task({**TASK, "input": {"estimation_procedure": "1"}}, {"1": "10-fold"}),
    documents.of_flow({"id": "3", "name": "forest", "version": "1", "uploader": "1"}, detailed=False),
    documents.of_listed_run({"run_id": "7", "task_id": "59", "flow_id": "3", "uploader": "1"}),
    documents.of_study(
        {"id": "99", "name": "CC18", "main_entity_type": "task", "creator": "1", "status": "active"},
        detailed=False,
    ),
    documents.of_task_type({"id": "1", "name": "Classification"}),
    documents.of_procedure({"id": "1", "name": "10-fold", "ttid": "1"}),
    documents.of_measure({"name": "predictive_accuracy"}),
    documents.of_quality({"name": "NumberOfInstances"}),
    Put("user", "1", {"user_id": 1, "first_name": "Ada", "last_name": None}),
]


def require_shape(kind: str, document: dict[str, Any]) -> None:
    """Fail where a page would break."""
    for shape, paths in READ[kind].items():
        for path in paths.split():
            assert isinstance(look_up(document, path), shape), (kind, path)


@pytest.mark.parametrize("kind", TYPES)
async def test_document_when_a_list_alone_tells_of_it_then_it_has_what_pages_read(
    kind: str, tmp_path: Path
) -> None:
    index = SearchIndex(fill(path_in(tmp_path), LINES))
    listed = await index.search((kind,), translate({"size": 10}, (kind,), viewer_id=None))
    assert listed["hits"]["hits"]
    for hit in listed["hits"]["hits"]:
        require_shape(kind, hit["_source"])
        one = await index.get(kind, hit["_id"])
        assert one == hit["_source"]
    index.close()
