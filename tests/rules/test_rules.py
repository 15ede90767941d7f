"""Each rule can fail, and says what to do."""

import importlib
from pathlib import Path

import pytest

from tests.rules import rule_sessions
from tests.rules.source import Source

BREAKS: dict[str, list[tuple[str, str]]] = {
    "rule_problem_members": [
        ("app/uploads/service.py", "raise UploadGoneError(upload=upload.id)"),
        ("app/tasks/service.py", "raise errors.NotFoundError('no', task_id=7, code=1)"),
    ],
    "rule_loop": [
        ("app/datasets/service.py", "async def edit():\n    near = suggest(name, columns)"),
        (
            "app/uploads/service.py",
            "async def save():\n    with lock:\n        return check_draft(document).values",
        ),
        ("app/uploads/preview.py", "page = await asyncio.to_thread(read_profile, path)"),
        ("app/core/tokens.py", "await loop.run_in_executor(None, function)"),
    ],
    "rule_bodies": [
        ("app/web/search_routes.py", "async def search(request):\n    return await request.body()"),
        ("app/uploads/bodies.py", "stream = self.request.stream()"),
        ("app/uploads/routes_form.py", "read = request.json"),
        ("app/accounts/routes_picture.py", "from fastapi import UploadFile"),
        ("app/datasets/routes.py", "router = APIRouter(tags=['datasets'])"),
        ("app/datasets/routes.py", "router = fastapi.APIRouter(route_class=APIRoute)"),
    ],
    "rule_database_errors": [
        ("app/accounts/service_signed_in.py", "from sqlalchemy.exc import IntegrityError, OperationalError"),
        (
            "app/accounts/service_signed_in.py",
            "import sqlalchemy as sa\ntry: pass\nexcept sa.exc.DBAPIError: pass",
        ),
        ("app/worker/run.py", "import pymysql.err\nfault = pymysql.err.OperationalError"),
        ("app/db/users.py", "import sqlite3\ntry: pass\nexcept sqlite3.Error: pass"),
        ("app/worker/janitor.py", "async with resources.database.engine.connect() as connection: pass"),
        ("app/commands/user.py", "connection = aiomysql.connect()"),
    ],
    "rule_suggestions": [
        ("app/datasets/service.py", "import difflib"),
        ("app/tabular/schema/names.py", "def find():\n    from difflib import get_close_matches"),
    ],
    "rule_http_clients": [
        ("app/web/upstream.py", "import httpx\nhttp = httpx.AsyncClient(timeout=3)"),
        ("app/commands/uploader.py", "import httpx\nwith httpx.Client() as http: pass"),
        ("app/openml/client.py", "from httpx import AsyncClient"),
        ("app/openml/client.py", "import httpx as web\nweb.get('https://example.org')"),
        ("app/openml/client.py", "import requests"),
        ("app/openml/client.py", "from urllib import request"),
        ("app/openml/client.py", "from http.cookiejar import CookieJar"),
    ],
    "rule_wall_clock": [
        ("app/datasets/service.py", "now = datetime.now(UTC)"),
        ("app/datasets/service.py", "import datetime\nnow = datetime.datetime.utcnow()"),
    ],
    "rule_database_clock": [
        ("app/tasks/waiting.py", "lease = utc_now() + LEASE"),
        ("app/accounts/links.py", "clock.utc_now()"),
        ("app/deps.py", "import time\ntime.time()"),
    ],
    "rule_looked_at": [
        ("app/uploads/at_openml.py", "async def f(): await uploads.set_state(session)"),
        ("app/accounts/mail_delivery.py", "async def f(): await outbox.set_sent(session)"),
        (
            "app/tasks/waiting.py",
            "from app.db.task_requests import set_ended\nasync def f(): await set_ended(session)",
        ),
        ("app/uploads/receive.py", "async def f(): await TO_RECEIVE.renew(session)"),
        ("app/uploads/append.py", "async def f(): await queue.renew(session)"),
        ("app/accounts/links.py", "async def f(): await account_tokens.use_token(session)"),
    ],
    "rule_lease_owner": [
        ("app/uploads/pipeline.py", "values = {'lease_owner': None}"),
        ("app/db/users.py", "sa.update(uploads).values(available_at=now)"),
    ],
    "rule_upload_steps": [
        (
            "app/uploads/lifecycle.py",
            "sa.update(uploads).where(uploads.c.id == one).values(state=UploadState.FAILED)",
        ),
        ("app/db/upload_bytes.py", "sa.insert(tables.uploads).values({'state': state, 'id': one})"),
        ("app/uploads/service.py", "values = {'state': UploadState.CANCELLED}"),
        ("app/db/uploads.py", "async def forget_user():\n    sa.update(uploads).values(state=gone)"),
        ("app/uploads/append.py", "upload.state in {UploadState.CANCELLED, UploadState.FAILED}"),
        ("app/uploads/append.py", "uploads.c.state.in_([UploadState.RECEIVING, UploadState.READY])"),
        ("app/uploads/event_stream.py", "upload.state in ('active', 'failed')"),
        ("app/db/upload_bytes.py", "gone = HOLDS_BYTES - {UploadState.SENDING}"),
    ],
    "rule_narrow_signatures": [
        ("app/tasks/service.py", "async def upload(resources: Resources, account: Account): ..."),
        ("app/tasks/service.py", "async def upload(account, *, resources: 'Resources'): ..."),
        ("app/worker/run.py", "from app import resources\ndef run(all: resources.Resources | None): ..."),
        ("app/worker/run.py", "Work = 1\nclass Run:\n    resources: Resources"),
    ],
    "rule_sessions": [
        ("app/datasets/service.py", "async with database.session() as session: pass"),
        ("app/uploads/status.py", "await self._database.unit(partial(note, upload_id=one))"),
        ("app/db/users.py", "async with claimed.resources.database.session() as session: pass"),
    ],
    "rule_one_server": [
        ("app/cli.py", "import uvicorn\nuvicorn.run(create_app)"),
        ("app/cli.py", "from uvicorn import Config, Server"),
        ("app/worker/run.py", "from uvicorn.supervisors.multiprocess import Multiprocess"),
    ],
}
"""For each rule, files that break it: name and text."""
KEEPS: dict[str, list[tuple[str, str]]] = {
    "rule_problem_members": [
        (
            "app/uploads/service.py",
            "raise UploadGoneError(upload_id=upload.id, headers={'Retry-After': '1'})",
        ),
        ("app/uploads/service.py", "raise kind(record['detail'], **record['members'])"),
    ],
    "rule_database_errors": [
        ("app/uploads/creation.py", "from sqlalchemy.exc import IntegrityError"),
        ("app/db/faults.py", "import sqlalchemy as sa\nkinds = sa.exc.DBAPIError"),
        ("app/db/engine.py", "engine = create_async_engine(url)"),
        ("app/worker/run.py", "try: pass\nexcept TimeoutError: pass"),
        ("app/worker/run.py", "raise InternalError()"),
    ],
    "rule_loop": [
        (
            "app/datasets/service.py",
            "async def edit():\n    await resources.checks.run_for(1, suggest, name, columns)",
        ),
        ("app/datasets/service.py", "def unknown():\n    return suggest(name, columns)"),
        ("app/storage/local.py", "await asyncio.to_thread(path.unlink)"),
        ("app/openml/connection.py", "await loop.run_in_executor(self._executor, compute)"),
    ],
    "rule_bodies": [
        ("app/core/bodies.py", "request.stream()"),
        ("app/datasets/routes.py", "router = APIRouter(tags=['datasets'], route_class=BoundedRoute)"),
        ("app/uploads/routes_form.py", "await read_body(request, limit)\nresponse.json()\nrequest.headers"),
    ],
    "rule_suggestions": [
        ("app/core/suggestions.py", "from difflib import SequenceMatcher"),
        ("app/datasets/service.py", "from app.core.suggestions import suggest"),
    ],
    "rule_http_clients": [
        ("app/core/outgoing.py", "import httpx\nhttp = httpx.AsyncClient(timeout=3)"),
        ("app/openml/client.py", "import httpx\nlimit = httpx.Timeout(3)\nheaders.get('x')"),
        ("app/openml/client.py", "from urllib.parse import quote\nfrom http import HTTPStatus"),
    ],
    "rule_wall_clock": [
        ("app/core/clock.py", "now = datetime.now(UTC)"),
        ("app/datasets/service.py", "utc_now()"),
    ],
    "rule_database_clock": [
        ("app/core/clock.py", "utc_now()"),
        ("app/tasks/waiting.py", "resources.database.now()\ntime.monotonic()"),
        ("app/core/tokens.py", "def __init__(self, now=utc_now): ..."),
    ],
    "rule_looked_at": [
        ("app/tasks/waiting.py", "async def f(): moved = await uploads.set_state(session)"),
        (
            "app/tasks/waiting.py",
            "async def f():\n    if not await outbox.set_sent(s): raise LeaseLostError",
        ),
        ("app/tasks/waiting.py", "async def f(): await uploads.add_upload(session)"),
        ("app/uploads/creation.py", "async def f(): await finish(session)"),
        ("app/accounts/mail_delivery.py", "async def f(): await lease.renew()"),
    ],
    "rule_lease_owner": [
        ("app/uploads/pipeline.py", "uploads.set_state(session, available_at=now)"),
        ("app/db/queue.py", "values = {'lease_owner': None}"),
    ],
    "rule_upload_steps": [
        (
            "app/db/uploads.py",
            "async def set_state():\n    sa.update(uploads).values(state=state, finished_at=now)",
        ),
        ("app/db/upload_states.py", "GIVEN_UP = frozenset({UploadState.FAILED, UploadState.CANCELLED})"),
        ("app/db/task_requests.py", "sa.update(task_requests).values(state='made')"),
        ("app/uploads/service.py", "only_in={UploadState.SENDING}\nupload.state in CAN_STOP"),
        ("app/openml/client.py", "words = ('active', 'in_preparation', 'deactivated')"),
        ("app/uploads/status.py", "document = {'state': upload.state, 'id': upload.id}"),
    ],
    "rule_narrow_signatures": [
        ("app/tasks/routes.py", "async def upload(resources: Resources): ..."),
        ("app/web/search_routes.py", "async def search(resources: ResourcesDep): ..."),
        ("app/jobs.py", "async def run_worker(resources: Resources): ..."),
        ("app/tasks/service.py", "async def upload(database: Database, openml: OpenMLClient): ..."),
    ],
    "rule_sessions": [
        ("app/accounts/routes_public.py", "await database.unit(lambda session: confirm(session, token))"),
        ("app/uploads/creation.py", "return await database.unit(begin)"),
        ("app/datasets/service.py", "await service.session()\nasync def edit(session: AsyncSession): ..."),
    ],
    "rule_one_server": [
        ("app/core/serving.py", "import uvicorn"),
        ("app/cli.py", "from app.core.serving import run\nimport uvloop"),
    ],
}
"""Files that are next to breaking one, and do not."""


def _found(rule: str, name: str, text: str) -> list[tuple[int, str]]:
    return list(importlib.import_module(f"tests.rules.{rule}").violations(Source.parse(name, text)))


@pytest.mark.parametrize(
    ("rule", "name", "text"), [(r, *case) for r, cases in BREAKS.items() for case in cases]
)
def test_rule_when_broken_then_the_place_is_named(rule: str, name: str, text: str) -> None:
    assert _found(rule, name, text)


@pytest.mark.parametrize(
    ("rule", "name", "text"), [(r, *case) for r, cases in KEEPS.items() for case in cases]
)
def test_rule_when_kept_then_nothing_is_said(rule: str, name: str, text: str) -> None:
    assert not _found(rule, name, text)


def test_rules_when_listed_then_each_is_shown_to_fail() -> None:
    there = {path.stem for path in Path(__file__).parent.glob("rule_*.py")}

    assert there == set(BREAKS)


def test_sessions_when_a_module_opens_none_any_more_then_it_is_not_listed() -> None:
    root = Path(__file__).parents[2]
    sources = [Source.parse(name, (root / name).read_text()) for name in rule_sessions.SEVERAL]

    assert [source.name for source in sources if not list(rule_sessions.opened(source))] == []
