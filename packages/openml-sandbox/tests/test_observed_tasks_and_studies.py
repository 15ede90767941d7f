"""What the real server answered about tasks, suites and studies; the calls follow each other, as they did there."""

import threading
from pathlib import Path
from typing import Any

import pytest

from sandbox_replay import load_rows, replay
from sandbox_server import OTHER, WRITER, Serve, Server, code_of, describe
from sandbox_tasks import make_task, post_task, task_xml

ROWS = load_rows("observed_tasks_and_studies.json")


def test_calls_when_made_in_the_order_of_the_record_then_all_answers_agree(
    serve: Serve, tmp_path: Path
) -> None:
    with serve(tmp_path) as server, server.client() as client:
        target = describe(default_target_attribute="class")
        ids = {"B": server.publish(target)}
        server.wait_until_processed(ids["B"])
        # One stays in preparation, one is activated by an administrator before it has features.
        server.switch_on("never-active", "POST /data", times=2)
        ids |= {"H": server.publish(target), "N": server.publish(target)}
        differences = [difference for row in ROWS for difference in replay(client, row, ids)]

        assert differences == []
        # Row 477 left a task without inputs in its suite: it can be deleted no more, nor read.
        broken = ids["195"]
        assert code_of(server.get(f"task/inputs/{broken}")) == 157
        assert server.get(f"task/{broken}").status_code == 500
        assert str(broken) not in server.get("study/probe").json()["study"]["tasks"]["task_id"]


