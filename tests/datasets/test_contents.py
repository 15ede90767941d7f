"""Statistics, rows and other formats of a published file: asked of the service, which asks the sandbox."""

import asyncio
import csv
import hashlib
import io
import json
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.feather as pa_feather
import pyarrow.parquet as pa_parquet
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.settings import Settings
from app.published import folder, service
from tests.conftest import MakePerson, Person, Running, running
from tests.servers import serving
from tests.upstream import OML, Upstream

EVIL = "<img src=x onerror=alert(1)>"
ARFF = """@relation rivers
@attribute level numeric
@attribute 'a <b>' {no,yes,"<img src=x onerror=alert(1)>"}
@attribute note string
@attribute flood {no,yes}
@data
1.5,no,'first',no
2.5,yes,?,yes
?,"<img src=x onerror=alert(1)>",'third',yes
4,no,'first',no
"""
TRIES = 150


async def ask(app: Running, path: str, person: Person | None = None, **query: Any) -> httpx.Response:
    """Ask until it is computed."""
    headers = person.headers if person else {}
    for _ in range(TRIES):
        answer = await app.client.get(path, params=query, headers=headers, follow_redirects=True)
        if answer.status_code != 202:
            return answer
        assert answer.json()["state"] == "computing"
        assert int(answer.headers["retry-after"]) > 0
        await asyncio.sleep(0.1)
    pytest.fail("it is never computed")


def kept(app: Running) -> list[str]:
    path = app.resources.settings.data_dir / "published"
    return sorted(each.name for each in path.iterdir() if each.is_file())


async def test_contents_when_a_dataset_is_published_then_statistics_rows_and_downloads(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key, arff=ARFF)

    answers = await asyncio.gather(*(ask(app, f"/datasets/{dataset_id}/statistics") for _ in range(5)))
    found = answers[0]

    assert {answer.text for answer in answers} == {found.text}
    assert len(kept(app)) == 2  # the statistics and the copy, once
    table, columns = found.json()["table"], {each["name"]: each for each in found.json()["columns"]}
    assert (table["rows"], table["columns"], table["target"], table["is_exact"]) == (4, 4, "flood", True)
    level = columns["level"]
    assert (level["count"], level["missing"], level["min"], level["max"]) == (3, 1, 1.5, 4.0)
    assert sum(level["histogram"]["counts"]) == 3
    assert sum(map(sum, level["by_class"].values())) == 3
    assert columns["a <b>"]["commonest"][0] == {"value": "no", "count": 2}
    assert columns["note"]["lengths"] == {"min": 5, "max": 5, "mean": 5.0}
    again = await app.client.get(
        f"/datasets/{dataset_id}/statistics", headers={"If-None-Match": found.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    some = await ask(app, f"/datasets/{dataset_id}/statistics", offset=1, limit=1)
    assert [each["name"] for each in some.json()["columns"]] == ["a <b>"]

    rows = await ask(app, f"/datasets/{dataset_id}/rows", sort="-level", columns=["level", "note"], limit=2)
    assert rows.json()["cells"] == [[4.0, "first"], [2.5, None]]
    chosen = await ask(app, f"/datasets/{dataset_id}/rows", filter="level", operator="lt", value="3")
    assert (chosen.json()["rows"], chosen.json()["found"], chosen.json()["total"]) == ([0, 1], 2, 4)

    downloads = {}
    for kind in ("csv", "parquet", "feather", "jsonl"):
        answer = await ask(app, f"/datasets/{dataset_id}/download", format=kind)
        assert 'filename="rivers-' in answer.headers["content-disposition"]
        assert "sandbox" in answer.headers["content-security-policy"]
        downloads[kind] = answer.content
    assert downloads["csv"].splitlines()[1] == b'1.5,"no","first","no"'
    assert json.loads(downloads["jsonl"].splitlines()[1])["note"] is None
    for table_read in (
        pa_parquet.read_table(io.BytesIO(downloads["parquet"])),
        pa_feather.read_table(io.BytesIO(downloads["feather"])),
    ):
        assert table_read.column("level").to_pylist() == [1.5, 2.5, None, 4.0]


async def test_download_when_it_takes_long_then_who_follows_redirects_gets_it_and_nobody_waits_for_ever(
    app: Running, person: Person, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = await upstream.publish(person.api_key, arff=ARFF)
    path = f"/datasets/{dataset_id}/download"
    monkeypatch.setattr("app.datasets.routes_contents.DOWNLOAD_TRIES", 0)

    first = await app.client.get(path, params={"format": "parquet"})
    endless = await app.client.get(path, params={"format": "parquet"}, follow_redirects=True)

    assert (first.status_code, first.headers["location"]) == (307, "?format=parquet&turn=1")
    assert first.headers["cache-control"] == "no-store"
    assert (endless.status_code, len(endless.history)) == (503, 9)
    assert 60 <= int(endless.headers["retry-after"]) <= 70
    assert endless.headers["content-type"] == "application/problem+json"
    monkeypatch.undo()
    made = await app.client.get(path, params={"format": "parquet"}, follow_redirects=True)
    assert pa_parquet.read_table(io.BytesIO(made.content)).num_rows == 4
    too_far = await app.client.get(path, params={"turn": 10})
    assert too_far.status_code == 422


async def test_contents_when_the_dataset_is_private_then_for_its_owner_only(
    app: Running, make_person: MakePerson, upstream: Upstream
) -> None:
    owner, other = await make_person(), await make_person()
    dataset_id = await upstream.publish(owner.api_key, arff=ARFF, visibility="private")
    path = f"/datasets/{dataset_id}/"

    seen = await ask(app, f"{path}statistics", owner)

    assert seen.status_code == 200
    assert seen.headers["cache-control"].startswith("private")
    for what in ("statistics", "rows", "download"):
        for headers in ({}, other.headers, {"X-API-Key": "0" * 32}, {"If-None-Match": seen.headers["etag"]}):
            refused = await app.client.get(path + what, headers=headers)
            assert refused.status_code == 403, (what, headers, refused.text)
            assert "level" not in refused.text


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"columns": "nobody"}, "unknown-column"),
        ({"sort": "nobody"}, "unknown-column"),
        ({"filter": "level", "value": "high"}, "not-a-number"),
    ],
)
async def test_rows_when_the_question_is_wrong_then_said_so(
    app: Running, person: Person, upstream: Upstream, query: dict[str, Any], reason: str
) -> None:
    dataset_id = await upstream.publish(person.api_key, arff=ARFF)

    answer = await ask(app, f"/datasets/{dataset_id}/rows", **query)

    assert (answer.status_code, answer.json()["reason"]) == (400, reason)


