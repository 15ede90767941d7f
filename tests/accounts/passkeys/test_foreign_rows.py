"""`user_passkeys` as the Flask and the Next.js backend write it, and as nobody should."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import httpx
import pytest
import sqlalchemy as sa

from app.core.settings import Settings
from app.db.engine import Database
from tests.accounts.passkeys.browser import authenticator, list_passkeys, register, sign_in
from tests.authenticator import Authenticator, to_text
from tests.conftest import MakePerson, Person, Running, empty_database, grow_stale, insert_person, running
from tests.mailbox import link_in, mail_to

SQLITE = """
    CREATE TABLE user_passkeys (
        id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL, credential_id BLOB NOT NULL UNIQUE,
        public_key BLOB NOT NULL, sign_count INTEGER DEFAULT 0, transports TEXT, device_name TEXT,
        created_at DATETIME DEFAULT CURRENT_TIMESTAMP, last_used_at DATETIME DEFAULT CURRENT_TIMESTAMP,
        FOREIGN KEY (user_id) REFERENCES users (id)
    )
"""
MYSQL = """
    CREATE TABLE user_passkeys (
        id INT AUTO_INCREMENT PRIMARY KEY, user_id INT NOT NULL, credential_id BLOB NOT NULL,
        public_key BLOB NOT NULL, sign_count INT DEFAULT 0, transports VARCHAR(255), device_name VARCHAR(255),
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, last_used_at TIMESTAMP NULL
    )
"""


async def execute(uri: str, folder: Path, statement: str) -> None:
    database = Database(Settings(_env_file=None, data_dir=folder / "var", database_uri=uri))
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(statement)
    await database.close()


@pytest.fixture(params=["sqlite", "openml"])
def database_uri(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> Iterator[str]:
    """A database in which another program keeps passkeys."""
    uri = empty_database(request, tmp_path, migrated_sqlite)
    asyncio.run(execute(uri, tmp_path, SQLITE if request.param == "sqlite" else MYSQL))
    yield uri
    asyncio.run(execute(uri, tmp_path, "DROP TABLE user_passkeys"))


async def insert(app: Running, user_id: int, key: Authenticator, **changes: Any) -> None:
    """Write a row as Flask would, but for the changes."""
    values = {
        "user_id": user_id,
        "credential_id": key.credential_id,
        "public_key": cbor2.dumps(key.public_key),
        "sign_count": key.sign_count,
        "transports": "internal,hybrid",
        "device_name": "Old phone",
        "created_at": "2025-05-04 03:02:01",
        **changes,
    }
    texts = {name: value for name, value in values.items() if not isinstance(value, bytes)}
    places = [f":{name}" if name in texts else f"x'{value.hex()}'" for name, value in values.items()]
    statement = f"INSERT INTO user_passkeys ({', '.join(values)}) VALUES ({', '.join(places)})"
    async with app.resources.database.session() as session:
        await session.execute(sa.text(statement), texts)


def as_app_next(key: Authenticator) -> dict[str, Any]:
    """The credential's id as the Next.js backend writes it."""
    return {"credential_id": to_text(key.credential_id).encode()}


async def row_of(app: Running, column: str) -> Any:
    async with app.resources.database.session() as session:
        return await session.scalar(sa.text(f"SELECT {column} FROM user_passkeys"))


