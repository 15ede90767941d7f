"""Uploads as somebody sends them who means harm, or two requests that meet where they should not."""

import base64
import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.core.clock import utc_now
from app.core.settings import Settings
from app.db import uploads as statements
from app.db.upload_states import UploadState
from app.db.upload_tables import upload_events, upload_parts, uploads
from app.uploads.lifecycle import clean_up
from app.uploads.metadata import METADATA_BYTES, MOST_WARNINGS
from tests.conftest import Person, Running, insert_person, running
from tests.upload_rows import put_in
from tests.uploads.test_data_upload import CSV, spool
from tests.uploads.test_resources import (
    METADATA,
    TUS,
    begin,
    path_of,
    reach,
    send,
    sha256,
    state_of,
    tus_metadata,
)

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


async def begin_without_a_length(app: Running, person: Person) -> str:
    deferred = {"Upload-Defer-Length": "1", "Upload-Metadata": tus_metadata(filename="a.csv")}
    created = await app.client.post("/uploads", headers={**person.headers, **TUS, **deferred})
    return path_of(created)


async def test_patch_when_its_checksum_is_wrong_then_nothing_of_it_stays_on_the_disk(
    app: Running, person: Person
) -> None:
    path = await begin(app, person)
    wrong = {"Upload-Checksum": f"sha256 {sha256(b'other bytes')}"}

    for _ in range(3):
        assert (await send(app, person, path, CSV, **wrong)).status_code == 460
    assert not [name for name in spool(app) if Path(name).name.endswith(".part")]
    await send(app, person, path, CSV, **{"Upload-Checksum": f"sha256 {sha256(CSV)}"})
    await reach(app, person, path, "ready")


async def test_length_when_told_later_then_counts_against_the_quota_and_binds(
    settings: Settings, password_hash: str
) -> None:
    async def endless() -> object:
        while True:
            yield b"a,b\n" * 1000

    limits = {"upload_user_bytes": 1000, "embedded_worker": False}
    async with running(settings.model_copy(update=limits)) as app:
        person = await insert_person(app, password_hash)
        path = await begin_without_a_length(app, person)
        large = await send(app, person, path, b"a,b\n", **{"Upload-Length": "1001"})
        assert (large.status_code, large.json()["limit_bytes"]) == (413, 1000)

        more = await send(app, person, path, endless(), **{"Upload-Length": "0"})
        assert (more.status_code, (await state_of(app, person, path))["received_bytes"]) == (400, 0)
        other = await begin_without_a_length(app, person)
        fits = await send(app, person, other, b"a,b\n", **{"Upload-Length": "1000"})
        assert fits.status_code == 204


async def test_description_when_added_to_without_end_then_refused_and_warnings_bounded(
    app: Running, person: Person
) -> None:
    path = await begin(app, person)
    answers = []
    for turn in range(3):
        names = {f"{turn}-{number}-{'x' * 400}": "real" for number in range(1200)}
        unknown = dict.fromkeys([f"{turn}-{number}" for number in range(MOST_WARNINGS)], 1)
        answers.append(
            await app.client.patch(path, json={"attributes": names, **unknown}, headers=person.headers)
        )

    assert [answer.status_code for answer in answers] == [200, 200, 422]
    found = await app.client.get(path, headers=person.headers)
    assert len(found.content) < 2 * METADATA_BYTES
    assert len(found.json()["warnings"]) <= MOST_WARNINGS


