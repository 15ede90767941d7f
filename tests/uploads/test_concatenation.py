"""Files whose parts come at once (tus: `Upload-Concat`): joined, counted once, never published in pieces."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.core.clock import utc_now
from app.core.settings import Settings
from app.db import upload_bytes
from app.db import uploads as statements
from app.db.upload_states import UploadState
from app.db.upload_tables import upload_parts
from app.uploads.lifecycle import clean_up
from tests.conftest import MakePerson, Person, Running, insert_person, running
from tests.uploads.test_data_upload import CSV, spool
from tests.uploads.test_resources import (
    METADATA,
    TUS,
    begin,
    offset_of,
    path_of,
    reach,
    send,
    state_of,
    tus_metadata,
)
from tests.uploads.test_tus import BYTES, create

PIECES = (CSV[:13], CSV[13:14], CSV[14:])


async def begin_part(app: Running, person: Person, content: bytes, **headers: str) -> str:
    """Begin a partial upload as tus-js-client does: without a name."""
    headers = {
        **person.headers,
        **TUS,
        "Upload-Concat": "partial",
        "Upload-Length": str(len(content)),
        **headers,
    }
    answer = await app.client.post("/uploads", headers=headers)
    assert answer.status_code == 201, answer.text
    return path_of(answer)


async def send_parts(app: Running, person: Person, *pieces: bytes) -> list[str]:
    async def send_one(piece: bytes) -> str:
        path = await begin_part(app, person, piece)
        answer = await send(app, person, path, piece, **{"Upload-Concat": "partial"})
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(len(piece)))
        return path

    return list(await asyncio.gather(*(send_one(piece) for piece in pieces)))


async def join(
    app: Running, person: Person, parts: list[str], content: Any = None, **headers: str
) -> httpx.Response:
    given = tus_metadata(filename="river.csv", publish="true", **METADATA)
    concat = {"Upload-Concat": f"final;{' '.join(parts)}", "Upload-Metadata": given}
    return await app.client.post(
        "/uploads", content=content, headers={**person.headers, **TUS, **concat, **headers}
    )


async def head_of(app: Running, person: Person, path: str) -> httpx.Response:
    return await app.client.head(path, headers={**person.headers, **TUS})


async def datasets(app: Running, person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await app.client.get("/uploads", headers=person.headers)).json()["uploads"]
    return found


async def test_options_when_asked_then_concatenation_of_finished_parts(client: httpx.AsyncClient) -> None:
    extensions = (await client.options("/uploads")).headers["tus-extension"].split(",")

    assert "concatenation" in extensions
    assert "concatenation-unfinished" not in extensions


@pytest.mark.parametrize("root", ["", "http://testserver", "https://elsewhere.example/behind/a/proxy"])
async def test_parts_when_joined_then_one_dataset_of_all_in_the_order_of_the_list(
    app: Running, person: Person, root: str
) -> None:
    paths = await send_parts(app, person, PIECES[2], PIECES[0], PIECES[1])
    order = [root + paths[1], root + paths[2], root + paths[0]]

    answer = await join(app, person, order)

    assert answer.status_code == 201
    assert answer.headers["upload-offset"] == answer.headers["upload-length"] == str(len(CSV))
    path = path_of(answer)
    active = await reach(app, person, path, "active")
    assert active["sha256"] == hashlib.sha256(CSV).hexdigest()
    assert (active["dataset_name"], active["partial"]) == (METADATA["dataset_name"], False)
    assert [upload["id"] for upload in await datasets(app, person)] == [active["id"]]
    assert spool(app) == []
    async with app.resources.database.session() as session:
        assert (await session.execute(sa.select(upload_parts))).all() == []


async def test_head_when_partial_or_joined_then_upload_concat_as_it_came(
    app: Running, person: Person
) -> None:
    paths = await send_parts(app, person, *PIECES)
    unfinished = await begin_part(app, person, CSV)
    for path, size, offset in ((paths[0], 13, "13"), (unfinished, len(CSV), "0")):
        head = await head_of(app, person, path)
        assert head.headers["upload-concat"] == "partial"
        assert (head.headers["upload-offset"], head.headers["upload-length"]) == (offset, str(size))
    answer = await join(app, person, paths)

    head = await head_of(app, person, path_of(answer))
    assert head.headers["upload-concat"] == f"final;{' '.join(paths)}"
    assert head.headers["upload-offset"] == head.headers["upload-length"] == str(len(CSV))
    assert "upload-metadata" in head.headers
    part = await head_of(app, person, paths[0])
    assert (part.status_code, part.headers["upload-concat"], part.headers["upload-offset"]) == (
        200,
        "partial",
        "13",
    )


async def test_part_when_its_bytes_are_in_then_it_is_no_dataset_and_cannot_become_one(
    app: Running, person: Person
) -> None:
    wishes = {"Upload-Metadata": tus_metadata(filename="river.csv", publish="true", **METADATA)}
    path = await begin_part(app, person, CSV, **wishes)
    await send(app, person, path, CSV)

    for request in (
        app.client.post(f"{path}/publish", headers=person.headers),
        app.client.post(f"{path}/retry", headers=person.headers),
        app.client.patch(path, json=METADATA, headers=person.headers),
        app.client.get(f"{path}/preview", headers=person.headers),
    ):
        answer = await request
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "upload-state")
    closing = {"Content-Type": "application/partial-upload", "Upload-Offset": str(len(CSV))}
    await app.client.patch(path, headers={**person.headers, **closing, "Upload-Complete": "?1"})
    await clean_up(
        app.resources.database,
        app.resources.storage,
        lease_seconds=app.resources.settings.timings.lease_seconds,
    )
    found = await state_of(app, person, path)
    assert (found["state"], found["partial"], found["dataset_id"]) == ("receiving", True, None)
    assert await offset_of(app, person, path) == len(CSV)
    assert (await send(app, person, path, b"", len(CSV))).status_code == 204


async def test_joining_when_a_part_lacks_bytes_then_refused_and_done_once_they_are_there(
    app: Running, person: Person
) -> None:
    first, last = await begin_part(app, person, PIECES[0]), await begin_part(app, person, CSV[13:])
    deferred = path_of(await create(app, person, **{"Upload-Concat": "partial", "Upload-Defer-Length": "1"}))
    await send(app, person, first, PIECES[0])
    await send(app, person, last, CSV[13:15])

    for paths in ([first, last], [deferred, first]):
        early = await join(app, person, paths)
        assert (early.status_code, early.json()["type"].rpartition("/")[2]) == (409, "upload-state")
    assert {upload["state"] for upload in await datasets(app, person)} == {"receiving"}
    await send(app, person, last, CSV[15:], 2)
    assert (await join(app, person, [first, last])).status_code == 201


async def test_joining_when_asked_again_then_the_same_upload(app: Running, person: Person) -> None:
    paths = await send_parts(app, person, *PIECES)

    answers = [await join(app, person, paths) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert len({answer.headers["location"] for answer in answers}) == 1
    other = await join(app, person, paths[::-1])
    assert (other.status_code, other.json()["type"].rpartition("/")[2]) == (409, "upload-state")
    await reach(app, person, path_of(answers[0]), "active")
    assert len(await datasets(app, person)) == 1


async def test_joining_when_asked_at_once_then_one_upload(app: Running, person: Person) -> None:
    paths = await send_parts(app, person, *PIECES)

    answers = await asyncio.gather(*(join(app, person, paths) for _ in range(5)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.headers["location"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("concat", "status"),
    [
        ("", 400),
        ("Partial", 400),
        ("final", 400),
        ("final;", 400),
        ("final;{part} {part}", 400),
        ("final;{part} /etc/passwd", 400),
        ("final;{part} http://testserver/uploads/", 400),
        ("final;{part}?x={part} {part}/../{part}", 400),
        ("final;http://[::1{part}", 400),
        ("final;{part} {whole}", 400),
        ("final;{part} /uploads/00000000000000000000000000000000", 404),
        ("final;{part} {foreign}", 404),
        ("final;{part} {cancelled}", 410),
        ("final;" + "{part} " * 101, 400),
    ],
)
async def test_joining_when_the_list_is_wrong_then_refused_and_nothing_changes(
    app: Running, make_person: MakePerson, *, concat: str, status: int
) -> None:
    person, other = await make_person(), await make_person()
    [part] = await send_parts(app, person, PIECES[0])
    [foreign] = await send_parts(app, other, PIECES[1])
    [cancelled] = await send_parts(app, person, PIECES[1])
    await app.client.delete(cancelled, headers=person.headers)
    whole = await begin(app, person)
    value = concat.format(part=part, foreign=foreign, cancelled=cancelled, whole=whole)

    answer = await join(app, person, [], **{"Upload-Concat": value})

    assert answer.status_code == status, answer.text
    assert await offset_of(app, person, part) == len(PIECES[0])
    assert (await state_of(app, person, part))["state"] == "receiving"
    assert len(await datasets(app, person)) == 3


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "45"}, 400),
        ({"Upload-Defer-Length": "1"}, 400),
        (BYTES, 403),
        ({"Upload-Metadata": tus_metadata(filename="river.exe")}, 415),
        ({"Upload-Metadata": tus_metadata(dataset_name="x")}, 422),
    ],
)
async def test_joining_when_it_says_or_brings_too_much_then_refused(
    app: Running, person: Person, headers: dict[str, str], status: int
) -> None:
    paths = await send_parts(app, person, *PIECES)

    answer = await join(app, person, paths, CSV if headers == BYTES else None, **headers)

    assert answer.status_code == status, answer.text
    assert (await join(app, person, paths)).status_code == 201


async def test_patch_when_the_upload_is_joined_then_403_and_nothing_changes(
    app: Running, person: Person
) -> None:
    paths = await send_parts(app, person, *PIECES)
    path = path_of(await join(app, person, paths))

    for offset in (0, len(CSV)):
        answer = await send(app, person, path, b"x", offset)
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (403, "joined-upload")
    more = await send(app, person, paths[0], b"x", len(PIECES[0]))
    assert (more.status_code, more.json()["type"].rpartition("#")[2]) == (400, "completed-upload")
    assert (await reach(app, person, path, "active"))["sha256"] == hashlib.sha256(CSV).hexdigest()


async def test_quota_when_parts_are_joined_then_counted_once(settings: Settings, password_hash: str) -> None:
    changes = {"upload_user_bytes": len(CSV), "uploads_per_user": 3, "embedded_worker": False}
    async with running(settings.model_copy(update=changes)) as app:
        person = await insert_person(app, password_hash)
        paths = await send_parts(app, person, *PIECES)
        full = await create(app, person, **{"Upload-Concat": "partial", "Upload-Length": "1"})
        assert full.status_code in {413, 429}

        assert (await join(app, person, paths)).status_code == 201
        async with app.resources.database.session() as session:
            assert await upload_bytes.get_usage(session, person.id) == (1, len(CSV))


async def test_quota_when_a_part_exceeds_it_then_refused(settings: Settings, password_hash: str) -> None:
    changes = {"upload_user_bytes": len(CSV), "embedded_worker": False}
    async with running(settings.model_copy(update=changes)) as app:
        person = await insert_person(app, password_hash)
        await send_parts(app, person, PIECES[0])
        answer = await create(app, person, **{"Upload-Concat": "partial", "Upload-Length": str(len(CSV))})

        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (413, "quota-exceeded")


async def test_joining_when_together_they_are_too_large_then_413(
    settings: Settings, password_hash: str
) -> None:
    changes = {"upload_max_bytes": len(CSV) - 1, "embedded_worker": False}
    async with running(settings.model_copy(update=changes)) as app:
        person = await insert_person(app, password_hash)
        answer = await join(app, person, await send_parts(app, person, *PIECES))

        assert (answer.status_code, answer.headers["upload-limit"]) == (413, f"max-size={len(CSV) - 1}")


async def test_parts_when_nobody_joins_them_then_they_expire_with_their_bytes(
    app: Running, person: Person
) -> None:
    paths = await send_parts(app, person, *PIECES)
    async with app.resources.database.session() as session:
        for path in paths:
            past = {"expires_at": utc_now() - timedelta(seconds=5)}
            await statements.set_values(
                session, path.rpartition("/")[2], past, only_in={UploadState.RECEIVING}
            )
    late = await join(app, person, paths)
    assert (late.status_code, late.json()["type"].rpartition("/")[2]) == (410, "upload-gone")

    await clean_up(
        app.resources.database,
        app.resources.storage,
        lease_seconds=app.resources.settings.timings.lease_seconds,
    )

    assert {upload["state"] for upload in await datasets(app, person)} == {"failed"}
    assert (await head_of(app, person, paths[0])).status_code == 410
    assert spool(app) == []


async def test_parts_when_they_are_joined_and_wait_then_the_janitor_and_deleting_them_leave_their_bytes(
    settings: Settings, password_hash: str
) -> None:
    idle = settings.model_copy(update={"embedded_worker": False})
    async with running(idle) as app:
        person = await insert_person(app, password_hash)
        paths = await send_parts(app, person, *PIECES)
        path = path_of(await join(app, person, paths))
        await clean_up(
            app.resources.database,
            app.resources.storage,
            lease_seconds=app.resources.settings.timings.lease_seconds,
        )
        for part in paths:
            refused = await app.client.delete(part, headers={**person.headers, **TUS})
            assert (refused.status_code, path.rpartition("/")[2] in refused.json()["detail"]) == (409, True)
        assert len(spool(app)) == 3
    async with running(settings) as app:
        headers = person.headers
        found = await reach(app, person, path, "active")
        assert found["sha256"] == hashlib.sha256(CSV).hexdigest()
        assert headers == person.headers
        assert spool(app) == []


async def test_joined_upload_when_cancelled_then_its_parts_are_gone_too(
    settings: Settings, password_hash: str
) -> None:
    async with running(settings.model_copy(update={"embedded_worker": False})) as app:
        person = await insert_person(app, password_hash)
        paths = await send_parts(app, person, *PIECES)
        path = path_of(await join(app, person, paths))

        assert (await app.client.delete(path, headers={**person.headers, **TUS})).status_code == 204

        assert spool(app) == []
        again = await join(app, person, paths)
        assert (again.status_code, again.json()["type"].rpartition("/")[2]) == (410, "upload-gone")


async def test_uploads_when_a_part_is_under_way_then_listed_as_one_until_it_is_joined(
    app: Running, person: Person
) -> None:
    paths = await send_parts(app, person, *PIECES)
    assert [upload["partial"] for upload in await datasets(app, person)] == [True] * 3

    path = path_of(await join(app, person, paths))
    [shown] = await datasets(app, person)
    assert (shown["id"], shown["partial"]) == (path.rpartition("/")[2], False)
    joined = await state_of(app, person, paths[0])
    assert (joined["state"], joined["partial"]) == ("joined", True)
