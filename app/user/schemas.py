"""Bodies of the routes of one's own account; names and texts are those that the SPA reads."""

from typing import Literal

from pydantic import BaseModel


class ProfileResponse(BaseModel):
    """The signed-in user. No text is ever null: the SPA calls methods on them."""

    username: str
    bio: str
    first_name: str
    last_name: str
    email: str
    image: str
    id: int


class ApiKeyResponse(BaseModel):
    """The user's key on OpenML; null if an old account never had one."""

    apikey: str | None


class ApiKeyChangedResponse(BaseModel):
    """The new key. The old one works no more, neither here nor on OpenML."""

    msg: Literal["API Key updated"] = "API Key updated"
    apikey: str


class LogoutResponse(BaseModel):
    """The token is dead."""

    msg: Literal["Successfully logged out"] = "Successfully logged out"
