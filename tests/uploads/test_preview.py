"""What is seen of a table before it is published, and choices of types that are held against it."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from app.db import upload_bytes, uploads
from app.db.upload_values import Upload
from app.uploads.choices import preview_version
from app.uploads.conversion import Converter
from app.uploads.lifecycle import preview_bytes, size_of
from app.worker.scheduling import open_host_semaphore
from tests.conftest import MakePerson, Person, Running, eventually
from tests.uploads.test_data_upload import CSV, SPA_METADATA, form
from tests.uploads.test_resources import begin, reach, send, state_of

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)

MESSY = "station,Höhe,level,when\nOuse,007,4.2,2021\nAire,012,1,2022\nNidd,113,n/a?,2023\n".encode()


async def ready(app: Running, person: Person, content: bytes = CSV, **changes: Any) -> str:
    metadata = {**SPA_METADATA, "def_tar_att": "flood" if content == CSV else ""}
    path = await begin(app, person, content, **{"metadata": metadata, **changes})
    await send(app, person, path, content)
    await reach(app, person, path, "ready")
    return path


async def preview(app: Running, person: Person, path: str, **query: Any) -> dict[str, Any]:
    answer = await app.client.get(f"{path}/preview", params=query, headers=person.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_preview_when_bytes_are_in_then_every_column_is_told_and_counted(
    app: Running, person: Person
) -> None:
    path = await ready(app, person, MESSY, metadata={})

    found = await preview(app, person, path)
    assert (found["row_count"], found["column_count"], found["found"]) == (3, 4, 4)
    station, height, level, when = found["columns"]
    assert (height["key"], height["name"], height["type"]) == ("Höhe", "Hohe", "string")
    assert "leading zero" in height["why"]
    assert station["first_values"] == ["Ouse", "Aire", "Nidd"]
    assert level["type"] == "string"
    real = next(each for each in level["alternatives"] if each["type"] == "real")
    assert (real["possible"], real["row"], real["value"]) == (False, 3, "n/a?")
    assert when["numbers"]["mean"] == 2022
    assert [repair["column"] for repair in found["repairs"]] == ["Hohe"]
    upload = await state_of(app, person, path)
    assert (upload["row_count"], upload["column_count"]) == (3, 4)


async def test_preview_when_the_target_or_the_id_is_named_then_hints_are_of_that_choice(
    app: Running, person: Person
) -> None:
    rows = "".join(f"s{number},{number},{'abc'[number % 3]}{'x' * (number == 0)}\n" for number in range(60))
    path = await ready(app, person, f"station,number,flood\n{rows}".encode(), metadata={})
    found = (await preview(app, person, path))["hints"]
    assert [(hint["slug"], hint["columns"]) for hint in found] == [("id-features", ["station", "number"])]

    changes = {"def_tar_att": ["flood"], "row_id_attribute": "station", "ignore_attribute": ["number"]}
    await app.client.patch(path, json=changes, headers=person.headers)
    await reach(app, person, path, "ready")
    found = (await preview(app, person, path))["hints"]
    assert [hint["slug"] for hint in found] == ["single-row-classes", "class-imbalance"]


async def test_preview_when_paged_or_searched_then_only_those_columns(app: Running, person: Person) -> None:
    names = ",".join(f"c{number}" for number in range(300))
    path = await ready(app, person, f"{names}\n{','.join('1' * 300)}\n".encode())

    page = await preview(app, person, path, first=290, columns=5)
    assert [column["name"] for column in page["columns"]] == ["c290", "c291", "c292", "c293", "c294"]
    assert [column["first_values"] for column in page["columns"]] == [None] * 5
    found = await preview(app, person, path, search="C29", first=1, columns=3)
    assert ([column["name"] for column in found["columns"]], found["found"]) == (["c290", "c291", "c292"], 11)
    assert len((await preview(app, person, path))["columns"]) == 200
    wrong = await app.client.get(f"{path}/preview?columns=201", headers=person.headers)
    assert wrong.status_code == 422


async def test_preview_when_there_is_none_then_told_why(app: Running, make_person: MakePerson) -> None:
    person, other = await make_person(), await make_person()
    path = await begin(app, person)

    async def status(who: Person = person) -> int:
        return (await app.client.get(f"{path}/preview", headers=who.headers)).status_code

    assert (await status(), await status(other)) == (409, 404)
    await send(app, person, path, CSV)
    await reach(app, person, path, "ready")
    assert (await status(), await status(other)) == (200, 404)
    await app.client.post(f"{path}/publish", headers=person.headers)
    await reach(app, person, path, "active")
    assert await status() == 410


async def test_draft_when_it_cannot_be_read_then_it_stays_with_the_problem_until_another_choice_helps(
    app: Running, person: Person
) -> None:
    content = b"# made,by,hand\n\x00a;b\n1;2\n3;4\n"
    path = await ready(app, person, content, metadata={})

    found = await state_of(app, person, path)
    error = found["error"]
    assert (error["reason"], error["line"], error["correct"]) == ("nul-character", 2, "metadata")
    assert (found["row_count"], found["expires_at"] is not None) == (None, True)
    assert await used(app, person) == len(content)
    answer = await app.client.get(f"{path}/preview", headers=person.headers)
    assert (answer.status_code, "Choose another `reading`" in answer.json()["detail"]) == (409, True)
    described = {"dataset_name": "unread", "description": "Not read.", "def_tar_att": ""}
    for action in ("publish", "retry"):
        refused = await app.client.post(f"{path}/{action}", json=described, headers=person.headers)
        assert (refused.status_code, refused.json()["reason"]) == (422, "nul-character")
    assert (await state_of(app, person, path))["state"] == "ready"

    await app.client.patch(path, json={"reading": {"delimiter": "|"}}, headers=person.headers)
    still = await reach(app, person, path, "ready")
    assert still["error"]["correct"] == "metadata"
    assert await used(app, person) == len(content)


@pytest.mark.parametrize(
    ("name", "content", "reading"),
    [
        ("t.csv", b"a,b\n1,2\n3\n", {"delimiter": ";", "header": False}),
        ("t.csv", b'[{"a": 1}, {"a": 2}]', {"format": "json"}),
        ("t.jsonl", b"a,b\n1,2\n3,4\n", {"format": "csv"}),
    ],
)
async def test_draft_when_read_wrongly_at_first_then_read_as_its_owner_says_and_published(
    app: Running, person: Person, name: str, content: bytes, reading: dict[str, Any]
) -> None:
    path = await ready(app, person, content, file_name=name)
    assert (await state_of(app, person, path))["error"]["correct"] == "metadata"

    await app.client.patch(path, json={"reading": reading}, headers=person.headers)
    found = await reach(app, person, path, "ready")
    shown = await preview(app, person, path)
    assert (found["error"], shown["row_count"]) == (None, found["row_count"])
    target = {"def_tar_att": [shown["columns"][0]["key"]]}
    published = await app.client.post(f"{path}/publish", json=target, headers=person.headers)
    assert published.status_code == 202
    await reach(app, person, path, "active")


async def test_draft_when_no_reading_can_help_then_the_upload_fails_and_its_bytes_are_gone(
    app: Running, person: Person
) -> None:
    path = await begin(app, person, b"%PDF-1.7 ", metadata={})
    await send(app, person, path, b"%PDF-1.7 ")

    failed = await reach(app, person, path, "failed")
    assert (failed["error"]["reason"], failed["error"]["correct"]) == ("not-text", "file")
    answer = await app.client.get(f"{path}/preview", headers=person.headers)
    assert answer.status_code == 409

    async def gone() -> bool | None:
        return await used(app, person) == 0 or None

    await eventually(gone)


async def used(app: Running, person: Person) -> int:
    async with app.resources.database.session() as session:
        return (await upload_bytes.get_usage(session, person.id)).bytes


@pytest.mark.parametrize(
    ("column", "kind", "said"),
    [
        ("levle", "real", "Did you mean 'level'"),
        ("level", "real", "'n/a?'"),
        ("level", "number", "is not a type"),
        ("level", {"nominal": []}, "empty"),
        ("station", {"nominal": ["a", "a"]}, "twice"),
    ],
)
async def test_type_when_the_column_cannot_have_it_then_refused_at_once(
    app: Running, person: Person, *, column: str, kind: Any, said: str
) -> None:
    path = await ready(app, person, MESSY)

    for send_changes, url in ((app.client.patch, path), (app.client.post, f"{path}/publish")):
        answer = await send_changes(url, json={"attributes": {column: kind}}, headers=person.headers)
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["field"] == f"attributes.{column}"
        assert said in error["message"]
        if kind == "real" and column == "level":
            assert (error["row"], error["value"]) == (3, "n/a?")
    assert (await state_of(app, person, path))["metadata"]["attributes"] == {}


async def test_types_when_possible_then_taken_by_any_name_and_published(app: Running, person: Person) -> None:
    path = await ready(app, person, MESSY)

    attributes = {"Hohe": "integer", "station": {"nominal": ["Nidd", "Ouse", "Aire"]}, "level": "nominal"}
    answer = await app.client.patch(path, json={"attributes": attributes}, headers=person.headers)
    assert answer.status_code == 200, answer.text
    assert (await preview(app, person, path))["metadata"]["attributes"] == attributes
    await app.client.post(f"{path}/publish", json={"def_tar_att": "when"}, headers=person.headers)
    await reach(app, person, path, "active")


async def test_failed_upload_when_it_was_previewed_then_its_types_are_still_checked(
    app: Running, person: Person
) -> None:
    path = await ready(app, person, MESSY)
    labels = {"station": {"nominal": ["Ouse"]}}
    await app.client.post(f"{path}/publish", json={"attributes": labels}, headers=person.headers)
    failed = await reach(app, person, path, "failed")
    assert failed["error"]["column"] == "station"

    wrong = await app.client.post(
        f"{path}/retry", json={"attributes": {"station": "real"}}, headers=person.headers
    )
    assert wrong.status_code == 422
    assert (await preview(app, person, path))["state"] == "failed"
    await app.client.post(
        f"{path}/retry", json={"attributes": {"station": None}, "def_tar_att": "when"}, headers=person.headers
    )
    await reach(app, person, path, "active")


async def test_draft_form_when_it_comes_from_the_spa_then_its_number_leads_to_a_preview(
    app: Running, person: Person
) -> None:
    answer = await app.client.post("/data-edit-upload", files=form(), headers=person.headers)
    path = f"/uploads/{answer.json()['msg']}"
    await eventually(lambda: _state_is(app, person, path, "ready"))
    assert (await preview(app, person, path))["metadata"]["dataset_name"] == "river-levels"


async def _state_is(app: Running, person: Person, path: str, state: str) -> bool | None:
    return (await state_of(app, person, path))["state"] == state or None


async def test_column_when_there_is_none_then_previewed_and_told_before_it_is_published(
    app: Running, person: Person
) -> None:
    path = await ready(app, person, MESSY, metadata={**SPA_METADATA, "def_tar_att": "levels"})

    assert (await preview(app, person, path))["metadata"]["def_tar_att"] == ["levels"]
    for wrong in (
        await app.client.post(f"{path}/publish", headers=person.headers),
        await app.client.patch(path, json={"ignore_attribute": "levels"}, headers=person.headers),
    ):
        (error,) = wrong.json()["errors"]
        assert (wrong.status_code, error["message"]) == (
            422,
            "The table has no column 'levels'. Did you mean 'level'?",
        )
    # What was there before is in nobody's way but the publication's.
    changes = {"def_tar_att": ["levels", "when"]}
    assert (await app.client.patch(path, json=changes, headers=person.headers)).status_code == 200
    right = {"def_tar_att": "when"}
    assert (await app.client.post(f"{path}/publish", json=right, headers=person.headers)).status_code == 202


async def test_draft_when_large_then_the_conversion_reads_its_rows_once(
    app: Running, person: Person, tmp_path: Path
) -> None:
    rows = "".join(f"{n},{n / 7},{'ab'[n % 2]}\n" for n in range(50_000))
    path = await ready(app, person, f"n,x,kind\n{rows}".encode(), file_name="large.csv")
    database, storage = app.resources.database, app.resources.storage
    upload_id = path.rpartition("/")[2]

    async def stands() -> tuple[Upload, Path]:
        async with database.session() as session:
            upload = await uploads.get_upload(session, upload_id)
        assert upload is not None
        return upload, storage.path(upload_id, "plans", preview_version(upload))

    async def passes(upload: Upload) -> set[str]:
        found: set[str] = set()
        async with open_host_semaphore(tmp_path, total=1) as machine:
            converter = Converter(database, storage, app.resources.settings, machine)
            await converter.convert(upload, lambda phase, *_: found.add(phase))
        return found

    upload, first = await stands()
    made = await preview_bytes(storage, upload_id, preview_version(upload))
    assert upload.reserved_bytes == len(rows) + len("n,x,kind\n") + made
    assert await passes(upload) == {"converting"}
    otherwise = upload._replace(description={**(upload.description or {}), "def_tar_att": ["kind"]})
    assert await passes(otherwise) == {"inspecting", "converting"}
    await app.client.patch(path, json={"def_tar_att": "kind"}, headers=person.headers)
    await reach(app, person, path, "ready")
    _, second = await stands()
    assert [await asyncio.to_thread(size_of, plans) > 0 for plans in (first, second)] == [False, True]


async def test_croissant_when_a_draft_then_of_its_file_and_columns_and_for_its_owner_only(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    path = await ready(app, person)
    answer = await app.client.get(f"{path}/croissant", headers=person.headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/ld+json")
    found = answer.json()
    [file] = found["distribution"]
    assert (file["sha256"], file["encodingFormat"]) == (hashlib.sha256(CSV).hexdigest(), "text/csv")
    columns = (await preview(app, person, path))["columns"]
    assert [field["name"] for field in found["recordSet"][-1]["field"]] == [one["name"] for one in columns]

    stranger = await make_person()
    answer = await app.client.get(f"{path}/croissant", headers=stranger.headers)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert (await app.client.get(f"{path}/croissant")).status_code == 401
