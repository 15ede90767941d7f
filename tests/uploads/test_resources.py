"""Uploads as resources: begun, sent in parts, watched, described, published, cancelled, tried again."""

import asyncio
import base64
import hashlib
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import sqlalchemy as sa

from app import resources
from app.core.clock import utc_now
from app.core.errors import DatabaseUnavailableError
from app.core.settings import Settings
from app.db.upload_states import UploadState
from app.db.upload_tables import upload_parts, uploads
from app.uploads import at_openml, creation, event_stream
from app.uploads.lifecycle import clean_up
from tests.conftest import MakePerson, Person, Running, eventually, insert_person, running
from tests.engines import ENGINES
from tests.uploads.test_data_upload import CSV, form, spool

METADATA = {"dataset_name": "river-levels", "description": "Daily river levels.", "def_tar_att": "flood"}
TUS = {"Tus-Resumable": "1.0.0"}


pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def tus_metadata(**fields: str) -> str:
    return ",".join(f"{name} {encoded(value)}" for name, value in fields.items())


def sha256(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


async def begin(app: Running, person: Person, content: bytes = CSV, **changes: Any) -> str:
    body = {"file_name": "river.csv", "size": len(content), "metadata": METADATA, **changes}
    answer = await app.client.post("/uploads", json=body, headers=person.headers)
    assert answer.status_code == 201, answer.text
    return path_of(answer)


def path_of(answer: httpx.Response) -> str:
    """Return where the upload is that was begun, without the server."""
    return urlsplit(answer.headers["location"]).path


async def send(
    app: Running, person: Person, path: str, content: Any, offset: Any = 0, **headers: str
) -> httpx.Response:
    return await app.client.patch(
        path,
        content=content,
        headers={
            **person.headers,
            **TUS,
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            **headers,
        },
    )


async def state_of(app: Running, person: Person, path: str) -> dict[str, Any]:
    found: dict[str, Any] = (await app.client.get(path, headers=person.headers)).json()
    return found


async def reach(app: Running, person: Person, path: str, *states: str) -> dict[str, Any]:
    async def reached() -> dict[str, Any] | None:
        found = await state_of(app, person, path)
        assert found["state"] != "failed" or "failed" in states, found["error"]
        return found if found["state"] in states else None

    return await eventually(reached)


async def offset_of(app: Running, person: Person, path: str) -> int:
    answer = await app.client.head(path, headers={**person.headers, **TUS})
    assert answer.status_code == 200
    return int(answer.headers["upload-offset"])


async def test_upload_when_sent_in_parts_then_waits_for_its_owner_and_is_published(
    app: Running, person: Person
) -> None:
    path = await begin(app, person)
    assert (await state_of(app, person, path))["state"] == "receiving"
    assert await offset_of(app, person, path) == 0

    first = await send(app, person, path, CSV[:10])
    assert (first.status_code, first.headers["upload-offset"]) == (204, "10")
    assert await offset_of(app, person, path) == 10
    last = await send(app, person, path, CSV[10:], 10)
    assert last.headers["upload-offset"] == str(len(CSV))

    ready = await reach(app, person, path, "ready")
    assert ready["sha256"] == hashlib.sha256(CSV).hexdigest()
    assert ready["dataset_id"] is None
    assert ready["expires_at"] is not None
    published = await app.client.post(f"{path}/publish", headers=person.headers)
    assert published.status_code == 202
    active = await reach(app, person, path, "active")
    assert active["dataset_id"] > 0
    assert [event["state"] for event in active["events"]][:4] == [
        "receiving",
        "verifying",
        "ready",
        "received",
    ]
    assert spool(app) == []
    async with app.resources.database.session() as session:
        assert (await session.execute(sa.select(upload_parts))).all() == []


async def test_upload_when_published_then_openml_is_not_asked_about_it_in_the_same_moment(
    app: Running, person: Person
) -> None:
    path = await begin(app, person, publish=True)
    await send(app, person, path, CSV)

    events = (await reach(app, person, path, "active"))["events"]
    published = [event["state"] for event in events].index("published")
    asked, sent = (datetime.fromisoformat(events[index]["at"]) for index in (published + 1, published))
    assert asked - sent > timedelta(seconds=at_openml.FIRST_PAUSE_SECONDS / 2)


async def test_upload_when_publish_was_asked_for_at_first_then_published_without_a_stop(
    app: Running, person: Person
) -> None:
    path = await begin(app, person, publish=True)
    await send(app, person, path, CSV)

    found = await reach(app, person, path, "active")
    assert "ready" not in [event["state"] for event in found["events"]]


async def test_tus_when_creation_brings_everything_then_201_with_the_offset_and_its_metadata_comes_back(
    app: Running, person: Person
) -> None:
    given = tus_metadata(filename="river.csv", publish="true", creator="Ada; Bob", **METADATA)
    answer = await app.client.post(
        "/uploads",
        content=CSV,
        headers={
            **person.headers,
            **TUS,
            "Upload-Length": str(len(CSV)),
            "Upload-Metadata": given,
            "Content-Type": "application/offset+octet-stream",
        },
    )

    assert answer.status_code == 201
    assert answer.headers["upload-offset"] == str(len(CSV))
    assert answer.headers["tus-resumable"] == "1.0.0"
    path = path_of(answer)
    head = await app.client.head(path, headers={**person.headers, **TUS})
    assert head.headers["upload-metadata"] == given
    assert head.headers["cache-control"] == "no-store"
    found = await reach(app, person, path, "active")
    assert found["metadata"]["creator"] == ["Ada", "Bob"]


async def test_tus_when_length_is_told_later_then_as_promised(app: Running, person: Person) -> None:
    created = await app.client.post(
        "/uploads",
        headers={
            **person.headers,
            **TUS,
            "Upload-Defer-Length": "1",
            "Upload-Metadata": tus_metadata(filename="a.csv"),
        },
    )
    path = path_of(created)
    head = await app.client.head(path, headers={**person.headers, **TUS})
    assert head.headers["upload-defer-length"] == "1"
    assert "upload-expires" in head.headers

    await send(app, person, path, CSV[:5])
    await send(app, person, path, CSV[5:], 5, **{"Upload-Length": str(len(CSV))})
    assert (await reach(app, person, path, "ready"))["size"] == len(CSV)


async def test_tus_when_asked_for_its_abilities_then_told_without_a_token(client: httpx.AsyncClient) -> None:
    answer = await client.options("/uploads")

    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) >= {
        "creation",
        "termination",
        "expiration",
        "checksum",
    }
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256"
    assert int(answer.headers["tus-max-size"]) > 10**9


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Upload-Offset": "3"}, 409),
        ({"Upload-Offset": "x"}, 400),
        ({"Content-Type": "text/csv"}, 415),
        ({"Upload-Checksum": "sha256 AAAA"}, 400),
        ({"Upload-Checksum": "crc32 AAAAAA=="}, 400),
        ({"Upload-Checksum": f"sha256 {sha256(b'other')}"}, 460),
        ({"Authorization": "Bearer no"}, 401),
    ],
)
async def test_tus_when_a_patch_is_wrong_then_told_how_and_no_byte_counts(
    app: Running, person: Person, headers: dict[str, str], status: int
) -> None:
    path = await begin(app, person)

    answer = await send(app, person, path, CSV, **headers)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert await offset_of(app, person, path) == 0
    assert (
        await send(app, person, path, CSV, **{"Upload-Checksum": f"sha256 {sha256(CSV)}"})
    ).status_code == 204


