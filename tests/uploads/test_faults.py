"""Everything that OpenML was seen to do wrong: each ends with one dataset there and a true record here."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.db.upload_tables import upload_events, uploads
from app.uploads import pipeline
from tests.conftest import NO_CERTIFICATES, PATIENCE_SECONDS, Person, Running, eventually
from tests.mailbox import mail_to
from tests.uploads.test_data_upload import description, form, row

DONE_ANYWAY = [
    "error-105-after-write",
    "index-junk",
    "lost-answer",
    "reset-after-last-byte",
    "empty-500-after-write",
    "504-html",
    "cut-answer",
    "broken-off",
    "two-documents-cut",
]
NOT_DONE = ["race-134", "two-documents", "empty-500", "429", "502-html", "database-down"]


@pytest.fixture
async def openml(sandbox_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.setattr(pipeline, "FIRST_PAUSE_SECONDS", 0.3)
    async with httpx.AsyncClient(
        base_url=sandbox_url, timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES
    ) as client:
        yield client
        await client.delete("/sandbox/faults")


async def switch_on(openml: httpx.AsyncClient, **fault: Any) -> None:
    answer = await openml.post("/sandbox/faults", json=fault)
    assert answer.is_success, answer.text


async def published(openml: httpx.AsyncClient, name: str) -> list[int]:
    answer = (await openml.get(f"/api/v1/json/data/list/data_name/{name}/status/all")).json()
    return [dataset["did"] for dataset in answer.get("data", {}).get("dataset", [])]


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
@pytest.mark.parametrize("fault", [*DONE_ANYWAY, *NOT_DONE])
async def test_upload_when_openml_fails_like_this_then_one_dataset_and_a_true_record(
    app: Running, person: Person, openml: httpx.AsyncClient, fault: str
) -> None:
    on = "*" if fault == "error-105-after-write" else "POST /data"
    await switch_on(openml, on=on, fault=fault, times=1)
    name = f"fault-{fault}-{person.id}-{person.api_key[:6]}"

    answer = await app.client.post("/data-upload", files=form(dataset_name=name), headers=person.headers)

    found = await published(openml, name)
    record = await row(app)
    if fault == "two-documents":
        # A refusal of the whole: not ours to repeat.
        assert answer.status_code in {200, 502}, answer.text
    else:
        assert answer.status_code == 200, answer.text
    if answer.status_code == 200:
        assert found == [answer.json()["id"]] == [record["dataset_id"]]
        assert (await description(openml, found[0]))["md5_checksum"] == record["arff_md5"]
    else:
        assert (found, record["state"], record["dataset_id"]) == ([], "failed", None)


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
@pytest.mark.parametrize("on", ["GET /data/list/*", "GET /data/#"])
@pytest.mark.parametrize("fault", ["cut-answer", "broken-off", "empty-500", "database-down", "lost-answer"])
async def test_upload_when_it_is_lost_and_so_is_the_look_for_it_then_one_dataset(
    app: Running, person: Person, openml: httpx.AsyncClient, on: str, fault: str
) -> None:
    await switch_on(openml, on="POST /data", fault="broken-off", times=1)
    await switch_on(openml, on=on, fault=fault, times=2)
    name = f"look-{secrets.token_hex(6)}"

    answer = await app.client.post("/data-upload", files=form(dataset_name=name), headers=person.headers)

    await openml.delete("/sandbox/faults")
    assert answer.status_code == 200, answer.text
    assert await published(openml, name) == [answer.json()["id"]]


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_creators_when_one_ends_in_a_backslash_then_each_stays_one_person(
    app: Running, person: Person, openml: httpx.AsyncClient
) -> None:
    people: dict[str, Any] = {"creator": ["c\\", "d"], "contributor": ["even\\\\", "in\\side", "e"]}

    refused = await app.client.post(
        "/data-upload", files=form(dataset_name="people", repair=False, **people), headers=person.headers
    )
    answer = await app.client.post(
        "/data-upload", files=form(dataset_name="people", **people), headers=person.headers
    )

    assert [error["field"] for error in refused.json()["errors"]] == ["creator.0"]
    found = await description(openml, answer.json()["id"])
    assert (found["creator"], found["contributor"]) == (["c", "d"], people["contributor"])
    (told,) = answer.json()["repairs"]
    assert "backslash" in told["change"]
    assert "creator" in told["change"]
    assert told["change"] in found["description"]


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_upload_when_openml_is_slow_then_waited_for(
    app: Running, person: Person, openml: httpx.AsyncClient
) -> None:
    await switch_on(openml, on="POST /data", fault="slow", times=1, delay_seconds=3)

    answer = await app.client.post(
        "/data-upload", files=form(dataset_name="slow-one"), headers=person.headers
    )

    assert answer.status_code == 200
    assert len(await published(openml, "slow-one")) == 1


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_upload_when_every_attempt_is_lost_then_still_one_dataset(
    app: Running, person: Person, openml: httpx.AsyncClient
) -> None:
    await switch_on(openml, on="POST /data", fault="lost-answer", times=3)

    answers = [
        await app.client.post(
            "/data-upload",
            files=form(dataset_name="lost-often", allow_duplicate=True),
            headers=person.headers,
        )
        for _ in range(2)
    ]

    ids = [answer.json()["id"] for answer in answers]
    assert sorted(ids) == sorted(await published(openml, "lost-often")), (
        "two uploads, two datasets, each its own"
    )


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_upload_when_the_engine_fails_then_the_record_and_a_mail_say_so(
    app: Running, person: Person, openml: httpx.AsyncClient
) -> None:
    await switch_on(openml, on="POST /data", fault="engine-error", times=1)

    answer = await app.client.post(
        "/data-upload", files=form(dataset_name="engine-error", notify=True), headers=person.headers
    )
    assert answer.status_code == 200

    async def failed() -> Any:
        found = await row(app)
        return found if found["state"] == "failed" else None

    record = await eventually(failed)
    assert record["dataset_id"] == answer.json()["id"]
    assert record["error"]["slug"] == "processing-failed"
    assert "upload it again" in record["error"]["detail"]
    message = await mail_to(app, person.email, subject="could not be published")
    assert message["To"] == person.email


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_upload_when_it_has_no_target_and_sticks_then_a_mail_unless_it_is_not_wanted(
    app: Running, person: Person, openml: httpx.AsyncClient
) -> None:
    assert (await openml.get("/")).is_success
    cases: list[tuple[str, dict[str, Any]]] = [("unwanted", {"notify": False}), ("stuck", {})]
    for name, more in cases:
        answer = await app.client.post(
            "/data-upload", files=form(dataset_name=name, def_tar_att="", **more), headers=person.headers
        )
        assert answer.status_code == 200
        assert any("never becomes active" in warning for warning in answer.json()["warnings"])

    message = (await mail_to(app, person.email, subject="could not be published")).get_body(("plain",))

    assert message is not None
    assert "stuck" in message.get_content()


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_upload_when_its_description_was_at_fault_then_mended_in_place(
    app: Running, person: Person, openml: httpx.AsyncClient
) -> None:
    answer = await app.client.post(
        "/data-upload", files=form(dataset_name="mended", def_tar_att=""), headers=person.headers
    )
    dataset_id = answer.json()["id"]

    async def stands(state: str) -> Any:
        async def look() -> Any:
            found = await row(app)
            return found if found["state"] == state else None

        return await eventually(look)

    record = await stands("failed")
    path = f"/uploads/{record['id']}/retry"
    fixed = await app.client.post(path, json={"attributes": {"level": "string"}}, headers=person.headers)
    assert (fixed.status_code, fixed.json()["dataset_id"]) == (409, dataset_id)
    assert "attributes" in fixed.json()["detail"]
    emptied = await app.client.post(path, json={"collection_date": ""}, headers=person.headers)
    assert (emptied.status_code, "collection_date" in emptied.json()["detail"]) == (409, True)
    stranger = await app.client.post(path, json={})
    assert stranger.status_code == 401
    assert (await row(app))["state"] == "failed"

    mended = await app.client.post(
        path, json={"def_tar_att": "flood", "description": "Now with a target."}, headers=person.headers
    )
    assert mended.status_code == 202

    record = await stands("active")
    assert (record["dataset_id"], record["error"]) == (dataset_id, None)
    assert record["description"]["def_tar_att"] == ["flood"]
    document = (await openml.get(f"/api/v1/json/data/{dataset_id}")).json()["data_set_description"]
    assert document["default_target_attribute"] == "flood"
    assert document["description"] == "Now with a target."
    assert await published(openml, "mended") == [dataset_id]


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_upload_when_active_then_a_mail_to_who_asked_for_it(
    app: Running, person: Person, openml: httpx.AsyncClient
) -> None:
    assert (await openml.get("/")).is_success
    answer = await app.client.post(
        "/data-upload", files=form(dataset_name="mail-me", notify=True), headers=person.headers
    )

    body = (await mail_to(app, person.email, subject="is active")).get_body(("plain",))
    assert body is not None
    assert answer.json()["url"] in body.get_content()


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_upload_when_openml_stored_other_bytes_then_said_so(
    app: Running, person: Person, openml: httpx.AsyncClient
) -> None:
    await switch_on(openml, on="POST /data", fault="never-active", times=1)
    await app.client.post("/data-upload", files=form(dataset_name="other-bytes"), headers=person.headers)
    async with app.resources.database.session() as session:
        await session.execute(sa.update(uploads).values(arff_md5="0" * 32))

    async def failed() -> Any:
        found = await row(app)
        return found if found["state"] == "failed" else None

    record = await eventually(failed)
    assert "other bytes" in record["error"]["detail"]
    async with app.resources.database.session() as session:
        details = (await session.scalars(sa.select(upload_events.c.detail))).all()
    assert any("other bytes" in (detail or "") for detail in details)
