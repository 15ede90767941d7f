"""API tokens from their making to their end, and whoever gets hold of one."""

import asyncio
import sqlite3
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.accounts.api_tokens import MOST_TOKENS, tell_of_ends
from app.accounts.audit import AT_COMMAND_LINE
from app.accounts.lifecycle import activate, deactivate
from app.core.api_tokens import digest_of, new_token
from app.core.settings import Settings
from app.db.api_tokens import add_token
from app.db.reader import SQLiteReader
from app.db.tables import metadata, outbox
from app.db.token_tables import api_tokens
from app.worker.janitor import TOKEN_RETENTION, forget_the_past
from tests.accounts.tokens.conftest import MakeToken, bearer, make_token_for
from tests.admin.conftest import sign_in
from tests.conftest import Person, Running, grow_stale, insert_person, running, serving
from tests.mailbox import link_in, mail_to
from tests.uploads.test_data_upload import form

ONLY_SQLITE = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


async def change(app: Running, **values: Any) -> None:
    async with app.resources.database.session() as session:
        await session.execute(sa.update(api_tokens).values(values))


async def works(app: Running, token: str) -> bool:
    return (await app.client.get("/uploads", headers=bearer(token))).status_code == 200


async def refusal(app: Running, token: str) -> str:
    answer = await app.client.get("/uploads", headers=bearer(token))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="openml", error="invalid_token"'
    return str(answer.json()["detail"])


async def listed(app: Running, owner: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await app.client.get("/tokens", headers=owner.headers)).json()["tokens"]
    return found


async def kinds(app: Running, owner: Person) -> list[str]:
    events = (await app.client.get("/audit", headers=owner.headers)).json()["events"]
    return [event["kind"] for event in events]


async def revoke_found(app: Running, token: str) -> httpx.Response:
    return await app.client.post("/tokens/revoke", data={"token": token})


async def test_token_when_made_then_shown_once_told_by_mail_and_only_its_digest_is_kept(
    app: Running, owner: Person, make_token: MakeToken
) -> None:
    made = await make_token(owner, "upload", "read", name="river pipeline")
    token = made["token"]

    assert (made["scopes"], made["expired"], made["last_used_at"]) == (["read", "upload"], False, None)
    (shown,) = await listed(app, owner)
    assert shown == {name: value for name, value in made.items() if name != "token"}
    assert await works(app, token)
    mail = await mail_to(app, owner.email, subject="new API token")
    text = str(mail.get_body(("plain",)))
    assert "river pipeline" in text
    assert token not in text
    assert "API token created" in await kinds(app, owner)
    async with app.resources.database.session() as session:
        for table in metadata.sorted_tables:
            assert token not in str((await session.execute(sa.select(table))).all()), table.name
        assert await session.scalar(sa.select(api_tokens.c.digest)) == digest_of(token)


async def test_token_when_asked_for_with_an_old_session_then_the_password_is_needed_and_none_is_made(
    app: Running, owner: Person, make_token: MakeToken
) -> None:
    made = await make_token(owner, "read")
    await grow_stale(app)

    wanted = {"name": "thief", "scopes": ["upload"]}
    for answer in (
        await app.client.post("/tokens", json=wanted, headers=owner.headers),
        await app.client.delete(f"/tokens/{made['id']}", headers=owner.headers),
    ):
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (403, "password-needed")
    assert len(await listed(app, owner)) == 1
    assert await works(app, made["token"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"expires_in_days": 366}, "expires_in_days"),
        ({"expires_in_days": None}, "expires_in_days"),
        ({"expires_in_days": 0}, "expires_in_days"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes.0"),
        ({"name": " "}, "name"),
        ({"name": "a\u202eb"}, "name"),
    ],
)
@ONLY_SQLITE
async def test_token_when_it_would_be_more_than_anybody_may_have_then_the_field_is_named(
    app: Running, owner: Person, changes: dict[str, Any], field: str
) -> None:
    wanted = {"name": "pipeline", "scopes": ["read"], **changes}
    answer = await app.client.post("/tokens", json=wanted, headers=owner.headers)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@ONLY_SQLITE
async def test_token_when_the_site_allows_it_then_without_an_end(
    settings: Settings, password_hash: str
) -> None:
    allowing = settings.model_copy(update={"timings": settings.timings.but(api_token_days=0)})
    async with running(allowing) as app:
        owner = await insert_person(app, password_hash)
        wanted = {"name": "pipeline", "scopes": ["read"], "expires_in_days": None}
        made = (await app.client.post("/tokens", json=wanted, headers=owner.headers)).json()

        assert made["expires_at"] is None
        assert await works(app, made["token"])


