"""tus 1.0, requirement by requirement: docs/resumable.md names the test of each."""

import asyncio
import base64
import hashlib
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from app.core.clock import utc_now
from app.core.settings import Settings
from app.db import uploads
from app.db.upload_states import UploadState
from tests.conftest import MakePerson, Person, Running, insert_person, running
from tests.uploads.test_data_upload import CSV, spool
from tests.uploads.test_resources import (
    METADATA,
    TUS,
    begin,
    encoded,
    offset_of,
    path_of,
    reach,
    send,
    state_of,
    tus_metadata,
)

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
BYTES = {"Content-Type": "application/offset+octet-stream"}
NAMED = {"Upload-Metadata": tus_metadata(filename="river.csv")}


def digest(algorithm: str, content: bytes) -> str:
    return base64.b64encode(hashlib.new(algorithm, content).digest()).decode()


async def create(app: Running, person: Person, content: Any = None, **headers: str) -> httpx.Response:
    return await app.client.post(
        "/uploads", content=content, headers={**person.headers, **TUS, **NAMED, **headers}
    )


async def chunked(*blocks: bytes) -> Any:
    for block in blocks:
        yield block


# Core


@pytest.mark.every(5)
@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/uploads", {}, 401),
        ("GET", "/uploads?limit=0", {"Authorization": "?"}, 422),
        ("POST", "/uploads", {}, 401),
        ("POST", "/uploads", {"Authorization": "?", **TUS}, 400),
        ("POST", "/uploads", {"Authorization": "?"}, 422),
        ("PUT", "/uploads", {"Authorization": "?"}, 405),
        ("HEAD", "/uploads/none", TUS, 401),
        ("HEAD", "/uploads/none", {"Authorization": "?", **TUS}, 404),
        ("GET", "/uploads/none", {"Authorization": "?"}, 404),
        ("PATCH", "/uploads/none", {"Authorization": "?", **TUS, **BYTES, "Upload-Offset": "0"}, 404),
        ("PATCH", "/uploads/none", {"Authorization": "?", **TUS}, 415),
        ("PATCH", "/uploads/none", {"Authorization": "?", "Tus-Resumable": "2.0.0"}, 412),
        ("DELETE", "/uploads/none", {"Authorization": "?", **TUS}, 404),
        ("POST", "/uploads/none", {"Authorization": "?", **TUS}, 405),
        ("GET", "/uploads/none/preview", {"Authorization": "?"}, 404),
        ("GET", "/uploads/none/events", {"Authorization": "?"}, 404),
        ("POST", "/uploads/none/publish", {"Authorization": "?", **TUS}, 404),
        ("GET", "/uploads/none/of/these", {}, 404),
        ("OPTIONS", "/uploads", {}, 204),
    ],
)
async def test_answer_when_it_is_one_of_uploads_then_it_names_the_version(
    app: Running, person: Person, *, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    headers = {
        name: person.headers.get(name, value) if value == "?" else value for name, value in headers.items()
    }

    answer = await app.client.request(method, path, headers=headers)

    assert (answer.status_code, answer.headers["tus-resumable"]) == (status, "1.0.0"), answer.text


async def test_answer_when_middleware_or_a_fault_gives_it_then_it_names_the_version(
    settings: Settings, password_hash: str
) -> None:
    async with running(settings.model_copy(update={"upload_max_bytes": 100})) as app:
        person = await insert_person(app, password_hash)
        large = await app.client.post("/uploads", json={"file_name": "a" * (2 << 20)}, headers=person.headers)
        preflight = await app.client.options(
            "/uploads", headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        )
        transport = app.client._transport
        assert isinstance(transport, httpx.ASGITransport)
        transport.raise_app_exceptions = False
        await app.resources.database.close()
        away = await app.client.get("/uploads", headers=person.headers)
        for answer, statuses in ((large, {413}), (preflight, {200, 400}), (away, {500, 503})):
            assert answer.status_code in statuses
            assert answer.headers["tus-resumable"] == "1.0.0"


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE", "GET"])
async def test_request_when_it_is_of_another_version_then_412_with_ours_and_nothing_is_done(
    app: Running, person: Person, method: str
) -> None:
    path = await begin(app, person)
    where = "/uploads" if method == "POST" else path
    headers = {**person.headers, **BYTES, **NAMED, "Upload-Offset": "0", "Upload-Length": "9"}

    for version in ("0.2.2", "1.0", "1.0.1", "", "1.0.0, 0.2.2"):
        answer = await app.client.request(
            method, where, headers={**headers, "Tus-Resumable": version}, content=b""
        )
        assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0"), version

    listed = (await app.client.get("/uploads", headers=person.headers)).json()["uploads"]
    assert [(upload["state"], upload["received_bytes"]) for upload in listed] == [("receiving", 0)]


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"Upload-Length": "9", **NAMED}),
        ("POST", {"Upload-Length": "9"}),
        ("POST", {"Upload-Defer-Length": "1", **NAMED}),
        ("PATCH", {**BYTES, "Upload-Offset": "0"}),
    ],
)
async def test_request_when_its_version_is_missing_then_412(
    app: Running, person: Person, method: str, headers: dict[str, str]
) -> None:
    path = "/uploads" if method == "POST" else await begin(app, person)

    answer = await app.client.request(method, path, headers={**person.headers, **headers})

    assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")