async def test_patch_when_two_come_at_once_then_bytes_of_one_count(app: Running, person: Person) -> None:
    content = b"x" * 100_000
    path = await begin(app, person, content)

    answers = await asyncio.gather(*(send(app, person, path, content[:60_000]) for _ in range(8)))

    assert sorted({answer.status_code for answer in answers}) in ([204], [204, 409])
    assert [answer.status_code for answer in answers].count(204) == 1
    assert await offset_of(app, person, path) == 60_000
    repeated = await send(app, person, path, content[:60_000])
    assert repeated.json()["expected-offset"] == 60_000
    assert repeated.json()["type"].startswith("https://iana.org/")


async def test_patch_when_more_comes_than_was_announced_then_refused(app: Running, person: Person) -> None:
    path = await begin(app, person)

    answer = await send(app, person, path, CSV + b"more")
    assert (answer.status_code, answer.json()["type"].rpartition("#")[2]) == (
        400,
        "inconsistent-upload-length",
    )
    await send(app, person, path, CSV)
    again = await send(app, person, path, b"more", len(CSV))
    assert again.json()["type"].rpartition("#")[2] == "completed-upload"


async def test_patch_when_the_line_breaks_then_what_came_counts(app: Running, person: Person) -> None:
    path = await begin(app, person)

    async def broken() -> Any:
        yield CSV[:20]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await send(app, person, path, broken())

    assert await offset_of(app, person, path) == 20
    assert (await send(app, person, path, CSV[20:], 20)).status_code == 204
    assert (await reach(app, person, path, "ready"))["sha256"] == hashlib.sha256(CSV).hexdigest()


