"""Owners who choose otherwise again and again, and files that no reader can make anything of: others' uploads go on."""

import asyncio
import zipfile

import httpx
import pytest

from tests.conftest import Person, Running, insert_person
from tests.tabular.made import archive
from tests.tabular.test_damaged_files import TABLE, with_damage, with_offset
from tests.uploads.test_data_upload import SPA_METADATA
from tests.uploads.test_preview import MESSY, preview, ready
from tests.uploads.test_resources import begin, reach, send

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