@pytest.mark.parametrize(
    "metadata",
    [
        r'{"attributes": {"\ud800": "real"}}',
        r'{"attributes": {"a": "date"}}',
        r'{"attributes": {"a": "\ud800"}}',
        r'{"attributes": {"a": {"nominal": ["\ud800"]}}}',
    ],
)
async def test_types_when_they_hold_half_a_character_then_refused(
    app: Running, person: Person, metadata: str
) -> None:
    answer = await app.client.post(
        "/uploads",
        content=f'{{"file_name": "a.csv", "metadata": {metadata}}}',
        headers={**person.headers, "Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (422, "validation-failed")


@pytest.mark.parametrize("name", ["a\r\nX: y.csv", "a\0.csv", "\x1b[2J.csv", "\x85.csv", "\ud800.csv"])
async def test_file_name_when_it_has_control_characters_then_refused_however_it_comes(
    app: Running, person: Person, name: str
) -> None:
    given = name.encode("utf-8", "surrogatepass")
    json_headers = {**person.headers, "Content-Type": "application/json"}
    tus_headers = {
        **person.headers,
        "Tus-Resumable": "1.0.0",
        "Upload-Length": "3",
        "Upload-Metadata": f"filename {base64.b64encode(given).decode()}",
    }
    body = json.dumps({"file_name": name})
    answers = [
        await app.client.post("/uploads", content=body, headers=json_headers),
        await app.client.post("/uploads", headers=tus_headers),
    ]
    if not given.startswith((b"a\r", b"\xed")):  # A form's head can hold neither.
        part = b'Content-Disposition: form-data; name="dataset"; filename="' + given + b'"'
        form = b"--limit\r\n" + part + b"\r\n\r\na,b\n\r\n--limit--\r\n"
        form_headers = {**person.headers, "Content-Type": "multipart/form-data; boundary=limit"}
        answers.append(await app.client.post("/data-upload", content=form, headers=form_headers))

    assert [answer.status_code for answer in answers] == [422] * len(answers), [each.text for each in answers]
    assert (await app.client.get("/uploads", headers=person.headers)).json()["uploads"] == []


@pytest.mark.parametrize(
    "attributes",
    [
        {str(number): 1 for number in range(1000)},
        {"a": {"nominal": [1] * 1000}},
        {"a": {"nominal": [{}] * 1000}},
        {str(number): "date" for number in range(1000)},
    ],
)
async def test_types_when_very_many_are_wrong_then_one_error_for_all(
    app: Running, person: Person, attributes: dict[str, object]
) -> None:
    body = {"file_name": "a.csv", "metadata": {"attributes": attributes}}
    answer = await app.client.post("/uploads", json=body, headers=person.headers)
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 1)


async def test_upload_when_it_failed_without_a_word_of_openml_then_looked_for_and_not_sent_again(
    app: Running, person: Person
) -> None:
    path = await begin(app, person, publish=True)
    await send(app, person, path, CSV)
    active = await reach(app, person, path, "active")
    upload_id = path.rpartition("/")[2]
    async with app.resources.database.session() as session:
        # As it stands where OpenML could not be asked until the last attempt.
        lost = {"state": UploadState.FAILED, "dataset_id": None, "finished_at": utc_now()}
        await session.execute(sa.update(uploads).where(uploads.c.id == upload_id).values(**lost, attempts=30))

    for verb, request in (("PATCH", path), ("POST", f"{path}/retry")):
        changed = await app.client.request(
            verb, request, json={"description": "Other words."}, headers=person.headers
        )
        assert (changed.status_code, "without changes" in changed.json()["detail"]) == (409, True)
    again = await app.client.post(f"{path}/retry", json=METADATA, headers=person.headers)
    assert again.status_code == 202
    found = await reach(app, person, path, "active")
    assert found["dataset_id"] == active["dataset_id"]


async def test_retry_when_it_failed_after_the_conversion_then_no_warning_of_a_field_of_ours(
    app: Running, person: Person
) -> None:
    path = await begin(app, person)
    await send(app, person, path, CSV)
    await reach(app, person, path, "ready")
    async with app.resources.database.session() as session:
        upload = await statements.get_upload(session, path.rpartition("/")[2])
        assert upload is not None
        converted = {**(upload.description or {}), "published_names": {"def_tar_att": ["flood"]}}
        failed = {"state": UploadState.FAILED, "description": converted, "finished_at": utc_now()}
        await session.execute(sa.update(uploads).values(failed))

    await app.client.post(f"{path}/retry", headers=person.headers)
    assert (await reach(app, person, path, "active"))["warnings"] == []


async def test_account_when_deleted_then_nothing_of_its_uploads_is_left(
    settings: Settings, password_hash: str
) -> None:
    async with running(settings.model_copy(update={"embedded_worker": False})) as app:
        person = await insert_person(app, password_hash)
        states = [UploadState.RECEIVING, UploadState.CONVERTED, UploadState.FAILED]
        for state in states:
            headers = {
                **person.headers,
                **TUS,
                "Upload-Length": str(len(CSV)),
                "Upload-Metadata": tus_metadata(filename="secret.csv", **METADATA),
            }
            path = path_of(await app.client.post("/uploads", headers=headers))
            await send(app, person, path, CSV)
            async with app.resources.database.session() as session:
                await put_in(
                    session,
                    path.rpartition("/")[2],
                    state,
                    at=utc_now(),
                    detail="Row 1 has 'secret'.",
                    error={"detail": "secret"},
                    warnings=["secret"],
                    repairs=[{"x": "secret"}],
                    finished_at=utc_now() if state == UploadState.FAILED else None,
                )

        deleted = await app.client.post("/delete", json={"password": person.password}, headers=person.headers)
        assert deleted.status_code == 200, deleted.text
        await clean_up(
            app.resources.database,
            app.resources.storage,
            lease_seconds=app.resources.settings.timings.lease_seconds,
        )

        async with app.resources.database.session() as session:
            rows = [dict(row._mapping) for row in await session.execute(sa.select(uploads))]
            steps = (await session.execute(sa.select(upload_events))).all()
            parts = (await session.execute(sa.select(upload_parts))).all()
        assert {row["user_id"] for row in rows} == {0}
        assert "secret" not in f"{rows}{steps}{parts}"
        assert "river" not in f"{rows}{steps}"
        assert spool(app) == []