class StorageServer:
    """An OpenML server whose datasets are Parquet files in the storage behind it, as its successor's are."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = "/datasets/0000/0061/dataset_61.pq"
        if scope["path"] == path:
            await Response(self._content)(scope, receive, send)
            return
        fields = {
            "id": "61",
            "name": "levels",
            "format": "parquet",
            "url": f"https://data.example.org{path}",
            "md5_checksum": hashlib.md5(self._content, usedforsecurity=False).hexdigest(),
            "default_target_attribute": "flood",
        }
        lines = "".join(f"<oml:{name}>{value}</oml:{name}>" for name, value in fields.items())
        root = f"oml:data_set_description {OML}"
        body = f"<{root}>{lines}</oml:data_set_description>"
        await Response(body, media_type="text/xml")(scope, receive, send)


@pytest.mark.long
async def test_contents_when_the_file_is_parquet_in_the_storage_then_as_of_any_other(
    settings: Settings,
) -> None:
    columns = {
        "level": pa.array([1.5, None, 2.0, 4.0]),
        "note": pa.array(["a", EVIL, None, ""]),
        "flood": pa.array(["no", "yes", "no", None]).dictionary_encode(),
    }
    file = io.BytesIO()
    pa_parquet.write_table(pa.table(columns), file)
    async with (
        serving(StorageServer(file.getvalue())) as url,
        running(settings.model_copy(update={"openml_server": url})) as app,
    ):
        found = (await ask(app, "/datasets/61/statistics")).json()
        rows = (await ask(app, "/datasets/61/rows")).json()
        csv_file = await ask(app, "/datasets/61/download", format="csv")

    assert (found["table"]["target"], found["table"]["classes"]) == ("flood", ["no", "yes"])
    assert rows["cells"][1] == [None, EVIL, "yes"]
    assert csv_file.text.splitlines()[1] == '1.5,"a","no"'


async def test_splits_when_a_task_has_them_then_as_a_table_and_else_404(
    app: Running, person: Person, upstream: Upstream
) -> None:
    dataset_id = await upstream.publish(person.api_key)
    task = await upstream.make_task(person.api_key, dataset_id, procedure=2)

    made = await app.client.get(f"/tasks/{task}/splits", follow_redirects=True)
    missing = await app.client.get("/tasks/2000000000/splits")
    unmade = await upstream.make_task(person.api_key, dataset_id, procedure=16)
    refused = await app.client.get(f"/tasks/{unmade}/splits", follow_redirects=True)

    assert made.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(made.text)))
    assert list(lines[0]) == ["type", "rowid", "repeat", "fold"]
    assert len(lines) == 5 * 2 * 2
    assert {line["rowid"] for line in lines if line["type"] == "TEST"} == {"0", "1"}
    assert (missing.status_code, missing.json()["type"].rpartition("/")[2]) == (404, "not-found")
    assert (refused.status_code, "404 in place of the file" in refused.text) == (502, True), (
        "it leads nowhere"
    )


async def test_statistics_when_there_is_no_such_dataset_then_404(app: Running) -> None:
    answer = await ask(app, "/datasets/2000000000/statistics")

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (404, "not-found")


async def test_statistics_when_the_file_is_too_large_then_413_and_nothing_is_left(
    app: Running, person: Person, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LARGEST_BYTES", 100)
    dataset_id = await upstream.publish(person.api_key, arff=ARFF)

    answer = await ask(app, f"/datasets/{dataset_id}/statistics")

    assert (answer.status_code, answer.json()["limit_bytes"]) == (413, 100)
    assert all(name.endswith(".failed") for name in kept(app))


async def test_statistics_when_the_disk_has_no_room_then_507(
    app: Running, person: Person, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.resources.published, "_reserve", 10**18)
    dataset_id = await upstream.publish(person.api_key, arff=ARFF)

    assert (await ask(app, f"/datasets/{dataset_id}/statistics")).status_code == 507


async def test_statistics_when_the_server_is_away_then_503(settings: Settings, free_port: int) -> None:
    away = settings.model_copy(update={"openml_server": f"http://127.0.0.1:{free_port}/"})
    async with running(away) as app:
        answer = await app.client.get("/datasets/1/statistics")

    assert answer.status_code == 503
    assert 10 <= int(answer.headers["retry-after"]) <= 15


async def test_kept_files_when_there_are_too_many_then_those_asked_for_longest_ago_go(
    app: Running, person: Person, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "KEPT_BYTES", 0)
    first = await upstream.publish(person.api_key, arff=ARFF)
    second = await upstream.publish(person.api_key, arff=ARFF)
    await ask(app, f"/datasets/{first}/statistics")
    before = kept(app)

    await ask(app, f"/datasets/{second}/statistics")

    assert all(name.startswith(f"{first}-") for name in before)
    assert all(name.startswith(f"{second}-") for name in kept(app))
