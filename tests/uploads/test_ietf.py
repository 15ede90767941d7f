"""The IETF's draft on resumable uploads, requirement by requirement: docs/resumable.md names the test of each."""

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.core.clock import utc_now
from app.core.settings import Settings
from app.db import uploads
from app.db.upload_states import UploadState
from tests.conftest import Person, Running, insert_person, running
from tests.uploads.test_data_upload import CSV, spool
from tests.uploads.test_resources import path_of, reach, sha256, state_of
from tests.uploads.test_tus import chunked

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
NAMED = {"Content-Disposition": 'inline; filename="river.csv"'}
SIZE = str(len(CSV))


async def create(
    app: Running, person: Person, content: Any = b"", complete: str = "?0", **headers: str
) -> httpx.Response:
    headers = {**person.headers, **NAMED, "Upload-Complete": complete, **headers}
    return await app.client.post("/uploads", content=content, headers=headers)


async def append(  # noqa: PLR0917 - in the order of a request
    app: Running, person: Person, path: str, content: Any, offset: Any, complete: str = "?0", **headers: str
) -> httpx.Response:
    headers = {
        **person.headers,
        "Content-Type": "application/partial-upload",
        "Upload-Offset": str(offset),
        "Upload-Complete": complete,
        **headers,
    }
    return await app.client.patch(path, content=content, headers=headers)


async def head_of(app: Running, person: Person, path: str) -> Mapping[str, str]:
    answer = await app.client.head(path, headers=person.headers)
    assert answer.status_code == 204
    return answer.headers


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, re.split(r"[#/]", answer.json()["type"])[-1]


# Creation


async def test_creation_when_it_is_the_first_part_then_201_with_address_offset_and_limits(
    app: Running, person: Person
) -> None:
    answer = await create(app, person, CSV[:7], **{"Upload-Length": SIZE})

    assert answer.status_code == 201
    assert answer.headers["location"] == f"http://testserver/uploads/{answer.json()['id']}"
    assert answer.headers["upload-offset"] == "7"
    assert answer.headers["upload-complete"] == "?0"
    assert answer.headers["upload-limit"].startswith("max-size=")


@pytest.mark.parametrize("content", [CSV, None])
@pytest.mark.parametrize("length", [{}, {"Upload-Length": SIZE}])
async def test_creation_when_it_is_the_whole_file_then_complete(
    app: Running, person: Person, *, content: bytes | None, length: dict[str, str]
) -> None:
    answer = await create(app, person, content or chunked(CSV[:9], CSV[9:]), "?1", **length)

    assert (answer.status_code, answer.headers["upload-complete"]) == (201, "?1")
    assert (await reach(app, person, path_of(answer), "ready"))["sha256"] == hashlib.sha256(CSV).hexdigest()


async def test_creation_when_it_is_empty_then_the_upload_is_there_for_later(
    app: Running, person: Person
) -> None:
    path = path_of(await create(app, person))
    assert (await head_of(app, person, path))["upload-offset"] == "0"

    assert (await append(app, person, path, CSV, 0, "?1")).headers["upload-complete"] == "?1"
    await reach(app, person, path, "ready")


@pytest.mark.parametrize("length", [{}, {"Upload-Length": "0"}])
async def test_file_when_it_is_empty_then_it_ends_only_when_the_client_says_so(
    app: Running, person: Person, length: dict[str, str]
) -> None:
    at_once = await create(app, person, b"", "?1", **length)
    assert (at_once.status_code, at_once.headers["upload-complete"]) == (201, "?1")
    later = path_of(await create(app, person, b"", "?0", **length))
    assert (await head_of(app, person, later))["upload-complete"] == "?0"
    closed = await append(app, person, later, b"", 0, "?1")
    assert (closed.status_code, closed.headers["upload-complete"]) == (204, "?1")

    for path in (path_of(at_once), later):
        assert (await reach(app, person, path, "failed"))["size"] == 0


