"""Bodies of the task routes; names and texts are those that the SPA sends and reads."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, FiniteFloat, WithJsonSchema

from app.core.problem_schema import ProblemDocument
from app.openml.fields import Optional
from app.tasks.types import NUMBERS, TaskKind

LARGEST_ID = 2**31 - 1
Number = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Column = Annotated[str, Field(max_length=256)]
Cost = Annotated[int | FiniteFloat, WithJsonSchema({"type": "number"})]
Row = Annotated[list[Cost], Field(max_length=1000, fail_fast=True)]
Rows = Annotated[list[Row], Field(max_length=1000, fail_fast=True)]
"""To complain of each of 500 000 numbers takes seconds: the first wrong one is named."""


def _from_number(value: object) -> object:
    """Take OpenML's number of a type as well as its name."""
    return NUMBERS.get(str(value).strip(), value)


class UploadTaskRequest(BaseModel):
    """A task to be made. `""` means "not given"; numbers may come as texts, as the SPA sends them."""

    dataset_id: Number = Field(examples=[42])
    task_type: Annotated[TaskKind, BeforeValidator(_from_number)] = Field(
        description="Or OpenML's number: 1 classification, 2 regression, 3 learningcurve, 4 datastream, "
        "5 clustering, 7 survival, 10 activelearning, 11 text. `supervised` is 1 or 2, by the target's type."
    )
    target_name: Annotated[Column | None, Optional] = Field(
        default=None, description="The target column; the event for survival; none for clustering."
    )
    estimation_procedure: Annotated[Number | None, Optional] = Field(
        default=None, description="OpenML's number of it; as a rule 10-fold cross-validation if not given."
    )
    evaluation_measure: Annotated[str | None, Field(max_length=256), Optional] = Field(
        default=None, examples=["predictive_accuracy"]
    )
    target_feature_left: Annotated[Column | None, Optional] = Field(default=None, description="Survival.")
    target_feature_right: Annotated[Column | None, Optional] = Field(default=None, description="Survival.")
    cost_matrix: Annotated[Rows | None, Optional] = Field(
        default=None, description="Classification, activelearning.", examples=[[[0, 1], [5, 0]]]
    )
    annotation_costs: Annotated[Row | Rows | None, Optional] = Field(
        default=None, description="Activelearning."
    )
    batch_size: Annotated[Number | None, Optional] = Field(default=None, description="Activelearning.")
    when_active: bool = Field(
        default=False, description="Wait for a dataset that OpenML has not processed yet; the answer is 202."
    )


class TaskResponse(BaseModel):
    """The task is on OpenML: made now, or there was an equal one."""

    msg: Literal["task uploaded", "task exists"]
    id: int = Field(description="The task's number on OpenML.")
    url: str = Field(description="The task's page on OpenML.")


def maker_of(made: TaskResponse, user_id: int) -> int | None:
    """Return who has made the task, where it was this user; OpenML itself tells of no task who did."""
    return user_id if made.msg == "task uploaded" else None


class TaskWaitsResponse(BaseModel):
    """The task will be made as soon as OpenML has processed the dataset."""

    msg: Literal["task waits"] = "task waits"
    request_id: str
    status_url: str = Field(description="Where to ask what became of it.")


class TaskStatusResponse(BaseModel):
    """What became of a task that had to wait."""

    state: Literal["waiting", "made", "failed"]
    dataset_id: int
    id: int | None = Field(description="The task's number on OpenML, once it is made.")
    url: str | None
    problem: ProblemDocument | None = Field(description="Why it cannot be made.")
