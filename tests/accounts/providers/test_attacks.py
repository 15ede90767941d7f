"""What must not sign anybody in: each attack on a log-in with a provider, tried."""

import time
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from app.core.settings import Settings
from app.db.provider_tables import linked_accounts, provider_flows
from app.db.tables import sessions, users
from tests import second_factors
from tests.accounts.providers.conftest import COOKIE, Site, Visitor, cases
from tests.conftest import Person, running
from tests.mailbox import link_in, mail_to
from tests.oidc.github import GitHub
from tests.oidc.hostile import CLIENT_ID, HostileProvider, public_jwk

ADA = {"sub": "ada", "email": "ada@example.org", "email_verified": True}


async def refused(
    answer: httpx.Response, site: Site, kind: str = "sign-in-refused", status: int = 400
) -> None:
    """Hold that an answer opened nothing, and made nothing."""
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (status, kind), answer.text
    assert "access_token" not in answer.json()
    assert answer.json()["msg"]
    for column in (users.c.id, linked_accounts.c.user_id, sessions.c.jti):
        assert not await site.rows(sa.select(column))


LIES: dict[str, dict[str, Any]] = {
    "wrong iss": {"claims": {"iss": "https://accounts.example.org"}},
    "wrong aud": {"claims": {"aud": "another client"}},
    "wrong azp": {"claims": {"aud": [CLIENT_ID, "x"], "azp": "x"}},
    "wrong nonce": {"claims": {"nonce": "of another log-in"}},
    "no nonce": {"claims": {"nonce": None}},
    "expired": {"claims": {"exp": int(time.time()) - 3600}},
    "issued tomorrow": {"claims": {"iat": int(time.time()) + 86_400}},
    "wrong at_hash": {"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
    "algorithm none": {"algorithm": "none"},
    "HS256 with the public key": {"algorithm": "HS256"},
    "a key that is not the issuer's": {"kid": "made up"},
}


@pytest.mark.parametrize("lie", cases(sorted(LIES), "wrong nonce", "algorithm none"))
async def test_sign_in_when_the_id_token_lies_then_refused(
    visitor: Visitor, campus: HostileProvider, site: Site, lie: str
) -> None:
    campus.person = dict(ADA)
    for name, value in LIES[lie].items():
        setattr(campus, name, value)

    await refused(await visitor.sign_in(campus), site)


async def test_sign_in_when_the_userinfo_is_of_another_then_refused(
    visitor: Visitor, campus: HostileProvider, site: Site
) -> None:
    campus.person = {"sub": "mallory"}
    campus.userinfo = dict(ADA)

    await refused(await visitor.sign_in(campus), site)


async def test_sign_in_when_replayed_then_refused(
    visitor: Visitor, campus: HostileProvider, site: Site, client: httpx.AsyncClient
) -> None:
    campus.person = dict(ADA)
    address = await visitor.start("campus")
    cookie = client.cookies[COOKIE]
    answered = campus.authorize(address)
    assert (await visitor.finish("campus", answered)).status_code == 201

    client.cookies.set(COOKIE, cookie)
    # The provider would redeem it again.
    campus.codes[answered["code"]] = {}
    again = await visitor.finish("campus", answered)

    assert (again.status_code, again.json()["type"].rpartition("/")[2]) == (400, "sign-in-refused")
    assert len(campus.forms) == 1
    assert COOKIE not in httpx.Cookies(client.cookies) or len(await site.rows(sa.select(sessions.c.jti))) == 1


async def test_sign_in_when_a_code_is_used_twice_at_the_provider_then_refused(
    visitor: Visitor, campus: HostileProvider, site: Site
) -> None:
    campus.person = dict(ADA)
    answered = campus.authorize(await visitor.start("campus"))
    campus.codes.clear()

    await refused(await visitor.finish("campus", answered), site)


async def test_sign_in_when_the_state_is_of_another_browser_then_refused(
    visitor: Visitor, campus: HostileProvider, site: Site, client: httpx.AsyncClient
) -> None:
    """Log-in CSRF: the attacker's own answer in the victim's browser, which has a log-in of its own under way."""
    campus.person = dict(ADA)
    answered = campus.authorize(await visitor.start("campus"))
    await visitor.start("campus")

    await refused(await visitor.finish("campus", answered), site)
    client.cookies.clear()
    await refused(
        await visitor.finish("campus", campus.authorize(await visitor.start("campus")) | {"state": "x"}), site
    )
    client.cookies.clear()
    await refused(await visitor.finish("campus", answered), site)
    assert campus.forms == []


async def test_sign_in_when_the_code_is_anothers_then_the_verifier_does_not_fit(
    visitor: Visitor, campus: HostileProvider, site: Site
) -> None:
    """Code injection: a stolen code in an answer of one's own."""
    campus.person = dict(ADA)
    stolen = campus.authorize(await visitor.start("campus"))["code"]
    own = campus.authorize(await visitor.start("campus"))

    await refused(await visitor.finish("campus", own | {"code": stolen}), site)
    assert len(campus.forms) == 1


async def test_sign_in_when_mixed_up_then_refused(
    visitor: Visitor, campus: HostileProvider, other: HostileProvider, site: Site
) -> None:
    """A provider that passes the honest one's answer off as its own, to be sent the code."""
    campus.person = dict(ADA)
    answered = campus.authorize(await visitor.start("campus"))
    await refused(await visitor.finish("other", answered), site)
    assert other.forms == []

    # The log-in was begun with the bad one, which sends the browser on to the honest one.
    address = await visitor.start("other")
    answered = campus.authorize(address)
    await refused(await visitor.finish("other", answered), site)
    assert other.forms == []


@pytest.mark.parametrize("iss", cases([None, "https://accounts.example.org"], None))
async def test_sign_in_when_the_answer_does_not_name_the_provider_then_refused(
    visitor: Visitor, campus: HostileProvider, site: Site, iss: str | None
) -> None:
    campus.person, campus.iss_in_answer = dict(ADA), iss

    await refused(await visitor.sign_in(campus), site)
    assert campus.forms == []


async def test_sign_in_when_github_is_named_by_another_then_refused(
    visitor: Visitor, github: GitHub, site: Site
) -> None:
    answered = github.authorize(await visitor.start("github"))

    await refused(await visitor.finish("github", answered | {"iss": "https://example.org"}), site)


async def test_sign_in_when_too_late_then_refused(
    visitor: Visitor, campus: HostileProvider, site: Site
) -> None:
    campus.person = dict(ADA)
    answered = campus.authorize(await visitor.start("campus"))
    async with site.database.session() as session:
        await session.execute(sa.update(provider_flows).values(expires_at=site.database.now()))

    await refused(await visitor.finish("campus", answered), site)


ANSWERS: dict[str, tuple[str, Response]] = {
    "huge token answer": ("/token", PlainTextResponse("x" * 1_000_000)),
    "no token": ("/token", JSONResponse({"token_type": "Bearer"})),
    "a list": ("/token", JSONResponse(["access_token"])),
    "redirect": ("/token", RedirectResponse("http://127.0.0.1:1/")),
    "failure": ("/token", PlainTextResponse("oops", status_code=500)),
    "bomb of keys": ("/keys", JSONResponse({"keys": [public_jwk("RS256", "one")] * 500})),
    "huge keys": ("/keys", JSONResponse({"keys": [{"kty": "RSA", "n": "w" * 1_000_000}]})),
    "no keys": ("/keys", PlainTextResponse("<html>")),
}


@pytest.mark.parametrize("case", cases(sorted(ANSWERS), "huge token answer"))
async def test_sign_in_when_the_provider_is_broken_then_unavailable(
    visitor: Visitor, campus: HostileProvider, site: Site, case: str
) -> None:
    campus.person = dict(ADA)
    path, answer = ANSWERS[case]
    campus.raw = {path: answer}

    await refused(await visitor.sign_in(campus), site, "provider-unavailable", 503)


async def test_start_when_the_provider_is_slow_then_unavailable(
    visitor: Visitor, campus: HostileProvider, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.app.resources.issuers.fetcher, "_seconds", 0.1)
    campus.slow_seconds = 1

    answer = await visitor.client.post("/auth/oauth/campus/start", json={})

    await refused(answer, site, "provider-unavailable", 503)
    assert not await site.rows(sa.select(provider_flows.c.provider))


BODIES: list[dict[str, str]] = [
    # What the Flask backend took for proof.
    {"provider": "github", "providerId": "1", "email": "victim@example.org", "name": "V", "image": ""},
    {"providerId": "9", "email": "../server/src/client/app/build/static/js@x"},
    {},
    {"code": "x"},
    {"state": "x"},
    {"code": "", "state": "x"},
    {"id_token": "eyJhbGciOiJub25lIn0.e30.", "email": "victim@example.org"},
]


@pytest.mark.parametrize("body", cases(BODIES, BODIES[0]))
async def test_sign_in_when_an_identity_is_only_named_then_nothing_opens(
    visitor: Visitor, make_person: Any, body: dict[str, str]
) -> None:
    victim: Person = await make_person(email="victim@example.org")

    for provider in ("github", "campus"):
        await visitor.start(provider)
        answer = await visitor.client.post(f"/auth/oauth/{provider}", json=body)
        assert answer.status_code in {400, 422}, answer.text
        assert answer.json()["msg"]
        assert victim.api_key not in answer.text
        assert "access_token" not in answer.json()


async def test_sign_in_when_the_body_proves_nothing_then_the_words_of_the_flask_backend(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/auth/oauth/github", json={"email": "ada@example.org"})

    assert answer.status_code == 400
    assert answer.json()["msg"].startswith("Missing required OAuth data")


async def test_sign_in_when_there_is_no_such_provider_then_501(client: httpx.AsyncClient) -> None:
    for path in ("/auth/oauth/google", "/auth/oauth/google/start", "/auth/oauth/no-such"):
        answer = await client.post(path, json={"providerId": "1", "email": "a@example.org"})
        assert (answer.status_code, answer.json()["msg"]) == (501, "OAuth functions disabled.")


async def test_start_when_asked_then_exact_parameters_and_a_cookie_that_scripts_cannot_read(
    client: httpx.AsyncClient, site: Site
) -> None:
    answer = await client.post("/auth/oauth/campus/start", json={})

    query = httpx.URL(answer.json()["address"]).params
    root = site.app.resources.settings.site_url
    assert query["redirect_uri"] == f"{root}/auth/oauth/campus/callback"
    assert (query["response_type"], query["scope"]) == ("code", "openid email profile")
    assert (query["code_challenge_method"], len(query["code_challenge"])) == ("S256", 43)
    assert query["nonce"] != query["state"]
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=lax", "path=/", "max-age=600"))
    [row] = await site.rows(sa.select(provider_flows))
    # Whoever reads the database can end no log-in.
    kept = " ".join(str(value) for value in row)
    assert not any(secret in kept for secret in (query["state"], query["nonce"], client.cookies[COOKIE]))


async def test_sign_in_when_logged_then_no_secret_is(
    visitor: Visitor,
    campus: HostileProvider,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    campus.claims = {"nonce": "of another"}
    answered = campus.authorize(await visitor.start("campus"))
    await visitor.finish("campus", answered)

    written = caplog.text + "".join(capsys.readouterr())
    assert "is refused" in written
    for secret in (
        answered["code"],
        answered["state"],
        campus.forms[0]["code_verifier"],
        "a secret of the client",
    ):
        assert secret not in written


async def test_address_mail_when_the_ticket_is_made_up_then_refused(visitor: Visitor, site: Site) -> None:
    body = {"ticket": "made up", "email": "victim@example.org"}

    answer = await visitor.client.post("/auth/oauth-address", json=body)

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (400, "link-not-valid")
    assert await site.mails() == 0


async def test_start_when_the_token_is_a_ticket_then_refused(
    visitor: Visitor, campus: HostileProvider
) -> None:
    """The ticket of one's own page is no proof that a mail was opened."""
    campus.person = {"sub": "mallory"}
    ticket = (await visitor.sign_in(campus)).json()["ticket"]

    answer = await visitor.client.post("/auth/oauth/campus/start", json={"token": ticket})

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (400, "link-not-valid")


async def test_start_when_people_come_by_https_then_no_other_host_can_set_the_cookie(
    settings: Settings, campus: HostileProvider
) -> None:
    campus.person = dict(ADA)
    async with running(settings.model_copy(update={"public_url": "https://www.example.org"})) as app:
        start = await app.client.post("/auth/oauth/campus/start", json={})
        cookie = start.headers["set-cookie"]
        assert cookie.startswith("__Host-openml-oauth=")
        assert "Secure" in cookie
        assert "Domain" not in cookie

        answered = campus.authorize(start.json()["address"])
        assert campus.codes[answered["code"]]["redirect_uri"].startswith(
            "https://www.example.org/auth/oauth/"
        )
        plain = await app.client.post(
            "/auth/oauth/campus",
            json=answered,
            headers={"Cookie": cookie.replace("__Host-", "").split(";")[0]},
        )
        good = await app.client.post(
            "/auth/oauth/campus", json=answered, headers={"Cookie": cookie.split(";")[0]}
        )

    assert (plain.status_code, plain.json()["type"].rpartition("/")[2]) == (400, "sign-in-refused")
    assert good.status_code == 201


async def test_mail_about_an_identity_when_kept_until_the_owner_is_back_then_it_links_nothing(
    visitor: Visitor, campus: HostileProvider, site: Site, person: Person
) -> None:
    """Who could read the mailbox for a while keeps a link, and waits until the owner has chosen a new password."""
    campus.person = {"sub": "mallory", "email": person.email, "email_verified": True}
    assert (await visitor.sign_in(campus)).status_code == 202
    kept = await site.token_in_mail(person.email)
    await site.app.client.post("/forgotpassword", json={"email": person.email})
    link = link_in(await mail_to(site.app, person.email, subject="Reset"))
    body = {"url": link, "password": "eight winds blow south"}
    assert (await site.app.client.post("/resetpassword", json=body)).is_success

    late = await site.app.client.post("/auth/oauth/campus/start", json={"token": kept})

    assert late.status_code == 400, late.text
    assert not await site.rows(sa.select(linked_accounts.c.user_id))


async def test_mailbox_when_the_account_has_a_second_factor_then_no_identity_is_linked_by_it(
    visitor: Visitor, campus: HostileProvider, site: Site, person: Person
) -> None:
    """Half of what the account asks for must not make a way in that outlives a new password."""
    await second_factors.set_up(site.app, person)
    campus.person = {"sub": "mallory", "email": person.email, "email_verified": True}
    assert (await visitor.sign_in(campus)).status_code == 202

    answer = await visitor.sign_in(campus, token=await site.token_in_mail(person.email))

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (400, "sign-in-refused")
    assert "second factor" in answer.json()["detail"]
    assert not await site.rows(sa.select(linked_accounts.c.user_id))
