"""The OpenAPI document: what FastAPI finds in the routes, and what it cannot see there."""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import structlog
from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request

from app.core.components import Described, component, headers
from app.core.errors import (
    BodyStalledError,
    BodyTooLargeError,
    HeadTooLargeError,
    InsufficientScopeError,
    InternalError,
    NotReadyError,
    ProblemError,
    ReadOnlyModeError,
    TooBusyError,
    TooManyRequestsError,
    catalogue,
)
from app.core.http import PROBLEM_JSON, declare
from app.core.problem_schema import Problem as ProblemSchema
from app.core.scopes import MEANINGS, scopes_of

log = structlog.get_logger(__name__)

ANYWHERE: Sequence[type[ProblemError]] = (
    BodyStalledError,
    BodyTooLargeError,
    TooManyRequestsError,
    HeadTooLargeError,
    InternalError,
    NotReadyError,
    ReadOnlyModeError,
    TooBusyError,
)
"""What any route may answer: bodies are bounded everywhere, large answers are few at once, databases go away, and
the site may be in read-only mode."""
HEADERS: Described = {
    "Accept-Ranges": {"description": "Parts can be asked for (RFC 9110).", "schema": {"type": "string"}},
    "Cache-Control": {"description": "Who may keep the answer (RFC 9111).", "schema": {"type": "string"}},
    "Content-Disposition": {"description": "A name to save it under.", "schema": {"type": "string"}},
    "ETag": {"description": "Names this very content (RFC 9110).", "schema": {"type": "string"}},
    "Last-Modified": {"description": "When it was made.", "schema": {"type": "string"}},
    "Location": {
        "description": "Where what was begun is.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
        "example": "/uploads/6f0c2a3d9be84f5f8f0b6f6d6f7f2a11",
    },
    "Retry-After": {
        "description": "In how many seconds to come back.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 60,
    },
    "Set-Cookie": {
        "description": "Ties a log-in with a provider to the browser that began it, for ten minutes; or keeps a "
        "session that stays. Taken away when it is good for nothing more.",
        "schema": {"type": "string"},
    },
    "WWW-Authenticate": {
        "description": "Which credentials are asked for (RFC 6750).",
        "schema": {"type": "string"},
        "example": 'Bearer realm="openml"',
    },
    "X-Request-ID": {
        "description": "Names the request in the log: the one that it brought, or ours.",
        "schema": {"type": "string"},
        "example": "3f9a61c200000001",
    },
}
PARAMETERS: Described = {
    "If-None-Match": {
        "description": "Tags of what is here already: 304, if it is one of them.",
        "schema": {"type": "string"},
    },
    "X-Request-ID": {
        "description": "A name for this request, which the answer and the log will have.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9._-]+$"},
        "example": "river-upload-17",
    },
}
OF_TOKENS: Sequence[type[ProblemError]] = (InsufficientScopeError,)
"""What any route for users may answer as well: each API token opens some of them, and not all."""
SECURITY_SCHEMES: Mapping[str, Mapping[str, str]] = {
    "SignedIn": {
        "description": "The access token of `POST /token`, as `Authorization: Bearer …`; `POST /logout` ends it."
    },
    "ApiKey": {
        "description": "The key on OpenML, which `GET /api-key` shows; for whatever concerns datasets."
    },
}
API_TOKEN: Mapping[str, str] = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "openml_…",
    "description": "An API token of `POST /tokens`, as `Authorization: Bearer openml_…`, with one of the scopes named: "
    + " ".join(f"`{scope}`: {meaning}" for scope, meaning in MEANINGS.items()),
}
"""No dependency of FastAPI's has it: which routes such a token opens their functions' marks say."""
Operation = dict[str, Any]
ON_ALL = headers("X-Request-ID")


class RoutesDescription(NamedTuple):
    """What the document of an application has besides what FastAPI finds in its routes.

    Attributes:
        models: that bodies have which routes read by themselves.
        request_headers: by name; operations refer to them.
        answer_headers: by name; answers refer to them.
        everywhere_below: headers that all answers below a path have.
    """

    models: Sequence[type[BaseModel]]
    request_headers: Described
    answer_headers: Described
    everywhere_below: Mapping[str, str]


