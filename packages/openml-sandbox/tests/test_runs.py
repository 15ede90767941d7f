"""Flows, setups, runs and their evaluations."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from openml_sandbox.measures import classification, regression
from sandbox_runs import (
    PREDICTIONS,
    flow_xml,
    make_flow,
    make_run,
    make_tasks,
    post,
    publish_rows,
    run_xml,
    setting,
)
from sandbox_server import OTHER, PATIENCE_SECONDS, WRITER, Server, code_of

NUMBERS = (
    "@relation p\n@attribute repeat numeric\n@attribute fold numeric\n@attribute row_id numeric\n"
    "@attribute prediction numeric\n@data\n0,0,0,2\n0,0,1,3\n0,1,2,5\n0,1,3,4\n"
)


@dataclass(frozen=True)
class Ground:
    """A server with a dataset, two tasks, a flow of two, and two runs."""

    client: httpx.Client
    dataset: int
    classify: int
    regress: int
    flow: int
    inner: int
    runs: tuple[int, int]

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1/json/{path}").json()

    def code(self, path: str) -> int | None:
        return code_of(self.client.get(f"/api/v1/xml/{path}"))

    def run(self, number: int) -> dict[str, Any]:
        """Return a run once it was looked at."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.get(f"run/{number}")["run"]
            if "error" in found or "evaluation" in found["output_data"]:
                return found
            time.sleep(0.02)
        raise AssertionError("the run was not evaluated in time")


@pytest.fixture(scope="module")
def ground(server: Server) -> Iterator[Ground]:
    dataset = publish_rows(server)
    classify, regress = make_tasks(server, dataset)
    with server.client() as client:
        part = (
            f"<oml:component><oml:identifier>tree</oml:identifier>{_inner(flow_xml('tree'))}</oml:component>"
        )
        flow = make_flow(client, flow_xml("forest", part + "<oml:tag>grown</oml:tag>"))
        inner = int(client.get("/api/v1/json/flow/exists/tree/1").json()["flow_exists"]["id"])
        settings = setting("trees", 100) + setting("trees", "3", inner) + "<oml:tag>seen</oml:tag>"
        first = make_run(client, run_xml(flow, classify, settings))
        second = make_run(client, run_xml(flow, regress), NUMBERS, OTHER)
        found = Ground(client, dataset, classify, regress, flow, inner, (first, second))
        for number in found.runs:
            found.run(number)
        yield found


def _inner(xml: str) -> str:
    return xml.replace(' xmlns:oml="http://openml.org/openml"', "")


def test_flow_when_published_then_it_is_read_back_with_its_component(ground: Ground) -> None:
    flow = ground.get(f"flow/{ground.flow}")["flow"]

    assert (flow["name"], flow["version"], flow["external_version"], flow["tag"]) == (
        "forest",
        "1",
        "1",
        "grown",
    )
    assert flow["parameter"] == {
        "name": "trees",
        "data_type": "integer",
        "default_value": "10",
        "description": [],
    }
    assert (flow["component"]["identifier"], flow["component"]["flow"]["id"]) == ("tree", str(ground.inner))
    listed = {each["id"]: each for each in ground.get("flow/list")["flows"]["flow"]}
    assert listed[ground.flow]["full_name"] == "forest(1)"
    assert ground.get("flow/list/tag/grown")["flows"]["flow"] == [listed[ground.flow]]


def test_flow_when_sent_twice_then_refused_and_with_a_new_version_taken(ground: Ground) -> None:
    refused = post(ground.client, "flow", flow_xml("forest"))["error"]
    assert (refused["code"], refused["additional_information"]) == ("171", f"implementation_id:{ground.flow}")

    again = make_flow(ground.client, flow_xml("forest", version="2"))

    assert ground.get(f"flow/{again}")["flow"]["version"] == "2"
    form = {"name": "forest", "external_version": "2", "api_key": WRITER}
    answer = ground.client.post("/api/v1/json/flow/exists", data=form).json()
    assert answer == {"flow_exists": {"exists": "true", "id": str(again)}}


