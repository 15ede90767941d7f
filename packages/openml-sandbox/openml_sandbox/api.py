"""The front door of the API: the path, the body, the key; then the code of the call.

The order of the checks is the real server's. Everything that leaves passes `Api.answer`, which makes one `Answer`
of a call; that is where most faults (`faults.py`) take effect.
"""

import asyncio
import hashlib
import re
from concurrent.futures import Executor
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from openml_sandbox import (
    datasets,
    evaluations,
    flows,
    reference,
    runs,
    setups,
    studies,
    tasks,
    tasktypes,
    users,
)
from openml_sandbox.answers import Answer, Format, document, error_document
from openml_sandbox.call import Call, Route, find_route
from openml_sandbox.dropped import BrokenOff, DroppedConnection
from openml_sandbox.engine import Engine
from openml_sandbox.errors import ApiError, GlobalError, ServerCrashError
from openml_sandbox.faults import Faults, Meeting
from openml_sandbox.form import Form, Limits, receive_form
from openml_sandbox.records import User, get_or_add_user, rename_user
from openml_sandbox.run_schemas import RUN_SCHEMAS
from openml_sandbox.schema import SCHEMAS
from openml_sandbox.settings import KEY, Role, SandboxSettings
from openml_sandbox.store import Store

# The types of things the API knows; a new one is a line here.
ROUTES: dict[str, tuple[Route, ...]] = {
    "data": datasets.ROUTES,
    "estimationprocedure": reference.ESTIMATION_PROCEDURE_ROUTES,
    "evaluation": evaluations.ROUTES,
    "evaluationmeasure": reference.EVALUATION_MEASURE_ROUTES,
    "flow": flows.ROUTES,
    "run": runs.ROUTES,
    "setup": setups.ROUTES,
    "study": studies.ROUTES,
    "task": tasks.ROUTES,
    "tasktype": tasktypes.ROUTES,
    "user": users.ROUTES,
}

_FORMATS: dict[str, Format] = {"xml": "xml", "json": "json"}
_PREFIXES = (("api", "v1"), ("api_new", "v1"), ("index.php", "api_new", "v1"))
_DISALLOWED = re.compile(r"[^a-zA-Z0-9~%.:_\-(),/]")
_HTML = "text/html; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class _Path:
    format: Format
    type: str
    segments: tuple[str, ...]


class Key(NamedTuple):
    """A key as it came, and the account that it belongs to, if there are accounts."""

    text: str
    account: int | None