class DescribedApp(FastAPI):
    """An application that gets its routes late, and whose document also says what they do not show of themselves."""

    def __init__(
        self,
        *,
        add_routes: Callable[[FastAPI], RoutesDescription],
        **settings: Any,  # noqa: ANN401 - FastAPI's own
    ) -> None:
        """Take what adds the routes and describes them, and what FastAPI takes."""
        super().__init__(openapi_url=None, **settings)
        self._add_routes = add_routes
        self._description: RoutesDescription | None = None
        self._lock = threading.Lock()

    def complete(self) -> RoutesDescription:
        """Add the routes, unless they are there; return what the document says besides."""
        with self._lock:
            if self._description is None:
                self._description = self._add_routes(self)
            return self._description

    async def until_complete(self) -> None:
        """Return once the routes are there. They are added in a thread, which lets the event loop run meanwhile."""
        if self._description is None:
            await asyncio.to_thread(self.complete)

    async def complete_in_background(self) -> None:
        """Have the routes added, so that hardly any request waits for them.

        A fault (a library that is not installed) is logged; each request meets it again, and is answered with it.
        """
        try:
            await self.until_complete()
        except Exception:
            log.critical(
                "the routes cannot be imported: every request fails until that is mended", exc_info=True
            )

    def openapi(self) -> dict[str, Any]:
        """Return the document; it takes a while to be made, and is kept."""
        described = self.complete()
        if self.openapi_schema is None:
            document = super().openapi()
            _add_components(document["components"], described)
            scopes = {
                (route.path_format, method.lower()): scopes_of(route.endpoint)
                for route in self.routes
                if isinstance(route, APIRoute)
                for method in route.methods or ()
            }
            for path, methods in document["paths"].items():
                for method, operation in methods.items():
                    operation.setdefault("security", []).extend(
                        {"ApiToken": [scope.value]} for scope in scopes[path, method]
                    )
                    below = described.everywhere_below.items()
                    names = [name for root, name in below if f"{path}/".startswith(f"{root}/")]
                    _complete(operation, headers(*names), has_body=method != "head")
            document["components"]["examples"] = _examples(json.dumps(document))
            self.openapi_schema = document
        return self.openapi_schema


def _add_components(components: dict[str, Any], described: RoutesDescription) -> None:
    models = [(model, "validation") for model in (ProblemSchema, *described.models)]
    _, schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]  # a list is invariant
    components["schemas"] = dict(sorted({**components["schemas"], **schemas["$defs"]}.items()))
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    components["headers"] = {**HEADERS, **described.answer_headers}
    components["parameters"] = {
        name: {"name": name, "in": "header", **header}
        for name, header in {**PARAMETERS, **described.request_headers}.items()
    }
    components["responses"] = {
        str(status): {**answer, "headers": {**answer["headers"], **ON_ALL}}
        for status, answer in declare(*ANYWHERE, *OF_TOKENS).items()
    }
    for name, scheme in SECURITY_SCHEMES.items():
        components["securitySchemes"][name].update(scheme)
    components["securitySchemes"]["ApiToken"] = dict(API_TOKEN)


def _examples(text: str) -> dict[str, Any]:
    """Return an example of each kind of problem that some operation answers with."""
    return {
        kind.slug: {"summary": kind.title, "value": kind.example().document()}
        for kind in catalogue()
        if f'"#/components/examples/{kind.slug}"' in text
    }


def _complete(operation: Operation, own_headers: Mapping[str, Any], *, has_body: bool) -> None:
    """Say what holds for every operation: who may ask, which headers there are, what can go wrong anywhere."""
    operation.setdefault("parameters", []).append(component("parameters", "X-Request-ID"))
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422", "")):
        del answers["422"]  # FastAPI's guess; what a route can answer it declares.
    is_common = has_body and not own_headers
    for status, common in declare(*ANYWHERE, *(OF_TOKENS if operation["security"] else ())).items():
        own = answers.get(str(status), answers.get(f"{str(status)[0]}XX"))
        if own is None:
            answers[str(status)] = component("responses", str(status)) if is_common else common
        elif PROBLEM_JSON in own.get("content", {}):
            _merge(own, common)
    for answer in answers.values():
        if "$ref" in answer:
            continue
        answer["headers"] = {**answer.get("headers", {}), **ON_ALL, **own_headers}
        if not has_body:
            answer.pop("content", None)
    operation["responses"] = dict(sorted(answers.items()))


def _merge(own: dict[str, Any], common: Mapping[str, Any]) -> None:
    """Add what can go wrong anywhere to an answer of the same status."""
    own["headers"] = {**common["headers"], **own.get("headers", {})}
    own["content"][PROBLEM_JSON]["examples"] = {
        **own["content"][PROBLEM_JSON]["examples"],
        **common["content"][PROBLEM_JSON]["examples"],
    }


class ApiDocument:
    """Answers with the document of an application. It is made when somebody asks first, beside the event loop."""

    def __init__(self, application: FastAPI, *, site_url: str) -> None:
        self._application = application
        self._site_url = site_url
        self._texts: dict[bool, bytes] = {}
        self._lock = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        """Return the document. Its first server is the one that was asked, so that the API page asks it as well."""
        is_site = request.url.netloc == urlsplit(self._site_url).netloc
        async with self._lock:
            if is_site not in self._texts:
                self._texts[is_site] = await asyncio.to_thread(self.text, is_site=is_site)
        return Response(self._texts[is_site], media_type="application/json")

    def text(self, *, is_site: bool) -> bytes:
        """Return the document as it is sent; `is_site` says that it was asked for at the address of the site."""
        servers = [
            {"url": self._site_url, "description": "This site."},
            {"url": "/", "description": "The server that this document comes from."},
        ]
        document = {**self._application.openapi(), "servers": servers if is_site else servers[::-1]}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
