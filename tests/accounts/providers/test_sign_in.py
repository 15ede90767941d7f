"""Signing in and up with a provider: whose account it opens, and what is asked for before."""

from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.core.passwords import is_affordable
from app.db import notices, passkeys
from app.db.notices import NoticeKind
from app.db.passkeys import NewPasskey
from app.db.provider_tables import linked_accounts, pending_identities, provider_flows
from app.db.tables import audit_events, sessions, users, users_groups
from tests.accounts.providers.conftest import Site, Visitor, cases
from tests.conftest import PASSWORD, MakePerson, Person
from tests.oidc.github import GitHub, emails
from tests.oidc.hostile import HostileProvider

ADA = {
    "sub": "ada",
    "email": "ada@example.org",
    "email_verified": True,
    "given_name": "Ada",
    "family_name": "Lovelace",
}


async def test_sign_in_when_the_address_is_verified_and_new_then_an_account_is_made(
    visitor: Visitor, campus: HostileProvider, site: Site, client: httpx.AsyncClient
) -> None:
    campus.person = dict(ADA)

    answer = await visitor.sign_in(campus)

    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert set(made) == {"access_token", "id", "username", "email", "image", "apikey"}
    assert (made["username"], made["email"], len(made["apikey"])) == (
        "ada@example.org",
        "ada@example.org",
        32,
    )
    profile = await client.get("/profile", headers={"Authorization": f"Bearer {made['access_token']}"})
    assert (profile.json()["first_name"], profile.json()["last_name"]) == ("Ada", "Lovelace")
    [row] = await site.rows(sa.select(users.c.password, users.c.active).where(users.c.id == made["id"]))
    assert not is_affordable(row.password)
    assert row.active == 1
    groups = await site.rows(sa.select(users_groups.c.group_id).where(users_groups.c.user_id == made["id"]))
    assert [row.group_id for row in groups] == [2]
    kinds = {row.kind for row in await site.rows(sa.select(audit_events.c.kind))}
    assert {"signed up", "e-mail address confirmed", "account at a provider linked", "logged in"} <= kinds
    assert not await site.rows(sa.select(provider_flows.c.provider))
    assert answer.headers["cache-control"] == "no-store"


async def test_sign_in_when_linked_then_the_account_whatever_the_address_says_now(
    visitor: Visitor, campus: HostileProvider, make_person: MakePerson, site: Site
) -> None:
    campus.person = dict(ADA)
    first = (await visitor.sign_in(campus)).json()
    victim = await make_person(email="victim@example.org")

    campus.person |= {"email": victim.email, "given_name": "Eve"}
    again = await visitor.sign_in(campus)

    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert again.json()["email"] == "ada@example.org"
    [row] = await site.rows(sa.select(users.c.first_name).where(users.c.id == first["id"]))
    assert row.first_name == "Ada"


async def test_sign_in_when_an_account_has_the_address_then_only_after_a_mail(
    visitor: Visitor, campus: HostileProvider, person: Person, site: Site
) -> None:
    campus.person = ADA | {"email": person.email}

    answer = await visitor.sign_in(campus)

    assert (answer.status_code, answer.json()["next"], answer.json()["ticket"]) == (202, "mail", None)
    assert not await site.rows(sa.select(linked_accounts.c.user_id))
    token = await site.token_in_mail(person.email)
    opened = await visitor.sign_in(campus, token=token)
    assert (opened.status_code, opened.json()["id"]) == (200, person.id)
    assert "was linked" in await site.mail("was linked")
    # The password is as it was, and the mail's link is used up.
    old = await visitor.client.post("/login", json={"email": person.email, "password": PASSWORD})
    assert "access_token" in old.json()
    assert not await site.rows(sa.select(pending_identities.c.email))
    again = await visitor.client.post("/auth/oauth/campus/start", json={"token": token})
    assert again.json()["type"].endswith("link-not-valid")


async def test_sign_in_when_the_mail_is_followed_by_another_then_nothing_is_linked(
    visitor: Visitor, campus: HostileProvider, person: Person, site: Site
) -> None:
    """Somebody with a provider account of the victim's address, and a victim who opens whatever is mailed."""
    campus.person = ADA | {"email": person.email, "sub": "mallory"}
    await visitor.sign_in(campus)
    token = await site.token_in_mail(person.email)

    campus.person = ADA | {"email": "other@example.org", "sub": "the victim's own"}
    opened = await visitor.sign_in(campus, token=token)

    assert (opened.status_code, opened.json()["type"].rpartition("/")[2]) == (400, "sign-in-refused")
    assert not await site.rows(sa.select(linked_accounts.c.user_id))


