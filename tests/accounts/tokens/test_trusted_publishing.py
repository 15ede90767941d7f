"""CI jobs that publish without a secret: a real issuer over HTTP, and whoever pretends to be one of its jobs."""

import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.core.settings import Settings
from app.db.token_tables import api_tokens, used_subject_tokens
from app.worker.janitor import forget_the_past
from tests.accounts.tokens.conftest import bearer
from tests.conftest import Person, Running, grow_stale, insert_person, running, serving
from tests.mailbox import link_in, mail_to
from tests.oidc.hostile import HostileProvider, public_jwk, serving_provider, signed
from tests.uploads.test_data_upload import form

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
SUBJECT = "repo:rivers/levels:ref:refs/heads/main"
ONLY_SQLITE = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


@pytest.fixture
async def ci() -> AsyncIterator[HostileProvider]:
    """A CI service that signs what it is told."""
    async with serving_provider() as provider:
        yield provider


@pytest.fixture
async def other() -> AsyncIterator[HostileProvider]:
    """Another one, which the site does not believe."""
    async with serving_provider() as provider:
        yield provider


@pytest.fixture
def settings(settings: Settings, ci: HostileProvider) -> Settings:
    return settings.model_copy(update={"trusted_issuers": (ci.url,)})


def job(ci: HostileProvider, app: Running, **changes: Any) -> str:
    """Return the token of a job, as the CI service signs it."""
    own = {"sub": SUBJECT, "aud": app.resources.settings.site_url, "jti": secrets.token_hex(8)}
    return ci.sign(**{**own, "repository_owner_id": "4711", **changes})


async def trust(app: Running, person: Person, ci: HostileProvider, **changes: Any) -> httpx.Response:
    wanted = {"issuer": ci.url, "subject": SUBJECT, **changes}
    return await app.client.post("/trusted-publishers", json=wanted, headers=person.headers)


async def exchange(app: Running, token: str, **changes: Any) -> httpx.Response:
    asked = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ID_TOKEN, **changes}
    return await app.client.post(
        "/token", data={name: value for name, value in asked.items() if value is not None}
    )


async def refused(app: Running, token: str, **changes: Any) -> str:
    """Return why a token is not exchanged, once it is certain that nothing came of it."""
    before = await count(app)
    answer = await exchange(app, token, **changes)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == "invalid_request", answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert await count(app) == before
    return str(answer.json()["error_description"])


async def count(app: Running) -> int:
    async with app.resources.database.session() as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(api_tokens)) or 0


async def test_job_when_its_user_trusts_it_then_it_publishes_for_a_while_and_is_shown(
    app: Running, person: Person, ci: HostileProvider
) -> None:
    added = await trust(app, person, ci, claims={"repository_owner_id": "4711"})
    assert added.status_code == 201, added.text
    mail = str((await mail_to(app, person.email, subject="CI jobs may publish")).get_body(("plain",)))
    assert SUBJECT in mail

    answer = await exchange(app, job(ci, app))

    granted = answer.json()
    assert (answer.status_code, granted["issued_token_type"], granted["scope"]) == (
        200,
        ACCESS_TOKEN,
        "upload",
    )
    assert 0 < granted["expires_in"] <= 900
    published = await app.client.post("/data-upload", files=form(), headers=bearer(granted["access_token"]))
    assert published.status_code == 200, published.text
    for path in ("/profile", "/trusted-publishers", "/tokens"):
        assert (await app.client.get(path, headers=bearer(granted["access_token"]))).status_code == 403
    (shown,) = (await app.client.get("/tokens", headers=person.headers)).json()["tokens"]
    assert (shown["name"], shown["trusted_publisher"]) == (SUBJECT, added.json()["id"])
    listed = (await app.client.get("/trusted-publishers", headers=person.headers)).json()
    assert listed["trusted_publishers"][0]["last_used_at"] is not None
    assert (listed["issuers"], listed["audience"]) == ([ci.url], app.resources.settings.site_url)
    events = (await app.client.get("/audit", headers=person.headers)).json()["events"]
    assert f"{ci.url} {SUBJECT}" in [
        event["detail"] for event in events if event["kind"] == "API token given to a trusted publisher"
    ]
    exported = (await app.client.get("/export", headers=person.headers)).json()
    assert [each["subject"] for each in exported["trusted_publishers"]] == [SUBJECT]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "https://pypi.org"}, "audience"),
        ({"aud": "http://127.0.0.1:5000.evil.example"}, "audience"),
        ({"sub": "repo:rivers/levels-evil:ref:refs/heads/main"}, "No trusted publisher"),
        ({"sub": "repo:rivers-evil/levels:ref:refs/heads/main"}, "No trusted publisher"),
        ({"sub": "repo:RIVERS/levels:ref:refs/heads/main"}, "No trusted publisher"),
        ({"sub": "repo:rivers/levels:ref:refs/heads/release/1"}, "No trusted publisher"),
        ({"sub": "repo:rivers/levels:ref:refs/heads/main\udc00"}, "No trusted publisher"),
        ({"sub": f"{SUBJECT}:x"}, "No trusted publisher"),
        ({"sub": ""}, "subject"),
        ({"repository_owner_id": "4712"}, "No trusted publisher"),
        ({"repository_owner_id": ["4711"]}, "No trusted publisher"),
        ({"jti": ""}, "jti"),
        ({"exp": int(time.time()) + 10 * 86400}, "a day"),
        ({"exp": int(time.time()) - 3600}, "expired"),
        ({"exp": 10**18}, "time"),
        ({"iss": "https://accounts.google.com"}, "issuer"),
    ],
)
@ONLY_SQLITE
async def test_job_when_it_is_not_the_one_that_is_trusted_then_refused_and_told_what_to_change(
    app: Running, person: Person, ci: HostileProvider, changes: dict[str, Any], reason: str
) -> None:
    claims = {"repository_owner_id": "4711"}
    for subject in (SUBJECT, "repo:rivers/levels:ref:refs/heads/*"):
        assert (await trust(app, person, ci, subject=subject, claims=claims)).status_code == 201

    assert reason in await refused(app, job(ci, app, **changes))


