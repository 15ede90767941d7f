"""Bodies of the collection routes; names and texts are those that the SPA sends and reads."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints

from app.openml.fields import Ascii, Optional, RepairResponse, StudyText

LARGEST_ID = 2**31 - 1
MOST_IDS = 10_000
NAME_LENGTH, DESCRIPTION_LENGTH = 256, 4096


def _split_ids(value: object) -> object:
    """Take `"1, 2,3"` as three numbers; say which part is none."""
    if not isinstance(value, str):
        return value
    ids: list[Any] = []
    for part in value.split(","):
        text = part.strip()
        if not (text.isascii() and text.isdecimal()):
            raise ValueError(f"Write numbers separated by commas, e.g. 1,2,3; {text[:20]!r} is none.")
        ids.append(text)
    return ids


def _each_once(ids: list[int]) -> list[int]:
    """Leave repetitions out, which OpenML would refuse."""
    return list(dict.fromkeys(ids))


def _not_a_number(value: str) -> str:
    if value.isdecimal():
        raise ValueError("An alias of digits only could never be found; put a letter into it.")
    return value


Number = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Ids = Annotated[
    list[Number],
    Field(min_length=1, max_length=MOST_IDS, fail_fast=True),
    BeforeValidator(_split_ids, json_schema_input_type=str | list[Number]),
    AfterValidator(_each_once),
]
Alias = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_\-.]{1,32}$"), AfterValidator(_not_a_number)]


class Texts(BaseModel):
    """The texts of a collection, as OpenML takes them."""

    collectionname: Annotated[Ascii, StringConstraints(max_length=NAME_LENGTH), StudyText]
    description: Annotated[Ascii, StringConstraints(max_length=DESCRIPTION_LENGTH), StudyText]


class Collection(BaseModel):
    """What every collection has; its texts are read once more as `Texts`."""

    collectionname: Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH)] = Field(
        examples=["River suite"]
    )
    description: Annotated[str, StringConstraints(min_length=1, max_length=DESCRIPTION_LENGTH)] = Field(
        examples=["Tasks on river data."]
    )
    repair: bool = Field(
        default=True,
        description="Write in plain ASCII what OpenML takes no other way, and say so; `false` refuses it.",
    )
    alias: Annotated[Alias | None, Optional] = Field(
        default=None,
        description="A name in addresses, unique on OpenML. The same collection again under the same alias is the "
        "same collection. Made of the content if not given.",
        examples=["river-suite-2024"],
    )


class TaskCollectionRequest(Collection):
    """A collection of tasks (a benchmark suite)."""

    taskids: Ids = Field(description="Numbers separated by commas, or a list.", examples=["1,2,3"])


class RunCollectionRequest(Collection):
    """A collection of runs (a study)."""

    run_ids: Ids = Field(description="Numbers separated by commas, or a list.", examples=["1,2,3"])
    benchmark: Annotated[Number | None, Optional] = Field(
        default=None,
        description="The suite that the runs are about. OpenML's server cannot take it (any collection of runs that "
        "names one makes it fail), so it is checked and left out.",
    )


class CollectionResponse(BaseModel):
    """The collection is on OpenML."""

    msg: Literal["collection uploaded"] = "collection uploaded"
    id: int = Field(description="The collection's number on OpenML.")
    url: str = Field(description="The collection's page on OpenML.")
    alias: str
    warnings: list[str] = Field(description="What its maker may want to know.")
    repairs: list[RepairResponse] = Field(
        description="What was changed in the texts so that OpenML can take them."
    )
