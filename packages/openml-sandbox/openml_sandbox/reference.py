"""Reference data that clients look up: estimation procedures and evaluation measures."""

from dataclasses import dataclass

from openml_sandbox.answers import Node, leaf
from openml_sandbox.call import Call, Route, to_id
from openml_sandbox.errors import ApiError


@dataclass(frozen=True, slots=True)
class EstimationProcedure:
    """How a task of one type is split and repeated; None and False stand for elements that are left out."""

    id: int
    task_type: int
    name: str
    type: str
    repeats: int | None = None
    folds: int | None = None
    percentage: int | None = None
    stratified: bool | None = None


def _cross_validation(
    id_: int, task_type: int, repeats: int, folds: int, *, stratified: bool
) -> EstimationProcedure:
    name = f"{folds}-fold Crossvalidation"
    if repeats > 1:
        name = f"{repeats} times {name}"
    return EstimationProcedure(id_, task_type, name, "crossvalidation", repeats, folds, None, stratified)


def _leave_one_out(id_: int, task_type: int) -> EstimationProcedure:
    return EstimationProcedure(id_, task_type, "Leave one out", "leaveoneout", 1, stratified=False)


def _holdout(id_: int, task_type: int, shown: int, *, stratified: bool) -> EstimationProcedure:
    # The one called 10 % holds out 33 % as well.
    return EstimationProcedure(id_, task_type, f"{shown}% Holdout set", "holdout", 1, None, 33, stratified)


ESTIMATION_PROCEDURES = (
    _cross_validation(1, 1, 1, 10, stratified=True),
    _cross_validation(2, 1, 5, 2, stratified=True),
    _cross_validation(3, 1, 10, 10, stratified=True),
    _leave_one_out(4, 1),
    _holdout(5, 1, 10, stratified=True),
    _holdout(6, 1, 33, stratified=True),
    _cross_validation(7, 2, 1, 10, stratified=False),
    _cross_validation(8, 2, 5, 2, stratified=False),
    _cross_validation(9, 2, 10, 10, stratified=False),
    _leave_one_out(10, 2),
    _holdout(11, 2, 10, stratified=False),
    _holdout(12, 2, 33, stratified=False),
    EstimationProcedure(13, 3, "10-fold Learning Curve", "learningcurve", 1, 10, None, stratified=True),
    EstimationProcedure(
        14, 3, "10 times 10-fold Learning Curve", "learningcurve", 10, 10, None, stratified=True
    ),
    EstimationProcedure(15, 4, "Interleaved Test then Train", "testthentrain"),
    EstimationProcedure(16, 1, "Custom Holdout", "customholdout", 1, 1, None, stratified=False),
    EstimationProcedure(17, 5, "50 times Clustering", "testontrainingdata", 50),
    EstimationProcedure(18, 6, "Holdout unlabeled", "holdoutunlabeled", 1, 1, None, stratified=False),
    _cross_validation(19, 7, 1, 10, stratified=True),
    _cross_validation(20, 7, 5, 2, stratified=True),
    _cross_validation(21, 7, 10, 10, stratified=True),
    _leave_one_out(22, 7),
    _cross_validation(23, 1, 100, 10, stratified=True),
    EstimationProcedure(
        24, 2, "Custom 10-fold Crossvalidation", "customholdout", 1, 10, None, stratified=False
    ),
    _cross_validation(25, 1, 1, 4, stratified=True),
    EstimationProcedure(26, 1, "Test on Training Data", "testontrainingdata"),
    EstimationProcedure(27, 2, "Test on Training Data", "testontrainingdata"),
    EstimationProcedure(28, 1, "20% Holdout (Ordered)", "holdout_ordered", 1, 1, 20, stratified=False),
    _cross_validation(29, 9, 1, 10, stratified=False),
    _cross_validation(30, 10, 1, 10, stratified=True),
    _cross_validation(31, 10, 5, 2, stratified=True),
    _cross_validation(32, 10, 10, 10, stratified=True),
    _holdout(33, 10, 10, stratified=True),
    _holdout(34, 10, 33, stratified=True),
    _holdout(35, 11, 33, stratified=False),
)

