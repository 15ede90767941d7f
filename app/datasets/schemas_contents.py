"""What is told of the contents of a dataset's file."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

Name = Annotated[str, StringConstraints(max_length=1024)]
Filter = Annotated[str, StringConstraints(max_length=2048)]


class ComputingResponse(BaseModel):
    """It is not there yet: ask again after `Retry-After` seconds."""

    state: Literal["computing"] = "computing"
    msg: str = "The dataset's file is being looked at; ask again in a moment"


class ColumnStatistics(BaseModel):
    """What is known of one column; of numbers and of texts other figures, too (docs/api.md)."""

    index: int
    name: str
    kind: str = Field(description="As the file declares it: numeric, integer, real, nominal, string, date.")
    count: int = Field(description="Cells that are stated.")
    missing: int
    infinite: int = Field(description="Infinite numbers, which are left out, and counted as missing, too.")
    distinct: int = Field(
        description="Different values; at least so many where `distinct_is_exact` is false."
    )
    distinct_is_exact: bool
    commonest: list[dict[str, Any]] = Field(description="`value` and `count`, the commonest first.")
    commonest_is_exact: bool = Field(description="If not, they are counted in a sample of rows.")


class TableStatistics(BaseModel):
    """What is known of the table as a whole."""

    bytes: int = Field(description="Size of the file as OpenML has it.")
    rows: int
    columns: int
    missing: int
    target: str | None
    classes: list[str] = Field(description="The target's commonest labels, by which columns are shown.")
    segments: int = Field(description="Into how many runs of rows `missing_in_segments` divides them.")
    sample_rows: int = Field(description="Of the sample, where figures are of one: every n-th row.")
    is_exact: bool = Field(description="Whether no figure of a column is of a sample.")
    correlations: dict[str, Any]
    associations: dict[str, Any] | None


class StatisticsResponse(BaseModel):
    """Statistics of a dataset's file."""

    dataset_id: int
    name: str
    md5: str
    table: TableStatistics
    columns: list[ColumnStatistics]


class RowsResponse(BaseModel):
    """Some rows of a dataset's file."""

    columns: list[str]
    rows: list[int] = Field(description="The number of each row in the file, from 0.")
    cells: list[list[float | str | None]] = Field(description="Row by row; null is a missing value.")
    found: int = Field(description="Rows that match the filter.")
    total: int