TOLD: list[dict[str, Any]] = [
    {"email": "victim@example.org", "email_verified": False},
    {"email": "victim@example.org", "email_verified": "true"},
    {"email": "victim@example.org"},
    {},
    {"email": "not an address", "email_verified": True},
    {"email": ["victim@example.org"], "email_verified": True},
]


@pytest.mark.parametrize("told", cases(TOLD, TOLD[0], {}))
async def test_sign_in_when_no_address_is_verified_then_it_is_asked_for_and_mailed(
    visitor: Visitor, campus: HostileProvider, make_person: MakePerson, site: Site, told: dict[str, Any]
) -> None:
    victim = await make_person(email="victim@example.org")
    campus.person = {"sub": "0000-0002-1825-0097", **told}

    answer = await visitor.sign_in(campus)

    assert (answer.status_code, answer.json()["next"]) == (202, "address")
    ticket = answer.json()["ticket"]
    body = {"ticket": ticket, "email": "new@example.org"}
    sent = await visitor.client.post("/auth/oauth-address", json=body)
    assert sent.json() == {"msg": "Confirmation mail sent"}
    opened = await visitor.sign_in(campus, token=await site.token_in_mail("new@example.org"))
    assert (opened.status_code, opened.json()["email"]) == (201, "new@example.org")
    assert opened.json()["id"] != victim.id
    # The ticket went with what it was for.
    again = await visitor.client.post("/auth/oauth-address", json=body)
    assert again.status_code == 400


async def test_sign_in_when_an_unconfirmed_sign_up_waits_then_its_password_opens_nothing(
    visitor: Visitor, campus: HostileProvider, site: Site
) -> None:
    """Pre-hijacking: the attacker signs up with the victim's address, and waits for the victim to confirm it."""
    attacker = {
        "first_name": "Eve",
        "last_name": "Il",
        "email": ADA["email"],
        "password": "known to the attacker",
    }
    assert (await visitor.client.post("/signup", json=attacker)).json() == {"msg": "User created"}
    [before] = await site.rows(sa.select(users.c.id, users.c.session_hash))
    confirmation = await site.mail("confirm-page")

    campus.person = dict(ADA)
    answer = await visitor.sign_in(campus)

    assert (answer.status_code, answer.json()["id"]) == (201, before.id)
    assert answer.json()["apikey"] != before.session_hash
    login = {"email": ADA["email"], "password": attacker["password"]}
    assert (await visitor.client.post("/login", json=login)).json() == {"msg": "Wrong username or password"}
    [after] = await site.rows(sa.select(users.c.first_name, users.c.last_name, users.c.active))
    assert tuple(after) == ("Ada", "Lovelace", 1)
    link = next(word for word in confirmation.split() if "confirm-page" in word).strip('"')
    old = await visitor.client.post("/confirmation", json={"url": link})
    assert old.status_code == 400


async def test_sign_in_when_the_account_is_closed_then_refused(
    visitor: Visitor, campus: HostileProvider, site: Site
) -> None:
    campus.person = dict(ADA)
    made = (await visitor.sign_in(campus)).json()
    async with site.database.session() as session:
        await session.execute(sa.update(users).values(active=0))

    linked = await visitor.sign_in(campus)
    campus.person |= {"sub": "another identity of the same address"}
    unlinked = await visitor.sign_in(campus)

    assert linked.status_code == 401
    assert (unlinked.status_code, unlinked.json()["type"].rpartition("/")[2]) == (400, "sign-in-refused")
    [row] = await site.rows(sa.select(users.c.id, users.c.active))
    assert tuple(row) == (made["id"], 0)


async def test_sign_in_when_two_people_differ_in_case_then_two_accounts(
    visitor: Visitor, campus: HostileProvider
) -> None:
    campus.person = dict(ADA)
    first = await visitor.sign_in(campus)
    campus.person = ADA | {"sub": "ADA", "email": "ada.upper@example.org"}
    second = await visitor.sign_in(campus)

    assert second.status_code == 201
    assert first.json()["id"] != second.json()["id"]


async def test_sign_in_when_github_then_the_verified_primary_address(
    visitor: Visitor, github: GitHub, site: Site
) -> None:
    github.emails = emails("octocat@example.org")

    made = await visitor.sign_in(github, "github")
    github.user["login"] = "renamed"
    github.emails = emails("another@example.org")
    again = await visitor.sign_in(github, "github")

    assert (made.status_code, made.json()["email"]) == (201, "octocat@example.org")
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    [link] = await site.rows(sa.select(linked_accounts))
    assert (link.subject, link.label, link.issuer) == ("583231", "octocat", github.url)
    assert link.last_used_at is not None


