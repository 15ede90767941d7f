"""`GET /uploads`: one's own uploads, and how each fares."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from app.core.clock import utc_now
from app.db import uploads
from app.db.upload_values import NewUpload
from tests.conftest import MakePerson, Person, Running, eventually
from tests.uploads.test_data_upload import CSV, form

ASYNC = {"Prefer": "respond-async"}


async def detail(app: Running, person: Person, upload_id: str) -> dict[str, Any]:
    answer = await app.client.get(f"/uploads/{upload_id}", headers=person.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ended(app: Running, person: Person, upload_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found = await detail(app, person, upload_id)
        return found if found["finished_at"] else None

    return await eventually(look)


async def test_upload_when_asked_not_to_wait_then_202_and_its_steps_can_be_followed(
    app: Running, person: Person, sandbox_url: str
) -> None:
    answer = await app.client.post("/data-upload", files=form(), headers={**person.headers, **ASYNC})

    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    upload_id = answer.json()["upload_id"]
    assert answer.headers["location"] == answer.json()["status_path"] == f"/uploads/{upload_id}"
    found = await ended(app, person, upload_id)
    assert found["state"] == "active"
    assert found["dataset_url"] == f"{sandbox_url}d/{found['dataset_id']}"
    assert (found["dataset_name"], found["file_name"]) == ("river-levels", "river.csv")
    assert (found["row_count"], found["column_count"], found["received_bytes"]) == (3, 3, len(CSV))
    assert (found["error"], found["warnings"]) == (None, [])
    states = [event["state"] for event in found["events"]]
    assert states[:6] == ["receiving", "verifying", "received", "checked", "converted", "sending"]
    assert states[-1] == "active"


async def test_upload_when_another_preference_then_it_waits(app: Running, person: Person) -> None:
    headers = {**person.headers, "Prefer": "wait=5, respond-async-not"}
    answer = await app.client.post("/data-upload", files=form(), headers=headers)

    assert (answer.status_code, answer.json()["msg"]) == (200, "dataset uploaded")


async def test_upload_when_refused_after_202_then_its_problem_is_there_to_read(
    app: Running, person: Person
) -> None:
    content = CSV + b"Derwent,1,2,3\n"
    answer = await app.client.post("/data-upload", files=form(content), headers={**person.headers, **ASYNC})

    found = await ended(app, person, answer.json()["upload_id"])
    assert found["state"] == "failed"
    assert found["error"]["type"] == "https://openml.org/problems/dataset-refused"
    assert found["error"]["row"] == 4
    assert found["dataset_url"] is None


async def test_upload_when_metadata_is_wrong_then_refused_before_202(app: Running, person: Person) -> None:
    answer = await app.client.post(
        "/data-upload", files=form(dataset_name="two words"), headers={**person.headers, **ASYNC}
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "dataset_name"


async def test_api_page_when_it_shows_answers_then_they_have_these_members(
    app: Running, person: Person
) -> None:
    page = (Path(__file__).parents[2] / "docs/api.md").read_text()
    page = page.partition("## Publishing")[2].partition("\n## ")[0]
    shown = [
        json.loads(block)
        for block in re.findall(r'^    (\{"(?:msg|id)".*?\})\n\n', page, re.DOTALL | re.MULTILINE)
    ]

    waited = (await app.client.post("/data-upload", files=form(), headers=person.headers)).json()
    headers = {**person.headers, **ASYNC}
    again = form(allow_duplicate=True)
    accepted = (await app.client.post("/data-upload", files=again, headers=headers)).json()
    found = await ended(app, person, accepted["upload_id"])

    assert [list(example) for example in shown] == [list(waited), list(accepted), list(found)]
    assert shown[2]["events"][0].keys() == found["events"][0].keys()
    assert {shown[2][name] for name in ("state", "file_name", "received_bytes", "row_count")} == {
        found[name] for name in ("state", "file_name", "received_bytes", "row_count")
    }


async def insert(app: Running, person: Person, count: int) -> list[str]:
    """Uploads of which each two began in the same moment."""
    names = [f"{number:032x}" for number in range(count)]
    start = utc_now()
    async with app.resources.database.session() as session:
        for number, name in enumerate(names):
            await uploads.add_upload(
                session,
                NewUpload(
                    id=name,
                    user_id=person.id,
                    file_name=f"{number}.csv",
                    format="csv",
                    created_at=start + timedelta(microseconds=number // 2),
                    available_at=start + timedelta(hours=1),
                    lease_owner="test",
                ),
            )
    return names


async def test_uploads_when_paged_then_each_comes_once_newest_first(app: Running, person: Person) -> None:
    names = await insert(app, person, 7)

    seen: list[str] = []
    before: dict[str, str] = {}
    for expected in (3, 3, 1):
        answer = await app.client.get("/uploads", params={"limit": "3", **before}, headers=person.headers)
        page = answer.json()
        assert len(page["uploads"]) == expected
        assert {upload["state"] for upload in page["uploads"]} == {"receiving"}
        seen += [upload["id"] for upload in page["uploads"]]
        before = {"before": page["next"]}
    assert before == {"before": None}
    assert seen == names[::-1]


async def test_uploads_when_a_page_is_just_full_then_there_is_no_next(app: Running, person: Person) -> None:
    await insert(app, person, 3)

    page = (await app.client.get("/uploads", params={"limit": "3"}, headers=person.headers)).json()

    assert (len(page["uploads"]), page["next"]) == (3, None)


async def test_uploads_when_somebody_elses_then_as_if_they_were_not_there(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    names = await insert(app, person, 1)
    other = await make_person()

    assert (await app.client.get("/uploads", headers=other.headers)).json() == {"uploads": [], "next": None}
    for answer in (
        await app.client.get(f"/uploads/{names[0]}", headers=other.headers),
        await app.client.get("/uploads", params={"before": names[0]}, headers=other.headers),
        await app.client.get("/uploads/nothing", headers=other.headers),
    ):
        assert answer.status_code == 404
        assert answer.json()["type"] == "https://openml.org/problems/not-found"
        assert answer.json()["detail"] == "You have no such upload."


async def test_uploads_when_page_length_is_wrong_then_the_field_is_named(
    app: Running, person: Person
) -> None:
    for limit in ("0", "101", "x"):
        answer = await app.client.get("/uploads", params={"limit": limit}, headers=person.headers)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "limit"


async def test_uploads_when_not_signed_in_then_401(app: Running) -> None:
    for path in ("/uploads", "/uploads/0"):
        assert (await app.client.get(path)).status_code == 401


async def test_uploads_when_user_texts_hold_markup_then_they_come_back_unchanged(
    app: Running, person: Person
) -> None:
    name = "<img src=x onerror=alert(1)>.csv"
    answer = await app.client.post(
        "/data-upload",
        data={"metadata": json.dumps({"dataset_name": "x", "description": "y"})},
        files={"dataset": (name, CSV)},
        headers={**person.headers, **ASYNC},
    )

    assert (await detail(app, person, answer.json()["upload_id"]))["file_name"] == name