async def test_options_when_a_version_is_named_then_it_is_ignored(client: httpx.AsyncClient) -> None:
    for path in ("/uploads", "/uploads/", "/uploads/none"):
        answer = await client.options(path, headers={"Tus-Resumable": "0.2.2"})

        assert answer.status_code == 204
        assert answer.headers["tus-version"] == "1.0.0"
        assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256"
        extensions = set(answer.headers["tus-extension"].split(","))
        assert extensions >= {"creation", "creation-with-upload", "creation-defer-length", "checksum"}
        assert extensions >= {"termination", "expiration"}
        assert "checksum-trailer" not in extensions
        assert "application/offset+octet-stream" in answer.headers["accept-patch"]
        assert answer.headers["tus-max-size"].isdigit()


async def test_head_when_asked_at_any_stage_then_offset_and_length_and_not_cached(
    app: Running, person: Person
) -> None:
    path = await begin(app, person)
    for content, offset in ((b"", 0), (CSV[:7], 7), (CSV[7:], len(CSV))):
        await send(app, person, path, content, offset - len(content))
        head = await app.client.head(path, headers={**person.headers, **TUS})

        assert head.status_code == 200
        assert head.headers["upload-offset"] == str(offset)
        assert head.headers["upload-length"] == str(len(CSV))
        assert head.headers["cache-control"] == "no-store"
        assert head.headers["tus-resumable"] == "1.0.0"


async def test_head_when_the_upload_is_unknown_or_gone_then_no_offset(app: Running, person: Person) -> None:
    gone = await begin(app, person)
    assert (await app.client.delete(gone, headers={**person.headers, **TUS})).status_code == 204
    for path, status in ((f"/uploads/{'0' * 32}", 404), (gone, 410)):
        head = await app.client.head(path, headers={**person.headers, **TUS})

        assert head.status_code == status
        assert "upload-offset" not in head.headers


async def test_patch_when_it_fits_then_204_with_the_sum_as_new_offset(app: Running, person: Person) -> None:
    path = await begin(app, person)

    first = await send(app, person, path, CSV[:11])
    second = await send(app, person, path, chunked(CSV[11:15], CSV[15:20]), 11)

    assert [(answer.status_code, answer.headers["upload-offset"]) for answer in (first, second)] == [
        (204, "11"),
        (204, "20"),
    ]
    assert await offset_of(app, person, path) == 20


