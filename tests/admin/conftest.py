"""An administrator of OpenML's, signed in; on SQLite, and on the user tables of OpenML's own servers."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.db import users
from tests.conftest import MakePerson, Person, Running, empty_database


@pytest.fixture(params=["sqlite", "openml", "strict", "app-next"])
def database_uri(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> str:
    """A migrated, empty database; where OpenML's tables were there first, ours are beside them."""
    return empty_database(request, tmp_path, migrated_sqlite)


async def sign_in(app: Running, person: Person) -> Person:
    """Return the person with one more session, which begins as theirs do."""
    answer = await app.client.post("/token", data={"username": person.email, "password": person.password})
    return replace(person, token=answer.json()["access_token"])


@pytest.fixture
async def administrator(app: Running, make_person: MakePerson) -> Person:
    """Somebody in OpenML's group of administrators."""
    person = await make_person()
    async with app.resources.database.session() as session:
        await users.set_administrator(session, person.id, is_one=True)
    return await sign_in(app, person)