@pytest.mark.parametrize(
    ("complete", "headers"),
    [("?1", {"Upload-Length": "1000"}), ("?1", {"Upload-Length": "3"}), ("?0", {"Upload-Length": "3"})],
)
async def test_creation_when_it_tells_two_lengths_then_inconsistent_and_nothing_was_begun(
    app: Running, person: Person, *, complete: str, headers: dict[str, str]
) -> None:
    for content in (CSV, chunked(CSV)):
        answer = await create(app, person, content, complete, **headers)

        assert problem(answer) == (400, "inconsistent-upload-length")
        left = await app.client.get("/uploads", params={"state": "receiving"}, headers=person.headers)
        assert left.json()["uploads"] == []
    assert spool(app) == []


@pytest.mark.every(3)
@pytest.mark.parametrize("complete", ["", "1", "true", "?2", '"?1"', "?1, ?1", ":AA==:"])
async def test_complete_when_it_is_no_boolean_then_ignored(
    app: Running, person: Person, complete: str
) -> None:
    path = path_of(await create(app, person))

    assert problem(await create(app, person, CSV, complete, **{"Content-Type": "text/csv"}))[0] == 415
    assert problem(await append(app, person, path, CSV, 0, complete)) == (400, "bad-request")
    assert (await head_of(app, person, path))["upload-offset"] == "0"


@pytest.mark.parametrize("parameters", [";a", ";a=1", '; note="x; y"', ";a=?0;b=:AA==:"])
async def test_fields_when_they_have_parameters_then_those_are_ignored(
    app: Running, person: Person, parameters: str
) -> None:
    created = await create(
        app, person, CSV[:7], f"?0{parameters}", **{"Upload-Length": f"{SIZE}{parameters}"}
    )
    path = path_of(created)
    assert (await head_of(app, person, path))["upload-length"] == SIZE

    answer = await append(app, person, path, CSV[7:], f"7{parameters}", f"?1{parameters}")

    assert (answer.status_code, answer.headers["upload-complete"]) == (204, "?1")


@pytest.mark.every(3)
@pytest.mark.parametrize("value", ["-1", "1.0", "ten", '"5"', "?1", "5, 5", "1234567890123456"])
async def test_number_when_it_is_no_natural_integer_then_ignored(
    app: Running, person: Person, value: str
) -> None:
    path = path_of(await create(app, person, CSV[:7], **{"Upload-Length": value}))
    assert "upload-length" not in await head_of(app, person, path)

    assert problem(await append(app, person, path, CSV[7:], value)) == (400, "bad-request")
    assert (await append(app, person, path, CSV[7:], 7, "?1", **{"Upload-Length": value})).status_code == 204


# Append


async def test_append_when_the_last_bytes_do_not_complete_then_the_closing_request_does(
    app: Running, person: Person
) -> None:
    path = path_of(await create(app, person, CSV[:7], **{"Upload-Length": SIZE}))

    open_yet = await append(app, person, path, CSV[7:], 7, "?0")
    assert (open_yet.status_code, open_yet.headers["upload-complete"]) == (204, "?0")
    head = await head_of(app, person, path)
    assert (head["upload-offset"], head["upload-complete"]) == (SIZE, "?0")
    assert (await state_of(app, person, path))["state"] == "receiving"
    closed = await append(app, person, path, b"", SIZE, "?1")
    assert (closed.status_code, closed.headers["upload-complete"]) == (204, "?1")

    await reach(app, person, path, "ready")


@pytest.mark.parametrize("length", [{}, {"Upload-Length": SIZE}])
async def test_append_when_it_completes_but_is_short_then_inconsistent_and_open_yet(
    app: Running, person: Person, length: dict[str, str]
) -> None:
    path = path_of(await create(app, person, CSV[:7], **{"Upload-Length": SIZE}))
    for content in (CSV[7:9], chunked(CSV[7:9]), b"", chunked()):
        offset = (await head_of(app, person, path))["upload-offset"]
        rest = content if offset == "7" else b""
        answer = await append(app, person, path, rest, offset, "?1", **length)

        assert problem(answer) == (400, "inconsistent-upload-length")
        assert (await head_of(app, person, path))["upload-complete"] == "?0"
    has = int((await head_of(app, person, path))["upload-offset"])
    assert (await append(app, person, path, CSV[has:], has, "?1")).status_code == 204


