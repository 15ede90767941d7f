import re
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from app.accounts.links import LinkPurpose, create_link
from app.core.settings import Settings
from app.db.engine import Database
from app.db.migrations import migrate
from app.db.tables import users
from tests.conftest import MakePerson, Running, eventually, running
from tests.forwarder import Forwarder


class Assets(HTMLParser):
    """Every address that a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {"script": "src", "link": "href", "img": "src", "redoc": "spec-url"}
        self.found += [value for name, value in attrs if name == names.get(tag) and value]


async def test_api_pages_when_opened_then_every_asset_is_ours_and_there(app: Running) -> None:
    for path in ("/", "/docs", "/redoc"):
        page = await app.client.get(path)
        assert page.status_code == 200
        assert "'unsafe-eval'" not in page.headers["content-security-policy"]
        assets = Assets()
        assets.feed(page.text)
        for address in assets.found:
            if address == "data:,":
                continue
            assert address.startswith("/"), address
            assert (await app.client.get(address)).status_code == 200, address


async def test_openapi_when_read_then_operations_are_named_and_problems_declared(app: Running) -> None:
    document = (await app.client.get("/openapi.json")).json()

    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert all(operation["summary"] and operation["tags"] for operation in operations)
    upload = document["paths"]["/data-upload"]["post"]
    assert "application/problem+json" in upload["responses"]["422"]["content"]
    assert "multipart/form-data" in upload["requestBody"]["content"]
    assert upload["security"] == [{"SignedIn": []}, {"ApiKey": []}, {"ApiToken": ["upload"]}]
    flows = document["components"]["securitySchemes"]["SignedIn"]["flows"]
    assert flows["password"]["tokenUrl"] == "token"


async def test_confirmation_page_when_opened_then_nothing_changes_until_the_button(
    app: Running, make_person: MakePerson
) -> None:
    person = await make_person(active=False)
    async with app.resources.database.session() as session:
        link = await create_link(
            session, app.resources.settings, user_id=person.id, purpose=LinkPurpose.CONFIRM
        )

    async def active() -> int | None:
        async with app.resources.database.session() as session:
            return await session.scalar(sa.select(users.c.active).where(users.c.id == person.id))

    page = await app.client.get(link)
    assert page.status_code == 200
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert await active() == 0

    token = re.search(r'name="token" value="([0-9a-f]{64})"', page.text)
    assert token is not None
    done = await app.client.post("/auth/confirm-page/", data={"token": token.group(1)})
    assert "confirmed" in done.text
    assert await active() == 1


async def test_confirmation_page_when_token_is_hostile_then_escaped_and_refused(app: Running) -> None:
    page = await app.client.get("/auth/confirm-page/", params={"token": '"><script>alert(1)</script>'})
    done = await app.client.post("/auth/confirm-page/", data={"token": "x"})

    assert "<script>alert" not in page.text
    assert done.status_code == 400
    assert "does not work" in done.text


async def test_unknown_path_when_asked_for_then_problem(app: Running) -> None:
    answer = await app.client.get("/nowhere")

    assert answer.status_code == 404
    assert answer.json()["type"] == "https://openml.org/problems/not-found"
    assert (await app.client.put("/login")).json()["type"] == "https://openml.org/problems/method-not-allowed"


async def test_assets_when_asked_for_what_is_outside_then_404(app: Running) -> None:
    for path in (
        "/assets/../router.py",
        "/assets/%2e%2e/router.py",
        "/assets/..%2frouter.py",
        "/assets/api/../x",
    ):
        assert (await app.client.get(path)).status_code == 404, path


async def test_health_when_all_is_well_then_ok(app: Running) -> None:
    assert (await app.client.get("/health/live")).json() == {"status": "ok"}
    assert (await app.client.get("/health/ready")).json() == {"status": "ok"}


@pytest.mark.long
async def test_readiness_when_database_is_away_then_503_and_well_again_when_it_is_back(
    empty_mariadb: str, tmp_path: Path, sandbox_url: str
) -> None:
    real = make_url(empty_mariadb)
    async with Forwarder(real.host or "127.0.0.1", real.port or 3306) as forwarder:
        settings = Settings(
            _env_file=None,
            data_dir=tmp_path / "var",
            database_uri=real.set(port=forwarder.port).render_as_string(hide_password=False),
            openml_server=sandbox_url,
            embedded_worker=False,
        )
        database = Database(settings)
        await migrate(database.engine)
        await database.close()
        async with running(settings) as app:
            # No worker is there, and what was found is kept for a second.
            ready = "/health/ready?exclude=worker"

            async def answered(status: int) -> httpx.Response | None:
                answer = await app.client.get(ready)
                return answer if answer.status_code == status else None

            await eventually(partial(answered, 200))
            await forwarder.cut()
            answer = await eventually(partial(answered, 503))
            assert answer.json()["type"] == "https://openml.org/problems/not-ready"
            assert (await app.client.get("/health/live")).status_code == 200
            await forwarder.mend()
            await eventually(partial(answered, 200))


async def test_any_answer_when_sent_then_it_carries_an_id_and_careful_headers(app: Running) -> None:
    for path in ("/health/live", "/nowhere", "/profile"):
        headers = (await app.client.get(path)).headers
        assert re.fullmatch(r"[0-9a-f]{16}", headers["x-request-id"])
        assert headers["x-content-type-options"] == "nosniff"


async def test_cors_when_origin_is_listed_then_allowed_and_else_not(app: Running) -> None:
    def preflight(origin: str) -> dict[str, str]:
        return {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        }

    listed = await app.client.options("/profile", headers=preflight("http://localhost:3000"))
    foreign = await app.client.options("/profile", headers=preflight("http://evil.example"))

    assert listed.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "access-control-allow-origin" not in foreign.headers