class Api:
    """Answers everything under `/api/v1`."""

    def __init__(
        self, settings: SandboxSettings, store: Store, engine: Engine, faults: Faults, executor: Executor
    ) -> None:
        self._settings = settings
        self._store = store
        self._engine = engine
        self._faults = faults
        self._executor = executor
        self._limits = Limits(store.incoming_dir, settings.upload_max_bytes, settings.post_max_bytes)
        self._roles: dict[str, Role] = {}
        for key, role in (settings.keys or {}).items():
            self._roles[_digest(key)] = role

    def open(self) -> None:
        """Number the users of the given keys, in their order."""
        with self._store.transaction() as connection:
            for digest, role in self._roles.items():
                get_or_add_user(connection, digest, role)

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        if _DISALLOWED.search(request.scope["path"]):
            return _html(HTTPStatus.BAD_REQUEST, "The URI you submitted has disallowed characters.")
        path = _split(request.scope["path"])
        if path is None:
            return _html(HTTPStatus.NOT_FOUND, "404 Page Not Found")
        if self._is_oversized(request):
            # The web server's own page, and behind it what PHP says of a body that never came.
            refusal = error_document(GlobalError(135), "xml")
            page = f"<html><head><title>413 Request Entity Too Large</title></head></html>{refusal.body.decode()}"
            return Response(page, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"Connection": "close"}, _HTML)
        meeting = self._faults.meet(_call_name(request.method, path))
        try:
            return await self._respond(request, path, meeting)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody is left to read it
        finally:
            self._faults.part(meeting)

    async def _respond(self, request: Request, path: _Path, meeting: Meeting) -> Response:
        # The whole body comes first: the key may be its last part, and the real server does not answer early either.
        answer = await self._receive_and_answer(request, path, meeting)
        if request.method == "POST":
            self._engine.wake()
        # Of a call that did its work: one that was refused leaves the fault to the next.
        if answer.status == HTTPStatus.OK:
            if meeting.meets("lost-answer", "reset-after-last-byte"):
                return DroppedConnection(is_reset=meeting.meets("reset-after-last-byte"))
            if meeting.meets("broken-off"):
                return BrokenOff(answer.body, answer.status, answer.headers, answer.media_type)
        if delay := meeting.delay_seconds():
            await asyncio.sleep(delay)
        return Response(answer.body, answer.status, answer.headers, answer.media_type)

    async def _receive_and_answer(self, request: Request, path: _Path, meeting: Meeting) -> Answer:
        run = asyncio.get_running_loop().run_in_executor
        if request.method != "POST":
            # PHP reads a form from POST bodies only.
            key = await self.read_key(request)
            return await run(self._executor, self.answer, request, path, Form(), key, meeting)
        async with receive_form(request, self._limits, self._executor) as form:
            key = await self.read_key(request, form)
            return await run(self._executor, self.answer, request, path, form, key, meeting)

    async def read_any_key(self, request: Request) -> Key:
        """Read the key of a request for a file, which may be a form."""
        if request.method != "POST":
            return await self.read_key(request)
        async with receive_form(request, self._limits, self._executor) as form:
            return await self.read_key(request, form)

    async def read_key(self, request: Request, form: Form | None = None) -> Key:
        """Read the key of a request, and whose account's it is."""
        # The query counts even where the form has another key; headers are never looked at.
        text = request.query_params.get("api_key", form.fields.get("api_key", "") if form else "")
        is_anybodys = self._settings.keys is None and KEY.fullmatch(text)
        return Key(text, await self._settings.account_of(text) if is_anybodys else None)

    def answer(self, request: Request, path: _Path, form: Form, key: Key, meeting: Meeting) -> Answer:
        """Make the one answer of a call; blocks."""
        instead = meeting.answer_before()
        if instead is not None:
            return instead
        try:
            # Schemas are static pages: no key is looked at.
            if path.type == "xsd":
                return _schema(path)
            user = self._authenticate(request, key)
            answer = self._dispatch(request.method.lower(), path, form, user, meeting)
            return meeting.answer_after(answer, path.format)
        except ApiError as error:
            return error_document(error, "xml" if isinstance(error, GlobalError) else path.format)
        except ServerCrashError:
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"", _HTML)

    def _dispatch(self, method: str, path: _Path, form: Form, user: User | None, meeting: Meeting) -> Answer:
        routes = ROUTES.get(path.type)
        if routes is None:
            raise GlobalError(100)
        route = find_route(routes, method, path.segments)
        if route is None:
            raise ApiError(100)
        call = Call(method, path.format, path.segments, form, user, self._store, self._settings, meeting)
        result = route.handler(call)
        return result if isinstance(result, Answer) else document(result, path.format)

    def _authenticate(self, request: Request, key: Key) -> User | None:
        if '"' in key.text or key.text.endswith("\\"):
            raise ServerCrashError  # the key is pasted into a statement
        user = self.find_user(key)
        is_get = request.method == "GET"
        if user is None:
            # A wrong key is refused even where none is needed.
            if key.text:
                raise GlobalError(103)
            if not is_get:
                raise GlobalError(102)
        elif not is_get and user.role == "read-only":
            raise GlobalError(104, "API calls of the read-only user can only be of type GET. ")
        return user

    def find_user(self, key: Key) -> User | None:
        """Find who a key belongs to; blocks."""
        digest = _digest(key.text)
        role = self._roles.get(digest)
        if self._settings.keys is None and KEY.fullmatch(key.text):
            role = "writer"
        if role is None:
            return None
        with self._store.transaction() as connection:
            if key.account is not None:
                # The account stays when its key is renewed: whom the key meant is known by the account from now on.
                former, digest = digest, _digest(f"account {key.account}")
                rename_user(connection, former, digest)
            return get_or_add_user(connection, digest, role)

    def _is_oversized(self, request: Request) -> bool:
        largest = self._settings.request_max_bytes
        declared = request.headers.get("content-length", "")
        return largest is not None and declared.isdecimal() and int(declared) > largest


def _digest(key: str) -> str:
    # The database compares keys without regard to case.
    return hashlib.sha256(key.lower().encode()).hexdigest()


def _split(path: str) -> _Path | None:
    segments = tuple(segment for segment in path.split("/") if segment)
    for prefix in _PREFIXES:
        if segments[: len(prefix)] == prefix:
            rest = segments[len(prefix) :]
            break
    else:
        return None
    fmt = _FORMATS.get(rest[0]) if rest else None
    if fmt is not None:
        rest = rest[1:]
    return _Path(fmt or "xml", rest[0] if rest else "", rest[1:])


def _call_name(method: str, path: _Path) -> str:
    """Name a call as faults name it; a path that is no call keeps its own."""
    route = find_route(ROUTES.get(path.type, ()), method.lower(), path.segments)
    rest = "/".join(path.segments) if route is None else route.pattern
    return f"{method} /{path.type}/{rest}".rstrip("/")


def call_names() -> list[str]:
    """Name every call that a fault can be switched on for."""
    return sorted(
        f"{method.upper()} /{kind}/{route.pattern}".rstrip("/")
        for kind, routes in ROUTES.items()
        for route in routes
        for method in route.methods or ("get", "post", "delete")
    )


def _schema(path: _Path) -> Answer:
    schema = (SCHEMAS | RUN_SCHEMAS).get("/".join(path.segments))
    if schema is None:
        return Answer(HTTPStatus.NOT_FOUND, b"", _HTML)
    return Answer(HTTPStatus.OK, schema.xsd().encode(), "text/xml; charset=utf-8")


def _html(status: HTTPStatus, text: str) -> Response:
    return Response(
        f"<!DOCTYPE html><title>{status.value}</title><h1>{text}</h1>\n", status, media_type=_HTML
    )
