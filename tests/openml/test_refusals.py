"""What OpenML's error codes mean to whoever asked: what the caller can mend is a 4xx, what passes a 503."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from app.core.settings import Settings
from app.openml.errors import SETTLED, RefusedError
from app.openml.translation import problem_of
from tests.conftest import Running, empty_database, running
from tests.distorting import distorted, error
from tests.service import ADA
from tests.upstream import Upstream

CALLERS: dict[str, tuple[int, list[int]]] = {
    "api-key-refused": (409, [102, 103]),
    "read-only-account": (403, [104]),
    "not-yours": (403, [106, 112, 275, 476, 602, 1065]),
    "not-found": (404, [110, 111, 271, 361, 472, 1063]),
    "dataset-refused": (422, [130, 131, 133, 135, 140, 141, 145, 413]),
    "dataset-not-active": (409, [273, 623]),
    "dataset-in-use": (409, [1066]),
    "validation-failed": (
        422,
        [470, 471, 477, 611, 613, 616, 617, 618, 621, 622, 1031, 1032, 1033, 1060, 1061, 1062, 1064],
    ),
}
"""Problem, status, and the codes whose class in OpenML's table is "fix the input", "ask the user" or "wait"."""
PASSES = [107, 132, 612, 615, 1067]
NOBODYS = [100, 101, 136, 619, 620]
IN_THEIR_PLACE = {473, 475, 474, 614, 1038, 1039}
"""Codes that the calls or services they belong to explain."""


