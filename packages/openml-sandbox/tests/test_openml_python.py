"""openml-python itself publishes to the sandbox and reads back what it sent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox_runs import make_tasks, publish_rows
from sandbox_server import WRITER, Serve, Server, describe

START = """
import sys, time
from pathlib import Path
import openml, pandas as pd
url, key, cache = sys.argv[1:]
openml.config.set_root_cache_directory(cache)
openml.config.server = url + "/api/v1/xml"
openml.config.apikey = key
"""

PUBLISH = """
frame = pd.DataFrame({
    "length": [1.5, 2.25, None, 4.0],
    "count": [1, 2, 3, 4],
    "note": ["plain", "with, comma", "it's", None],
    "kind": pd.Categorical(["yes", "no", "yes", "no"]),
})
dataset = openml.datasets.create_dataset(
    name="round-trip", description="Made by openml-python.", creator=["A B", "C D"], contributor=None,
    collection_date="2024", language="English", licence="CC0", attributes="auto", data=frame,
    default_target_attribute="kind", ignore_attribute=None, citation="none",
)
dataset.publish()
assert dataset.id is not None
for _ in range(1_200):
    try:
        openml._api_calls._perform_api_call(f"data/features/{dataset.id}", "get")
        break
    except openml.exceptions.OpenMLServerException as error:
        assert error.code == 273, error
        time.sleep(0.05)
read = openml.datasets.get_dataset(
    dataset.id, download_data=True, download_qualities=True, download_features_meta_data=True
)
assert read.name == "round-trip" and read.version == 1 and read.creator == ["A B", "C D"], read
X, y, categorical, names = read.get_data()
assert names == ["length", "count", "note", "kind"], names
assert categorical == [False, False, False, True], categorical
assert X["length"].tolist()[:2] == [1.5, 2.25] and pd.isna(X["length"][2])
assert X["count"].tolist() == [1, 2, 3, 4]
assert X["note"].tolist()[:3] == ["plain", "with, comma", "it's"] and pd.isna(X["note"][3])
assert X["kind"].tolist() == ["yes", "no", "yes", "no"]
assert read.features[3].nominal_values == ["yes", "no"] or sorted(read.features[3].nominal_values) == ["no", "yes"]
assert read.qualities["NumberOfInstances"] == 4.0
dataset.push_tag("made-here")
listed = openml.datasets.list_datasets(tag="made-here", output_format="dataframe")
assert listed["did"].tolist() == [dataset.id]
dataset.remove_tag("made-here")
assert openml.datasets.edit_dataset(dataset.id, description="Edited.") == dataset.id
assert openml.datasets.fork_dataset(dataset.id) != dataset.id
assert openml.datasets.delete_dataset(dataset.id)
print("done")
"""


ORGANISE = """
from openml.tasks import TaskType
from openml.exceptions import OpenMLServerException
dataset_id = int(Path("dataset_id").read_text())
def make(task_type, procedure, **inputs):
    task = openml.tasks.create_task(task_type, dataset_id, estimation_procedure_id=procedure, **inputs)
    return task.publish().task_id
tasks = [
    make(TaskType.SUPERVISED_CLASSIFICATION, 1, target_name="c", evaluation_measure="predictive_accuracy"),
    make(TaskType.SUPERVISED_REGRESSION, 7, target_name="a"),
    make(TaskType.LEARNING_CURVE, 13, target_name="c"),
    make(TaskType.CLUSTERING, 17),
]
try:
    make(TaskType.CLUSTERING, 17)
except OpenMLServerException as error:
    assert error.code == 614 and f"[{tasks[3]}]" in str(error), error
else:
    raise AssertionError("a second task was made")
read = openml.tasks.get_task(tasks[0], download_splits=False, download_data=False, download_qualities=False,
                             download_features_meta_data=False)
assert (read.dataset_id, read.target_name, read.evaluation_measure) == (dataset_id, "c", "predictive_accuracy")
assert read.estimation_procedure["type"] == "crossvalidation", read.estimation_procedure
assert read.estimation_procedure["parameters"]["number_folds"] == "10"
train, test = openml.tasks.get_task(tasks[0]).get_train_test_split_indices(fold=0)
assert len(test) and not {*train} & {*test}, (train, test)
listed = openml.tasks.list_tasks(data_id=dataset_id, output_format="dataframe")
assert sorted(listed["tid"]) == sorted(tasks), listed
read.push_tag("organised")
read.remove_tag("organised")
suite = openml.study.create_benchmark_suite("A suite", "Made by openml-python.", tasks[:2], alias="suite-1")
suite_id = suite.publish().id
assert openml.study.attach_to_suite(suite_id, [tasks[2]]) == 3
assert openml.study.detach_from_suite(suite_id, [tasks[1]]) == 2
read = openml.study.get_suite("suite-1")
assert (read.id, sorted(read.tasks), read.data) == (suite_id, sorted([tasks[0], tasks[2]]), [dataset_id]), read
openml.study.update_suite_status(suite_id, "active")
assert openml.study.list_suites(output_format="dataframe")["id"].tolist() == [suite_id]
study = openml.study.create_study("A study", "Made by openml-python.", run_ids=[1, 2])
study_id = study.publish().id
assert openml.study.attach_to_study(study_id, [3]) == 3
read = openml.study.get_study(study_id)
assert (read.runs, read.flows, read.setups) == ([1, 2, 3], [1], [1, 2, 3]), read
assert openml.study.delete_study(study_id)
assert openml.tasks.delete_task(tasks[3])
try:
    openml.datasets.delete_dataset(dataset_id)
