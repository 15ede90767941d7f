"""Bodies of the picture routes; texts are those that the SPA reads."""

from typing import Literal

from pydantic import BaseModel, Field


class ImageChangedResponse(BaseModel):
    """The picture is changed."""

    msg: Literal["User image changed"] = "User image changed"
    image: str = Field(
        description="The picture's path from the root of this service; empty if there is none."
    )