async def test_head_when_an_earlier_request_hangs_then_its_bytes_count_and_it_ends(
    app: Running, person: Person
) -> None:
    path = await begin(app, person)
    waits = asyncio.Event()

    async def hanging() -> Any:
        yield CSV[:20]
        waits.set()
        await asyncio.Event().wait()

    earlier = asyncio.ensure_future(send(app, person, path, hanging()))
    await waits.wait()

    assert await offset_of(app, person, path) == 20
    refused = await earlier
    assert (refused.status_code, refused.headers["connection"]) == (409, "close")
    assert (await send(app, person, path, CSV[20:], 20)).status_code == 204
    await reach(app, person, path, "ready")


async def test_tus_when_the_last_answer_was_lost_and_nothing_is_sent_again_then_204(
    app: Running, person: Person
) -> None:
    path = await begin(app, person)
    await send(app, person, path, CSV)

    again = await send(app, person, path, b"", len(CSV))

    assert (again.status_code, again.headers["upload-offset"]) == (204, str(len(CSV)))


async def test_ietf_when_sent_as_the_draft_says_then_the_same(app: Running, person: Person) -> None:
    created = await app.client.post(
        "/uploads",
        content=CSV[:7],
        headers={
            **person.headers,
            "Upload-Complete": "?0",
            "Upload-Length": str(len(CSV)),
            "Content-Disposition": 'attachment; filename="river.csv"',
            "Repr-Digest": f"sha-256=:{sha256(CSV)}:",
        },
    )
    assert (created.status_code, created.headers["upload-offset"]) == (201, "7")
    assert created.headers["upload-complete"] == "?0"
    path = path_of(created)
    head = await app.client.head(path, headers=person.headers)
    assert (head.status_code, head.headers["upload-offset"], head.headers["upload-complete"]) == (
        204,
        "7",
        "?0",
    )
    assert head.headers["upload-limit"].startswith("max-size=")

    part = {**person.headers, "Content-Type": "application/partial-upload"}
    wrong = await app.client.patch(
        path, content=CSV[9:], headers={**part, "Upload-Offset": "9", "Upload-Complete": "?1"}
    )
    assert (wrong.status_code, wrong.headers["upload-offset"]) == (409, "7")
    bad = await app.client.patch(
        path,
        content=CSV[7:],
        headers={
            **part,
            "Upload-Offset": "7",
            "Upload-Complete": "?1",
            "Content-Digest": f"sha-256=:{sha256(b'other')}:",
        },
    )
    assert (bad.status_code, bad.json()["type"].rpartition("/")[2]) == (400, "digest-mismatch")
    last = await app.client.patch(
        path, content=CSV[7:], headers={**part, "Upload-Offset": "7", "Upload-Complete": "?1"}
    )
    assert (last.status_code, last.headers["upload-complete"]) == (204, "?1")
    await reach(app, person, path, "ready")


