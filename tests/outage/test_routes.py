"""The database goes away, at every moment of every route of the API page: never 500, and never silence."""

import asyncio
import io
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from PIL import Image
from sqlalchemy.engine import make_url

from app.core.api_tokens import new_token
from app.core.limits import LIMITS
from app.core.settings import Settings
from app.core.timings import Timings
from tests.conftest import Person, Running, insert_person, running
from tests.forwarder import Forwarder

SECONDS = 2.0
NEEDS_NO_DATABASE = {
    "live",
    "show_client",
    "get_limits",
    "list_licences",
    "get_upload_options",
    "get_image",
    "show_dataset",
    "download_splits",
    "list_announcements",
    "passkey_sign_in_options",
    # What was not begun here is refused before anything is looked up.
    "passkey_sign_in",
    "sign_in_with_provider",
    "link_account",
    "list_providers",
    "show_stream",
}
METADATA = {"dataset_name": "levels", "description": "Levels of a river."}
NOTICE = {"text": "We move to a new database."}
LINK = "https://www.openml.org/auth/confirm-page?token=" + "a" * 43
TICKET = "0123abcd" * 8
ASSERTION = {
    "id": "q83vEjRWeJA",
    "rawId": "q83vEjRWeJA",
    "type": "public-key",
    "response": {"authenticatorData": "AA", "clientDataJSON": "e30", "signature": "AA", "userHandle": "AA"},
}
PROVIDERS = '{"github": {"client_id": "levels", "client_secret": "no secret"}}'
REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "change_profile": {"json": {"first_name": "A", "last_name": "B", "email": "new@example.org", "bio": ""}},
    "delete_account": {"json": {"password": "seven rivers flow north"}},
    "signup": {
        "json": {
            "first_name": "A",
            "last_name": "B",
            "email": "a@example.org",
            "password": "four hills of green slate",
        }
    },
    "register": {
        "json": {
            "first_name": "A",
            "last_name": "B",
            "email": "b@example.org",
            "password": "four hills of green slate",
        }
    },
    "confirm": {"json": {"url": LINK}},
    "resend_confirmation": {"json": {"email": "a@example.org"}},
    "forgot_password": {"json": {"email": "a@example.org"}},
    "check_reset_token": {"json": {"url": LINK}},
    "reset_password": {"json": {"url": LINK, "password": "four hills of green slate"}},
    "undo_change": {"json": {"url": LINK}},
    "change_password": {"json": {"new_password": "four hills of green slate"}},
    "login": {"json": {"email": "{email}", "password": "seven rivers flow north"}},
    "create_token": {"data": {"username": "{email}", "password": "seven rivers flow north"}},
    "send_feedback": {"json": {"email": "a@example.org", "feedback": "Thank you."}},
    "change_image": {"files": {"file": ("a.png", b"", "image/png")}},
    "upload_dataset": {"files": {"dataset": ("a.csv", b"x,y\n1,2\n"), "metadata": (None, "{}")}},
    "upload_draft": {"files": {"dataset": ("a.csv", b"x,y\n1,2\n"), "metadata": (None, "{}")}},
    "edit_dataset": {"params": {"url": "data/1"}, "json": {"description": "Other."}},
    "tag_dataset": {"params": {"url": "data/1"}, "json": {"tag": "river"}},
    "untag_dataset": {"params": {"url": "data/1"}, "json": {"tag": "river"}},
    "show_dataset": {"params": {"url": "data/1"}},
    "upload_task": {
        "json": {
            "dataset_id": 1,
            "task_type": "supervised classification",
            "target_name": "y",
            "evaluation_measure": "",
            "estimation_procedure": "10-fold Crossvalidation",
        }
    },
    "upload_collection_of_tasks": {"json": {"collectionname": "c", "description": "d", "taskids": "1,2"}},
    "upload_collection_of_runs": {
        "json": {"collectionname": "c", "description": "d", "runids": "1,2", "benchmark": ""}
    },
    "create_upload": {"json": {"file_name": "a.csv", "size": 8, "metadata": METADATA}},
    "change_upload": {
        "content": b"x,y\n1,2\n",
        "headers": {
            "Tus-Resumable": "1.0.0",
            "Upload-Offset": "0",
            "Content-Type": "application/offset+octet-stream",
        },
    },
    "publish_upload": {"json": METADATA},
    "reauthenticate": {"json": {"password": "seven rivers flow north"}},
    "report": {"json": {"kind": "dataset", "subject": "61", "text": "Names of patients."}},
    "begin_read_only": {"json": NOTICE},
    "announce": {"json": NOTICE},
    "send_mail_to_user": {"json": {"mail": "confirmation", "reason": "Asked for."}},
    **{
        deed: {"json": {"reason": "Asked for."}}
        for deed in (
            "confirm_user",
            "open_user",
            "close_user",
            "end_sessions_of_user",
            "cancel_somebodys_upload",
            "requeue_upload",
            "quarantine_upload",
            "remove_upload",
            "close_report",
            "reset_second_factor_of_user",
        )
    },
    "retry_upload": {"json": METADATA},
    "register_passkey": {"json": {"credential": {}}},
    "rename_passkey": {"json": {"passkeyId": 1, "deviceName": "My phone"}},
    "remove_passkey": {"json": {"passkeyId": 1}},
    "set_passkey_second_factor": {"json": {"required": True}},
    "passkey_sign_in": {"json": {"credential": ASSERTION}},
    "passkey_second_options": {"json": {"ticket": TICKET}},
    "passkey_sign_in_second": {"json": {"ticket": TICKET, "credential": ASSERTION}},
    "sign_in_with_code": {"json": {"ticket": TICKET, "code": "123456"}},
    "enrol_totp": {"json": {"enrolment": "7d2c4b1a09f3e855.c2VhbGVk", "code": "123456"}},
    "create_api_token": {"json": {"name": "river pipeline", "scopes": ["upload"]}},
    "revoke_leaked_api_token": {"data": {"token": new_token()}},
    "start_provider_sign_in": {"json": {}},
    "sign_in_with_provider": {"json": {"code": "8a1cd3f94b", "state": "xo3rQ0C0mVdl3eWb3oVQ5w"}},
    "confirm_provider_address": {"json": {"ticket": TICKET, "email": "a@example.org"}},
    "link_account": {"json": {"code": "8a1cd3f94b", "state": "xo3rQ0C0mVdl3eWb3oVQ5w"}},
    "add_trusted_publisher": {
        "json": {
            "issuer": "https://token.actions.githubusercontent.com",
            "subject": "repo:rivers/levels:ref:refs/heads/main",
        }
    },
}
"""What each operation with a body is asked; the others are asked without."""


