"""The application with three providers of this machine, and browsers that sign in with them."""

import json
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from app.core.settings import Settings
from app.db.engine import Database
from tests.conftest import Running, eventually
from tests.oidc.github import GitHub, serving_github
from tests.oidc.hostile import CLIENT_ID, CLIENT_SECRET, HostileProvider, serving_provider

COOKIE = "openml-oauth"


def cases(every: Iterable[Any], *short: Any) -> list[Any]:
    """Return the parameters of a test, of which the short run has some."""
    return [pytest.param(each, marks=() if each in short else pytest.mark.long) for each in every]


@pytest.fixture
async def campus() -> AsyncIterator[HostileProvider]:
    async with serving_provider() as provider:
        yield provider


@pytest.fixture
async def other() -> AsyncIterator[HostileProvider]:
    """A provider that is configured, too, and of whose people nothing may be taken for those of the first."""
    async with serving_provider() as provider:
        yield provider


@pytest.fixture
async def github() -> AsyncIterator[GitHub]:
    async with serving_github() as provider:
        yield provider


@pytest.fixture
def settings(settings: Settings, campus: HostileProvider, other: HostileProvider, github: GitHub) -> Settings:
    secret = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    providers = {
        "campus": {"name": "Campus", "issuer": campus.url, **secret},
        "other": {"name": "Other", "issuer": other.url, **secret},
        "github": {"issuer": github.url, **secret},
    }
    return settings.model_copy(update={"sign_in_providers": SecretStr(json.dumps(providers))})


@dataclass
class Visitor:
    """Somebody's browser: it keeps the cookie, and goes where it is sent."""

    client: httpx.AsyncClient

    async def start(self, provider: str, **body: Any) -> str:
        """Begin a log-in; return the address at the provider."""
        answer = await self.client.post(f"/auth/oauth/{provider}/start", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["address"])

    async def finish(self, provider: str, answered: dict[str, str]) -> httpx.Response:
        """Hand in what the provider sent the browser back with."""
        return await self.client.post(f"/auth/oauth/{provider}", json=answered)

    async def sign_in(
        self, server: HostileProvider | GitHub, provider: str = "campus", **body: Any
    ) -> httpx.Response:
        """Sign in with a provider."""
        return await self.finish(provider, server.authorize(await self.start(provider, **body)))


@pytest.fixture
def visitor(client: httpx.AsyncClient) -> Visitor:
    return Visitor(client)


@dataclass(frozen=True)
class Site:
    """What the tests look at behind the routes."""

    app: Running

    @property
    def database(self) -> Database:
        return self.app.resources.database

    async def rows(self, statement: sa.Select[Any]) -> list[Any]:
        async with self.database.session() as session:
            return list(await session.execute(statement))

    async def mail(self, word: str) -> str:
        """Return the newest mail that has a word in it, once it is sent."""
        folder = Path(self.app.resources.settings.data_dir) / "mail"

        async def look() -> str | None:
            for path in sorted(folder.glob("*.eml"), reverse=True):
                if word in (text := path.read_text()):
                    return text
            return None

        return await eventually(look)

    async def mails(self) -> int:
        return len(list((Path(self.app.resources.settings.data_dir) / "mail").glob("*.eml")))

    async def token_in_mail(self, address: str) -> str:
        """Return the token of the link in the newest mail to an address about an identity."""

        async def look() -> str | None:
            folder = Path(self.app.resources.settings.data_dir) / "mail"
            for path in sorted(folder.glob("*.eml"), reverse=True):
                text = path.read_text()
                found = re.search(r"/auth/oauth/[a-z]+/confirm\?token=([0-9a-f]{64})", text)
                if f"To: {address}" in text and found:
                    return found[1]
            return None

        return await eventually(look)


@pytest.fixture
def site(app: Running) -> Site:
    return Site(app)
