"""Room is reserved before it is used: what many uploads at once may take of a quota and of the disk."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.core.settings import Settings
from app.db import upload_bytes
from tests.conftest import Person, Running, insert_person, running
from tests.uploads.test_data_upload import CSV, form, spool
from tests.uploads.test_resources import TUS, begin, send, tus_metadata

MEBIBYTE = 1 << 20
ROWS = b"level\n" + b"1234567\n" * (MEBIBYTE // 8)
FORM = b'--x\r\nContent-Disposition: form-data; name="dataset"; filename="a.csv"\r\n\r\n'
IN_PARTS = {"Content-Type": "multipart/form-data; boundary=x"}

on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


async def usage(app: Running, person: Person) -> int:
    async with app.resources.database.session() as session:
        return (await upload_bytes.get_usage(session, person.id)).bytes


async def promised(app: Running) -> int:
    async with app.resources.database.session() as session:
        return await upload_bytes.get_promised_bytes(session)


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition("/")[2] if answer.is_error else ""


async def slowly(content: bytes) -> AsyncIterator[bytes]:
    """A form whose file comes when others have begun as well."""
    yield FORM
    for start in range(0, len(content), MEBIBYTE // 8):
        await asyncio.sleep(0.1)
        yield content[start : start + MEBIBYTE // 8]
    yield b"\r\n--x--\r\n"


@pytest.mark.parametrize("database_uri", ["sqlite", "mariadb"], indirect=True)
@pytest.mark.parametrize("is_declared", [True, False], ids=["declared", "chunked"])
async def test_forms_when_five_come_at_once_then_no_more_than_the_quota_holds(
    settings: Settings, password_hash: str, *, is_declared: bool
) -> None:
    limits = {"upload_user_bytes": 3 * MEBIBYTE // 2, "embedded_worker": False}
    async with running(settings.model_copy(update=limits)) as app:
        person = await insert_person(app, password_hash)
        length = {"Content-Length": str(len(FORM) + len(ROWS) + 9)} if is_declared else {}
        headers = {**person.headers, **IN_PARTS, **length}
        answers = await asyncio.gather(
            *(app.client.post("/data-edit-upload", content=slowly(ROWS), headers=headers) for _ in range(5))
        )

        # Without metadata none is accepted in the end; the one that got so far had room.
        found = sorted(problem_of(answer) for answer in answers)
        refused = found.count((413, "quota-exceeded"))
        assert refused == 4 if is_declared else refused >= 4
        assert set(found) <= {(413, "quota-exceeded"), (422, "validation-failed")}
        assert (await usage(app, person), spool(app)) == (0, [])


@on_sqlite
async def test_uploads_when_their_users_differ_then_no_more_than_the_disk_holds(
    settings: Settings, password_hash: str, tmp_path: Path
) -> None:
    free = shutil.disk_usage(tmp_path).free
    large = free // 2
    limits = {
        # Room for one of them, whatever else the machine does meanwhile.
        "disk_reserve_bytes": free - 3 * large // 2,
        "upload_max_bytes": large,
        "upload_user_bytes": large,
        "embedded_worker": False,
    }
    async with running(settings.model_copy(update=limits)) as app:
        people = [await insert_person(app, password_hash) for _ in range(5)]
        tus = {"Upload-Length": str(large), "Upload-Metadata": tus_metadata(filename="a.csv")}
        answers = await asyncio.gather(
            *(app.client.post("/uploads", headers={**person.headers, **TUS, **tus}) for person in people)
        )

        assert sorted(answer.status_code for answer in answers) == [201, 507, 507, 507, 507]
        assert await promised(app) == large
        (taken,) = (answer for answer in answers if answer.status_code == 201)
        owner = people[answers.index(taken)]
        # What was written is on the disk, and no promise any more.
        await send(app, owner, taken.headers["location"], CSV)
        assert await promised(app) == large - len(CSV)
        await app.client.delete(taken.headers["location"], headers=owner.headers)
        assert (await promised(app), await usage(app, owner)) == (0, 0)


@on_sqlite
async def test_length_when_nobody_announced_it_then_only_what_came_is_counted(
    settings: Settings, password_hash: str
) -> None:
    async with running(settings.model_copy(update={"embedded_worker": False})) as app:
        person = await insert_person(app, password_hash)
        deferred = {"Upload-Defer-Length": "1", "Upload-Metadata": tus_metadata(filename="a.csv")}
        created = await app.client.post("/uploads", headers={**person.headers, **TUS, **deferred})

        async def some() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield ROWS

        assert await usage(app, person) == 0
        await send(app, person, created.headers["location"], some())
        assert await usage(app, person) == 3 * len(ROWS)


@on_sqlite
async def test_form_when_its_bytes_are_in_then_counts_with_what_it_has(
    settings: Settings, password_hash: str
) -> None:
    async with running(settings.model_copy(update={"embedded_worker": False})) as app:
        person = await insert_person(app, password_hash)
        headers = {**person.headers, "Prefer": "respond-async"}
        answer = await app.client.post("/data-upload", files=form(), headers=headers)
        assert answer.status_code == 202
        assert (await usage(app, person), await promised(app)) == (len(CSV), 0)
        other = await begin(app, person)
        assert await usage(app, person) == 2 * len(CSV)
        assert await promised(app) == len(CSV)
        await app.client.delete(other, headers=person.headers)
        assert await usage(app, person) == len(CSV)