EVALUATION_MEASURES = (
    "area_under_roc_curve",
    "average_cost",
    "binominal_test",
    "build_cpu_time",
    "build_memory",
    "c_index",
    "chi-squared",
    "class_complexity",
    "class_complexity_gain",
    "confusion_matrix",
    "correlation_coefficient",
    "cortana_quality",
    "coverage",
    "f_measure",
    "information_gain",
    "jaccard",
    "joint_entropy",
    "kappa",
    "kb_relative_information_score",
    "kohavi_wolpert_bias_squared",
    "kohavi_wolpert_error",
    "kohavi_wolpert_sigma_squared",
    "kohavi_wolpert_variance",
    "kononenko_bratko_information_score",
    "matthews_correlation_coefficient",
    "mean_absolute_error",
    "mean_class_complexity",
    "mean_class_complexity_gain",
    "mean_f_measure",
    "mean_kononenko_bratko_information_score",
    "mean_precision",
    "mean_prior_absolute_error",
    "mean_prior_class_complexity",
    "mean_recall",
    "mean_weighted_area_under_roc_curve",
    "mean_weighted_f_measure",
    "mean_weighted_precision",
    "number_of_instances",
    "os_information",
    "pattern_team_auroc10",
    "positives",
    "precision",
    "predictive_accuracy",
    "prior_class_complexity",
    "prior_entropy",
    "probability",
    "quality",
    "ram_hours",
    "recall",
    "relative_absolute_error",
    "root_mean_prior_squared_error",
    "root_mean_squared_error",
    "root_relative_squared_error",
    "run_cpu_time",
    "run_memory",
    "run_virtual_memory",
    "scimark_benchmark",
    "single_point_area_under_roc_curve",
    "total_cost",
    "unclassified_instance_count",
    "unweighted_recall",
    "usercpu_time_millis",
    "usercpu_time_millis_testing",
    "usercpu_time_millis_training",
    "wall_clock_time_millis",
    "wall_clock_time_millis_testing",
    "wall_clock_time_millis_training",
    "webb_bias",
    "webb_error",
    "webb_variance",
    "weighted_recall",
)

# A task may name any of these as its measure; the list of measures leaves out the first three.
MATH_FUNCTIONS = ("EuclideanDistance", "PolynomialKernel", "RBFKernel", *EVALUATION_MEASURES)


def list_estimation_procedures(_call: Call) -> Node:
    """Answer `GET estimationprocedure/list`."""
    return Node("estimationprocedures", [_procedure(procedure) for procedure in ESTIMATION_PROCEDURES])


def _procedure(procedure: EstimationProcedure) -> Node:
    optional = [
        ("repeats", procedure.repeats),
        ("folds", procedure.folds),
        ("percentage", procedure.percentage),
        ("stratified_sampling", None if procedure.stratified is None else str(procedure.stratified).lower()),
    ]
    return Node(
        "estimationprocedure",
        [
            leaf("id", procedure.id),
            leaf("ttid", procedure.task_type),
            leaf("name", procedure.name),
            leaf("type", procedure.type),
            *(leaf(name, value) for name, value in optional if value is not None),
        ],
    )


def get_estimation_procedure(call: Call) -> Node:
    """Answer `GET estimationprocedure/{id}`."""
    if call.segments[0] == "0":
        raise ApiError(730)
    found = [p for p in ESTIMATION_PROCEDURES if p.id == to_id(call.segments[0])]
    if not found:
        raise ApiError(731)
    return _procedure(found[0])


def list_evaluation_measures(_call: Call) -> Node:
    """Answer `GET evaluationmeasure/list`."""
    measures = [leaf("measure", name) for name in EVALUATION_MEASURES]
    return Node("evaluation_measures", [Node("measures", measures)])


ESTIMATION_PROCEDURE_ROUTES = (
    Route((), "list", list_estimation_procedures),
    Route(("get", "post"), "#", get_estimation_procedure),
)
EVALUATION_MEASURE_ROUTES = (Route((), "list", list_evaluation_measures),)