async def test_append_when_the_length_was_deduced_then_it_holds(app: Running, person: Person) -> None:
    path = path_of(await create(app, person, CSV[:7]))
    told = await append(app, person, path, CSV[7:9], 7, "?0", **{"Upload-Length": SIZE})
    assert told.status_code == 204
    assert (await head_of(app, person, path))["upload-length"] == SIZE

    other = await append(app, person, path, CSV[9:11], 9, "?0", **{"Upload-Length": "50000"})
    assert problem(other) == (400, "inconsistent-upload-length")
    assert (await head_of(app, person, path))["upload-offset"] == "9"


@pytest.mark.parametrize("complete", ["?0", "?1"])
@pytest.mark.parametrize("in_chunks", [False, True])
async def test_append_when_it_exceeds_the_length_then_refused_and_the_upload_is_over(
    app: Running, person: Person, *, complete: str, in_chunks: bool
) -> None:
    path = path_of(await create(app, person, CSV[:7], **{"Upload-Length": SIZE}))
    more = CSV[7:] + b"more"

    answer = await append(app, person, path, chunked(more) if in_chunks else more, 7, complete)

    assert problem(answer) == (400, "inconsistent-upload-length")
    if in_chunks or complete == "?0":
        assert (await app.client.head(path, headers=person.headers)).status_code == 410
        assert (await append(app, person, path, CSV[7:], 7, "?1")).status_code == 410
        assert spool(app) == []
    failed = await state_of(app, person, path)
    assert failed["received_bytes"] <= len(CSV)


@pytest.mark.parametrize("whole", [False, True])
async def test_append_when_its_offset_is_not_ours_then_409_with_the_right_one(
    app: Running, person: Person, *, whole: bool
) -> None:
    path = path_of(await create(app, person, CSV if whole else CSV[:7], "?1" if whole else "?0"))
    has = len(CSV) if whole else 7
    for offset in (0, has - 1, has + 1):
        answer = await append(app, person, path, b"x", offset)

        assert problem(answer) == (409, "mismatching-upload-offset")
        assert answer.headers["upload-offset"] == str(has)
        assert answer.json()["expected-offset"] == has
        assert answer.json()["provided-offset"] == offset


async def test_append_when_the_upload_is_complete_then_refused(app: Running, person: Person) -> None:
    path = path_of(await create(app, person, CSV, "?1"))

    for content, slug in ((b"", "completed-upload"), (b"more", "inconsistent-upload-length")):
        for complete in ("?0", "?1"):
            answer = await append(app, person, path, content, SIZE, complete)
            assert problem(answer) == (400, slug)
    assert (await head_of(app, person, path))["upload-offset"] == SIZE


@pytest.mark.parametrize("kind", ["text/csv", "application/offset", "*/*"])
async def test_append_when_its_type_is_another_then_415_and_nothing_changes(
    app: Running, person: Person, kind: str
) -> None:
    path = path_of(await create(app, person, CSV[:7]))

    answer = await append(app, person, path, CSV[7:], 7, "?1", **{"Content-Type": kind})

    assert answer.status_code == 415
    assert answer.headers["accept-patch"] == "application/partial-upload"
    assert (await head_of(app, person, path))["upload-offset"] == "7"


# State and limits


async def test_head_when_asked_then_offset_completeness_length_limits_and_not_cached(
    app: Running, person: Person
) -> None:
    created = await create(app, person, CSV[:7], **{"Upload-Length": SIZE})
    head = await head_of(app, person, path_of(created))

    assert head["upload-offset"] == "7"
    assert head["upload-complete"] == "?0"
    assert head["upload-length"] == SIZE
    assert "max-size=" in head["upload-limit"]
    assert head["cache-control"] == "no-store"


