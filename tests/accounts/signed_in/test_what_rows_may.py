"""What each kind of account may do, row by action: on every table of OpenML's, strict and not."""

from typing import Any

import bcrypt
import pytest
import sqlalchemy as sa

from app.accounts import deletion, lifecycle
from app.accounts.audit import AT_COMMAND_LINE
from app.db.tables import outbox, users
from tests.conftest import PASSWORD, MakePerson, Person, Running, eventually

WRONG = "Wrong username or password"
PHP_HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")
ROWS: dict[str, dict[str, Any]] = {
    "confirmed": {},
    "of PHP, with its hash": {"password": PHP_HASH},
    "of another site, without a password": {"password": "oauth_no_password"},
    "without an API key": {"session_hash": None},
    "with a key that is none": {"session_hash": ""},
    "not confirmed": {"active": 0},
    "neither active nor not": {"active": None},
    "closed by an operator": {},
    "deleted": {},
}
OPEN = {
    "log in": "in",
    "profile": 200,
    "by key": 200,
    "renew key": 200,
    "mails": ["reset_password"],
    "sign up": "User already exists",
    "delete": 200,
}
SHUT = {**OPEN, "log in": WRONG, "profile": 401, "by key": 401, "renew key": 401, "delete": 401, "mails": []}
NOT_CONFIRMED = {**SHUT, "log in": "NotConfirmed", "mails": ["confirm_email", "reset_password"]}
MAY: dict[str, dict[str, Any]] = {
    "confirmed": OPEN,
    "of PHP, with its hash": OPEN,
    "of another site, without a password": {**OPEN, "log in": WRONG, "delete": 401},
    "without an API key": {**OPEN, "by key": 401},
    "with a key that is none": {**OPEN, "by key": 401},
    "not confirmed": NOT_CONFIRMED,
    "neither active nor not": NOT_CONFIRMED,
    # A new password does not open it: tests/accounts/public/test_reset.py.
    "closed by an operator": {**SHUT, "log in": "NotConfirmed", "mails": ["deed", "reset_password"]},
    "deleted": {**SHUT, "sign up": "User created", "mails": ["account_deleted", "confirm_email"]},
}
"""What becomes of each action: a status, an answer's text, or the mails that went out for all of them."""


async def make(app: Running, make_person: MakePerson, kind: str) -> Person:
    """An account of that kind, with the token that it had when everything was well."""
    person = await make_person()
    values = ROWS[kind]
    async with app.resources.database.session() as session:
        if values:
            await session.execute(sa.update(users).where(users.c.id == person.id).values(values))
        if kind == "closed by an operator":
            await lifecycle.deactivate(session, person.id, AT_COMMAND_LINE)
    if kind == "deleted":
        await deletion.delete_account(app.resources.database, app.resources.pictures, person.id, person.email)
    return person


async def sent(app: Running) -> list[str] | None:
    """The kinds of mails that went out, once nothing waits any more."""
    async with app.resources.database.session() as session:
        rows = (await session.execute(sa.select(outbox.c.kind, outbox.c.state))).all()
    return sorted(row.kind for row in rows) if all(row.state == "sent" for row in rows) else None


@pytest.mark.parametrize("kind", ROWS)
async def test_account_when_its_row_is_of_a_kind_then_it_may_what_the_table_says(
    app: Running, make_person: MakePerson, kind: str
) -> None:
    person = await make(app, make_person, kind)
    client, login = app.client, {"email": person.email, "password": PASSWORD}
    names = {"first_name": "Ada", "last_name": "L"}
    done: dict[str, Any] = {}

    answer = (await client.post("/login", json=login)).json()
    done["log in"] = "in" if "access_token" in answer else answer["msg"]
    done["profile"] = (await client.get("/profile", headers=person.headers)).status_code
    done["by key"] = (await client.get("/uploads", headers={"X-API-Key": person.api_key})).status_code
    for path in ("/forgotpassword", "/send-confirmation-token"):
        await client.post(path, json={"email": person.email})
    # Else the second question may be answered for the account of the sign-up.
    await eventually(lambda: sent(app))
    done["sign up"] = (await client.post("/signup", json={**names, **login})).json()["msg"]
    done["mails"] = await eventually(lambda: sent(app))
    done["renew key"] = (await client.post("/api-key", headers=person.headers)).status_code
    gone = await client.post("/delete", json={"password": PASSWORD}, headers=person.headers)
    done["delete"] = gone.status_code

    assert done == MAY[kind]