@pytest.mark.parametrize("whole", [False, True])
async def test_patch_when_its_offset_is_not_ours_then_409_and_nothing_changes(
    app: Running, person: Person, *, whole: bool
) -> None:
    path = await begin(app, person)
    has = len(CSV) if whole else 11
    await send(app, person, path, CSV[:has])
    for offset in (0, has - 1, has + 1, 10**17):
        for content in (b"", b"x", chunked(b"x")):
            answer = await send(app, person, path, content, offset)

            assert (answer.status_code, answer.headers["upload-offset"]) == (409, str(has))
    assert await offset_of(app, person, path) == has


@pytest.mark.parametrize("kind", [None, "text/csv", "application/octet-stream", "application/partial-upload"])
async def test_patch_when_its_type_is_not_the_one_of_tus_then_415_and_nothing_changes(
    app: Running, person: Person, kind: str | None
) -> None:
    path = await begin(app, person)
    headers = {**person.headers, **TUS, "Upload-Offset": "0", **({"Content-Type": kind} if kind else {})}

    answer = await app.client.patch(path, content=CSV, headers=headers)

    assert answer.status_code == 415
    assert "application/offset+octet-stream" in answer.headers["accept-patch"]
    assert await offset_of(app, person, path) == 0


NO_NUMBERS = ["-1", "+1", "1.0", "0x1", "1e3", "ten", "", "1 2", "1, 1", "²", "1" * 60]


@pytest.mark.parametrize("header", ["Upload-Offset", "Upload-Length"])
async def test_number_when_it_is_none_then_400_and_nothing_is_done(
    app: Running, person: Person, header: str
) -> None:
    path = await begin(app, person)
    said = {**person.headers, **TUS, **NAMED, **BYTES}
    raw = {name.encode(): text.encode() for name, text in said.items()}

    for number in NO_NUMBERS:
        wrong = {header.encode(): number.encode("latin-1")}
        changed = await app.client.patch(path, content=CSV, headers={**raw, b"Upload-Offset": b"0", **wrong})
        assert changed.status_code == 400, number
        assert await offset_of(app, person, path) == 0
        if header == "Upload-Length":
            created = await app.client.post("/uploads", headers={**raw, **wrong})
            assert created.status_code == 400, number
    listed = (await app.client.get("/uploads", headers=person.headers)).json()["uploads"]
    assert len(listed) == 1


async def test_number_when_it_is_told_twice_then_400(app: Running, person: Person) -> None:
    path = await begin(app, person)
    twice = [*{**person.headers, **TUS, **BYTES}.items(), ("Upload-Offset", "0"), ("Upload-Offset", "5")]

    answer = await app.client.patch(path, content=CSV, headers=twice)

    assert answer.status_code == 400
    assert await offset_of(app, person, path) == 0


@pytest.mark.parametrize("actual", ["POST", "GET", "PUT", "DELETE"])
async def test_method_when_a_header_overrides_it_then_the_actual_one_is_ignored(
    app: Running, person: Person, actual: str
) -> None:
    async def ask(method: str, path: str, content: Any = b"", **headers: str) -> httpx.Response:
        override = {**person.headers, **TUS, "X-HTTP-Method-Override": method, **headers}
        return await app.client.request(actual, path, content=content, headers=override)

    greeted = await ask("OPTIONS", "/uploads")
    assert (greeted.status_code, greeted.headers["tus-version"]) == (204, "1.0.0")
    created = await ask("POST", "/uploads", **NAMED, **{"Upload-Length": str(len(CSV))})
    assert created.status_code == 201
    path = path_of(created)
    sent = await ask("patch", path, CSV[:9], **BYTES, **{"Upload-Offset": "0"})
    assert (sent.status_code, sent.headers["upload-offset"]) == (204, "9")
    head = await ask("HEAD", path)
    assert (head.status_code, head.headers["upload-offset"]) == (200, "9")
    assert (await ask("DELETE", path)).status_code == 204
    assert (await ask("HEAD", path)).status_code == 410
    assert (await ask("TRACE", path)).status_code == 405