def test_tasks_when_equal_ones_come_at_once_then_all_but_one_are_told_which_there_is(
    server: Server, dataset_id: int
) -> None:
    xml = task_xml(1, source_data=dataset_id, target_feature="c", estimation_procedure=25)
    answers: list[dict[str, Any]] = []

    def post(key: str) -> None:
        answers.append(post_task(server, xml, key))

    threads = [threading.Thread(target=post, args=(key,)) for key in (WRITER, OTHER) * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Rows 756-764; the second one that the real server made in 762 is made by the fault below.
    made = [answer["upload_task"]["id"] for answer in answers if "upload_task" in answer]
    told = {answer["error"]["additional_information"] for answer in answers if "error" in answer}
    assert len(made) == 1
    assert told == {f"matched id(s): [{made[0]}]"}
    server.switch_on("race-614", "POST /task")
    second = post_task(server, xml)["upload_task"]["id"]
    assert post_task(server, xml)["error"] == {
        "code": "614",
        "message": "Task already exists.",
        "additional_information": f"matched id(s): [{made[0]},{second}]",
    }


PREDICTIONS = ["repeat", "fold", "row_id", "confidence.classname", "prediction"]


@pytest.mark.parametrize(
    ("task_type", "inputs", "data_set", "parameters"),
    [
        (
            1,
            {"target_feature": "c", "estimation_procedure": 1},
            {"target_feature": "c"},
            {"number_repeats": "1", "number_folds": "10", "percentage": None, "stratified_sampling": "true"},
        ),
        (
            2,
            {"target_feature": "a", "estimation_procedure": 12},
            {"target_feature": "a"},
            {"number_repeats": "1", "number_folds": None, "percentage": "33"},
        ),
        (
            3,
            {"target_feature": "c", "estimation_procedure": 13},
            {"target_feature": "c"},
            {"number_repeats": "1", "number_folds": "10", "number_samples": None},
        ),
        (4, {"target_feature": "c", "estimation_procedure": 15}, {"target_feature": "c"}, {}),
        (5, {"estimation_procedure": 17}, {}, {"number_repeats": "50", "stratified_sampling": None}),
        (
            7,
            {"target_feature_event": "a", "target_feature_left": "b", "estimation_procedure": 19},
            {"target_feature_left": "b", "target_feature_right": [], "target_feature_event": "a"},
            {"number_repeats": "1", "number_folds": "10"},
        ),
        (
            10,
            {"target_feature": "c", "estimation_procedure": 30, "batch_size": 5, "annotation_costs": "[1]"},
            {"target_feature": "c"},
            {"number_repeats": "1", "number_folds": "10", "percentage": None, "stratified_sampling": "true"},
        ),
        (
            11,
            {"target_feature": "d", "estimation_procedure": 35},
            {"target_feature": "d"},
            {"number_repeats": "1", "number_folds": None, "percentage": "33", "stratified_sampling": "false"},
        ),
    ],
)
def test_task_when_made_and_read_then_its_type_decides_what_is_told(
    *,
    server: Server,
    dataset_id: int,
    task_type: int,
    inputs: dict[str, object],
    data_set: dict[str, object],
    parameters: dict[str, str | None],
) -> None:
    task_id = make_task(server, task_type, source_data=dataset_id, **inputs)
    task = server.get(f"task/{task_id}").json()["task"]
    told = {known["name"]: known for known in task["input"]}

    assert told["source_data"]["data_set"] == {"data_set_id": str(dataset_id)} | data_set
    procedure = told["estimation_procedure"]["estimation_procedure"]
    listed = procedure.get("parameter", [])
    assert {known["name"]: known.get("value") for known in listed} == parameters
    assert ("data_splits_url" in procedure) == bool(parameters)
    # What was not given appears all the same.
    assert told["evaluation_measures"]["evaluation_measures"] == {"evaluation_measure": []}
    assert task["output"]["predictions"]["format"] == "ARFF"
    flat = server.get(f"task/inputs/{task_id}").json()["task_inputs"]
    assert {known["name"]: known["value"] for known in flat["input"]} == {
        name: str(value) for name, value in {"source_data": dataset_id, **inputs}.items()
    }
    assert task_id in {
        known["task_id"] for known in server.get(f"task/list/type/{task_type}").json()["tasks"]["task"]
    }


@pytest.mark.parametrize(
    ("task_type", "inputs", "code", "told"),
    [
        (5, {"target_feature": "c", "estimation_procedure": 17}, 616, "problematic input: target_feature"),
        (3, {"number_samples": 3, "estimation_procedure": 13}, 619, "problematic input: number_samples"),
        (7, {"target_feature_event": "c", "estimation_procedure": 19}, 622, "acceptable inputs: [a, b]"),
        (11, {"target_feature": "e", "estimation_procedure": 35}, 622, "acceptable inputs: [a, b, c, d]"),
        (
            10,
            {"batch_size": "x", "target_feature": "c", "estimation_procedure": 30},
            621,
            "batch_size; should be of type: numeric",
        ),
        (1, {"cost_matrix": "NaN"}, 621, "cost_matrix; should be of type: json"),
        (1, {"estimation_procedure": "1"}, 618, "problematic input(s): target_feature"),
        (0, {}, 616, "problematic input: source_data"),
    ],
)
def test_task_when_its_inputs_are_wrong_then_the_code_says_which(
    *, server: Server, dataset_id: int, task_type: int, inputs: dict[str, object], code: int, told: str
) -> None:
    answer = post_task(server, task_xml(task_type, source_data=dataset_id, **inputs))

    assert answer["error"]["code"] == str(code)
    assert told in answer["error"]["additional_information"]


def test_task_when_numbers_are_written_otherwise_then_php_takes_them_for_equal(
    server: Server, dataset_id: int
) -> None:
    task_id = make_task(
        server, 1, source_data=f"0{dataset_id}", target_feature="c", estimation_procedure="2.0"
    )

    told = server.get(f"task/{task_id}").json()["task"]["input"]
    assert told[0]["data_set"]["data_set_id"] == f"0{dataset_id}"
    assert told[1]["estimation_procedure"]["id"] == "2"


def test_task_when_a_tag_is_repeated_then_two_documents_come_and_the_task_stands(
    server: Server, dataset_id: int
) -> None:
    xml = task_xml(1, ("t", "u", "t"), source_data=dataset_id, target_feature="c", estimation_procedure=4)
    with server.client() as client:
        answer = client.post("/api/v1/task", data={"api_key": WRITER}, files={"description": ("d", xml)})

    assert answer.status_code == 500
    assert answer.text.count("xmlns:oml") == 2
    task_id = answer.text.rpartition("<oml:id>")[2].partition("<")[0]
    assert server.get(f"task/{task_id}").json()["task"]["tag"] == ["t", "u"]
    assert "t" in server.get("task/tag/list").json()["task_tag_list"]["tag"]


def test_task_when_its_prefix_is_another_then_nothing_is_found_in_it(server: Server, dataset_id: int) -> None:
    xml = task_xml(1, source_data=dataset_id, target_feature="c", estimation_procedure=5)

    answer = post_task(server, xml.replace(b"oml:", b"o:").replace(b"xmlns:oml", b"xmlns:o"))
    assert answer["error"]["code"] == "615"


def test_task_when_it_has_a_testset_of_its_own_then_it_is_made_but_not_told(
    server: Server, dataset_id: int
) -> None:
    inputs = {"source_data": dataset_id, "target_feature": "c", "estimation_procedure": 16}
    task_id = make_task(server, 1, **inputs, custom_testset="[0]")

    assert code_of(server.get(f"task/{task_id}")) == 153


def test_subgroup_task_when_read_then_what_has_no_procedure_is_told_by_its_own_names(
    server: Server, dataset_id: int
) -> None:
    inputs = {"source_data": dataset_id, "target_feature": "c", "target_value": "x"}
    task_id = make_task(server, 8, **inputs, quality_measure="cortana_quality", time_limit=60)
    task = server.get(f"task/{task_id}").json()["task"]

    assert task["input"] == [
        {
            "name": "source_data",
            "data_set": {"data_set_id": str(dataset_id), "target_feature": "c", "target_value": "x"},
        },
        {"name": "quality_measure", "quality_measure": "cortana_quality"},
        {"name": "time_limit", "time_limit": "60"},
    ]
    assert "output" not in task


def test_multitask_task_when_made_then_no_dataset_is_named_and_no_list_has_it(server: Server) -> None:
    task_id = make_task(
        server, 9, source_data_list="[1,2]", target_feature="[&quot;a&quot;]", estimation_procedure=29
    )

    assert (
        server.get(f"task/{task_id}").json()["task"]["task_name"] == f"Task {task_id} (Multitask Regression)"
    )
    assert code_of(server.get(f"task/list/task_id/{task_id}/status/all")) == 482


def test_task_list_when_filtered_then_only_what_fits_is_found(server: Server, dataset_id: int) -> None:
    task_id = make_task(server, 1, source_data=dataset_id, target_feature="c", estimation_procedure=6)

    fitting = f"task_id/{task_id}/data_name/tasks/number_features/4/number_instances/1..2/status/active"
    (found,) = server.get(f"task/list/{fitting}").json()["tasks"]["task"]
    assert found["input"] == [
        {"name": "estimation_procedure", "value": "6"},
        {"name": "source_data", "value": str(dataset_id)},
        {"name": "target_feature", "value": "c"},
    ]
    with server.client() as client:
        text = client.get(f"/api/v1/xml/task/list/{fitting}").text
    assert f"<oml:did>{dataset_id}</oml:did>" in text
    assert '<oml:input name="target_feature">c</oml:input>' in text
    assert '<oml:quality name="NumberOfFeatures">4.0</oml:quality>' in text
    for path, code in {
        f"task_id/{task_id}/status/deactivated": 482,
        "tag/nosuch": 482,
        "data_tag/nosuch": 482,
        "foo/1": 480,
        "data_id/x": 481,
        "offset/1": 483,
    }.items():
        assert code_of(server.get(f"task/list/{path}")) == code, path