@ONLY_SQLITE
async def test_job_when_its_token_is_signed_by_somebody_else_then_refused(
    app: Running, person: Person, ci: HostileProvider
) -> None:
    await trust(app, person, ci)
    claims = {"iss": ci.url, "sub": SUBJECT, "aud": app.resources.settings.site_url, "jti": "1"}
    times = {"iat": int(time.time()), "exp": int(time.time()) + 300}
    good = job(ci, app)
    head, payload, _ = good.split(".")

    for forged in (
        signed({**claims, **times}, "none"),
        signed({**claims, **times}, "HS256"),
        signed({**claims, **times}, name="another key"),
        signed({**claims, **times}, kid="unknown"),
        f"{head}.{payload}.",
        f"{head}.{payload}",
        "no token",
        "a.b.c",
    ):
        assert await refused(app, forged)
    ci.keys = [public_jwk("RS256", "one")]
    assert (await exchange(app, good)).status_code == 200, "the key that it really has"


@ONLY_SQLITE
async def test_issuer_when_the_site_does_not_believe_it_then_never_asked_for_anything(
    app: Running, person: Person, ci: HostileProvider, other: HostileProvider
) -> None:
    added = await trust(app, person, other)
    assert (added.status_code, added.json()["errors"][0]["field"]) == (422, "issuer")
    assert ci.url in added.json()["detail"]

    for issuer in (
        other.url,
        f"{other.url}/",
        f"{ci.url}@127.0.0.1",
        "file:///etc/passwd",
        "",
        None,
    ):
        assert "not believed here" in await refused(app, job(other, app, iss=issuer))

    assert other.asked == []
    assert ci.asked == [], "nothing is asked for a token that names another"


@ONLY_SQLITE
async def test_job_when_its_token_comes_twice_then_exchanged_once_also_at_two_processes(
    settings: Settings, password_hash: str, ci: HostileProvider
) -> None:
    async with serving(settings) as app, serving(settings) as elsewhere:
        person = await insert_person(app, password_hash)
        await trust(app, person, ci)
        token = job(ci, app)

        assert (await exchange(app, token)).status_code == 200
        assert "exchanged before" in await refused(elsewhere, token)
        assert "exchanged before" in await refused(app, token)
        # Its jti is what counts: signed once more, it is the same token.
        again = job(ci, app, jti="the same")
        assert (await exchange(elsewhere, again)).status_code == 200
        assert "exchanged before" in await refused(app, job(ci, app, jti="the same", nonsense=1))


