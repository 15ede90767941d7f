"""What GitHub answers, in the shapes of its REST API (2022-11-28), as a server of this machine."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tests.oidc.hostile import CLIENT_ID, CLIENT_SECRET, proves
from tests.servers import serving

OCTOCAT = {
    "login": "octocat",
    "id": 583231,
    "node_id": "MDQ6VXNlcjU4MzIzMQ==",
    "avatar_url": "https://avatars.githubusercontent.com/u/583231?v=4",
    "gravatar_id": "",
    "html_url": "https://github.com/octocat",
    "type": "User",
    "site_admin": False,
    "name": "The Octocat",
    "company": "@github",
    "email": None,
    "bio": None,
    "public_repos": 8,
    "created_at": "2011-01-25T18:44:36Z",
}


def emails(address: str, *, verified: bool = True) -> list[dict[str, Any]]:
    """Return a list as `GET /user/emails` has it: the primary address is not the first."""
    noreply = "583231+octocat@users.noreply.github.com"
    return [
        {"email": noreply, "primary": False, "verified": True, "visibility": None},
        {"email": f"old-{address}", "primary": False, "verified": True, "visibility": None},
        {"email": address, "primary": True, "verified": verified, "visibility": "private"},
    ]


@dataclass
class GitHub:
    """An Enterprise server: its API is below `/api/v3`."""

    url: str = ""
    user: dict[str, Any] = field(default_factory=lambda: dict(OCTOCAT))
    emails: Any = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.url.path == "/login/oauth/access_token":
            return self._redeem(dict(parse_qsl((await request.body()).decode())))
        if request.url.path == "/api/v3/":
            return JSONResponse({"current_user_url": f"{self.url}/api/v3/user"})
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return JSONResponse({"message": "Bad credentials", "status": "401"}, status_code=401)
        found = {"/api/v3/user": self.user, "/api/v3/user/emails": self.emails}.get(request.url.path)
        return JSONResponse(found if found is not None else {"message": "Not Found"})

    def _redeem(self, form: dict[str, str]) -> Response:
        """Redeem a code; failures are 200."""
        asked = self.codes.pop(form.get("code", ""), None)
        if form.get("client_secret") != CLIENT_SECRET:
            return JSONResponse({"error": "incorrect_client_credentials"})
        if asked is None or not proves(form, asked):
            return JSONResponse(
                {
                    "error": "bad_verification_code",
                    "error_description": "The code passed is incorrect or expired.",
                    "error_uri": "https://docs.github.com/apps",
                }
            )
        token = f"gho_{secrets.token_hex(18)}"
        self.tokens.add(token)
        scope = asked["scope"].replace(" ", ",")
        return JSONResponse({"access_token": token, "scope": scope, "token_type": "bearer"})

    def authorize(self, address: str) -> dict[str, str]:
        """Consent to what a browser was sent here with; return the parameters that it is sent back with."""
        assert urlsplit(address).path == "/login/oauth/authorize"
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["client_id"] == CLIENT_ID
        assert "nonce" not in asked
        code = secrets.token_hex(10)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}


@asynccontextmanager
async def serving_github(**settings: Any) -> AsyncIterator[GitHub]:
    """Run it."""
    github = GitHub(**settings)
    async with serving(github) as root:
        github.url = root.rstrip("/")
        yield github