def test_run_when_sent_then_it_is_read_back_with_its_settings_and_files(ground: Ground) -> None:
    run = ground.run(ground.runs[0])

    assert (run["task_id"], run["flow_id"], run["flow_name"]) == (
        str(ground.classify),
        str(ground.flow),
        "forest(1)",
    )
    assert (run["task_type"], run["task_evaluation_measure"]) == (
        "Supervised Classification",
        "predictive_accuracy",
    )
    assert run["parameter_setting"] == [{"name": "trees", "value": "100"}, {"name": "trees", "value": "3"}]
    assert run["input_data"]["dataset"]["did"] == str(ground.dataset)
    files = {file["name"]: file["url"] for file in run["output_data"]["file"]}
    assert ground.client.get(files["predictions"]).text == PREDICTIONS
    setup = ground.get(f"setup/{run['setup_id']}")["setup_parameters"]
    assert [(each["full_name"], each["value"]) for each in setup["parameter"]] == [
        ("forest(1)_trees", "100"),
        ("tree(1)_trees", "3"),
    ]
    listed = ground.get(f"setup/list/setup/{run['setup_id']}")["setups"]["setup"]
    assert listed["flow_id"] == str(ground.flow)


def test_run_when_its_setup_was_there_then_it_is_the_same_one(ground: Ground) -> None:
    settings = setting("trees", 3, ground.inner) + setting("trees", 100)
    again = make_run(ground.client, run_xml(ground.flow, ground.classify, settings))

    setups = {ground.run(number)["setup_id"] for number in (ground.runs[0], again)}

    assert len(setups) == 1


def test_evaluations_when_of_labels_then_they_are_of_the_whole_and_of_each_fold(ground: Ground) -> None:
    found = ground.run(ground.runs[0])["output_data"]["evaluation"]

    whole = {each["name"]: each for each in found if "fold" not in each}
    assert (whole["predictive_accuracy"]["value"], whole["kappa"]["value"]) == ("0.75", "0.5")
    # Of the four pairs of a row of `a` and one of `b`, each is in its order.
    assert whole["area_under_roc_curve"]["value"] == "1.0"
    assert whole["confusion_matrix"]["array_data"] == "[[1,1],[0,2]]"
    folds = {
        each["fold"]: each["value"]
        for each in found
        if each["name"] == "predictive_accuracy" and "fold" in each
    }
    assert folds == {"0": "1.0", "1": "0.5"}


def test_evaluations_when_of_numbers_then_they_are_distances(ground: Ground) -> None:
    found = ground.run(ground.runs[1])["output_data"]["evaluation"]

    whole = {each["name"]: each["value"] for each in found if "fold" not in each}
    assert (whole["mean_absolute_error"], whole["root_mean_squared_error"]) == ("1.0", "1.581139")


def test_evaluation_list_when_filtered_then_it_has_the_real_fields(ground: Ground) -> None:
    path = f"evaluation/list/function/predictive_accuracy/task/{ground.classify}/run/{ground.runs[0]}"

    (found,) = ground.get(path)["evaluations"]["evaluation"]
    assert found.pop("upload_time")
    assert found == {
        "run_id": ground.runs[0],
        "task_id": ground.classify,
        "setup_id": found["setup_id"],
        "flow_id": ground.flow,
        "flow_name": "forest(1)",
        "data_id": ground.dataset,
        "data_name": "rows",
        "evaluation_engine_id": 1,
        "function": "predictive_accuracy",
        "uploader": found["uploader"],
        "value": 0.75,
    }
    (folds,) = ground.get(f"{path}/per_fold/true")["evaluations"]["evaluation"]
    assert (folds["values"], "value" in folds) == ([1.0, 0.5], False)


def test_evaluation_list_when_sorted_and_paged_then_the_best_come_first(ground: Ground) -> None:
    worse = PREDICTIONS.replace("0,0,2,b", "0,0,2,a")
    numbers = [
        make_run(ground.client, run_xml(ground.flow, ground.classify), text) for text in (worse, PREDICTIONS)
    ]
    for number in numbers:
        ground.run(number)
    path = f"evaluation/list/function/predictive_accuracy/run/{numbers[0]},{numbers[1]}/limit/1"

    order = [
        ground.get(f"{path}/sort_order/{order}{offset}")["evaluations"]["evaluation"][0]["value"]
        for order, offset in (("desc", ""), ("desc", "/offset/1"), ("asc", ""))
    ]

    assert order == [0.75, 0.5, 0.5]