async def operations(app: Running) -> list[tuple[str, str, str]]:
    """Every operation of the API page: method, path, id."""
    document = (await app.client.get("/openapi.json")).json()
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = operation["operationId"]
            assert "requestBody" not in operation or name in REQUESTS, f"say what {name} is asked here"
            found.append((method, path, name))
    return found


@asynccontextmanager
async def behind_a_line(
    database_uri: str, folder: Path, sandbox_url: str
) -> AsyncIterator[tuple[Running, Forwarder]]:
    """Run the application with a line to its database that a test may break."""
    real = make_url(database_uri)
    async with Forwarder(real.host or "127.0.0.1", real.port or 3306) as line:
        address = real.set(host="127.0.0.1", port=line.port)
        settings = Settings(
            _env_file=None,
            data_dir=folder,
            database_uri=address.render_as_string(hide_password=False),
            openml_server=sandbox_url,
            embedded_worker=False,
            sign_in_providers=PROVIDERS,
            timings=Timings(database_timeout_seconds=SECONDS, upload_wait_seconds=1),
            rate_limits=[f"{name}=1000000/hour" for name in LIMITS],
        )
        async with running(settings) as app:
            try:
                yield app, line
            finally:
                line.heal()


async def ask(app: Running, person: Person, upload: str, operation: tuple[str, str, str]) -> httpx.Response:
    method, path, name = operation
    path = path.replace("{upload_id}", upload).replace("{name}", "a.png")
    path = path.replace("{provider}", "github")
    path = re.sub(r"\{\w+\}", "1", path.replace("{session_id}", secrets.token_hex(8)))
    arguments = _filled(REQUESTS.get(name, {}), person)
    headers = {**person.headers, **arguments.pop("headers", {})}
    return await app.client.request(method, path, headers=headers, timeout=30, **arguments)