except openml.exceptions.OpenMLNotAuthorizedError as error:
    assert "Dataset is in use by other content" in str(error), error
else:
    raise AssertionError("a dataset with tasks was deleted")
print("done")
"""


RUN = """
from openml.flows import OpenMLFlow
task_id = int(Path("task_id").read_text())
task = openml.tasks.get_task(task_id, download_splits=False, download_data=True)
parts = dict(model=None, components={}, tags=[], language="English", dependencies="none")
flow = OpenMLFlow(name="guess", description="Always a.", parameters={"seed": "1"}, external_version="1",
                  parameters_meta_info={"seed": {"description": "s", "data_type": "int"}}, **parts).publish()
assert openml.flows.flow_exists("guess", "1") == flow.flow_id
rows = [
    openml.runs.functions.format_prediction(
        task=task, repeat=0, fold=row % 2, index=row, prediction="a", truth=truth, proba={"a": 0.5, "b": 0.5}
    )
    for row, truth in enumerate("aabb")
]
run = openml.runs.OpenMLRun(
    task_id=task_id, flow_id=flow.flow_id, dataset_id=task.dataset_id, data_content=rows, description_text="d",
    parameter_settings=[{"oml:name": "seed", "oml:value": "7"}],
).publish()
for _ in range(1_200):
    read = openml.runs.get_run(run.run_id, ignore_cache=True)
    if read.evaluations:
        break
    time.sleep(0.05)
assert read.evaluations["predictive_accuracy"] == 0.5, read.evaluations
assert read.fold_evaluations["predictive_accuracy"][0] == {0: 0.5, 1: 0.5}, read.fold_evaluations
assert read.predictions["prediction"].tolist() == ["a"] * 4
flows = openml.flows.list_flows(output_format="dataframe")
assert flows["full_name"].tolist() == ["guess(1)"], flows
runs = openml.runs.list_runs(task=[task_id], output_format="dataframe")
assert runs["run_id"].tolist() == [run.run_id], runs
found = openml.evaluations.list_evaluations("predictive_accuracy", tasks=[task_id], output_format="dataframe")
assert (found["flow_name"].tolist(), found["value"].tolist()) == (["guess(1)"], [0.5]), found
folds = openml.evaluations.list_evaluations("kappa", tasks=[task_id], per_fold=True, output_format="dataframe")
assert folds["values"].tolist() == [[0.0, 0.0]], folds
settings = openml.evaluations.list_evaluations_setups(
    "predictive_accuracy", flows=[flow.flow_id], size=10, parameters_in_separate_columns=True
)
assert settings["guess(1)_seed"].tolist() == ["7"], settings
print("done")
"""


def run(url: str, folder: Path, script: str) -> None:
    environment = {"PATH": os.defpath, "HOME": str(folder), "OPENML_CACHE_DIR": str(folder)}
    finished = subprocess.run(
        [sys.executable, "-c", START + script, url, WRITER, str(folder)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert finished.stdout.splitlines()[-1:] == ["done"], finished.stderr


@pytest.mark.long
def test_openml_python_when_it_publishes_a_frame_then_it_reads_the_same_back(
    server: Server, tmp_path: Path
) -> None:
    run(server.url, tmp_path, PUBLISH)


@pytest.mark.long
def test_openml_python_when_it_makes_tasks_and_suites_then_it_reads_the_same_back(
    server: Server, tmp_path: Path
) -> None:
    arff = b"@relation t\n@attribute a numeric\n@attribute c {x,y}\n@data\n1,x\n2,y\n"
    dataset_id = server.publish(describe(name="organised", default_target_attribute="c"), arff)
    server.wait_until_processed(dataset_id)
    (tmp_path / "dataset_id").write_text(str(dataset_id))

    run(server.url, tmp_path, ORGANISE)


@pytest.mark.long
def test_openml_python_when_it_publishes_a_flow_and_a_run_then_it_reads_their_evaluations(
    serve: Serve, tmp_path: Path
) -> None:
    with serve(tmp_path / "data") as server:
        task_id, _ = make_tasks(server, publish_rows(server))
        (tmp_path / "task_id").write_text(str(task_id))

        run(server.url, tmp_path, RUN)