def test_run_list_when_filtered_then_it_has_the_real_fields(ground: Ground) -> None:
    found = ground.get("run/list/tag/seen")["runs"]["run"]

    assert (found["run_id"], found["task_type_id"], found["error_message"]) == (str(ground.runs[0]), "1", [])
    assert ground.get(f"run/list/task/{ground.regress}")["runs"]["run"]["uploader"] != found["uploader"]
    assert ground.get(f"run/list/task_type/2/flow/{ground.flow}")["runs"]["run"]["run_id"] == str(
        ground.runs[1]
    )


def test_run_when_its_predictions_are_of_no_use_then_it_is_marked_and_not_listed(ground: Ground) -> None:
    wrong = PREDICTIONS.replace("0,1,3,b", "0,1,9,b")
    number = make_run(ground.client, run_xml(ground.flow, ground.classify), wrong)

    assert ground.run(number)["error"] == "a row_id is beyond the dataset's rows"
    assert ground.code(f"run/list/run/{number}") == 512
    assert ground.code(f"run/list/run/{number}/show_errors/true") is None
    assert ground.code(f"evaluation/list/run/{number}") == 542


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("flow/0", 180),
        ("flow/9", 181),
        ("flow/list/tag/none", 500),
        ("flow/list/name/x", 501),
        ("flow/list/uploader/x", 502),
        ("flow/list/offset/1", 503),
        ("flow/exists", 330),
        ("run/0", 235),
        ("run/9", 236),
        ("run/list", 510),
        ("run/list/task/x", 511),
        ("run/list/task/1", 512),
        ("run/list/name/x", 514),
        ("run/list/task/1/offset/1", 515),
        ("run/list/limit/10001", 516),
        ("run/list/study/9999", 517),
        ("evaluation/list", 540),
        ("evaluation/list/task/x", 541),
        ("evaluation/list/task/1", 542),
        ("evaluation/list/measure/x", 544),
        ("evaluation/list/task/1/offset/1", 545),
        ("evaluation/list/limit/10001", 546),
        ("evaluation/list/task/1/per_fold/yes", 547),
        ("evaluation/list/task/1/sort_order/up", 549),
        ("evaluation/list/study/9999", 555),
        ("setup/0", 280),
        ("setup/9", 281),
        ("setup/list", 670),
        ("setup/list/tag/x", 671),
        ("setup/list/flow/x", 672),
        ("setup/list/flow/1", 674),
    ],
)
def test_reads_when_wrong_then_refused_with_the_real_codes(ground: Ground, path: str, code: int) -> None:
    assert ground.code(path) == code


def test_run_when_wrong_then_refused_in_the_real_order(ground: Ground) -> None:
    flow, task = ground.flow, ground.classify
    measured = "<oml:output_data><oml:evaluation><oml:name>luck</oml:name></oml:evaluation></oml:output_data>"
    good = ("predictions.arff", PREDICTIONS)

    def refusal(xml: str, **files: tuple[str, str]) -> str:
        return str(post(ground.client, "run", xml, WRITER, **files)["error"]["code"])

    assert refusal("") == "201"
    assert refusal(flow_xml()) == "202"
    assert refusal(run_xml(9, task), predictions=("none", "")) == "205"
    assert refusal(run_xml(flow, task), predictions=("none", "")) == "206"
    assert refusal(run_xml(flow, task), predictions=("p.arff", "")) == "207"
    assert refusal(run_xml(flow, task), predictions=("p.arff", "no header\n")) == "209"
    assert refusal(run_xml(flow, 1, setting("leaves", 1)), predictions=good) == "213"
    assert refusal(run_xml(flow, 1), predictions=good) == "204"
    assert refusal(run_xml(flow, task, measured), predictions=good) == "217"


