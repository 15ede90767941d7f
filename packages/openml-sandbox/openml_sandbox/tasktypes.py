"""The types of tasks: what each takes, and the calls that tell it.

Names, dates, inputs and their constraints are those of the server's reference data; the descriptions are our own
words, shorter. Of multitask regression only the names of the inputs are known.
"""

from dataclasses import dataclass
from typing import Literal

from openml_sandbox.answers import Node, leaf
from openml_sandbox.call import Call, Route, to_id
from openml_sandbox.errors import ApiError

Kind = Literal["numeric", "json", "string"]
Choice = Literal["dataset", "procedure", "measure", "feature", "nominal feature", "numeric feature"]
Requirement = Literal["required", "optional", "hidden"]


@dataclass(frozen=True, slots=True)
class Input:
    """One input: its kind (None: its constraints cannot be read) and what it is chosen from."""

    name: str
    requirement: Requirement
    kind: Kind | None
    choice: Choice | None = None


@dataclass(frozen=True, slots=True)
class TaskType:
    """A type of tasks; `parameters` are what a task tells about its procedure, `predictions` what a run has to give."""

    id: int
    name: str
    description: str
    creation_date: str
    inputs: tuple[Input, ...]
    parameters: tuple[str, ...] = ()
    predictions: tuple[tuple[str, str], ...] = ()

    def input(self, name: str) -> Input | None:
        """Find an input."""
        return next((known for known in self.inputs if known.name == name), None)


SOURCE_DATA = Input("source_data", "required", "numeric", "dataset")
_PROCEDURE = Input("estimation_procedure", "required", "numeric", "procedure")
_MEASURES = Input("evaluation_measures", "optional", "string", "measure")
_COSTS = Input("cost_matrix", "optional", "json")
_TESTSET = Input("custom_testset", "hidden", "json")


def _target(choice: Choice, name: str = "target_feature", requirement: Requirement = "required") -> Input:
    return Input(name, requirement, "string", choice)


_NOMINAL = _target("nominal feature")
_ALL_PARAMETERS = ("number_repeats", "number_folds", "percentage", "stratified_sampling")
_PLACE = (("repeat", "integer"), ("fold", "integer"))
_ROW = ("row_id", "integer")
_PREDICTION = ("prediction", "string")
_CLASSES = (("confidence.classname", "numeric"), _PREDICTION)

