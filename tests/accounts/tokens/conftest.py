"""API tokens of somebody who has just signed in."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Person, Running, empty_database

MakeToken = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(params=["sqlite", "mariadb"])
def database_uri(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> str:
    """A migrated, empty database."""
    return empty_database(request, tmp_path, migrated_sqlite)


@pytest.fixture
def owner(person: Person) -> Person:
    """A person whose session is fresh."""
    return person


async def make_token_for(app: Running, owner: Person, *scopes: str, **more: object) -> dict[str, Any]:
    body = {"name": "pipeline", "scopes": scopes, **more}
    answer = await app.client.post("/tokens", json=body, headers=owner.headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@pytest.fixture
def make_token(app: Running) -> MakeToken:
    return partial(make_token_for, app)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