# Whatever changes the meaning


CHANGES_OF_MEANING = [
    ({"Content-Encoding": "gzip"}, 415),
    ({"Content-Encoding": "identity, gzip"}, 415),
    ({"Content-Range": "bytes 0-8/9"}, 400),
    ({"Upload-Incomplete": "?1"}, 400),
    ({"Trailer": "Upload-Checksum"}, 400),
    ({"Trailer": "Expires, content-digest"}, 400),
    ({"Upload-Checksum": "crc32 AAAAAA=="}, 400),
    ({"Upload-Checksum": "SHA1 2jmj7l5rSw0yVb/vlWAYkK/YBwk="}, 400),
    ({"Upload-Checksum": "sha1 AAAA"}, 400),
    ({"Upload-Checksum": "sha1"}, 400),
    ({"Content-Digest": "sha-256=:AAAA:"}, 400),
]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_header_when_it_changes_the_meaning_and_is_not_supported_then_refused(
    app: Running, person: Person, method: str
) -> None:
    path = await begin(app, person)
    where = "/uploads" if method == "POST" else path
    more = {"Upload-Length": str(len(CSV))} if method == "POST" else {"Upload-Offset": "0"}
    usual = {**person.headers, **TUS, **NAMED, **BYTES, **more}

    for headers, status in CHANGES_OF_MEANING:
        answer = await app.client.request(method, where, content=CSV, headers={**usual, **headers})
        assert answer.status_code == status, (headers, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert status != 415 or answer.headers["accept-encoding"] == "identity"
        assert await offset_of(app, person, path) == 0
    listed = (await app.client.get("/uploads", headers=person.headers)).json()["uploads"]
    assert len(listed) == 1
    assert len(spool(app)) <= 1


# Creation


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upload-Defer-Length": "2"},
        {"Upload-Defer-Length": "0"},
        {"Upload-Defer-Length": ""},
        {"Upload-Defer-Length": "1, 1"},
        {"Upload-Defer-Length": "1", "Upload-Length": "9"},
        {"Upload-Defer-Length": "2", "Upload-Length": "9"},
    ],
)
async def test_creation_when_its_length_is_not_told_once_then_400(
    app: Running, person: Person, headers: dict[str, str]
) -> None:
    answer = await create(app, person, **headers)

    assert answer.status_code == 400
    assert (await app.client.get("/uploads", headers=person.headers)).json()["uploads"] == []


@pytest.mark.parametrize(
    ("host", "endpoint", "root"),
    [
        ("testserver", "/uploads", "http://testserver"),
        ("127.0.0.1:5000", "/uploads", "http://127.0.0.1:5000"),
        ("[::1]:5000", "/uploads/", "http://[::1]:5000"),
    ],
)
async def test_creation_when_done_then_201_with_the_absolute_address(
    app: Running, person: Person, *, host: str, endpoint: str, root: str
) -> None:
    headers = {**person.headers, **TUS, **NAMED, "Upload-Length": "9", "Host": host}

    answer = await app.client.post(endpoint, headers=headers)

    assert answer.status_code == 201
    assert answer.headers["location"] == f"{root}/uploads/{answer.json()['id']}"
    assert parsedate_to_datetime(answer.headers["upload-expires"]) > utc_now()


async def test_creation_when_people_reach_us_over_tls_then_so_does_the_address(
    settings: Settings, password_hash: str
) -> None:
    async with running(settings.model_copy(update={"public_url": "https://testserver"})) as app:
        answer = await create(app, await insert_person(app, password_hash), **{"Upload-Length": "9"})

        assert answer.headers["location"].startswith("https://testserver/uploads/")


