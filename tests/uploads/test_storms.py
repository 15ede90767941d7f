"""Owners who choose otherwise again and again, and files that no reader can make anything of: others' uploads go on."""

import asyncio
import json
import zipfile

import httpx
import pytest
import sqlalchemy as sa

from app.db import upload_tables, uploads
from app.uploads.choices import preview_version
from tests.conftest import Person, Running, insert_person
from tests.tabular.made import archive
from tests.tabular.test_damaged_files import TABLE, with_damage, with_offset
from tests.uploads.test_data_upload import SPA_METADATA
from tests.uploads.test_preview import MESSY, preview, ready
from tests.uploads.test_resources import begin, reach, send, state_of

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


@pytest.mark.long
async def test_choices_when_hundreds_come_at_once_then_another_users_upload_goes_on_and_little_is_left(
    app: Running, person: Person, password_hash: str
) -> None:
    path = await ready(app, person, MESSY)
    other = await insert_person(app, password_hash)

    async def choose(number: int) -> httpx.Response:
        reading = {"missing": ["?", f"word {number}", "(a+)+$"], "skip_lines": number % 2 or None}
        return await app.client.patch(path, json={"reading": reading}, headers=person.headers)

    storm = asyncio.gather(*(choose(number) for number in range(300)))
    theirs = await ready(app, other)
    answers = await storm
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert (await preview(app, other, theirs))["is_current"]

    last = {"missing": ["*", ".*", "[", "(a+)+$"], "skip_lines": None}
    assert (await app.client.patch(path, json={"reading": last}, headers=person.headers)).status_code == 200
    await reach(app, person, path, "ready")
    assert (await preview(app, person, path))["is_current"]
    folder = app.resources.storage.path(path.rpartition("/")[2], "source").parent
    kept = await asyncio.to_thread(lambda: sorted(each.name for each in folder.iterdir()))
    assert len([name for name in kept if name.startswith("profile")]) == 1
    assert not [name for name in kept if name.endswith(".work")]


@pytest.mark.parametrize(
    "content", [with_damage(zipfile.ZIP_BZIP2), with_offset(archive({"t.csv": TABLE}), 2**62)]
)
async def test_archive_when_damaged_then_the_upload_fails_at_once_and_says_so(
    app: Running, person: Person, content: bytes
) -> None:
    path = await begin(app, person, content, file_name="t.zip", metadata=SPA_METADATA)
    await send(app, person, path, content)
    failed = await reach(app, person, path, "failed")
    assert failed["error"]["reason"] == "broken-file"
    assert failed["error"]["correct"] == "file"


async def test_draft_when_of_a_version_before_readings_then_shown_and_made_anew_with_a_choice(
    app: Running, person: Person
) -> None:
    path = await ready(app, person, MESSY)
    upload_id = path.rpartition("/")[2]
    async with app.resources.database.session() as session:
        upload = await uploads.get_upload(session, upload_id)
    assert upload is not None
    storage = app.resources.storage
    new = storage.path(upload_id, "profile", preview_version(upload))
    table, *columns = await asyncio.to_thread(lambda: new.read_text().splitlines())
    fields = {name: value for name, value in json.loads(table).items() if name not in {"reading", "doubts"}}

    def replace() -> None:
        new.unlink()
        storage.path(upload_id, "profile").write_text("\n".join([json.dumps(fields), *columns, ""]))

    await asyncio.to_thread(replace)
    nothing = (
        sa.update(upload_tables.uploads)
        .where(upload_tables.uploads.c.id == upload_id)
        .values({"reading": sa.null()})
    )
    await app.resources.database.unit(lambda session: session.execute(nothing))

    found = await preview(app, person, path)
    assert (found["reading"], found["doubts"], found["is_current"]) == ({}, [], True)
    assert (await state_of(app, person, path))["reading"] == {}

    answer = await app.client.patch(path, json={"attributes": {"when": "nominal"}}, headers=person.headers)
    assert answer.status_code == 200, answer.text
    await reach(app, person, path, "ready")
    again = await preview(app, person, path)
    assert again["is_current"]
    assert again["reading"]["delimiter"]["value"] == ","
    assert not await asyncio.to_thread(storage.path(upload_id, "profile").exists)
