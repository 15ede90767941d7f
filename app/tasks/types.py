"""The types of tasks that can be made here, and what each is made of. Pure.

Types 6 (challenge, two datasets), 8 (subgroup discovery) and 9 (multitask regression, a list of datasets) are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class TaskKind(StrEnum):
    """What a task asks for, in words; the first four are those of the SPA."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    CLUSTERING = "clustering"
    LEARNING_CURVE = "learningcurve"
    SUPERVISED = "supervised"
    STREAM = "datastream"
    SURVIVAL = "survival"
    ACTIVE = "activelearning"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class TaskType:
    """A type of OpenML's.

    `target` is the input that names the target column, None where there is none, and `target_type` what OpenML wants
    in it ("" for anything). `procedure` is taken where none is asked for. `extras` are further inputs.
    """

    type_id: int
    procedure: int
    target: str | None = "target_feature"
    target_type: str = ""
    extras: tuple[str, ...] = ()


COSTS = ("cost_matrix",)
TYPES: Mapping[TaskKind, TaskType] = {
    TaskKind.CLASSIFICATION: TaskType(1, 1, target_type="nominal", extras=COSTS),
    TaskKind.REGRESSION: TaskType(2, 7, target_type="numeric"),
    TaskKind.LEARNING_CURVE: TaskType(3, 13, target_type="nominal"),
    TaskKind.STREAM: TaskType(4, 15, target_type="nominal"),
    TaskKind.CLUSTERING: TaskType(5, 17, target=None),
    TaskKind.SURVIVAL: TaskType(
        7,
        19,
        target="target_feature_event",
        target_type="numeric",
        extras=("target_feature_left", "target_feature_right"),
    ),
    TaskKind.ACTIVE: TaskType(
        10, 30, target_type="nominal", extras=(*COSTS, "annotation_costs", "batch_size")
    ),
    TaskKind.TEXT: TaskType(11, 35),
}
COLUMN_EXTRAS = ("target_feature_left", "target_feature_right")
"""Extras that name columns, of the target's type."""
NUMBERS: Mapping[str, TaskKind] = {str(found.type_id): kind for kind, found in TYPES.items()}
EXTRAS = ("target_feature_left", "target_feature_right", "cost_matrix", "annotation_costs", "batch_size")


def supervised(target_type: str) -> TaskKind | None:
    """Return what "supervised" means for a target of this type."""
    kinds = {"nominal": TaskKind.CLASSIFICATION, "numeric": TaskKind.REGRESSION}
    return kinds.get(target_type)