LISTED: list[Any] = [
    emails("octocat@example.org", verified=False),
    [
        {
            "email": "1+octocat@users.noreply.github.com",
            "primary": True,
            "verified": True,
            "visibility": None,
        }
    ],
    [],
    {"message": "Not Found"},
]


@pytest.mark.parametrize("listed", cases(LISTED, LISTED[0]))
async def test_sign_in_when_github_verified_no_address_then_asked_for(
    visitor: Visitor, github: GitHub, listed: Any
) -> None:
    github.emails = listed

    answer = await visitor.sign_in(github, "github")

    assert (answer.status_code, answer.json()["next"]) == (202, "address")
    assert "noreply" not in answer.json()["email"]


@pytest.mark.parametrize("user", cases([{"id": "583231"}, {"id": True}, {"id": -1}, {"login": "x"}, []], []))
async def test_sign_in_when_github_does_not_say_who_then_unavailable(
    visitor: Visitor, github: GitHub, user: Any
) -> None:
    github.user = user

    answer = await visitor.sign_in(github, "github")

    assert answer.status_code == 503
    assert 10 <= int(answer.headers["retry-after"]) <= 15


async def test_sign_in_when_the_id_token_has_no_address_then_the_userinfo_endpoint(
    visitor: Visitor, campus: HostileProvider
) -> None:
    campus.person = {"sub": "ada"}
    campus.userinfo = dict(ADA)

    answer = await visitor.sign_in(campus)

    assert (answer.status_code, answer.json()["email"]) == (201, "ada@example.org")


async def test_sign_in_when_the_site_is_read_only_then_only_who_is_linked(
    visitor: Visitor, campus: HostileProvider, site: Site
) -> None:
    campus.person = dict(ADA)
    await visitor.sign_in(campus)
    async with site.database.session() as session:
        await notices.add_notice(session, NoticeKind.READ_ONLY, "a move", ends_at=None)
    site.app.resources.notices.forget()

    linked = await visitor.sign_in(campus)
    campus.person = ADA | {"sub": "new", "email": "new@example.org"}
    new = await visitor.sign_in(campus)

    assert (linked.status_code, new.status_code) == (200, 503)


async def test_start_when_providers_are_listed_then_none_of_their_secrets(client: httpx.AsyncClient) -> None:
    listed = await client.get("/auth/oauth")

    assert listed.json()["providers"] == [
        {"id": "campus", "name": "Campus"},
        {"id": "other", "name": "Other"},
        {"id": "github", "name": "GitHub"},
    ]


async def test_sign_in_when_asked_to_stay_then_the_browser_goes_on_by_its_cookie(
    visitor: Visitor, campus: HostileProvider
) -> None:
    campus.person = dict(ADA)

    async def sign_in(*, stay: bool) -> httpx.Response:
        answered = campus.authorize(await visitor.start("campus"))
        return await visitor.client.post("/auth/oauth/campus", json={**answered, "stay": stay})

    assert "openml-refresh" not in (await sign_in(stay=False)).headers["set-cookie"]
    done = await sign_in(stay=True)
    assert "openml-refresh" in done.headers["set-cookie"]

    again = await visitor.client.post("/session/refresh")

    assert again.status_code == 200
    headers = {"Authorization": f"Bearer {again.json()['access_token']}"}
    assert (await visitor.client.get("/profile", headers=headers)).json()["id"] == done.json()["id"]


async def test_sign_in_when_the_account_has_a_second_factor_then_it_is_asked_for(
    visitor: Visitor, campus: HostileProvider, site: Site
) -> None:
    campus.person = dict(ADA)
    made = (await visitor.sign_in(campus)).json()
    async with site.database.session() as session:
        key = NewPasskey(
            "Y3JlZGVudGlhbA",
            "cHVibGlj",
            0,
            (),
            "Laptop",
            "",
            backup_eligible=False,
            backed_up=False,
            user_verified=True,
        )
        await passkeys.add(session, made["id"], key, created_at=site.database.now())
        await passkeys.make_handle(session, made["id"])
        await passkeys.set_second_factor(session, made["id"], required=True)

    answer = await visitor.sign_in(campus)

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (403, "second-factor-needed")
    assert answer.json()["methods"] == ["passkey"]
    assert len(answer.json()["ticket"]) == 64
    assert "access_token" not in answer.json()
    assert len(await site.rows(sa.select(sessions.c.jti))) == 1
