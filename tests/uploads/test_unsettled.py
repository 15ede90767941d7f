"""OpenML's answer does not always tell what it did: then it is looked for, and no success is told as a failure."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from app.core.settings import Settings
from app.uploads import pipeline
from tests.conftest import Running, empty_database, running
from tests.distorting import Distort, distorted, error
from tests.service import ADA
from tests.uploads.test_data_upload import form, row
from tests.upstream import Upstream

STORED_ANYWAY = [105, 134, 470, 471, 472, 473, 474, 475, 476, 477, 722, 99999]
"""Codes that can come when the dataset is there: of the index, of a half-made record, of tags, and any unknown one."""
REFUSED = {131: 422, 133: 422, 145: 422, 100: 502}


@pytest.fixture(params=["sqlite"])
def database_uri(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> str:
    """A migrated, empty database."""
    return empty_database(request, tmp_path, migrated_sqlite)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "FIRST_PAUSE_SECONDS", 0.2)


async def sign_in(app: Running) -> dict[str, str]:
    await app.client.post("/signup", json=ADA)
    token = (await app.client.post("/login", json=ADA)).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


async def versions(upstream: Upstream, name: str) -> list[int]:
    answer = (await upstream.client.get(f"api/v1/json/data/list/data_name/{name}/status/all")).json()
    return [dataset["did"] for dataset in answer.get("data", {}).get("dataset", [])]


async def publish(settings: Settings, url: str, name: str, **changes: Any) -> tuple[httpx.Response, Any]:
    """Send a table to a service whose OpenML is at `url`; return the answer and the row."""
    without_mail = {"openml_server": url, "send_email": False}
    async with running(settings.model_copy(update=without_mail)) as app:
        headers = await sign_in(app)
        answer = await app.client.post(
            "/data-upload", files=form(dataset_name=name, **changes), headers=headers
        )
        return answer, await row(app)


def once(call: str, make: Callable[[httpx.Response], Response]) -> Distort:
    """Distort the first answer to a call that did its work."""
    met: list[str] = []

    async def distort(this: str, answer: httpx.Response) -> Response | None:
        if this != call or met or answer.status_code != 200:
            return None
        met.append(this)
        return make(answer)

    return distort


@pytest.mark.every(4)
@pytest.mark.parametrize("code", STORED_ANYWAY)
async def test_upload_when_the_code_may_come_after_it_was_stored_then_found_and_told(
    settings: Settings, upstream: Upstream, sandbox_url: str, code: int
) -> None:
    name = f"unsettled-{code}-{secrets.token_hex(4)}"
    async with distorted(sandbox_url, once("POST /data", lambda _: error(code))) as url:
        answer, record = await publish(settings, url, name)

    assert answer.status_code == 200, answer.text
    assert await versions(upstream, name) == [answer.json()["id"]] == [record["dataset_id"]]


@pytest.mark.long
@pytest.mark.parametrize("end", [30, 60, 75, 90, 105])
async def test_upload_when_two_documents_are_cut_anywhere_then_found_and_told(
    settings: Settings, upstream: Upstream, sandbox_url: str, end: int
) -> None:
    name = f"cut-{end}-{secrets.token_hex(4)}"

    def cut(_: httpx.Response) -> Response:
        whole = bytes(error(473, message="Entity already tagged by this tag.").body)
        return Response(whole[:end], 500, media_type="text/xml")

    async with distorted(sandbox_url, once("POST /data", cut)) as url:
        answer, _ = await publish(settings, url, name)

    assert answer.status_code == 200, answer.text
    assert await versions(upstream, name) == [answer.json()["id"]]


@pytest.mark.parametrize(("code", "status"), REFUSED.items())
async def test_upload_when_refused_before_it_is_stored_then_told_with_the_reason(
    settings: Settings, sandbox_url: str, code: int, status: int
) -> None:
    name = f"refused-{code}-{secrets.token_hex(4)}"

    async def refuse(call: str, answer: httpx.Response) -> Response | None:
        return (
            error(code, message="Not like this.")
            if (call, answer.status_code) == ("POST /data", 200)
            else None
        )

    async with distorted(sandbox_url, refuse) as url:
        answer, record = await publish(settings, url, name)

    assert (answer.status_code, answer.json()["code"], record["state"]) == (status, code, "failed")
    assert "Not like this." in answer.json()["detail"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("make", "times"),
    [
        (lambda: error(112), 1000),
        (lambda: error(111), 1000),
        (lambda: error(113), 2),
        (lambda: error(107), 2),
        (lambda: Response("", 500), 2),
        (lambda: Response("<oml:data_set_description", 200), 2),
    ],
    ids=["private", "gone", "without a file", "database away", "dead", "half"],
)
async def test_upload_when_anothers_dataset_cannot_be_read_then_ours_is_found_all_the_same(
    settings: Settings, upstream: Upstream, sandbox_url: str, make: Callable[[], Response], times: int
) -> None:
    name = f"foreign-{secrets.token_hex(4)}"
    foreign: list[int] = []
    asked: list[str] = []

    async def distort(call: str, answer: httpx.Response) -> Response | None:
        asked.append(call)
        if call.startswith("GET /data/list/") and not foreign:
            # After ours was looked up, and before it is sent: one to be compared with ours, and the first of the two.
            foreign.append(await upstream.publish("f" * 32, name=name, processed=False))
        if call == "POST /data" and answer.status_code == 200:
            return Response("", 500)
        if foreign and call == f"GET /data/{foreign[0]}" and asked.count(call) <= times:
            return make()
        return None

    async with distorted(sandbox_url, distort) as url:
        answer, record = await publish(settings, url, name)

    assert answer.status_code == 200, answer.text
    assert f"GET /data/{foreign[0]}" in asked
    ours = set(await versions(upstream, name)) - set(foreign)
    assert ours == {answer.json()["id"]} == {record["dataset_id"]}