def _filled(given: Any, person: Person) -> Any:
    if isinstance(given, str):
        return given.replace("{email}", person.email)
    if isinstance(given, Mapping):
        return {name: _filled(value, person) for name, value in given.items()}
    if isinstance(given, tuple) and given[-1] == "image/png":
        picture = io.BytesIO()
        Image.new("RGB", (40, 40)).save(picture, "PNG")
        return (given[0], picture.getvalue(), given[2])
    return given


async def new_upload(app: Running, person: Person) -> str:
    body = {"file_name": "a.csv", "size": 8, "metadata": METADATA}
    return str((await app.client.post("/uploads", json=body, headers=person.headers)).json()["id"])


def wrong(name: str, answer: httpx.Response, *, broken: bool) -> str | None:
    """Say what is wrong with an answer."""
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        if "retry-after" not in answer.headers:
            return f"{name}: 503 without Retry-After"
        return None
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return f"{name}: {answer.status_code} {answer.text[:200]}"
    if broken and name not in NEEDS_NO_DATABASE:
        return f"{name}: {answer.status_code} though the database is away"
    return None


@pytest.mark.parametrize("how", ["cut", "mute"])
@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
@pytest.mark.long
async def test_routes_when_the_database_is_away_or_mute_then_each_is_503_in_time(
    database_uri: str, tmp_path: Path, sandbox_url: str, password_hash: str, how: Literal["cut", "mute"]
) -> None:
    async with behind_a_line(database_uri, tmp_path, sandbox_url) as (app, line):
        asked = [
            (operation, person := await insert_person(app, password_hash), await new_upload(app, person))
            for operation in await operations(app)
        ]
        line.fail(how)
        begun = time.monotonic()
        answers = await asyncio.gather(
            *(ask(app, person, upload, operation) for operation, person, upload in asked)
        )
        took = time.monotonic() - begun
        line.heal()
        again = await ask(app, asked[0][1], asked[0][2], asked[0][0])

    names = [operation[2] for operation, _, _ in asked]
    faults = [wrong(name, answer, broken=True) for name, answer in zip(names, answers, strict=True)]
    assert not [fault for fault in faults if fault]
    assert took < 2.5 * SECONDS, "a statement and a connection are waited for, nothing twice"
    assert again.status_code == httpx.codes.OK


@pytest.mark.long
@pytest.mark.parametrize(
    "after_answers", [2, *(pytest.param(count, marks=pytest.mark.long) for count in (1, 3, 4, 5, 6, 8))]
)
@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
async def test_routes_when_the_database_goes_in_their_middle_then_503_and_never_500(
    database_uri: str, tmp_path: Path, sandbox_url: str, password_hash: str, after_answers: int
) -> None:
    faults = []
    async with behind_a_line(database_uri, tmp_path, sandbox_url) as (app, line):
        for operation in await operations(app):
            person = await insert_person(app, password_hash)
            upload = await new_upload(app, person)
            line.fail("cut", after_answers=after_answers)
            asking = asyncio.create_task(ask(app, person, upload, operation))
            await asyncio.wait({asking}, timeout=3 * SECONDS)
            line.heal()
            if not asking.done():
                # A stream of events that has begun goes on when the database is back, and until its upload ends.
                assert operation[2] == "watch_upload"
                await app.client.delete(f"/uploads/{upload}", headers=person.headers)
            answer = await asking
            faults.append(wrong(operation[2], answer, broken=False))
    assert not [fault for fault in faults if fault]