@pytest.fixture(params=["sqlite"])
def database_uri(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> str:
    """A migrated, empty database."""
    return empty_database(request, tmp_path, migrated_sqlite)


@pytest.mark.parametrize(
    ("slug", "status", "code"),
    [(slug, status, code) for slug, (status, codes) in CALLERS.items() for code in codes],
)
def test_refusal_when_the_caller_can_mend_it_then_a_4xx_of_its_kind(
    slug: str, status: int, code: int
) -> None:
    problem = problem_of(RefusedError(code, "Said there. ", http_status=412, details="And why."))

    assert (problem.slug, problem.status, problem.members["code"]) == (slug, status, code)


def test_refusal_when_it_passes_then_503_with_a_time_and_else_502_with_the_reason() -> None:
    for code in PASSES:
        problem = problem_of(RefusedError(code, "Said there.", http_status=412))
        assert (problem.status, problem.headers) == (503, {"Retry-After": "10"}), code
    for code in NOBODYS:
        problem = problem_of(RefusedError(code, "Said there.", http_status=412))
        assert (problem.status, "Said there." in problem.detail) == (502, True), code


def test_codes_when_a_write_may_be_refused_with_them_then_each_is_in_the_table() -> None:
    known = {*PASSES, *NOBODYS, *IN_THEIR_PLACE, *(code for _, codes in CALLERS.values() for code in codes)}
    left_over = set().union(*SETTLED.values()) - known

    assert left_over == {1034, 1035, 1036, 1037}, "what our own documents cannot bring forth"


ROUTES: list[tuple[str, dict[str, Any]]] = [
    ("/data-edit", {"json": {"citation": "x"}}),
    ("/data-tag", {"json": {"tag": "t"}}),
    ("/data-untag", {"json": {"tag": "t"}}),
    ("/upload-task", {"json": {"task_type": "classification", "target_name": "flood"}}),
    ("/upload-collection-tasks", {"json": {"collectionname": "n", "description": "d", "taskids": "1"}}),
    ("/upload-collection-runs", {"json": {"collectionname": "n", "description": "d", "run_ids": "1"}}),
    (
        "/data-upload",
        {
            "files": {
                "dataset": ("r.csv", b"a,b\n1,x\n2,y\n"),
                "metadata": ("blob", b'{"dataset_name": "refused-key", "description": "d"}'),
            }
        },
    ),
]


@pytest.mark.parametrize(
    ("code", "told"), [(104, (403, "read-only-account")), (103, (409, "api-key-refused"))]
)
async def test_write_when_the_account_may_not_then_each_route_says_so_with_a_4xx(
    settings: Settings, upstream: Upstream, sandbox_url: str, code: int, told: tuple[int, str]
) -> None:
    dataset_id = await upstream.publish("0" * 32)

    async def refuse(call: str, _: httpx.Response) -> Response | None:
        return error(code) if call.startswith("POST ") else None

    async with distorted(sandbox_url, refuse) as url:
        changes = {"openml_server": url, "send_email": False}
        async with running(settings.model_copy(update=changes)) as app:
            await app.client.post("/signup", json=ADA)
            token = (await app.client.post("/login", json=ADA)).json()["access_token"]
            for path, body in ROUTES:
                answer = await _send(app, path, body, dataset_id, token)
                problem = answer.json()
                assert (answer.status_code, problem["type"].rpartition("/")[2]) == told, (path, answer.text)
                assert problem["code"] == code


async def _send(app: Running, path: str, body: dict[str, Any], dataset_id: int, token: str) -> httpx.Response:
    if path == "/upload-task":
        body = {"json": {**body["json"], "dataset_id": dataset_id}}
    return await app.client.post(
        path, params={"url": f"?id={dataset_id}"}, headers={"Authorization": f"Bearer {token}"}, **body
    )


HALVES: dict[str, Callable[[httpx.Response], Response]] = {
    "cut": lambda answer: Response(answer.content[: len(answer.content) // 2], answer.status_code),
    "empty": lambda answer: Response(b"", answer.status_code),
    "a page": lambda answer: Response(b"<html>Welcome to this network!</html>", answer.status_code),
}


@pytest.mark.parametrize("half", HALVES)
async def test_route_when_openmls_answers_are_halves_then_502_that_says_so_and_no_outage(
    settings: Settings, upstream: Upstream, sandbox_url: str, half: str
) -> None:
    dataset_id = await upstream.publish("0" * 32)

    async def cut(_: str, answer: httpx.Response) -> Response | None:
        return HALVES[half](answer) if answer.status_code == 200 else None

    async with distorted(sandbox_url, cut) as url:
        changes = {"openml_server": url, "send_email": False, "embedded_worker": False}
        async with running(settings.model_copy(update=changes)) as app:
            await app.client.post("/signup", json=ADA)
            token = (await app.client.post("/login", json=ADA)).json()["access_token"]
            for path, body in ROUTES[:4]:
                answer = await _send(app, path, body, dataset_id, token)
                assert answer.status_code == 502, (path, answer.text)
                assert answer.json()["type"].endswith("/openml-answer-broken")


def _many_columns(count: int) -> Response:
    item = "<oml:feature><oml:name>c{}</oml:name><oml:data_type>numeric</oml:data_type>{}</oml:feature>"
    flags = (
        "<oml:is_target>false</oml:is_target><oml:is_ignore>false</oml:is_ignore><oml:is_row_identifier>false"
    )
    flags += "</oml:is_row_identifier><oml:number_of_missing_values>0</oml:number_of_missing_values>"
    items = "".join(item.format(number, flags) for number in range(count))
    return Response(
        f'<oml:data_features xmlns:oml="http://openml.org/openml">{items}</oml:data_features>',
        media_type="text/xml",
    )


@pytest.mark.parametrize(("columns", "status"), [(45_000, 200), (100_001, 422)])
@pytest.mark.long
async def test_roles_when_a_dataset_has_very_many_columns_then_read_whole_or_told_too_large(
    settings: Settings, upstream: Upstream, sandbox_url: str, columns: int, status: int
) -> None:
    dataset_id = await upstream.publish("0" * 32)
    features = _many_columns(columns)
    assert len(features.body) > 8 << 20

    async def many(call: str, _: httpx.Response) -> Response | None:
        return features if call == f"GET /data/features/{dataset_id}" else None

    async with distorted(sandbox_url, many) as url:
        changes = {"openml_server": url, "send_email": False, "embedded_worker": False}
        async with running(settings.model_copy(update=changes)) as app:
            await app.client.post("/signup", json=ADA)
            token = (await app.client.post("/login", json=ADA)).json()["access_token"]
            wanted = {"json": {"row_id_attribute": f"c{columns - 1}"}}
            answer = await _send(app, "/data-edit", wanted, dataset_id, token)

    if status == 200:
        # Somebody else's dataset: OpenML judges who may, and was asked.
        assert (answer.status_code, answer.json().get("code")) == (403, 1065), answer.text
    else:
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (
            422,
            "openml-answer-too-large",
        )
        assert "Retry-After" not in answer.headers