TASK_TYPES = {
    task_type.id: task_type
    for task_type in (
        TaskType(
            1,
            "Supervised Classification",
            "Predict the class of instances; a procedure says on which the model is trained and tested.",
            "2013-01-24 00:00:00",
            (SOURCE_DATA, _NOMINAL, _PROCEDURE, _COSTS, _TESTSET, _MEASURES),
            _ALL_PARAMETERS,
            (*_PLACE, _ROW, *_CLASSES),
        ),
        TaskType(
            2,
            "Supervised Regression",
            "Predict a number; a procedure says on which instances the model is trained and tested.",
            "2013-02-13 00:00:00",
            (SOURCE_DATA, _target("numeric feature"), _PROCEDURE, _TESTSET, _MEASURES),
            _ALL_PARAMETERS[:3],
            (*_PLACE, _ROW, _PREDICTION),
        ),
        TaskType(
            3,
            "Learning Curve",
            "Predict the class from samples of growing size.",
            "2014-01-21 00:00:00",
            (SOURCE_DATA, _NOMINAL, _PROCEDURE, _MEASURES, Input("number_samples", "hidden", None)),
            ("number_repeats", "number_folds", "number_samples"),
            (*_PLACE, ("sample", "integer"), _ROW, *_CLASSES),
        ),
        TaskType(
            4,
            "Supervised Data Stream Classification",
            "Predict the class of instances as they arrive.",
            "2014-03-01 00:00:00",
            (SOURCE_DATA, _NOMINAL, _PROCEDURE, _MEASURES),
            (),
            (_ROW, *_CLASSES),
        ),
        TaskType(
            5,
            "Clustering",
            "Put the instances into groups.",
            "2014-10-24 00:00:00",
            (SOURCE_DATA, _PROCEDURE, _MEASURES),
            ("number_repeats", "stratified_sampling"),
            (("repeat", "numeric"), ("row_id", "numeric"), ("cluster", "numeric")),
        ),
        TaskType(
            6,
            "Machine Learning Challenge",
            "Predict the class of instances whose labels only the server knows.",
            "2014-11-28 00:00:00",
            (
                SOURCE_DATA,
                Input("source_data_labeled", "required", "numeric", "dataset"),
                _NOMINAL,
                _PROCEDURE,
                _COSTS,
                _TESTSET,
                _MEASURES,
            ),
            _ALL_PARAMETERS,
            (*_PLACE, _ROW, *_CLASSES),
        ),
        TaskType(
            7,
            "Survival Analysis",
            "Predict when somebody enters or leaves a study.",
            "2014-12-03 00:00:00",
            (
                SOURCE_DATA,
                _target("numeric feature", "target_feature_left", "optional"),
                _target("numeric feature", "target_feature_right", "optional"),
                _target("numeric feature", "target_feature_event"),
                _PROCEDURE,
                _MEASURES,
            ),
            ("number_repeats", "number_folds"),
            (*_PLACE, _ROW, _PREDICTION),
        ),
        TaskType(
            8,
            "Subgroup Discovery",
            "Find groups of instances in which a target value is unusually frequent.",
            "2016-06-17 10:59:20",
            (
                SOURCE_DATA,
                _NOMINAL,
                Input("target_value", "required", "string"),
                Input("quality_measure", "required", "string", "measure"),
                Input("time_limit", "required", "numeric"),
            ),
        ),
        TaskType(
            9,
            "Multitask Regression",
            "Predict a number in several datasets at once.",
            "2019-10-24 23:46:54",
            (
                Input("source_data_list", "required", "json"),
                Input("target_feature", "required", "string"),
                _PROCEDURE,
            ),
            _ALL_PARAMETERS[:3],
        ),
        TaskType(
            10,
            "Active Classification",
            "Predict the class of instances, choosing those whose labels are worth their price.",
            "2023-02-22 11:46:54",
            (
                SOURCE_DATA,
                _NOMINAL,
                _PROCEDURE,
                _COSTS,
                Input("annotation_costs", "optional", "json"),
                Input("batch_size", "optional", "numeric"),
                _MEASURES,
            ),
            _ALL_PARAMETERS,
            (*_PLACE, _ROW, *_CLASSES),
        ),
        TaskType(
            11,
            "Text tasks",
            "Predict a class or a number from texts.",
            "2023-06-15 16:32:41",
            (SOURCE_DATA, _target("feature"), _PROCEDURE, _MEASURES),
            _ALL_PARAMETERS,
            (*_PLACE, _ROW, *_CLASSES),
        ),
    )
}


def list_task_types(_call: Call) -> Node:
    """Answer `GET tasktype/list`."""
    rows = [
        Node(
            "task_type",
            [
                leaf("id", task_type.id),
                leaf("name", task_type.name),
                leaf("description", task_type.description),
            ],
        )
        for task_type in TASK_TYPES.values()
    ]
    return Node("task_types", rows)


def get_task_type(call: Call) -> Node:
    """Answer `GET tasktype/{id}`."""
    if call.segments[0] == "0":
        raise ApiError(240)
    task_type = TASK_TYPES.get(to_id(call.segments[0]) or 0)
    if task_type is None:
        raise ApiError(241)
    return Node(
        "task_type",
        [
            leaf("id", task_type.id),
            leaf("name", task_type.name),
            leaf("description", task_type.description),
            leaf("creation_date", task_type.creation_date),
            *(_input(known) for known in task_type.inputs),
        ],
    )


def _input(known: Input) -> Node:
    told = [leaf("requirement", known.requirement)]
    if known.kind:
        told.append(leaf("data_type", known.kind))
    return Node("input", told, {"name": known.name})


ROUTES = (
    Route((), "list", list_task_types),
    Route(("get", "post"), "#", get_task_type),
)