def test_flow_when_wrong_then_refused_in_the_real_order(ground: Ground) -> None:
    def refusal(xml: str, **files: tuple[str, str]) -> str:
        return str(post(ground.client, "flow", xml, WRITER, **files)["error"]["code"])

    assert ground.client.post("/api/v1/json/flow", data={"api_key": WRITER}).json()["error"]["code"] == "161"
    assert refusal("") == "160"
    assert refusal("<flow/>") == "163"
    assert refusal(flow_xml("new"), model=("m", "x")) == "167"
    assert refusal(flow_xml("new", "<oml:source_md5>0</oml:source_md5>"), source=("m", "x")) == "168"


def test_task_when_it_has_runs_then_it_stays(ground: Ground) -> None:
    answer = ground.client.delete(f"/api/v1/xml/task/{ground.classify}", params={"api_key": WRITER})

    assert code_of(answer) == 454


def test_study_when_of_sent_runs_then_it_leads_to_their_tasks_and_data(ground: Ground) -> None:
    xml = (
        '<oml:study xmlns:oml="http://openml.org/openml"><oml:main_entity_type>run</oml:main_entity_type>'
        "<oml:name>n</oml:name><oml:description>d</oml:description>"
        f"<oml:runs><oml:run_id>{ground.runs[0]}</oml:run_id></oml:runs></oml:study>"
    )
    number = post(ground.client, "study", xml)["study_upload"]["id"]

    study = ground.get(f"study/{number}")["study"]

    assert (study["data"], study["tasks"], study["flows"]) == (
        {"data_id": str(ground.dataset)},
        {"task_id": str(ground.classify)},
        {"flow_id": str(ground.flow)},
    )
    found = ground.get(f"evaluation/list/study/{number}/function/kappa")["evaluations"]["evaluation"]
    assert [each["run_id"] for each in found] == [ground.runs[0]]


def test_measures_when_a_class_is_never_predicted_then_nothing_is_divided_by_zero() -> None:
    found = {each.function: each for each in classification(["a", "b"], ["a", "b"], ["a", "a"], None)}

    assert (found["precision"].value, found["recall"].value, found["kappa"].value) == (0.25, 0.5, 0.0)
    assert {each.function for each in regression([1.0, 1.0], [1.0, 2.0])} == {
        "mean_absolute_error",
        "root_mean_squared_error",
        "number_of_instances",
    }


@pytest.mark.long
def test_measures_when_compared_with_scikit_learn_then_they_agree() -> None:
    import numpy as np
    from sklearn import metrics

    random = np.random.default_rng(7)
    labels = ["x", "y", "z"]
    truth = [labels[number] for number in random.integers(0, 3, 500)]
    weights = random.integers(1, 9, (500, 3)) / 9.0
    weights /= weights.sum(axis=1, keepdims=True)
    predicted = [labels[number] for number in weights.argmax(axis=1)]
    confidences = {label: weights[:, number].tolist() for number, label in enumerate(labels)}
    found = {each.function: each for each in classification(labels, truth, predicted, confidences)}

    for name, function in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f_measure", metrics.f1_score),
    ):
        assert found[name].value == pytest.approx(function(truth, predicted, average="weighted"), abs=1e-6)
    assert found["predictive_accuracy"].value == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert found["kappa"].value == pytest.approx(metrics.cohen_kappa_score(truth, predicted), abs=1e-6)
    area = metrics.roc_auc_score(truth, weights, average="weighted", multi_class="ovr")
    assert found["area_under_roc_curve"].value == pytest.approx(area, abs=1e-6)
    assert (
        json.loads(found["confusion_matrix"].array_data or "")
        == metrics.confusion_matrix(truth, predicted).tolist()
    )
    numbers, guesses = random.normal(size=200).tolist(), random.normal(size=200).tolist()
    of_numbers = {each.function: each.value for each in regression(numbers, guesses)}
    assert of_numbers["mean_absolute_error"] == pytest.approx(
        metrics.mean_absolute_error(numbers, guesses), abs=1e-6
    )
    assert of_numbers["correlation_coefficient"] == pytest.approx(
        np.corrcoef(numbers, guesses)[0, 1], abs=1e-6
    )
