"""People, as administrators see them, and what these do to accounts: owners are told, and no secret is shown."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from app.core.api_tokens import digest_of
from app.core.clock import utc_now
from app.db import linked_accounts, passkeys, users
from app.db.linked_accounts import LinkedAccount
from app.db.passkeys import NewPasskey
from app.db.tables import audit_events, outbox, users_groups
from app.db.tables import users as table
from tests.admin.conftest import sign_in
from tests.conftest import MakePerson, Person, Running

WHY = {"reason": "Asked for by mail."}


async def events_of(app: Running, person: Person) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = (await app.client.get("/audit", headers=person.headers)).json()["events"]
    return found


async def test_person_when_looked_for_then_found_by_any_part_and_the_owner_is_told_once_without_a_name(
    app: Running, administrator: Person, make_person: MakePerson
) -> None:
    ada = await sign_in(app, await make_person(email="ada.king@example.org", first_name="Augusta"))
    link = LinkedAccount("0" * 64, ada.id, "orcid", "https://orcid.org", "0", "Ada", utc_now(), None)
    key = NewPasskey(
        "aWQ", "a2V5", 0, (), "Phone", "", backup_eligible=True, backed_up=True, user_verified=True
    )
    async with app.resources.database.session() as session:
        await linked_accounts.add_link(session, link)
        await passkeys.add(session, ada.id, key, created_at=utc_now())
    body = {"name": "nightly", "scopes": ["read"]}
    token = (await app.client.post("/tokens", json=body, headers=ada.headers)).json()["token"]
    await make_person(email="100%@example.org")
    for text, count in {
        "a.KING": 1,
        "ugust": 1,
        "%": 1,
        "nobody at all": 0,
        "Łukasz": 0,
    }.items():
        found = await app.client.get("/admin/users", params={"text": text}, headers=administrator.headers)
        assert len(found.json()["users"]) == count, text
    by_number = await app.client.get("/admin/users", params={"text": ada.id}, headers=administrator.headers)
    assert ada.id in [user["id"] for user in by_number.json()["users"]]

    await app.client.get(f"/admin/users/{ada.id}", headers=administrator.headers)
    shown = await app.client.get(f"/admin/users/{ada.id}", headers=administrator.headers)

    story = shown.json()
    assert (story["state"], story["administrator"], len(story["sessions"])) == ("open", False, 2)
    assert {event["kind"] for event in story["events"]} == {
        "logged in",
        "looked at by an administrator",
        "API token created",
    }
    assert [(each["provider"], each["label"]) for each in story["linked_accounts"]] == [("orcid", "Ada")]
    assert [each["deviceName"] for each in story["passkeys"]] == ["Phone"]
    assert [each["name"] for each in story["api_tokens"]] == ["nightly"]
    for secret in (token, digest_of(token), "a2V5", link.identity_digest):
        assert secret not in shown.text
    assert ada.api_key not in shown.text
    assert "argon2" not in shown.text
    looked = [event for event in await events_of(app, ada) if event["kind"].startswith("looked at")]
    assert [(event["ip_address"], event["user_agent"]) for event in looked] == [("", "")]
    assert "administrator_id" not in looked[0]
    mine = await events_of(app, administrator)
    assert mine[0]["kind"] == "acted as an administrator"
    assert mine[0]["detail"] == f"looked at: user {ada.id}"
    missing = await app.client.get("/admin/users/999999", headers=administrator.headers)
    assert missing.status_code == 404


async def test_account_when_closed_and_opened_by_an_administrator_then_so_and_its_owner_reads_why(
    app: Running, administrator: Person, make_person: MakePerson
) -> None:
    ada = await sign_in(app, await make_person())
    where = f"/admin/users/{ada.id}"
    short = await app.client.post(f"{where}/close", json={"reason": ""}, headers=administrator.headers)
    assert short.status_code == 422

    closed = await app.client.post(f"{where}/close", json=WHY, headers=administrator.headers)

    assert closed.json() == {"msg": "Account closed"}
    async with app.resources.database.session() as session:
        mail = (
            await session.execute(sa.select(outbox.c.kind, outbox.c.recipient, outbox.c.parameters))
        ).one()
    assert mail[:2] == ("deed", ada.email)
    assert mail.parameters in (
        {},
        {"deed": "Deactivated", "who": "an administrator", "reason": WHY["reason"]},
    )
    assert (await app.client.get("/profile", headers=ada.headers)).status_code == 401
    shut = await app.client.post("/login", json={"email": ada.email, "password": ada.password})
    assert shut.json()["msg"] == "NotConfirmed"
    confirmed = await app.client.post(f"{where}/confirm", json=WHY, headers=administrator.headers)
    assert confirmed.status_code == 400, "who was closed on purpose is not confirmed by mistake"

    opened = await app.client.post(f"{where}/open", json=WHY, headers=administrator.headers)

    assert opened.status_code == 200
    again = await sign_in(app, ada)
    told = {event["kind"]: event["detail"] for event in await events_of(app, again) if event["detail"]}
    assert told == {
        "deactivated by an administrator": "Asked for by mail.",
        "activated by an administrator": "Asked for by mail.",
    }
    only = await app.client.get(
        "/audit", params={"kind": "activated by an administrator"}, headers=again.headers
    )
    assert len(only.json()["events"]) == 1
    ended = await app.client.post(f"{where}/end-sessions", json=WHY, headers=administrator.headers)
    assert ended.status_code == 200
    assert (await app.client.get("/profile", headers=again.headers)).status_code == 401


async def test_account_when_never_confirmed_then_an_administrator_confirms_it_or_mails_the_link_once_more(
    app: Running, administrator: Person, make_person: MakePerson
) -> None:
    ada = await make_person(active=False)
    where = f"/admin/users/{ada.id}"
    mail = {"mail": "confirmation", **WHY}
    sent = await app.client.post(f"{where}/mail", json=mail, headers=administrator.headers)
    assert sent.json() == {"msg": "Mail on its way"}
    reset = await app.client.post(
        f"{where}/mail", json={**mail, "mail": "password-reset"}, headers=administrator.headers
    )
    assert reset.status_code == 400
    async with app.resources.database.session() as session:
        found = (await session.execute(sa.select(outbox.c.kind, outbox.c.recipient))).all()
    assert found == [("confirm_email", ada.email)]

    confirmed = await app.client.post(f"{where}/confirm", json=WHY, headers=administrator.headers)

    assert confirmed.status_code == 200
    signed_in = await sign_in(app, ada)
    assert {event["kind"] for event in await events_of(app, signed_in)} == {
        "mail sent by an administrator",
        "confirmed by an administrator",
        "logged in",
    }
    twice = await app.client.post(f"{where}/confirm", json=WHY, headers=administrator.headers)
    assert twice.status_code == 400
    listed = (await app.client.get(where, headers=administrator.headers)).json()["mails"]
    assert [each["kind"] for each in listed] == ["confirm_email"]
    assert "token=" not in str(listed)

    again = [
        await app.client.post(f"{where}/mail", json={"mail": kind, **WHY}, headers=administrator.headers)
        for kind in ("password-reset", "confirmation")
    ]
    assert [answer.status_code for answer in again] == [200, 400], "open by now"
    async with app.resources.database.session() as session:
        latest = await session.scalars(sa.select(outbox.c.kind).order_by(outbox.c.id.desc()))
        assert latest.first() == "reset_password"


async def test_administrators_when_they_would_change_each_other_or_themselves_then_refused(
    app: Running, administrator: Person, make_person: MakePerson
) -> None:
    other = await make_person()
    async with app.resources.database.session() as session:
        await users.set_administrator(session, other.id, is_one=True)
        before = (await session.execute(sa.select(users_groups.c.user_id, users_groups.c.group_id))).all()
    for person in (other, administrator):
        for deed in ("close", "open", "confirm", "end-sessions"):
            answer = await app.client.post(
                f"/admin/users/{person.id}/{deed}", json=WHY, headers=administrator.headers
            )
            assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (
                403,
                "administrators-only",
            )
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.min(table.c.active))) == 1
        # Twice is once, and the groups of others stay.
        await users.set_administrator(session, other.id, is_one=True)
        after = (await session.execute(sa.select(users_groups.c.user_id, users_groups.c.group_id))).all()
        assert sorted(after) == sorted(before)
        await users.set_administrator(session, other.id, is_one=False)
    async with app.resources.database.session() as session:
        left = (await session.execute(sa.select(users_groups.c.user_id, users_groups.c.group_id))).all()
    assert sorted(set(before) - set(left)) == [(other.id, 1)]


async def test_person_when_deleted_then_nothing_can_be_done_and_nothing_of_theirs_is_left(
    app: Running, administrator: Person, make_person: MakePerson
) -> None:
    ada = await sign_in(app, await make_person())
    told = {"kind": "dataset", "subject": "61", "text": "It has names of patients."}
    assert (await app.client.post("/reports", json=told, headers=ada.headers)).status_code == 200
    await app.client.get(f"/admin/users/{ada.id}", headers=administrator.headers)
    exported = (await app.client.get("/export", headers=ada.headers)).json()
    assert [(each["kind"], each["text"]) for each in exported["reports"]] == [("dataset", told["text"])]
    await app.client.post("/delete", json={"password": ada.password}, headers=ada.headers)

    answer = await app.client.post(f"/admin/users/{ada.id}/open", json=WHY, headers=administrator.headers)
    story = await app.client.get(f"/admin/users/{ada.id}", headers=administrator.headers)

    assert answer.status_code == 400
    assert (story.json()["state"], story.json()["reports"]) == ("deleted", [])
    async with app.resources.database.session() as session:
        left = await session.scalar(
            sa.select(sa.func.count()).select_from(audit_events).where(audit_events.c.user_id == ada.id)
        )
    assert left == 0 or story.json()["events"][0]["kind"].startswith("looked at")