@pytest.mark.parametrize("length", ["1000000001", "9" * 19, "9" * 30])
async def test_creation_when_the_file_is_too_large_then_413_with_the_limit(
    settings: Settings, password_hash: str, length: str
) -> None:
    async with running(settings.model_copy(update={"upload_max_bytes": 1_000_000_000})) as app:
        answer = await create(app, await insert_person(app, password_hash), **{"Upload-Length": length})

        assert answer.status_code == 413
        assert answer.headers["upload-limit"] == "max-size=1000000000"
        assert (await app.client.options("/uploads")).headers["tus-max-size"] == "1000000000"


async def test_length_when_told_later_then_deferred_until_then_and_fixed_from_then_on(
    app: Running, person: Person
) -> None:
    path = path_of(await create(app, person, **{"Upload-Defer-Length": "1"}))
    for _ in range(2):
        head = await app.client.head(path, headers={**person.headers, **TUS})
        assert (head.headers["upload-defer-length"], "upload-length" in head.headers) == ("1", False)
    assert (await send(app, person, path, CSV[:5])).status_code == 204
    told = {"Upload-Length": str(len(CSV))}
    assert (await send(app, person, path, CSV[5:9], 5, **told)).status_code == 204
    head = await app.client.head(path, headers={**person.headers, **TUS})
    assert (head.headers["upload-length"], "upload-defer-length" in head.headers) == (str(len(CSV)), False)

    changed = await send(app, person, path, CSV[9:], 9, **{"Upload-Length": str(len(CSV) + 1)})
    assert (changed.status_code, changed.json()["type"].rpartition("#")[2]) == (
        400,
        "inconsistent-upload-length",
    )
    assert (await send(app, person, path, CSV[9:], 9, **told)).status_code == 204
    await reach(app, person, path, "ready")


@pytest.mark.parametrize(
    "given",
    [
        f"filename {encoded('a.csv')},filename {encoded('b.csv')}",
        f"filename {encoded('a.csv')},,language {encoded('English')}",
        f"filename {encoded('a.csv')},",
        "filename a.csv",
        f"filename {encoded('a.csv')} {encoded('b.csv')}",
        f"filename {encoded('a.csv').rstrip('=')}",
        f"filename {encoded('a.csv')},description /w==",
    ],
)
async def test_metadata_when_it_is_not_pairs_of_base64_then_refused(
    app: Running, person: Person, given: str
) -> None:
    answer = await create(app, person, **{"Upload-Length": "9", "Upload-Metadata": given})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Upload-Metadata")


@pytest.mark.parametrize(
    "given",
    [
        tus_metadata(filename="river.csv", **METADATA),
        f"filename {encoded('a.csv')},is_confidential",
        f"filename {encoded('a.csv')}, empty ,relativePath bnVsbA==",
    ],
)
async def test_metadata_when_it_is_well_formed_then_head_gives_it_back_as_it_came(
    app: Running, person: Person, given: str
) -> None:
    path = path_of(await create(app, person, **{"Upload-Length": "9", "Upload-Metadata": given}))

    head = await app.client.head(path, headers={**person.headers, **TUS})

    assert head.headers["upload-metadata"] == given


async def test_creation_when_it_brings_some_bytes_then_they_count(app: Running, person: Person) -> None:
    some = await create(app, person, CSV[:9], **BYTES, **{"Upload-Length": str(len(CSV))})
    deferred = await create(app, person, CSV[:9], **BYTES, **{"Upload-Defer-Length": "1"})

    for answer in (some, deferred):
        assert (answer.status_code, answer.headers["upload-offset"]) == (201, "9")
        assert await offset_of(app, person, path_of(answer)) == 9
    assert (await send(app, person, path_of(some), CSV[9:], 9)).status_code == 204


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (CSV, {"Upload-Checksum": f"sha1 {digest('sha1', b'other')}"}, 460),
        (CSV + b"more", {}, 400),
        (CSV, {"Content-Type": "text/csv"}, 415),
    ],
)
async def test_creation_when_its_bytes_are_refused_then_nothing_was_begun(
    app: Running, person: Person, *, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await create(app, person, content, **{**BYTES, "Upload-Length": str(len(CSV)), **headers})

    assert answer.status_code == status
    params = {"state": "receiving"}
    left = await app.client.get("/uploads", params=params, headers=person.headers)
    assert left.json()["uploads"] == []
    assert spool(app) == []


async def test_creation_when_the_file_is_empty_then_complete_at_once(app: Running, person: Person) -> None:
    answer = await create(app, person, **{"Upload-Length": "0"})

    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "0")
    failed = await reach(app, person, path_of(answer), "failed")
    assert "empty" in failed["error"]["detail"].lower() or failed["error"]["status"] == 422


