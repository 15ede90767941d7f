"""Bodies of the edit form and of tags; names and texts are those that the SPA sends and reads."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from app.openml.fields import Tag

Text = Annotated[str, StringConstraints(max_length=65536)]
Texts = Text | Annotated[list[Text], Field(max_length=1000, fail_fast=True)]


class EditFormResponse(BaseModel):
    """A dataset as the edit form shows it; what OpenML does not tell is null."""

    user_id: int = Field(description="Who asks.")
    name: str
    description: str | None
    creator: str | list[str] | None
    date: str | None = Field(description="When the data was collected.")
    citation: str | None
    language: str | None
    default_target_attribute: str | None
    ignore_attribute: list[str] | None
    row_id_attribute: str | None
    owner: Literal["true", "false"] = Field(description="Whether the asker may change the columns' roles.")
    original_data_url: str | None
    paper_url: str | None


class EditRequest(BaseModel):
    """The form as it shall be. What is missing, null, or as it was stays untouched, whatever it holds.

    Only what changes is judged, and sent. `owner`, which the SPA sends, is ignored: OpenML knows the owner.
    """

    description: Text | None = None
    creator: Texts | None = Field(
        default=None, description="A list, or names separated by commas.", examples=[["Ada Example"]]
    )
    contributor: Texts | None = None
    date: Text | None = Field(default=None, examples=["2024"])
    citation: Text | None = None
    language: Text | None = Field(default=None, examples=["English"])
    default_target_attribute: Text | None = None
    ignore_attribute: Texts | None = None
    row_id_attribute: Text | None = None
    original_data_url: Text | None = None
    paper_url: Text | None = None
    repair: bool = Field(
        default=True,
        description="Write in plain ASCII what OpenML takes no other way, and say so; `false` refuses it.",
    )


class TagRequest(BaseModel):
    """A tag, made of letters, digits, points, underscores and hyphens."""

    tag: Tag = Field(examples=["hydrology"])


class TaggedResponse(BaseModel):
    """The dataset has the tag."""

    msg: Literal["dataset tagged"] = "dataset tagged"
    id: int
    tags: list[str] = Field(description="All tags of the dataset.")


class UntaggedResponse(BaseModel):
    """The dataset has not got the tag."""

    msg: Literal["dataset untagged"] = "dataset untagged"
    id: int
    tags: list[str] = Field(description="All tags of the dataset.")