@pytest.mark.parametrize("form", ["bytes", "base64url"])
async def test_row_when_of_another_program_then_its_passkey_signs_in_and_is_its_owners(
    form: str, app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = authenticator(user_handle=str(person.id).encode())
    await insert(app, person.id, key, **(as_app_next(key) if form == "base64url" else {}))

    assert (await sign_in(client, key)).status_code == 200

    found = (await list_passkeys(client, person))[0]
    assert (found["id"], found["deviceName"], found["synced"]) == (-1, "Old phone", None)
    assert found["createdAt"].startswith("2025-05-04T03:02:01")
    assert await row_of(app, "sign_count") == 1
    assert await row_of(app, "last_used_at") is not None
    assert (await register(client, person, key)).status_code == 400
    body = {"passkeyId": -1, "deviceName": "Older phone"}
    assert (await client.post("/auth/passkey/rename", json=body, headers=person.headers)).status_code == 200
    assert await row_of(app, "device_name") == "Older phone"


async def test_row_when_it_is_ones_only_passkey_then_one_may_confirm_with_it(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = authenticator(user_handle=str(person.id).encode())
    await grow_stale(app)
    before = await client.get("/api-key", headers=person.headers)
    await insert(app, person.id, key)

    after = await client.get("/api-key", headers=person.headers)

    assert (before.json()["methods"], after.json()["methods"]) == (["password"], ["password", "passkey"])
    options = (await client.post("/auth/passkey/confirm-options", headers=person.headers)).json()
    shown = {"passkey": key.get(options)}
    assert (await client.post("/reauthenticate", json=shown, headers=person.headers)).status_code == 200
    assert (await client.get("/api-key", headers=person.headers)).status_code == 200


async def test_name_when_the_other_programs_table_cannot_hold_it_then_told_what_to_change(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    await insert(app, person.id, authenticator())

    body = {"passkeyId": -1, "deviceName": "Téléphone"}
    answer = await client.post("/auth/passkey/rename", json=body, headers=person.headers)

    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == "deviceName"
    assert "without accents" in error["message"]
    assert await row_of(app, "device_name") == "Old phone"


async def test_row_when_text_in_sqlite_then_read_as_well(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = authenticator(user_handle=str(person.id).encode())
    texts = {"credential_id": to_text(key.credential_id), "public_key": to_text(cbor2.dumps(key.public_key))}
    await insert(app, person.id, key, **texts)

    assert (await sign_in(client, key)).status_code == 200


async def test_row_when_removed_then_for_the_other_program_as_well_until_undone(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = authenticator(user_handle=str(person.id).encode())
    await insert(app, person.id, key, **as_app_next(key))

    answer = await client.post("/auth/passkey/remove", json={"passkeyId": -1}, headers=person.headers)

    assert answer.status_code == 200
    assert await row_of(app, "count(*)") == 0
    assert (await sign_in(client, key)).status_code == 404
    link = link_in(await mail_to(app, person.email, says="was removed"))
    await client.post("/undo", json={"url": link})
    assert (await sign_in(client, key)).status_code == 200


async def test_counter_when_another_program_has_counted_on_then_one_that_is_behind_is_a_copy(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = authenticator(user_handle=str(person.id).encode())
    await insert(app, person.id, key, sign_count=7)

    answer = await sign_in(client, key)

    assert answer.status_code == 400
    assert "its counter has gone back" in answer.json()["msg"]


async def test_credential_when_two_accounts_have_it_then_it_opens_neither(
    app: Running, client: httpx.AsyncClient, person: Person, make_person: MakePerson
) -> None:
    key = authenticator(user_handle=str(person.id).encode())
    await insert(app, person.id, key)
    await insert(app, (await make_person()).id, key, **as_app_next(key))

    answer = await sign_in(client, key)

    assert (answer.status_code, answer.json()["msg"]) == (404, "Passkey not recognized")


@pytest.mark.long
@pytest.mark.parametrize(
    "garbage",
    [
        {"credential_id": b""},
        {"credential_id": b"\x00" * 2000},
        {"credential_id": b"AAAAA"},
        {"public_key": b""},
        {"public_key": b"no key at all"},
        {"public_key": b"\x81" * 4000},
        {"public_key": b"A" * 6000},
        {"sign_count": -5, "transports": "<script>,usb", "device_name": "\x1b[2J"},
        {"device_name": None, "transports": None, "sign_count": None},
    ],
)
async def test_row_when_garbage_then_no_failure_of_ours(
    garbage: dict[str, Any], app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    key = authenticator(user_handle=str(person.id).encode())
    await insert(app, person.id, key, **garbage)

    listed = await client.get("/auth/passkey/list", headers=person.headers)
    answer = await sign_in(client, key)

    assert listed.status_code == 200
    readable = not {"credential_id", "public_key"} & garbage.keys()
    assert answer.status_code == 200 if readable else answer.status_code in {400, 404}


@pytest.mark.long
@pytest.mark.parametrize(
    "moment", ["yesterday", "2025-05-04T03:02:01.000Z", "0001-01-01 00:00:00+14:00", "5"]
)
async def test_moment_when_of_any_form_then_listed(
    moment: str, app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    if not app.resources.database.is_sqlite:
        moment = "2025-05-04 03:02:01"
    await insert(app, person.id, authenticator(), created_at=moment)

    found = await list_passkeys(client, person)

    assert found[0]["createdAt"] is None or found[0]["createdAt"].startswith("2025-05-04T03:02:01")


@pytest.mark.long
async def test_rows_when_an_account_is_deleted_then_gone(
    app: Running, client: httpx.AsyncClient, person: Person
) -> None:
    await insert(app, person.id, authenticator())
    await insert(app, person.id, authenticator(), credential_id=b"\x00" * 2000)

    await client.post("/delete", json={"password": person.password}, headers=person.headers)

    assert await row_of(app, "count(*)") == 0


@pytest.mark.long
async def test_table_when_it_has_other_columns_then_left_alone(
    settings: Settings, password_hash: str
) -> None:
    database = Database(settings)
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE user_passkeys RENAME COLUMN device_name TO label")
    await database.close()

    async with running(settings) as app:
        person = await insert_person(app, password_hash)
        assert await list_passkeys(app.client, person) == []