@ONLY_SQLITE
async def test_token_when_there_are_as_many_as_anybody_may_have_then_one_must_go_first(
    app: Running, owner: Person, make_token: MakeToken
) -> None:
    now = app.resources.database.now()
    async with app.resources.database.session() as session:
        for _ in range(MOST_TOKENS - 1):
            await add_token(
                session,
                user_id=owner.id,
                name="old",
                digest=digest_of(new_token()),
                scopes="read",
                now=now,
                expires_at=now,
            )
    last = await make_token(owner, "read")

    wanted = {"name": "one more", "scopes": ["read"]}
    refused = await app.client.post("/tokens", json=wanted, headers=owner.headers)
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (409, "account-limit")
    await app.client.delete(f"/tokens/{last['id']}", headers=owner.headers)
    assert (await app.client.post("/tokens", json=wanted, headers=owner.headers)).status_code == 201


async def test_token_when_expired_then_refused_shown_for_a_while_and_forgotten(
    app: Running, owner: Person, make_token: MakeToken
) -> None:
    token = (await make_token(owner, "read"))["token"]
    now = app.resources.database.now()

    await change(app, expires_at=now)
    assert "has expired" in await refusal(app, token)
    assert [shown["expired"] for shown in await listed(app, owner)] == [True]
    await forget_the_past(app.resources.database, audit_days=365)
    assert len(await listed(app, owner)) == 1
    await change(app, expires_at=now - TOKEN_RETENTION)
    await forget_the_past(app.resources.database, audit_days=365)
    assert await listed(app, owner) == []


async def test_token_when_it_ends_soon_then_its_owner_is_told_a_week_and_a_day_before_once_each(
    app: Running, owner: Person, make_token: MakeToken
) -> None:
    database = app.resources.database
    await make_token(owner, "read", name="nightly", expires_in_days=90)

    async def told() -> int:
        await asyncio.gather(*(tell_of_ends(database) for _ in range(3)))
        async with database.session() as session:
            mails = sa.select(sa.func.count()).where(outbox.c.kind == "api_token_ends")
            return await session.scalar(mails) or 0

    assert await told() == 0
    for days, count in ((8, 0), (6.5, 1), (2, 1), (0.9, 2), (0.1, 2), (-1, 2)):
        await change(app, expires_at=database.now() + timedelta(days=days))
        assert await told() == count, days
    mail = await mail_to(app, owner.email, subject="ends soon")
    body = mail.get_body(("plain",))
    assert body is not None
    assert "nightly" in body.get_content()
    assert "It was never used." in body.get_content()


async def test_token_when_it_was_made_for_a_week_then_its_owner_is_told_a_day_before_only(
    app: Running, owner: Person, make_token: MakeToken
) -> None:
    made = [await make_token(owner, "read", name=str(days), expires_in_days=days) for days in (1, 7, 8)]

    async with app.resources.database.session() as session:
        rows = await session.execute(sa.select(api_tokens.c.id, api_tokens.c.told_days))
    assert {row[0]: row[1] for row in rows} == {
        each["id"]: told for each, told in zip(made, (1, 7, None), strict=True)
    }


@ONLY_SQLITE
async def test_token_when_mistyped_then_refused_without_a_query_and_a_good_one_costs_a_single_read(
    app: Running, owner: Person, make_token: MakeToken
) -> None:
    token = (await make_token(owner, "account"))["token"]
    await app.client.get("/profile", headers=bearer(token))
    reader = app.resources.database.reader
    assert isinstance(reader, SQLiteReader)
    statements: list[str] = []
    connection: sqlite3.Connection = reader._own  # where every such read goes
    connection.set_trace_callback(statements.append)

    for wrong in (token[:-1] + ("a" if token[-1] != "a" else "b"), "openml_", token[:-1], token + "0"):
        assert "last characters do not fit" in await refusal(app, wrong)
    assert statements == []

    assert "revoked, or is none" in await refusal(app, new_token())
    assert len(statements) == 1
    assert (await app.client.get("/profile", headers=bearer(token))).status_code == 200
    assert len(statements) == 2
    connection.set_trace_callback(None)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statements[1]}").fetchall()
    assert not [step for step in plan if "SCAN" in step[-1]], plan
    assert "SEARCH api_tokens USING INDEX" in str(plan)


async def test_token_when_used_then_when_and_where_is_noted_once_in_a_while(
    app: Running, owner: Person, make_token: MakeToken
) -> None:
    token = (await make_token(owner, "read"))["token"]
    await works(app, token)
    (first,) = await listed(app, owner)
    assert first["last_network"] == "127.0.0.1"

    await works(app, token)
    assert await listed(app, owner) == [first], "a second request within minutes writes nothing"

    long_ago = app.resources.database.now() - timedelta(minutes=6)
    await change(app, last_used_at=long_ago, last_network="192.0.2.1")
    await works(app, token)
    (later,) = await listed(app, owner)
    assert later["last_used_at"] > first["last_used_at"]
    assert later["last_network"] == "127.0.0.1"