async def test_job_when_several_users_trust_it_then_it_says_whom_it_means(
    app: Running, person: Person, ci: HostileProvider, make_person: Any
) -> None:
    rival = await make_person()
    await trust(app, person, ci)
    await trust(app, rival, ci, subject="repo:rivers/levels:ref:refs/heads/*")

    assert "user=NUMBER" in await refused(app, job(ci, app))
    granted = await exchange(app, job(ci, app), user=str(rival.id))
    assert granted.status_code == 200
    assert [
        shown["name"] for shown in (await app.client.get("/tokens", headers=rival.headers)).json()["tokens"]
    ]
    assert (await app.client.get("/tokens", headers=person.headers)).json()["tokens"] == []
    stranger = await make_person()
    assert "No trusted publisher of that user" in await refused(app, job(ci, app), user=str(stranger.id))


async def test_publisher_when_removed_then_its_jobs_and_what_they_have_are_refused(
    app: Running, person: Person, ci: HostileProvider, make_person: Any
) -> None:
    added = (await trust(app, person, ci)).json()
    token = (await exchange(app, job(ci, app))).json()["access_token"]
    stranger = await make_person()

    path = f"/trusted-publishers/{added['id']}"
    assert (await app.client.delete(path, headers=stranger.headers)).status_code == 404
    assert (await app.client.get("/uploads", headers=bearer(token))).status_code == 200
    assert (await app.client.delete(path, headers=person.headers)).status_code == 200

    assert (await app.client.get("/uploads", headers=bearer(token))).status_code == 401
    assert "No trusted publisher" in await refused(app, job(ci, app))


async def test_publishers_when_the_password_is_reset_or_the_account_deleted_then_gone(
    app: Running, person: Person, ci: HostileProvider
) -> None:
    await trust(app, person, ci)
    await app.client.post("/forgotpassword", json={"email": person.email})
    link = link_in(await mail_to(app, person.email, subject="Reset"))
    await app.client.post("/resetpassword", json={"url": link, "password": person.password})

    assert "No trusted publisher" in await refused(app, job(ci, app))


@ONLY_SQLITE
async def test_publisher_when_added_with_an_old_session_or_too_wide_a_pattern_then_refused(
    app: Running, person: Person, ci: HostileProvider
) -> None:
    for wrong in (
        {"subject": "repo:rivers/*"},
        {"subject": ""},
        {"claims": {"sub": "x"}},
        {"claims": {"repository": ""}},
        {"claims": {str(number): "x" for number in range(11)}},
    ):
        assert (await trust(app, person, ci, **wrong)).status_code == 422, wrong
    await grow_stale(app)
    late = await trust(app, person, ci)
    assert (late.status_code, late.json()["type"].rpartition("/")[2]) == (403, "password-needed")
    assert "No trusted publisher" in await refused(app, job(ci, app))


@ONLY_SQLITE
async def test_exchange_when_fields_are_missing_or_others_then_named(
    app: Running, person: Person, ci: HostileProvider
) -> None:
    await trust(app, person, ci)
    for wrong, field in (
        ({"subject_token": None}, "subject_token"),
        ({"subject_token_type": None}, "subject_token_type"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "subject_token_type"),
        ({"scope": "edit"}, "scope"),
        ({"user": "ada"}, "user"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "requested_token_type"),
    ):
        answer = await exchange(app, job(ci, app), **wrong)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    unknown = await exchange(app, job(ci, app), grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer")
    assert unknown.json()["error"] == "unsupported_grant_type"


@ONLY_SQLITE
async def test_exchange_when_the_keys_cannot_be_had_then_later(
    settings: Settings, password_hash: str, unused_port: int
) -> None:
    away = HostileProvider(url=f"http://127.0.0.1:{unused_port}")
    async with running(settings.model_copy(update={"trusted_issuers": (away.url,)})) as app:
        await trust(app, await insert_person(app, password_hash), away)
        answer = await exchange(app, job(away, app))

    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert "retry-after" in answer.headers


@ONLY_SQLITE
async def test_past_when_forgotten_then_what_jobs_had_goes_with_its_end(
    app: Running, person: Person, ci: HostileProvider
) -> None:
    await trust(app, person, ci)
    await exchange(app, job(ci, app))
    long_ago = app.resources.database.now().replace(year=2020)
    async with app.resources.database.session() as session:
        await session.execute(sa.update(api_tokens).values(expires_at=long_ago))
        await session.execute(sa.update(used_subject_tokens).values(expires_at=long_ago))

    await forget_the_past(app.resources.database, audit_days=365)

    async with app.resources.database.session() as session:
        assert (await session.execute(sa.select(used_subject_tokens))).all() == []
    assert await count(app) == 0