async def test_upload_when_another_file_arrives_than_was_announced_then_failed(
    app: Running, person: Person
) -> None:
    answer = await app.client.post(
        "/uploads",
        json={"file_name": "river.csv", "size": len(CSV)},
        headers={**person.headers, "Repr-Digest": f"sha-256=:{sha256(b'other')}:"},
    )
    path = path_of(answer)
    await send(app, person, path, CSV)

    failed = await reach(app, person, path, "failed")
    assert failed["error"]["type"].endswith("/digest-mismatch")
    assert hashlib.sha256(CSV).hexdigest() in failed["error"]["detail"]


async def test_uploads_when_somebody_elses_then_not_found(app: Running, make_person: MakePerson) -> None:
    owner, other = await make_person(), await make_person()
    path = await begin(app, owner)

    answers = [
        await app.client.get(path, headers=other.headers),
        await app.client.head(path, headers={**other.headers, **TUS}),
        await send(app, other, path, CSV),
        await app.client.patch(path, json={"language": "English"}, headers=other.headers),
        await app.client.delete(path, headers=other.headers),
        await app.client.post(f"{path}/publish", headers=other.headers),
        await app.client.post(f"{path}/retry", headers=other.headers),
        await app.client.get(f"{path}/events", headers=other.headers),
        await app.client.post(path, headers={**other.headers, **TUS, "X-HTTP-Method-Override": "DELETE"}),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert await offset_of(app, owner, path) == 0
    without = await app.client.head(path, headers=TUS)
    assert without.status_code == 401


async def test_metadata_when_changed_then_kept_and_merged_until_published(
    app: Running, person: Person
) -> None:
    path = await begin(app, person, metadata={"attributes": {"level": "string"}})
    early = await app.client.post(f"{path}/publish", headers=person.headers)
    assert early.status_code == 422
    assert {error["field"] for error in early.json()["errors"]} == {"dataset_name", "description"}
    wrong = await app.client.patch(path, json={"dataset_name": "a b"}, headers=person.headers)
    assert wrong.status_code == 422

    changed = await app.client.patch(
        path, json={**METADATA, "attributes": {"station": "nominal"}, "colour": "red"}, headers=person.headers
    )
    assert changed.status_code == 200
    assert changed.json()["metadata"]["attributes"] == {"level": "string", "station": "nominal"}
    assert "colour" in changed.json()["warnings"][0]
    await app.client.patch(path, json={"attributes": {"level": None}}, headers=person.headers)
    asked = await app.client.post(f"{path}/publish", json={"language": "English"}, headers=person.headers)
    assert asked.json()["publish"] is True
    await send(app, person, path, CSV)
    active = await reach(app, person, path, "active")
    assert active["metadata"]["attributes"] == {"station": "nominal"}
    assert active["metadata"]["language"] == "English"
    assert "published_names" not in active["metadata"], "the conversion's own"
    late = await app.client.patch(path, json={"language": "Welsh"}, headers=person.headers)
    assert late.status_code == 409
    assert str(active["dataset_id"]) in late.json()["detail"]


async def test_upload_when_cancelled_then_bytes_gone_and_nothing_published(
    app: Running, person: Person
) -> None:
    for content in (CSV[:4], CSV):
        path = await begin(app, person)
        await send(app, person, path, content)
        if content == CSV:
            await reach(app, person, path, "ready")

        assert (await app.client.delete(path, headers={**person.headers, **TUS})).status_code == 204
        assert (await app.client.delete(path, headers=person.headers)).status_code == 204
        assert (await state_of(app, person, path))["state"] == "cancelled"
        assert (await app.client.head(path, headers={**person.headers, **TUS})).status_code == 410
        assert (await send(app, person, path, CSV[4:], 4)).status_code == 410
        assert (await app.client.post(f"{path}/publish", headers=person.headers)).status_code == 410
        assert spool(app) == []


async def test_upload_when_published_then_cancelling_explains(app: Running, person: Person) -> None:
    path = await begin(app, person, publish=True)
    await send(app, person, path, CSV)
    active = await reach(app, person, path, "active")

    answer = await app.client.delete(path, headers=person.headers)
    assert answer.status_code == 409
    assert answer.json()["dataset_id"] == active["dataset_id"]


async def test_upload_when_it_failed_for_a_wrong_type_then_corrected_and_tried_again(
    app: Running, person: Person
) -> None:
    path = await begin(app, person, publish=True, metadata={**METADATA, "attributes": {"station": "real"}})
    await send(app, person, path, CSV)
    failed = await reach(app, person, path, "failed")
    assert failed["error"]["column"] == "station"
    assert (await app.client.post(f"{path}/publish", headers=person.headers)).status_code == 409

    answer = await app.client.post(
        f"{path}/retry", json={"attributes": {"station": "nominal"}}, headers=person.headers
    )
    assert answer.status_code == 202
    await reach(app, person, path, "active")
    again = await app.client.post(f"{path}/retry", headers=person.headers)
    assert again.status_code == 409


async def test_upload_when_same_file_and_name_come_again_then_the_earlier_one(
    app: Running, person: Person, make_person: MakePerson
) -> None:
    first = (await app.client.post("/data-upload", files=form(), headers=person.headers)).json()

    second = (await app.client.post("/data-upload", files=form(), headers=person.headers)).json()
    assert (second["id"], second["upload_id"]) == (first["id"], first["upload_id"])
    assert "before" in second["warnings"][-1]

    path = await begin(app, person, publish=True)
    await send(app, person, path, CSV)
    repeated = await reach(app, person, path, "duplicate")
    assert (repeated["duplicate_of"], repeated["dataset_id"]) == (first["upload_id"], first["id"])
    announced = await app.client.post(
        "/uploads",
        json={"file_name": "river.csv", "size": len(CSV), "metadata": METADATA},
        headers={**person.headers, "Repr-Digest": f"sha-256=:{sha256(CSV)}:"},
    )
    assert (announced.status_code, announced.json()["id"]) == (200, first["upload_id"])

    answers = [
        await app.client.post("/data-upload", files=form(allow_duplicate=True), headers=person.headers),
        await app.client.post("/data-upload", files=form(dataset_name="other"), headers=person.headers),
        await app.client.post("/data-upload", files=form(), headers=(await make_person()).headers),
    ]
    assert len({first["id"], *(answer.json()["id"] for answer in answers)}) == 4


@pytest.mark.long
async def test_upload_when_a_duplicate_was_looked_at_then_retry_publishes_it_all_the_same(
    app: Running, person: Person
) -> None:
    first = (await app.client.post("/data-upload", files=form(), headers=person.headers)).json()
    paths = [await begin(app, person) for _ in range(3)]
    for path in paths:
        await send(app, person, path, CSV)
        await reach(app, person, path, "ready")
        answer = await app.client.post(f"{path}/publish", headers=person.headers)
        assert (answer.json()["state"], answer.json()["dataset_id"]) == ("duplicate", first["id"])
    again, renamed, unwanted = paths
    await clean_up(
        app.resources.database,
        app.resources.storage,
        lease_seconds=app.resources.settings.timings.lease_seconds,
    )

    same = await app.client.post(f"{again}/retry", headers=person.headers)
    assert (same.status_code, "allow_duplicate" in same.json()["detail"]) == (409, True)
    for path, changes in ((again, {"allow_duplicate": True}), (renamed, {"dataset_name": "other"})):
        answer = await app.client.post(f"{path}/retry", json=changes, headers=person.headers)
        assert (answer.status_code, answer.json()["duplicate_of"]) == (202, None)
        ended = await reach(app, person, path, "active")
        assert ended["dataset_id"] not in {None, first["id"]}

    assert (await app.client.delete(unwanted, headers=person.headers)).status_code == 204
    gone = await app.client.post(f"{unwanted}/retry", json={"allow_duplicate": True}, headers=person.headers)
    assert (gone.status_code, "send the file again" in gone.json()["detail"]) == (409, True)
    assert (await app.client.delete(unwanted, headers=person.headers)).status_code == 409


async def test_upload_when_its_beginning_cannot_be_answered_then_503_and_nothing_is_left(
    app: Running, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_connection(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailableError("no connection is free")

    body = {"file_name": "river.csv", "size": len(CSV), "metadata": METADATA}
    with monkeypatch.context() as patch:
        patch.setattr(creation, "describe_upload", no_connection)
        refused = await app.client.post("/uploads", json=body, headers=person.headers)
    assert (refused.status_code, refused.json()["title"]) == (503, "The service is not ready")

    # Whoever has no key sends it again, and must not find it twice.
    assert (await app.client.post("/uploads", json=body, headers=person.headers)).status_code == 201
    listed = await app.client.get("/uploads", headers=person.headers)
    assert len(listed.json()["uploads"]) == 1


async def test_upload_when_looked_at_and_chosen_otherwise_and_a_duplicate_then_its_bytes_stay(
    app: Running, person: Person
) -> None:
    first = (await app.client.post("/data-upload", files=form(), headers=person.headers)).json()
    path = await begin(app, person)
    await send(app, person, path, CSV)
    await reach(app, person, path, "ready")

    chosen = await app.client.patch(path, json={"ignore_attribute": ["station"]}, headers=person.headers)
    assert chosen.json()["state"] == "verifying", "a worker looks at it once more"
    await app.client.post(f"{path}/publish", headers=person.headers)
    found = await reach(app, person, path, "duplicate")
    assert found["dataset_id"] == first["id"]

    again = await app.client.post(f"{path}/retry", json={"allow_duplicate": True}, headers=person.headers)
    assert again.status_code == 202, again.text
    assert (await reach(app, person, path, "active"))["dataset_id"] not in {None, first["id"]}


async def test_upload_when_another_one_of_its_file_is_given_up_then_published_itself(
    app: Running, person: Person
) -> None:
    paths = [await begin(app, person) for _ in range(3)]
    for path in paths:
        await send(app, person, path, CSV)
        await reach(app, person, path, "ready")
    first, second, third = paths
    async with app.resources.database.session() as session:
        # As if it were being sent.
        later = utc_now() + timedelta(days=1)
        values = {"state": UploadState.SENDING, "available_at": later, "publish_requested": True}
        await session.execute(
            sa.update(uploads).where(uploads.c.id == first.rpartition("/")[2]).values(values)
        )
    waiting = [await app.client.post(f"{path}/publish", headers=person.headers) for path in (second, third)]
    preview = await app.client.get(f"{second}/preview", headers=person.headers)

    async with app.resources.database.session() as session:
        # So often it has looked.
        await session.execute(
            sa.update(uploads).where(uploads.c.duplicate_of.is_not(None)).values(attempts=40)
        )

    async def both_have_looked() -> bool | None:
        async with app.resources.database.session() as session:
            attempts = await session.scalars(
                sa.select(uploads.c.attempts).where(uploads.c.duplicate_of.is_not(None))
            )
            # Looking is no attempt that came to nothing.
            return all(number < 10 for number in attempts) or None

    await eventually(both_have_looked)
    async with app.resources.database.session() as session:
        values = {"state": UploadState.CANCELLED}
        await session.execute(
            sa.update(uploads).where(uploads.c.id == first.rpartition("/")[2]).values(values)
        )
    ended = [await reach(app, person, path, "active", "duplicate") for path in (second, third)]

    assert [(one.json()["state"], one.json()["duplicate_of"]) for one in waiting] == [
        ("received", first.rpartition("/")[2])
    ] * 2
    assert sorted(one["state"] for one in ended) == ["active", "duplicate"]
    assert len({one["dataset_id"] for one in ended}) == 1
    steps = [[event["state"] for event in one["events"]].count("received") for one in ended]
    assert steps == [1, 1], "waiting is one step"
    assert preview.status_code == 200, "its bytes are there"


async def test_publish_when_it_has_begun_then_the_same_again_is_taken_and_a_change_is_not(
    app: Running, person: Person
) -> None:
    path = await begin(app, person)
    await send(app, person, path, CSV)
    await reach(app, person, path, "ready")
    words = {"description": "As published."}
    await app.client.post(f"{path}/publish", json=words, headers=person.headers)
    await reach(app, person, path, "active")

    again = await app.client.post(f"{path}/publish", json=words, headers=person.headers)
    changed = await app.client.post(f"{path}/publish", json={"description": "Late."}, headers=person.headers)

    assert (again.status_code, changed.status_code) == (202, 409)
    assert "it can be changed and removed there only" in changed.json()["detail"]


async def test_idempotency_key_when_request_is_repeated_then_one_upload(app: Running, person: Person) -> None:
    headers = {**person.headers, "Idempotency-Key": "monday"}
    body = {"file_name": "river.csv", "size": len(CSV)}

    answers = await asyncio.gather(
        *(app.client.post("/uploads", json=body, headers=headers) for _ in range(5))
    )
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    other = await app.client.post("/uploads", json={**body, "size": 1}, headers=headers)
    assert (other.status_code, other.json()["type"].rpartition("/")[2]) == (422, "idempotency-key-reused")

    headers["Idempotency-Key"] = "tuesday"
    parts = form(allow_duplicate=True)
    request = app.client.build_request("POST", "/data-upload", files=parts, headers=headers)
    content, sent = request.read(), dict(request.headers)
    once, twice = [
        (await app.client.post("/data-upload", content=content, headers=sent)).json() for _ in range(2)
    ]
    assert once["id"] == twice["id"]


async def test_events_when_followed_then_every_step_and_resumed_after_the_last_one_seen(
    app: Running, person: Person
) -> None:
    path = await begin(app, person, publish=True)

    async def follow(**headers: str) -> list[tuple[str, str]]:
        async with app.client.stream(
            "GET", f"{path}/events", headers={**person.headers, **headers}
        ) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            text = (await answer.aread()).decode()
        blocks = [block.split("\n") for block in text.split("\n\n") if "data: " in block]
        events = [dict(line.split(": ", 1) for line in block) for block in blocks]
        return [(event["event"], event.get("id", "")) for event in events]

    following = asyncio.create_task(follow())
    await send(app, person, path, CSV)
    seen = await following

    known = (await state_of(app, person, path))["events"]
    steps = [number for kind, number in seen if kind == "state"]
    assert steps == [str(event["id"]) for event in known]
    assert [
        number for kind, number in await follow(**{"Last-Event-ID": steps[2]}) if kind == "state"
    ] == steps[3:]
    ended = await app.client.get(f"{path}/events", headers={**person.headers, "Last-Event-ID": steps[-1]})
    assert ended.status_code == 204


async def test_events_when_the_session_is_ended_then_the_stream_ends(
    app: Running, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "LOOK_SECONDS", 0.1)
    path = await begin(app, person)

    async def follow() -> bytes:
        async with app.client.stream("GET", f"{path}/events", headers=person.headers) as answer:
            return await answer.aread()

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.3)
    assert not following.done()
    assert (await app.client.post("/logout", headers=person.headers)).status_code == 200
    assert b"event: upload" in await asyncio.wait_for(following, 5)


async def test_uploads_when_a_row_holds_half_a_surrogate_pair_then_listed_with_a_replacement(
    app: Running, person: Person
) -> None:
    path = await begin(app, person)
    async with app.resources.database.session() as session:
        await session.execute(sa.update(uploads).values(warnings=["Read as \ud83d.", "\\ud83d \U0001f30a é"]))

    page = await app.client.get("/uploads", headers=person.headers)

    assert page.json()["uploads"][0]["warnings"] == ["Read as \ufffd.", "\\ud83d \U0001f30a é"]
    assert (await app.client.get(path, headers=person.headers)).status_code == 200


async def test_uploads_when_listed_by_state_then_only_those(app: Running, person: Person) -> None:
    waiting = await begin(app, person)
    await app.client.delete(await begin(app, person), headers=person.headers)

    page = await app.client.get("/uploads", params={"state": "receiving"}, headers=person.headers)
    assert [f"/uploads/{upload['id']}" for upload in page.json()["uploads"]] == [waiting]
    both = await app.client.get("/uploads?state=receiving&state=cancelled", headers=person.headers)
    assert len(both.json()["uploads"]) == 2


async def test_upload_when_nobody_comes_back_then_expires_with_its_bytes(
    app: Running, person: Person
) -> None:
    path = await begin(app, person)
    await send(app, person, path, CSV[:9])
    assert await app.resources.storage.upload_ids() == [path.rpartition("/")[2]]
    async with app.resources.database.session() as session:
        await session.execute(sa.update(uploads).values(expires_at=utc_now() - timedelta(seconds=1)))
    assert (await send(app, person, path, CSV[9:], 9)).status_code == 410

    await clean_up(
        app.resources.database,
        app.resources.storage,
        lease_seconds=app.resources.settings.timings.lease_seconds,
    )

    found = await state_of(app, person, path)
    assert (found["state"], found["error"]["type"].rpartition("/")[2]) == ("failed", "upload-gone")
    assert (await app.client.head(path, headers={**person.headers, **TUS})).status_code == 410
    assert await app.resources.storage.upload_ids() == []


@pytest.mark.parametrize(
    ("limits", "status", "slug"),
    [
        ({"upload_max_bytes": 50}, 413, "body-too-large"),
        ({"upload_user_bytes": 100}, 413, "quota-exceeded"),
        ({"uploads_per_user": 1}, 429, "too-many-requests"),
        pytest.param(
            {"disk_reserve_bytes": 10**18},
            507,
            "storage-full",
            marks=pytest.mark.skipif(ENGINES == "s3-redis", reason="nobody knows how much room a store has"),
        ),
        ({"RECEIVES_AT_ONCE": 1}, 503, "too-busy"),
        ({"RECEIVES_PER_USER": 1}, 429, "too-many-requests"),
    ],
)
async def test_upload_when_there_is_no_room_then_told_before_its_bytes(
    settings: Settings,
    password_hash: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    limits: dict[str, int],
    status: int,
    slug: str,
) -> None:
    for name in limits.keys() & vars(resources).keys():
        monkeypatch.setattr(resources, name, limits[name])
    async with running(settings.model_copy(update={**limits, "embedded_worker": False})) as app:
        person = await insert_person(app, password_hash)
        took = asyncio.Event()

        async def slow() -> Any:
            yield CSV[:5]
            took.set()
            await asyncio.sleep(60)

        small = {"file_name": "a.csv", "size": 45}
        first = await app.client.post("/uploads", json=small, headers=person.headers)
        sending = None
        if first.status_code == 201 and slug in {"too-busy", "too-many-requests"}:
            sending = asyncio.create_task(send(app, person, first.headers["location"], slow()))
            await took.wait()
        answers = [
            await app.client.post("/data-upload", files=form(), headers=person.headers),
            await app.client.post(
                "/uploads",
                content=CSV,
                headers={
                    **person.headers,
                    **TUS,
                    "Upload-Length": str(len(CSV)),
                    "Upload-Metadata": tus_metadata(filename="a.csv"),
                    "Content-Type": "application/offset+octet-stream",
                },
            ),
        ]
        if sending:
            sending.cancel()
        for answer in answers:
            assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (status, slug)
            assert status == 413 or "retry-after" in answer.headers


async def test_upload_when_nobody_said_how_long_it_is_then_its_quota_ends_it(
    settings: Settings, password_hash: str
) -> None:
    block = b"a,b\n" * (1 << 18)

    async def endless() -> Any:
        for _ in range(40):
            yield block

    async with running(
        settings.model_copy(update={"upload_user_bytes": 1 << 20, "embedded_worker": False})
    ) as app:
        person = await insert_person(app, password_hash)
        deferred = {"Upload-Defer-Length": "1", "Upload-Metadata": tus_metadata(filename="a.csv")}
        created = await app.client.post("/uploads", headers={**person.headers, **TUS, **deferred})
        answers = [await send(app, person, created.headers["location"], endless())]
        await app.client.delete(created.headers["location"], headers=person.headers)

        async def form_body() -> Any:
            yield b'--x\r\nContent-Disposition: form-data; name="dataset"; filename="a.csv"\r\n\r\n'
            async for part in endless():
                yield part

        headers = {**person.headers, "Content-Type": "multipart/form-data; boundary=x"}
        answers.append(await app.client.post("/data-upload", content=form_body(), headers=headers))

        for answer in answers:
            assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (413, "quota-exceeded")
        assert spool(app) == []
