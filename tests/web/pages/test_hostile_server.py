"""An OpenML server that answers every question with something it should not: pages say so, and nothing runs."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.settings import Settings
from app.index.store import Put
from tests.conftest import running
from tests.servers import serving
from tests.upstream import OML
from tests.web.pages.test_catalogue import ADA, EVIL, STUDY, TASK, Page, fill, iris

pytestmark = pytest.mark.long

TEXT = EVIL.replace("&", "&amp;").replace("<", "&lt;").replace("\u202e", "")
ROOTS = {
    "data": "data_set_description",
    "task": "task",
    "flow": "flow",
    "run": "run",
    "study": "study",
    "evaluation": "evaluations",
}
NAMES = [
    "id",
    "did",
    "task_id",
    "flow_id",
    "run_id",
    "setup_id",
    "name",
    "data_name",
    "flow_name",
    "format",
    "url",
    "md5_checksum",
    "value",
    "values",
    "array_data",
    "function",
    "upload_time",
    "uploader",
    "uploader_name",
    "default_target_attribute",
    "data_splits_url",
    "task_type",
    "visibility",
    "status",
]
WORDS = [TEXT, "", "-1", "1e999", "9" * 400, "[1, [2]]", "nan", "http://["]


def fields(word: str) -> str:
    return "".join(f"<oml:{name}>{word}</oml:{name}>" for name in NAMES)


def nested(root: str, word: str) -> str:
    """The right root, and in it every field that is known, at each depth, and twice."""
    inner = f"<oml:input name='source_data'><oml:data_set>{fields(word)}</oml:data_set></oml:input>"
    lists = "".join(
        f"<oml:{name}>{fields(word)}</oml:{name}>" * 2
        for name in ("evaluation", "run", "data", "parameter_setting", "tasks", "runs", "flows", "input_data")
    )
    procedure = f"<oml:estimation_procedure>{fields(word)}</oml:estimation_procedure>"
    outputs = f"<oml:output_data><oml:evaluation>{fields(word)}</oml:evaluation></oml:output_data>"
    return f"<oml:{root} {OML}>{fields(word)}{inner}{procedure}{lists}{outputs}</oml:{root}>"


def with_fields(word: str) -> Callable[[str], tuple[int, str, bytes]]:
    return lambda root: (200, "text/xml", nested(root, word).encode())


ANSWERS: dict[str, Callable[[str], tuple[int, str, bytes]]] = {
    **{f"fields-{at}": with_fields(word) for at, word in enumerate(WORDS)},
    "other-root": lambda _: (200, "text/xml", f"<oml:x {OML}>{TEXT}</oml:x>".encode()),
    "empty-root": lambda root: (200, "text/xml", f"<oml:{root} {OML}/>".encode()),
    "bomb": lambda root: (200, "text/xml", b"<!DOCTYPE x [<!ENTITY a 'b'>]><" + root.encode() + b">&a;</x>"),
    "json": lambda root: (200, "application/json", json.dumps({root: [[EVIL], 1, None]}).encode()),
    "page": lambda _: (200, "text/html", EVIL.encode()),
    "nothing": lambda _: (200, "text/xml", b""),
    "bytes": lambda _: (200, "text/xml", bytes(range(256)) * 20),
    "error": lambda _: (
        412,
        "text/xml",
        f"<oml:error {OML}><oml:code>{TEXT}</oml:code></oml:error>".encode(),
    ),
    "fault": lambda _: (500, "text/html", EVIL.encode()),
    "odd-status": lambda _: (299, "text/plain", EVIL.encode()),
}
PATHS = (
    *(f"/dashboard/{kind}/1" for kind in ("data", "task", "flow", "run", "study", "study/run", "study/task")),
    *(f"/datasets/1/{what}" for what in ("statistics", "rows", "download")),
    *(
        "/tasks/1/splits",
        "/d/61?look=1",
        "/t/59",
        "/s/99",
        "/u/7",
        "/croissant/dataset/61",
        "/search?q=iris",
        "/",
    ),
)
ALLOWED = {200, 202, 307, 404, 409, 422, 502, 503}


class HostileServer:
    """Answers everything in one way, by the kind of thing that is asked for."""

    def __init__(self) -> None:
        self.way = ANSWERS["nothing"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kinds = [part for part in unquote(scope["path"]).split("/") if part in ROOTS]
        status, media_type, body = self.way(ROOTS[kinds[-1]] if kinds else "data_set_description")
        await Response(body, status_code=status, media_type=media_type)(scope, receive, send)


async def test_pages_when_openml_answers_anything_then_no_500_and_nothing_runs(
    site_settings: Settings,
) -> None:
    server = HostileServer()
    wrong: list[Any] = []
    async with serving(server) as url:
        settings = site_settings.model_copy(
            update={"spa_dir": "", "search_index": True, "openml_server": url, "pass_on": ("reads", "files")}
        )
        puts = (Put("task", "59", TASK), Put("study", "99", STUDY), Put("user", "7", ADA))
        known = {"url": f"{url}data/v1/download/61/iris.arff", "md5_checksum": "0" * 32}
        fill(settings, iris(61, **known), *puts, members={"task": [59], "data": [61]})
        for name, way in ANSWERS.items():
            server.way = way
            async with running(settings) as site:
                for path in PATHS:
                    answer = await site.client.get(path)
                    if answer.status_code not in ALLOWED:
                        wrong.append((name, path, answer.status_code, answer.text[:300]))
                    if answer.headers["content-type"].startswith("text/html"):
                        Page(answer.text).assert_harmless()
    assert wrong == []
