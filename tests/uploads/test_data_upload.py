"""`POST /data-upload` from the first byte to the dataset on the (sandbox) OpenML server."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from app.db.upload_tables import upload_events, uploads
from app.storage.marks import MARK_NAME
from app.uploads.lifecycle import clean_up
from tests.conftest import NO_CERTIFICATES, PATIENCE_SECONDS, MakePerson, Person, Running, eventually

CSV = b"station,level,flood\nOuse,4.20,yes\nAire,1.05,no\nWharfe,,no\n"
ARFF = """@RELATION '{name}'
@ATTRIBUTE 'station' STRING
@ATTRIBUTE 'level' REAL
@ATTRIBUTE 'flood' {{no,yes}}
@DATA
Ouse,4.20,yes
Aire,1.05,no
Wharfe,?,no
"""
SPA_METADATA: dict[str, Any] = {
    "dataset_name": "river-levels",
    "description": "Daily river levels.",
    "creator": "Ada Example",
    "contributor": "",
    "collection_date": "2024",
    "licence": False,
    "language": "English",
    "ignore_attribute": "",
    "def_tar_att": "flood",
    "citation": "",
}


def form(content: bytes = CSV, name: str = "river.csv", **changes: Any) -> dict[str, Any]:
    """The parts as the SPA sends them: the file first, then the metadata as a file of JSON."""
    metadata = json.dumps({**SPA_METADATA, **changes}).encode()
    return {"dataset": (name, content, "text/csv"), "metadata": ("blob", metadata, "application/json")}


async def row(app: Running) -> Any:
    async with app.resources.database.session() as session:
        return (await session.execute(sa.select(uploads))).mappings().one()


def spool(app: Running) -> list[Path]:
    folder = app.resources.settings.data_dir / "uploads"
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(MARK_NAME)]


@pytest.fixture
async def openml(sandbox_url: str) -> Any:
    async with httpx.AsyncClient(
        base_url=sandbox_url, timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES
    ) as client:
        yield client


async def description(openml: httpx.AsyncClient, dataset_id: int) -> dict[str, Any]:
    found: dict[str, Any] = (await openml.get(f"/api/v1/json/data/{dataset_id}")).json()[
        "data_set_description"
    ]
    return found


async def test_upload_when_it_is_the_spas_then_published_value_by_value(
    app: Running, person: Person, openml: httpx.AsyncClient, sandbox_url: str
) -> None:
    answer = await app.client.post("/data-upload", files=form(), headers=person.headers)

    assert answer.status_code == 200
    body = answer.json()
    assert body["msg"] == "dataset uploaded"
    assert body["url"] == f"{sandbox_url}d/{body['id']}"
    published = await description(openml, body["id"])
    assert published["name"] == "river-levels"
    assert published["creator"] == "Ada Example"
    assert published["default_target_attribute"] == "flood"
    assert published["format"] == "ARFF"
    assert (await openml.get(published["url"])).text == ARFF.format(name="river-levels")


async def test_upload_when_published_then_its_row_tells_the_story_until_active(
    app: Running, person: Person, openml: httpx.AsyncClient
) -> None:
    dataset_id = (await app.client.post("/data-upload", files=form(), headers=person.headers)).json()["id"]

    async def active() -> Any:
        found = await row(app)
        return found if found["state"] == "active" else None

    found = await eventually(active)
    assert found["dataset_id"] == dataset_id
    assert found["received_bytes"] == len(CSV)
    assert (found["row_count"], found["column_count"]) == (3, 3)
    assert (await description(openml, dataset_id))["md5_checksum"] == found["arff_md5"]
    async with app.resources.database.session() as session:
        states = (await session.scalars(sa.select(upload_events.c.state).order_by(upload_events.c.id))).all()
    assert states[:6] == ["receiving", "verifying", "received", "checked", "converted", "sending"]
    assert states[-1] == "active"
    assert spool(app) == [], "no byte is kept once OpenML has them"


async def test_upload_when_metadata_comes_first_or_as_a_field_then_the_same(
    app: Running, person: Person
) -> None:
    answer = await app.client.post(
        "/data-upload",
        data={"metadata": json.dumps(SPA_METADATA)},
        files={"dataset": ("river.CSV", CSV)},
        headers=person.headers,
    )

    assert answer.json()["msg"] == "dataset uploaded"


async def test_upload_when_arff_then_published(
    app: Running, person: Person, openml: httpx.AsyncClient
) -> None:
    content = ARFF.format(name="x").replace("@DATA", "@data").encode()
    answer = await app.client.post("/data-upload", files=form(content, "x.arff"), headers=person.headers)

    published = await description(openml, answer.json()["id"])
    assert (await openml.get(published["url"])).text.partition("@DATA")[2] == ARFF.partition("@DATA")[2]


@pytest.mark.every(3)
@pytest.mark.parametrize("name", ["x.docx", "x.pkl", "x.parquet.gz", "x", ".csv.exe", "csv"])
async def test_upload_when_format_is_unknown_then_the_spas_text_and_no_row(
    app: Running, person: Person, name: str
) -> None:
    answer = await app.client.post("/data-upload", files=form(name=name), headers=person.headers)

    assert (answer.status_code, answer.json()) == (200, {"msg": "format not supported"})
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(uploads)) == 0


async def test_upload_when_values_do_not_fit_then_row_and_column_are_named(
    app: Running, person: Person
) -> None:
    ragged = CSV + b"Derwent,1,2,3\n"
    with capture_logs() as logs:
        answer = await app.client.post("/data-upload", files=form(ragged), headers=person.headers)

    assert answer.status_code == 422
    (line,) = (each for each in logs if each["event"] == "upload failed")
    assert (line["problem"], line["user"], line["upload"]) == (
        "dataset-refused",
        person.id,
        answer.json()["upload_id"],
    )
    problem = answer.json()
    assert problem["type"] == "https://openml.org/problems/dataset-refused"
    assert problem["row"] == 4
    assert problem["upload_id"]
    found = await row(app)
    assert (found["state"], found["dataset_id"]) == ("failed", None)


async def test_upload_when_target_is_no_column_then_said_so(app: Running, person: Person) -> None:
    answer = await app.client.post("/data-upload", files=form(def_tar_att="flod"), headers=person.headers)

    assert answer.status_code == 422
    assert "flod" in answer.json()["detail"]
    assert "flood" in answer.json()["detail"], "the name that was meant"


@pytest.mark.every(4)
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"dataset_name": "two words"}, "dataset_name"),
        ({"dataset_name": ""}, "dataset_name"),
        ({"description": ""}, "description"),
        ({"description": "caf\u00e9", "repair": False}, "description"),
        ({"description": "\u6570\u636e"}, "description"),
        ({"description": "a\u0000b"}, "description"),
        ({"creator": 'Ada "the first"'}, "creator.0"),
        ({"licence": "x" * 65}, "licence"),
        ({"language": "Old English"}, "language"),
        ({"ignore_attribute": ",".join(["a" * 60] * 3)}, "ignore_attribute"),
        ({"paper_url": "not an address"}, "paper_url"),
        ({"def_tar_att": "x" * 1001}, "def_tar_att.0"),
        ({"row_id_attribute": "x" * 1001}, "row_id_attribute"),
    ],
)
async def test_upload_when_openml_would_refuse_the_metadata_then_refused_here(
    app: Running, person: Person, changes: dict[str, Any], field: str
) -> None:
    answer = await app.client.post("/data-upload", files=form(**changes), headers=person.headers)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert spool(app) == []
    assert (await row(app))["state"] == "failed"


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ({"dataset": ("river.csv", CSV)}, 422),
        ({"metadata": ("blob", json.dumps(SPA_METADATA).encode())}, 422),
        ({"dataset": ("river.csv", CSV), "metadata": ("blob", b"{")}, 400),
        ({"dataset": ("river.csv", CSV), "metadata": ("blob", b"[]")}, 422),
        ([("dataset", ("a.csv", CSV)), ("dataset", ("b.csv", CSV))], 400),
    ],
    ids=["no metadata", "no file", "no JSON", "not an object", "two files"],
)
async def test_upload_when_a_part_is_missing_or_wrong_then_said_so(
    app: Running, person: Person, files: Any, status: int
) -> None:
    answer = await app.client.post("/data-upload", files=files, headers=person.headers)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert spool(app) == []


async def test_upload_when_metadata_is_no_json_then_said_where(app: Running, person: Person) -> None:
    files = {"dataset": ("river.csv", CSV), "metadata": ("blob", b'{\n  "dataset_name": x}')}
    answer = await app.client.post("/data-upload", files=files, headers=person.headers)

    assert answer.json()["detail"].startswith("The metadata is not valid JSON (line 2, column 19")


async def test_upload_when_no_form_then_said_so(app: Running, person: Person) -> None:
    answer = await app.client.post("/data-upload", json={"dataset": "x"}, headers=person.headers)

    assert answer.status_code == 400
    assert "multipart/form-data" in answer.json()["detail"]


async def test_upload_when_form_breaks_off_then_nothing_is_kept(app: Running, person: Person) -> None:
    request = app.client.build_request("POST", "/data-upload", files=form())
    cut = request.read()[:-200]
    headers = {**person.headers, "Content-Type": request.headers["content-type"]}
    answer = await app.client.post("/data-upload", content=cut, headers=headers)

    assert answer.status_code == 400
    assert spool(app) == []


async def test_upload_when_account_has_no_usable_key_then_told_how_to_get_one(
    app: Running, make_person: MakePerson
) -> None:
    person = await make_person(api_key="not hex")

    answer = await app.client.post("/data-upload", files=form(), headers=person.headers)

    assert answer.status_code == 409
    assert "POST /api-key" in answer.json()["detail"]


async def test_upload_when_owners_differ_then_each_publishes_with_their_own_key(
    app: Running, make_person: MakePerson, openml: httpx.AsyncClient
) -> None:
    people = [await make_person() for _ in range(3)]
    answers = await asyncio.gather(
        *(
            app.client.post(
                "/data-upload", files=form(dataset_name=f"set-{person.id}"), headers=person.headers
            )
            for person in people
            for _ in range(2)
        )
    )

    uploaders: dict[str, set[str]] = {}
    for answer in answers:
        listed = (await openml.get(f"/api/v1/xml/data/list/data_id/{answer.json()['id']}/status/all")).text
        name = listed.partition("<oml:name>")[2].partition("<")[0]
        uploader = listed.partition("<oml:uploader>")[2].partition("<")[0]
        uploaders.setdefault(name, set()).add(uploader)
    assert len(uploaders) == 3
    assert all(len(found) == 1 for found in uploaders.values())
    assert len(set.union(*uploaders.values())) == 3


async def test_upload_when_failed_long_ago_then_the_janitor_removes_its_bytes(
    app: Running, person: Person
) -> None:
    no_number = form(CSV, attributes={"station": "integer"})
    await app.client.post("/data-upload", files=no_number, headers=person.headers)
    assert spool(app), "kept for a day: with other metadata it can be tried again"
    async with app.resources.database.session() as session:
        await session.execute(sa.update(uploads).values(finished_at=sa.literal("2020-01-01 00:00:00")))

    await clean_up(
        app.resources.database,
        app.resources.storage,
        lease_seconds=app.resources.settings.timings.lease_seconds,
    )

    assert spool(app) == []
    assert (await row(app))["state"] == "failed"