# Checksum


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_checksum_when_it_is_right_then_the_bytes_count_and_else_460_and_none_do(
    app: Running, person: Person, algorithm: str
) -> None:
    path = await begin(app, person)
    right, wrong = digest(algorithm, CSV), digest(algorithm, b"other")

    for content in (CSV, chunked(CSV[:5], CSV[5:])):
        refused = await send(app, person, path, content, **{"Upload-Checksum": f"{algorithm} {wrong}"})
        assert refused.status_code == 460
        assert await offset_of(app, person, path) == 0
    taken = await send(
        app, person, path, chunked(CSV[:5], CSV[5:]), **{"Upload-Checksum": f"{algorithm} {right}"}
    )
    assert (taken.status_code, taken.headers["upload-offset"]) == (204, str(len(CSV)))


# Expiration and termination


async def test_expiry_when_bytes_come_then_told_and_moved_and_over_it_is_410(
    app: Running, person: Person
) -> None:
    path = await begin(app, person)
    answer = await send(app, person, path, CSV[:9])
    assert parsedate_to_datetime(answer.headers["upload-expires"]) > utc_now()
    async with app.resources.database.session() as session:
        past = {"expires_at": utc_now() - timedelta(seconds=5)}
        await uploads.set_values(session, path.rpartition("/")[2], past, only_in={UploadState.RECEIVING})

    head = await app.client.head(path, headers={**person.headers, **TUS})
    late = await send(app, person, path, CSV[9:], 9)

    assert (head.status_code, late.status_code) == (410, 410)
    assert "upload-offset" not in head.headers


async def test_termination_when_bytes_are_on_their_way_then_they_end_and_all_is_gone(
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

    assert (await app.client.delete(path, headers={**person.headers, **TUS})).status_code == 204
    assert (await earlier).status_code in {409, 410}
    assert (await send(app, person, path, CSV[20:], 20)).status_code == 410
    assert (await state_of(app, person, path))["state"] == "cancelled"
    assert spool(app) == []


# As clients do it


async def test_patch_when_it_is_empty_and_chunked_on_a_complete_upload_then_204(
    app: Running, person: Person
) -> None:
    path = await begin(app, person)
    await send(app, person, path, CSV)

    for content in (b"", chunked(), chunked(b"")):
        again = await send(app, person, path, content, len(CSV))
        assert (again.status_code, again.headers["upload-offset"]) == (204, str(len(CSV)))
    more = await send(app, person, path, chunked(b"x"), len(CSV))
    assert (more.status_code, more.json()["type"].rpartition("#")[2]) == (400, "completed-upload")


async def test_uploads_when_somebody_elses_then_as_if_there_were_none(
    app: Running, make_person: MakePerson
) -> None:
    owner, other = await make_person(), await make_person()
    path = await begin(app, owner)

    for method in ("HEAD", "PATCH", "DELETE"):
        headers = {**other.headers, **TUS, **BYTES, "Upload-Offset": "0"}
        answer = await app.client.request(method, path, headers=headers, content=b"")
        assert (answer.status_code, answer.headers["tus-resumable"]) == (404, "1.0.0")
        assert "upload-offset" not in answer.headers
