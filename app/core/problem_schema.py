"""What stands in a problem document, for the API page and the clients that are made of it."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class ProblemField(BaseModel):
    """A field with a wrong value."""

    field: str = Field(
        description="Its name, as the caller wrote it; with points where it is inside another."
    )
    message: str = Field(description="What to change.")


class ProblemCheck(BaseModel):
    """What one of the checks found that say whether the service can work."""

    name: str
    ok: bool
    detail: str = Field(description="What is wrong and what to do about it; empty where nothing is.")


class Problem(BaseModel):
    """Why something did not work, and what to change (RFC 9457). Members that have nothing to say are missing."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(json_schema_extra={"format": "uri"}, description="The kind; it never changes.")
    title: str = Field(description="The kind in words.")
    status: int = Field(ge=400, le=599, description="The same as the answer's.")
    detail: str = Field(description="What is wrong here, and what to change.")
    msg: str = Field(description="The detail again, for clients of the Flask backend.")
    errors: list[ProblemField] | None = Field(None, description="Fields with wrong values.")
    code: int | None = Field(None, description="OpenML's error number, where it refused something.")
    reason: str | None = Field(None, description="What is wrong with a table, as a word that never changes.")
    row: int | None = Field(None, ge=1, description="Of the table, from 1, without its head.")
    line: int | None = Field(None, ge=1, description="Of the file, from 1.")
    column: str | None = Field(None, description="By its name in the file.")
    hint: str | None = Field(None, description="What would help.")
    choices: dict[str, list[Any]] | None = Field(
        None, description="Values that would do, by field of `reading`, the likeliest first."
    )
    correct: Literal["file", "metadata", "nothing"] | None = Field(
        None, description="What has to be changed before another attempt can succeed."
    )
    limit_bytes: int | None = Field(None, description="How many bytes there may be.")
    wanted_bytes: int | None = Field(None, description="How many this would take.")
    limit_pixels: int | None = Field(None, description="How many pixels a picture may have.")
    expected_offset: int | None = Field(
        None, alias="expected-offset", description="Where the upload's bytes have to go on."
    )
    provided_offset: int | None = Field(
        None, alias="provided-offset", description="Where those of the request would begin."
    )
    upload_id: str | None = Field(None, description="The upload that it is about.")
    dataset_id: int | None = Field(None, description="The dataset on OpenML that it is about.")
    status_there: str | None = Field(None, description="The dataset's status on OpenML.")
    checks: list[ProblemCheck] | None = Field(None, description="Why the service is not ready.")
    location: str | None = Field(None, description="Where else it is.")
    ticket: str | None = Field(None, description="What to send with the second factor.")
    methods: list[str] | None = Field(
        None, description="How this account may show who is there: names of fields to send."
    )
    expires_in: int | None = Field(None, description="Seconds for which the ticket works.")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema in which a member is missing where it has nothing to say, and never null."""
        shown = handler(schema)
        for member in handler.resolve_ref_schema(shown)["properties"].values():
            if "default" in member:
                del member["default"]
                kind, _null = member.pop("anyOf")
                member.update(kind)
        return shown


MEMBERS = frozenset(field.alias or name for name, field in Problem.model_fields.items())
"""Every member that a problem may have."""


@dataclass(frozen=True)
class ShownAs:
    """Describes a value that is kept as it is by the schema of a model: `Annotated[dict[str, Any], ShownAs(Model)]`."""

    model: type[BaseModel]

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return a reference to the model's schema."""
        # By itself the handler would write the schema out: only of what is inside another one it makes a reference.
        return handler(core_schema.definitions_schema(self.model.__pydantic_core_schema__, []))


ProblemDocument = Annotated[dict[str, Any], ShownAs(Problem)]
"""The document of a problem, as a field of an answer."""
