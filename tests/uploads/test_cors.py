"""What pages of other origins may send to uploads, and read of answers: every header of both protocols, by name."""

import itertools
import re
from collections.abc import AsyncIterator

import pytest

from app.core.settings import Settings
from tests.conftest import Person, Running, insert_person, running
from tests.uploads.test_data_upload import CSV
from tests.uploads.test_resources import TUS, begin, send
from tests.uploads.test_tus import BYTES, create

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
ORIGIN = "https://pages.example"
OF_TUS = {
    *("Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm"),
    *(
        "Upload-Offset",
        "Upload-Length",
        "Upload-Defer-Length",
        "Upload-Metadata",
        "Upload-Expires",
        "Upload-Concat",
    ),
    *("Upload-Checksum", "X-HTTP-Method-Override", "Location"),
}
OF_THE_DRAFT = {
    *("Upload-Complete", "Upload-Offset", "Upload-Length", "Upload-Limit", "Upload-Draft-Interop-Version"),
    *("Content-Disposition", "Content-Digest", "Repr-Digest", "Want-Content-Digest", "Want-Repr-Digest"),
    *("Accept-Patch", "Location"),
}
ONLY_ANSWERED = {
    *(
        "Tus-Version",
        "Tus-Extension",
        "Tus-Max-Size",
        "Tus-Checksum-Algorithm",
        "Upload-Expires",
        "Upload-Limit",
    ),
    *("Accept-Patch", "Location"),
}
ONLY_ASKED = {
    *("Upload-Checksum", "X-HTTP-Method-Override", "Content-Disposition", "Content-Digest"),
    *("Want-Content-Digest", "Want-Repr-Digest"),
}
OF_CLIENTS = {
    "Authorization",
    "X-API-Key",
    "Content-Type",
    "Idempotency-Key",
    "X-Request-ID",
    "X-Requested-With",
}
"""Ours, and what tus-js-client and Uppy add (`addRequestId`)."""
ASKED = sorted((OF_TUS | OF_THE_DRAFT | OF_CLIENTS) - ONLY_ANSWERED)
ANSWERED = sorted((OF_TUS | OF_THE_DRAFT | {"X-Request-ID", "Retry-After"}) - ONLY_ASKED)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Running]:
    async with running(
        settings.model_copy(update={"cors_origins": [ORIGIN], "embedded_worker": False})
    ) as app:
        yield app


@pytest.fixture
async def person(app: Running, password_hash: str) -> Person:
    return await insert_person(app, password_hash)


def names(text: str) -> set[str]:
    return {name.lower() for name in re.split(r",\s*", text)}


async def test_preflight_when_a_page_would_send_the_header_then_allowed(app: Running) -> None:
    calls = (
        ("POST", "/uploads"),
        ("PATCH", "/uploads/x"),
        ("HEAD", "/uploads/x"),
        ("DELETE", "/uploads/x"),
    )
    for header, (method, path) in itertools.product(ASKED, calls):
        asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": header.lower()}
        answer = await app.client.options(path, headers={"Origin": ORIGIN, **asked})

        assert answer.status_code in {200, 204}, answer.text
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert header.lower() in names(answer.headers["access-control-allow-headers"])
        assert method in answer.headers["access-control-allow-methods"]


async def test_answer_when_a_page_would_read_the_header_then_exposed(app: Running, person: Person) -> None:
    origin = {"Origin": ORIGIN}
    path = await begin(app, person)
    answers = [
        await create(app, person, **{"Upload-Length": "9", **origin}),
        await send(app, person, path, CSV[:5], **origin),
        await send(app, person, path, b"x", 0, **origin),
        await app.client.head(path, headers={**person.headers, **TUS, **origin}),
        await app.client.head(path, headers={**TUS, **origin}),
        await app.client.options("/uploads", headers=origin),
        await app.client.patch(
            path, headers={**person.headers, **TUS, **BYTES, **origin, "Content-Encoding": "br"}
        ),
    ]

    assert [answer.status_code for answer in answers] == [201, 204, 409, 200, 401, 204, 415]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        exposed = names(answer.headers["access-control-expose-headers"])
        assert {header.lower() for header in ANSWERED} <= set(exposed)


async def test_preflight_when_the_origin_is_another_then_refused(app: Running) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "tus-resumable"}
    answer = await app.client.options("/uploads", headers={"Origin": "https://evil.example", **asked})

    assert "access-control-allow-origin" not in answer.headers
