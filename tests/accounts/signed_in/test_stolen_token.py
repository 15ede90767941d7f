"""Whoever has a token and nothing else: no route of theirs changes what lasts, and what they begin the owner ends."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from app.access import Role, by_route
from app.db.every_table import metadata
from app.db.tables import users
from app.read_only import READS
from tests.conftest import PASSWORD, Person, Running, grow_stale
from tests.described import operations
from tests.mailbox import link_in, mail_to
from tests.outage.test_routes import REQUESTS

SQLITE = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
OPEN_TO_A_TOKEN = {
    "POST /logout": "it ends a session",
    "DELETE /sessions": "it ends sessions",
    "DELETE /sessions/{session_id}": "it ends a session",
    "POST /reauthenticate": "it asks for what a thief has not",
    "POST /delete": "it asks for the password, or what a thief has not either where there is none",
    "POST /profile": "names only; for another address the old one is asked first",
    "POST /image": "a picture, which its owner replaces",
    "DELETE /image": "a picture, which its owner replaces",
    "POST /reports": "a message to administrators",
    "POST /auth/passkey/confirm-options": "it asks a question, whose answer confirms the session",
}
"""What else than reading somebody may do whose session was not confirmed lately, and why. Routes of uploaders are left
out: whoever publishes for somebody has changed nothing of how they sign in."""
MOVES = frozenset(
    {"audit_events", "revoked_tokens", "sessions", "account_tokens", "account_states", "index_changes"}
)
"""Tables of users of which rows come and go with what anybody asks for; the others are compared."""
LASTING = ("username", "email", "password", "session_hash", "active", "forgotten_password_code")


def is_lasting(name: str, role: Role) -> bool:
    return role is Role.USER and name.split(maxsplit=1)[0] not in READS and name not in OPEN_TO_A_TOKEN


def test_routes_when_a_token_is_enough_then_each_has_its_reason() -> None:
    roles = by_route()

    assert [name for name, role in roles.items() if is_lasting(name, role)] == [], "role FRESH, or a reason"
    assert OPEN_TO_A_TOKEN.keys() <= roles.keys()
    assert not {name for name in OPEN_TO_A_TOKEN if roles[name] is Role.FRESH}


async def what_lasts(app: Running) -> dict[str, list[Any]]:
    """Every row of the tables that say who may sign in, and how."""
    async with app.resources.database.session() as session:
        found = {
            name: [tuple(row) for row in await session.execute(sa.select(table))]
            for name, table in metadata.tables.items()
            if name not in MOVES and "user_id" in table.c
        }
        columns = [users.c[name] for name in LASTING]
        found["users"] = [tuple(row) for row in await session.execute(sa.select(*columns))]
    return found


def without_the_password(request: Mapping[str, Any]) -> dict[str, Any]:
    """What a thief would send: all but the password, which they have to guess."""
    if "json" not in request:
        return dict(request)
    return {**request, "json": json.loads(json.dumps(request["json"]).replace(PASSWORD, "a guess"))}


@SQLITE
async def test_each_operation_when_only_a_token_is_there_then_403_or_nothing_that_lasts_has_changed(
    app: Running, person: Person
) -> None:
    roles = by_route()
    asked = set()
    for method, path, operation in operations():
        name = f"{method} {path}"
        role = roles.get(name)
        if role not in {Role.USER, Role.FRESH} or name in {"POST /logout", "DELETE /sessions"}:
            continue
        await grow_stale(app)
        before = await what_lasts(app)
        answer = await app.client.request(
            method,
            path.replace("{session_id}", "0" * 32).replace("{token_id}", "1"),
            headers=person.headers,
            **without_the_password(REQUESTS.get(operation["operationId"], {})),
        )
        assert await what_lasts(app) == before, name
        if role is Role.FRESH:
            assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (
                403,
                "password-needed",
            ), name
            assert answer.json()["methods"] == ["password"]
        else:
            assert answer.status_code != 403, name
        asked.add(name)
    assert asked > {"POST /api-key", "POST /password", "GET /export", "GET /api-key", "POST /profile"}


async def test_address_when_changed_with_a_stale_session_then_the_old_one_is_asked_first(
    app: Running, person: Person
) -> None:
    await grow_stale(app)
    new = "moved@example.org"
    names = {"first_name": "Ada", "last_name": "Lovelace", "bio": ""}
    answer = await app.client.post("/profile", json={**names, "email": new}, headers=person.headers)
    assert answer.json() == {"msg": "User information changed"}, "as the frontend reads it"

    link = link_in(await mail_to(app, person.email, subject="Is your OpenML account"))
    folder = app.resources.settings.data_dir / "mail"
    assert not list(folder.glob(f"*{new}.eml")), "the new address hears nothing before"
    for _ in range(2):  # The frontend posts each link twice.
        assert (await app.client.post("/confirmation", json={"url": link})).is_success
    confirm = link_in(await mail_to(app, new, subject="Confirm your new"))
    assert (await app.client.post("/confirmation", json={"url": confirm})).is_success

    answer = await app.client.post("/login", json={"email": new, "password": PASSWORD})
    assert "access_token" in answer.json()