async def test_token_when_revoked_in_one_process_then_refused_in_another_at_once_and_nobody_elses(
    settings: Settings, password_hash: str
) -> None:
    async with serving(settings) as app, serving(settings) as other:
        owner, stranger = [await insert_person(app, password_hash) for _ in range(2)]
        made, kept = await make_token_for(app, owner, "read"), await make_token_for(app, owner, "read")
        assert await works(other, made["token"])

        by_stranger = await app.client.delete(f"/tokens/{made['id']}", headers=stranger.headers)
        assert (by_stranger.status_code, await works(other, made["token"])) == (404, True)
        done = await app.client.delete(f"/tokens/{made['id']}", headers=owner.headers)

        assert done.status_code == 200
        assert "revoked" in await refusal(other, made["token"])
        assert await works(other, kept["token"])
        again = await app.client.delete(f"/tokens/{made['id']}", headers=owner.headers)
        assert again.status_code == 404
        assert "API token revoked" in await kinds(app, owner)


async def test_token_when_somebody_finds_it_then_they_can_end_it_and_its_owner_learns_from_where(
    app: Running, owner: Person, make_token: MakeToken
) -> None:
    made, kept = await make_token(owner, "upload", name="in a notebook"), await make_token(owner, "read")

    found = await revoke_found(app, made["token"])

    assert (found.status_code, found.content) == (200, b"")
    assert "revoked" in await refusal(app, made["token"])
    assert await works(app, kept["token"])
    mail = await mail_to(app, owner.email, subject="was revoked by somebody")
    text = str(mail.get_body(("plain",)))
    assert "in a notebook" in text
    assert "127.0.0.1" in text
    for nothing in (made["token"], new_token(), "openml_none"):
        answer = await revoke_found(app, nothing)
        assert (answer.status_code, answer.content) == (found.status_code, found.content)
        assert answer.headers.keys() == found.headers.keys()
    assert (await kinds(app, owner)).count("API token revoked by somebody who had it") == 1


@ONLY_SQLITE
async def test_revocation_when_it_is_another_kind_of_secret_then_where_that_ends(
    app: Running, owner: Person
) -> None:
    for secret in (owner.token, owner.api_key):
        answer = await revoke_found(app, secret)
        assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_token_type")
        assert secret not in answer.text
    assert (await app.client.get("/profile", headers=owner.headers)).status_code == 200
    assert (await app.client.post("/tokens/revoke")).json()["error"] == "invalid_request"


@ONLY_SQLITE
async def test_revocation_when_tried_very_often_from_one_place_then_slowed(app: Running) -> None:
    answers = [await revoke_found(app, new_token()) for _ in range(61)]

    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert answers[-1].json()["error"] == "temporarily_unavailable"


async def test_tokens_when_the_account_changes_then_they_end_where_somebody_else_may_have_made_them(
    app: Running, owner: Person, make_token: MakeToken
) -> None:
    first = (await make_token(owner, "read"))["token"]
    await app.client.delete("/sessions", headers=owner.headers)
    assert await works(app, first), "programs go on when people sign out"

    await app.client.post("/forgotpassword", json={"email": owner.email})
    link = link_in(await mail_to(app, owner.email, subject="Reset"))
    await app.client.post("/resetpassword", json={"url": link, "password": owner.password})
    assert "revoked" in await refusal(app, first)
    told = str((await mail_to(app, owner.email, subject="password was changed")).get_body(("plain",)))
    assert "API tokens and trusted publishers (1 in all) were removed" in told

    again = await sign_in(app, owner)
    second = (await make_token(again, "read"))["token"]
    async with app.resources.database.session() as session:
        await deactivate(session, owner.id, AT_COMMAND_LINE)
    assert not await works(app, second)
    async with app.resources.database.session() as session:
        await activate(session, owner.id, AT_COMMAND_LINE)
    assert "revoked" in await refusal(app, second), "an account that is opened again has no tokens"


async def test_token_when_its_account_is_closed_by_another_server_then_refused(
    app: Running, owner: Person, make_token: MakeToken
) -> None:
    token = (await make_token(owner, "read"))["token"]
    async with app.resources.database.session() as session:
        await session.execute(sa.update(metadata.tables["users"]).values(active=0))

    assert "not active" in await refusal(app, token)


async def test_account_when_exported_and_deleted_then_its_tokens_are_in_it_and_gone(
    app: Running, owner: Person, make_token: MakeToken
) -> None:
    token = (await make_token(owner, "read", name="exported"))["token"]

    export = await app.client.get("/export", headers=owner.headers)
    assert [each["name"] for each in export.json()["api_tokens"]] == ["exported"]
    assert token not in export.text
    assert digest_of(token) not in export.text
    await app.client.post("/delete", json={"password": owner.password}, headers=owner.headers)

    assert "revoked" in await refusal(app, token)
    async with app.resources.database.session() as session:
        assert (await session.execute(sa.select(api_tokens))).all() == []


@ONLY_SQLITE
async def test_upload_when_sent_with_a_token_then_published_with_its_owners_key(
    app: Running, owner: Person, make_token: MakeToken
) -> None:
    token = (await make_token(owner, "upload"))["token"]

    answer = await app.client.post("/data-upload", files=form(), headers=bearer(token))

    assert answer.status_code == 200, answer.text
    shown = await app.client.get(f"/uploads/{answer.json()['upload_id']}", headers=owner.headers)
    assert shown.json()["dataset_id"] == answer.json()["id"]
