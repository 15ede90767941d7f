"""What every answer carries, and which other sites may call."""

import pytest

from app.core.settings import Settings
from tests.conftest import Person, Running, running

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


async def test_answer_when_any_then_the_headers_of_a_careful_site(app: Running, person: Person) -> None:
    for path in ("/profile", "/nowhere", "/docs", "/openapi.json", "/assets/site.css", "/health/live"):
        headers = (await app.client.get(path, headers=person.headers)).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert headers["referrer-policy"] in {"same-origin", "no-referrer"}, path
        assert "x-request-id" in headers
        assert "server" not in headers
        assert "strict-transport-security" not in headers, "only where people come over TLS"


async def test_answer_when_the_site_is_reached_over_tls_then_hsts(settings: Settings) -> None:
    async with running(settings.model_copy(update={"public_url": "https://www.example.org"})) as app:
        headers = (await app.client.get("/health/live")).headers
    assert headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("path", ["/profile", "/api-key", "/export", "/sessions", "/audit", "/verifytoken"])
async def test_answer_when_private_then_never_stored(app: Running, person: Person, path: str) -> None:
    answer = await app.client.get(path, headers=person.headers)

    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize("path", ["/profile", "/login", "/data-upload", "/nowhere"])
async def test_cors_when_origin_is_not_listed_then_no_permission(
    app: Running, person: Person, path: str
) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = await app.client.options(path, headers=asked)
    real = await app.client.get(path, headers={"Origin": "https://evil.example", **person.headers})

    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-origin" not in real.headers


async def test_cors_when_origin_is_listed_then_allowed_on_answers_and_on_problems(app: Running) -> None:
    origin = {"Origin": "http://localhost:3000"}
    preflight = await app.client.options(
        "/data-upload",
        headers={
            **origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    refused = await app.client.get("/profile", headers=origin)

    assert preflight.status_code == 200
    for answer in (preflight, refused):
        assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
        assert "access-control-allow-credentials" not in answer.headers
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origins", ["https://www.example.org/", "https://a.example, https://www.example.org"]
)
async def test_cors_when_the_setting_says_so_then_only_those(settings: Settings, origins: str) -> None:
    values = {**settings.model_dump(), "cors_origins": origins}
    async with running(Settings(_env_file=None, **values)) as app:
        listed = await app.client.get("/profile", headers={"Origin": "https://www.example.org"})
        default = await app.client.get("/profile", headers={"Origin": "http://localhost:3000"})

    assert listed.headers["access-control-allow-origin"] == "https://www.example.org"
    assert "access-control-allow-origin" not in default.headers


@pytest.mark.parametrize("path", ["/signup", "/login", "/feedback", "/confirmation", "/profile"])
async def test_body_when_too_large_then_413_and_when_no_json_then_400(
    app: Running, person: Person, path: str
) -> None:
    headers = {**person.headers, "content-type": "application/json"}
    large = await app.client.post(path, content=b'"' + b"x" * 1_100_000 + b'"', headers=headers)
    broken = await app.client.post(path, content=b'{"email": ', headers=headers)
    lone = await app.client.post(path, content=b'{"email": "\\ud800"}', headers=headers)

    assert [answer.status_code for answer in (large, broken, lone)] == [413, 400, 422]
    for answer in (large, broken, lone):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["msg"]


async def test_fields_when_unknown_then_ignored_and_when_of_a_wrong_type_then_named(app: Running) -> None:
    ignored = await app.client.post("/login", json={"email": "a", "password": "b", "remember": True})
    wrong = await app.client.post("/login", json={"email": 5, "password": ["b"]})

    assert ignored.json() == {"msg": "Wrong username or password"}
    assert wrong.status_code == 422
    assert [error["field"] for error in wrong.json()["errors"]] == ["email", "password"]


SUCCESSORS = ("http://localhost:3000", "http://localhost:3050", "https://www.openml.org")
"""Where the pages of the frontend, and of the one that will follow it, come from."""


@pytest.mark.parametrize("origin", SUCCESSORS)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/uploads"), ("PATCH", "/uploads/x"), ("POST", "/api-key")]
)
async def test_cors_when_a_frontend_of_openml_names_its_request_then_allowed_and_shown(
    app: Running, origin: str, method: str, path: str
) -> None:
    """As tus-js-client does with `addRequestId`."""
    preflight = await app.client.options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,x-request-id",
        },
    )
    answer = await app.client.request(method, path, headers={"Origin": origin, "X-Request-ID": "a-1"})

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == origin
    assert "x-request-id" in preflight.headers["access-control-allow-headers"].lower()
    assert answer.headers["x-request-id"] == "a-1"
    assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()


@pytest.mark.parametrize("framing", [{"content-length": "5"}, {"transfer-encoding": "chunked"}])
async def test_upgrade_when_a_server_hands_it_on_with_a_body_then_refused_and_the_connection_ends(
    app: Running, framing: dict[str, str]
) -> None:
    """Which no server of ours does (tests/wire)."""
    for path in ("/login", "/", "/assets/site.css", "/nowhere"):
        answer = await app.client.post(
            path, content=b"{  }\n", headers={**framing, "Connection": "upgrade", "Upgrade": "h2c"}
        )

        assert (answer.status_code, answer.headers["connection"]) == (400, "close")
        assert "Upgrade" in answer.json()["detail"]


async def test_upgrade_when_offered_without_a_body_then_answered(app: Running) -> None:
    answer = await app.client.get("/health/live", headers={"Connection": "upgrade", "Upgrade": "h2c"})

    assert answer.status_code == 200
