"""Accounts at providers, linked by their owner and taken away again."""

import re

import httpx
import pytest
import sqlalchemy as sa

from app.core.passwords import NO_PASSWORD
from app.db.provider_tables import linked_accounts, pending_identities, provider_flows
from app.db.tables import audit_events, users
from app.worker.janitor import forget_the_past
from tests.accounts.providers.conftest import Site, Visitor, cases
from tests.conftest import MakePerson, Person, grow_stale
from tests.oidc.hostile import HostileProvider

pytestmark = pytest.mark.long  # test_sign_in.py and test_attacks.py link as well

EVE = {"sub": "eve", "email": "eve@example.org", "email_verified": True, "preferred_username": "eve"}


async def link(visitor: Visitor, campus: HostileProvider, person: Person) -> httpx.Response:
    """Link an account at the provider to the person's."""
    headers = person.headers
    begun = await visitor.client.post("/linked-accounts/campus/start", headers=headers)
    assert begun.status_code == 200, begun.text
    answered = campus.authorize(begun.json()["address"])
    return await visitor.client.post("/linked-accounts/campus", json=answered, headers=headers)


async def test_link_when_the_owner_asks_then_it_opens_the_account_and_they_are_told(
    visitor: Visitor, campus: HostileProvider, person: Person, site: Site
) -> None:
    campus.person = dict(EVE)

    linked = await link(visitor, campus, person)

    assert linked.status_code == 200, linked.text
    assert (linked.json()["provider"], linked.json()["name"], linked.json()["label"]) == (
        "campus",
        "Campus",
        "eve",
    )
    listed = (await visitor.client.get("/linked-accounts", headers=person.headers)).json()
    assert listed["has_password"]
    assert [each["id"] for each in listed["linked"]] == [linked.json()["id"]]
    assert (await visitor.sign_in(campus)).json()["id"] == person.id
    mail = await site.mail("was linked")
    assert f"To: {person.email}" in mail
    assert "Campus account eve" in mail


async def test_link_when_undone_by_mail_then_it_opens_nothing(
    visitor: Visitor, campus: HostileProvider, person: Person, site: Site
) -> None:
    campus.person = dict(EVE)
    await link(visitor, campus, person)
    address = re.findall(r"http\S+/auth/undo/\?token=[0-9a-f]+", await site.mail("was linked"))[0]

    undone = await visitor.client.post("/undo", json={"url": address})

    assert undone.status_code == 200, undone.text
    assert not await site.rows(sa.select(linked_accounts.c.user_id))


@pytest.mark.long
async def test_unlink_when_undone_by_mail_then_it_opens_the_account_again(
    visitor: Visitor, campus: HostileProvider, person: Person, site: Site
) -> None:
    campus.person = dict(EVE)
    linked = (await link(visitor, campus, person)).json()
    gone = await visitor.client.delete(f"/linked-accounts/{linked['id']}", headers=person.headers)
    assert gone.json() == {"msg": "Account unlinked"}
    address = re.findall(r"http\S+/auth/undo/\?token=[0-9a-f]+", await site.mail("taken away"))[0]

    await visitor.client.post("/undo", json={"url": address})

    assert (await visitor.sign_in(campus)).json()["id"] == person.id


@pytest.mark.parametrize("method", cases(["start", "finish", "unlink"], "finish"))
async def test_link_when_only_a_token_was_stolen_then_nothing_lasts(
    visitor: Visitor, campus: HostileProvider, person: Person, site: Site, method: str
) -> None:
    """A stolen bearer token, and a provider account of the thief's."""
    campus.person = dict(EVE)
    begun = await visitor.client.post("/linked-accounts/campus/start", headers=person.headers)
    answered = campus.authorize(begun.json()["address"])
    await grow_stale(site.app)

    calls = {
        "start": ("POST", "/linked-accounts/campus/start", None),
        "finish": ("POST", "/linked-accounts/campus", answered),
        "unlink": ("DELETE", f"/linked-accounts/{'0' * 64}", None),
    }
    verb, path, body = calls[method]
    answer = await visitor.client.request(verb, path, json=body, headers=person.headers)

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (403, "password-needed")
    assert not await site.rows(sa.select(linked_accounts.c.user_id))


async def test_link_when_another_user_ends_it_then_refused(
    visitor: Visitor, campus: HostileProvider, make_person: MakePerson, site: Site
) -> None:
    """The attacker's answer in the victim's browser would link the attacker's identity to the victim's account."""
    attacker, victim = await make_person(), await make_person()
    campus.person = dict(EVE)
    begun = await visitor.client.post("/linked-accounts/campus/start", headers=attacker.headers)
    answered = campus.authorize(begun.json()["address"])
    as_victim = await visitor.client.post("/linked-accounts/campus", json=answered, headers=victim.headers)

    begun = await visitor.client.post("/auth/oauth/campus/start", json={})
    answered = campus.authorize(begun.json()["address"])
    sign_in = await visitor.client.post("/linked-accounts/campus", json=answered, headers=victim.headers)

    begun = await visitor.client.post("/linked-accounts/campus/start", headers=attacker.headers)
    answered = campus.authorize(begun.json()["address"])
    as_nobody = await visitor.finish("campus", answered)

    for answer in (as_victim, sign_in, as_nobody):
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (400, "sign-in-refused")
    assert not await site.rows(sa.select(linked_accounts.c.user_id))