async def test_limit_when_time_goes_by_then_the_age_that_remains(app: Running, person: Person) -> None:
    path = path_of(await create(app, person, CSV[:7]))
    for left in (3600, 60, 1):
        async with app.resources.database.session() as session:
            soon = {"expires_at": utc_now() + timedelta(seconds=left + 0.5)}
            await uploads.set_values(session, path.rpartition("/")[2], soon, only_in={UploadState.RECEIVING})
        limit = (await head_of(app, person, path))["upload-limit"]
        assert left - 30 <= int(re.search(r"max-age=(\d+)", limit)[1]) <= left  # type: ignore[index]  # a match

    done = path_of(await create(app, person, CSV, "?1"))
    await reach(app, person, done, "ready")


async def test_limit_when_the_file_is_too_large_then_413_with_it(
    settings: Settings, password_hash: str
) -> None:
    changes = {"upload_max_bytes": 20, "embedded_worker": False}
    async with running(settings.model_copy(update=changes)) as app:
        person = await insert_person(app, password_hash)
        path = path_of(await create(app, person, CSV[:7]))
        answers = [
            await create(app, person, b"", "?0", **{"Upload-Length": "21"}),
            await create(app, person, CSV[:21], "?1"),
            await create(app, person, chunked(CSV[:21]), "?1"),
            await append(app, person, path, CSV[7:], 7),
            await append(app, person, path, chunked(CSV[7:]), 7),
            await append(app, person, path, chunked(CSV[7:22]), 7),
            await append(app, person, path, b"", 7, **{"Upload-Length": "21"}),
        ]

        assert [answer.status_code for answer in answers] == [413] * len(answers)
        assert {answer.headers["upload-limit"] for answer in answers} == {"max-size=20"}
        limits = (await app.client.options("/uploads")).headers["upload-limit"]
        assert limits == "max-size=20, max-age=259200"


async def test_options_when_asked_then_what_patches_are_taken_and_the_limits(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.options("/uploads")

    assert "application/partial-upload" in answer.headers["accept-patch"].split(", ")
    assert answer.headers["upload-limit"].startswith("max-size=")


async def test_cancellation_when_asked_then_the_upload_is_gone(app: Running, person: Person) -> None:
    path = path_of(await create(app, person, CSV[:7]))

    assert (await app.client.delete(path, headers=person.headers)).status_code == 204
    assert (await app.client.head(path, headers=person.headers)).status_code == 410
    assert (await append(app, person, path, CSV[7:], 7)).status_code == 410


# Digests


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
async def test_content_digest_when_it_is_wrong_then_nothing_counts_and_else_all(
    app: Running, person: Person, algorithm: str
) -> None:
    path = path_of(await create(app, person))

    def header(content: bytes) -> dict[str, str]:
        digest = hashlib.new(algorithm.replace("-", ""), content).digest()
        return {"Content-Digest": f"unixsum=:AA==:, {algorithm}=:{base64.b64encode(digest).decode()}:;x=1"}

    wrong = await append(app, person, path, CSV, 0, "?1", **header(b"other"))
    assert problem(wrong) == (400, "digest-mismatch")
    assert (await head_of(app, person, path))["upload-offset"] == "0"
    right = await append(app, person, path, CSV, 0, "?1", **header(CSV))
    assert right.status_code == 204


async def test_repr_digest_when_wanted_then_told_once_the_file_is_known(app: Running, person: Person) -> None:
    wants = {"Want-Repr-Digest": "sha-256=10, sha-512=3"}
    created = await create(app, person, CSV, "?1", **wants)
    path = path_of(created)
    await reach(app, person, path, "ready")

    assert (await head_of(app, person, path))["repr-digest"] == f"sha-256=:{sha256(CSV)}:"


async def test_interop_version_when_a_client_names_its_own_then_served_without_interim_answers(
    app: Running, person: Person
) -> None:
    for version in ("8", "6", "99", "x"):
        created = await create(app, person, CSV, "?1", **{"Upload-Draft-Interop-Version": version})
        assert created.status_code == 201