async def test_link_when_it_opens_another_account_then_refused(
    visitor: Visitor, campus: HostileProvider, make_person: MakePerson
) -> None:
    first, second = await make_person(), await make_person()
    campus.person = dict(EVE)
    await link(visitor, campus, first)

    answer = await link(visitor, campus, second)
    again = await link(visitor, campus, first)

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "linked-elsewhere")
    assert again.status_code == 200


@pytest.mark.long
async def test_link_when_there_are_many_then_refused(
    visitor: Visitor, campus: HostileProvider, person: Person
) -> None:
    for number in range(10):
        campus.person = {"sub": f"eve {number}"}
        assert (await link(visitor, campus, person)).status_code == 200
    campus.person = {"sub": "one more"}

    assert (await link(visitor, campus, person)).status_code == 400


async def test_unlink_when_it_is_the_last_way_in_then_refused(
    visitor: Visitor, campus: HostileProvider, person: Person, site: Site
) -> None:
    campus.person = dict(EVE)
    linked = (await link(visitor, campus, person)).json()
    async with site.database.session() as session:
        await session.execute(sa.update(users).values(password=NO_PASSWORD))

    path = f"/linked-accounts/{linked['id']}"
    refused = await visitor.client.delete(path, headers=person.headers)
    campus.person = EVE | {"sub": "another"}
    await link(visitor, campus, person)
    gone = await visitor.client.delete(path, headers=person.headers)

    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (409, "last-way-in")
    assert gone.status_code == 200


@pytest.mark.long
async def test_unlink_when_it_is_somebody_elses_then_not_found(
    visitor: Visitor, campus: HostileProvider, make_person: MakePerson
) -> None:
    owner, other = await make_person(), await make_person()
    campus.person = dict(EVE)
    linked = (await link(visitor, campus, owner)).json()

    answer = await visitor.client.delete(f"/linked-accounts/{linked['id']}", headers=other.headers)

    assert answer.status_code == 404
    assert (await visitor.client.get("/linked-accounts", headers=other.headers)).json()["linked"] == []


async def test_export_when_linked_then_it_has_it(
    visitor: Visitor, campus: HostileProvider, person: Person
) -> None:
    campus.person = dict(EVE)
    await link(visitor, campus, person)

    exported = (await visitor.client.get("/export", headers=person.headers)).json()

    [found] = exported["linked_accounts"]
    assert (found["issuer"], found["subject"], found["label"]) == (campus.url, "eve", "eve")


async def test_delete_when_linked_then_nothing_is_left(
    visitor: Visitor, campus: HostileProvider, person: Person, site: Site
) -> None:
    campus.person = dict(EVE)
    await link(visitor, campus, person)
    await visitor.client.post("/linked-accounts/campus/start", headers=person.headers)

    await visitor.client.post("/delete", json={"password": person.password}, headers=person.headers)

    for table in (linked_accounts, provider_flows, pending_identities):
        assert not await site.rows(sa.select(table))
    campus.person |= {"email": "eve2@example.org"}
    again = await visitor.sign_in(campus)
    assert (again.status_code, again.json()["id"] == person.id) == (201, False)


async def test_delete_when_no_password_opens_the_account_then_a_fresh_session_does_it(
    visitor: Visitor, campus: HostileProvider, site: Site
) -> None:
    campus.person = dict(EVE)
    made = (await visitor.sign_in(campus)).json()
    headers = {"Authorization": f"Bearer {made['access_token']}"}
    guess = await visitor.client.post("/delete", json={"password": "seven rivers"}, headers=headers)
    await grow_stale(site.app)

    stale = await visitor.client.post("/delete", json={}, headers=headers)

    assert (guess.status_code, stale.status_code) == (401, 403)
    assert (stale.json()["type"].rpartition("/")[2], stale.json()["methods"]) == ("password-needed", [])
    again = (await visitor.sign_in(campus)).json()
    fresh = {"Authorization": f"Bearer {again['access_token']}"}
    assert (await visitor.client.post("/delete", json={}, headers=fresh)).json() == {"msg": "User deleted"}


async def test_delete_when_there_is_a_password_then_no_fresh_session_takes_its_place(
    client: httpx.AsyncClient, person: Person
) -> None:
    answer = await client.post("/delete", json={}, headers=person.headers)

    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "password", "message": "Field required"}]


async def test_janitor_when_flows_have_ended_then_they_go(
    visitor: Visitor, campus: HostileProvider, site: Site
) -> None:
    campus.person = {"sub": "eve"}
    await visitor.sign_in(campus)
    await visitor.start("campus")
    async with site.database.session() as session:
        old = site.database.now().replace(year=2020)
        for table in (provider_flows, pending_identities):
            await session.execute(sa.update(table).values(expires_at=old))

    await forget_the_past(site.database, audit_days=1)

    for table in (provider_flows, pending_identities):
        assert not await site.rows(sa.select(table))


@pytest.mark.long
async def test_audit_when_linked_and_unlinked_then_written_down(
    visitor: Visitor, campus: HostileProvider, person: Person, site: Site
) -> None:
    campus.person = dict(EVE)
    linked = (await link(visitor, campus, person)).json()
    await visitor.client.delete(f"/linked-accounts/{linked['id']}", headers=person.headers)

    events = await site.rows(
        sa.select(audit_events.c.kind, audit_events.c.detail).order_by(audit_events.c.id)
    )

    assert [tuple(event) for event in events][-2:] == [
        ("account at a provider linked", "Campus account eve"),
        ("account at a provider unlinked", "campus account eve"),
    ]
