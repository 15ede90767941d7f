"""`POST /register` for clients that call it, and feedback to the team."""

import asyncio
from email import message_from_bytes, policy

import pytest
import sqlalchemy as sa

from app.core.settings import Settings
from app.db.tables import outbox, users
from tests.conftest import Person, Running, running
from tests.mailbox import link_in, mail_to

BOB = {
    "first_name": "Bob",
    "last_name": "Ross",
    "email": "bob@example.org",
    "password": "happy little accidents",
}
TEAM = "openmachinelearning@gmail.com"


async def test_register_when_new_then_201_and_a_link_that_works(app: Running) -> None:
    answer = await app.client.post("/register", json=BOB)

    assert answer.status_code == 201
    assert answer.json() == {
        "msg": "Account created successfully. Please check your email to confirm your account.",
        "username": "bob",
        "email": "bob@example.org",
    }
    link = link_in(await mail_to(app, BOB["email"]))
    assert (await app.client.post("/confirmation", json={"url": link})).status_code == 200
    login = await app.client.post("/login", json={"email": "bob", "password": BOB["password"]})
    assert "access_token" in login.json()


async def test_register_when_the_name_is_taken_then_another_is_made(app: Running) -> None:
    await app.client.post("/register", json=BOB)
    answer = await app.client.post("/register", json={**BOB, "email": "bob@example.com"})

    assert answer.status_code == 201
    assert answer.json()["username"].startswith("bob-")


@pytest.mark.parametrize("missing", ["first_name", "last_name", "email", "password"])
async def test_register_when_a_field_is_missing_then_400_names_it(app: Running, missing: str) -> None:
    for value in ({}, {missing: ""}, {missing: None}):
        body = {name: text for name, text in BOB.items() if name != missing} | value
        answer = await app.client.post("/register", json=body)
        assert (answer.status_code, answer.json()["msg"]) == (400, f"{missing} is required")


async def test_register_when_address_is_taken_then_400(app: Running, person: Person) -> None:
    answer = await app.client.post("/register", json={**BOB, "email": person.email.upper()})

    assert (answer.status_code, answer.json()["msg"]) == (400, "Email already registered")


async def test_signup_when_accounts_are_hidden_then_taken_looks_like_new_and_the_owner_is_told(
    settings: Settings,
) -> None:
    async with running(settings.model_copy(update={"signup_hides_accounts": True})) as app:
        first = await app.client.post("/signup", json=BOB)
        second = await app.client.post("/signup", json=BOB)
        third = await app.client.post("/register", json=BOB)
        message = await mail_to(app, BOB["email"], subject="already")
        async with app.resources.database.session() as session:
            assert await session.scalar(sa.select(sa.func.count()).select_from(users)) == 1

    assert first.json() == second.json() == {"msg": "User created"}
    assert third.status_code == 201
    body = message.get_body(("plain",))
    assert body is not None
    assert "/auth/sign-in" in body.get_content()


async def test_feedback_when_sent_then_reaches_the_team_with_a_way_to_answer(app: Running) -> None:
    text = "Grüße aus Köln 🎉\nvierte Zeile: 数据"
    answer = await app.client.post("/feedback", json={"email": "ada@example.org", "feedback": text})

    assert (answer.status_code, answer.json()) == (200, {"msg": "Email sent"})
    message = await mail_to(app, TEAM)
    assert message["Reply-To"] == "ada@example.org"
    assert message["From"] == "OpenML <openml@localhost>", "never the visitor"
    body = message.get_body(("plain",))
    html = message.get_body(("html",))
    assert body is not None
    assert html is not None
    assert text in body.get_content().replace("\r\n", "\n")
    assert "Köln 🎉" in html.get_content()


async def test_feedback_when_no_address_is_given_then_sent_without_reply_to(app: Running) -> None:
    for body in ({"email": "", "feedback": "one"}, {"feedback": "two"}):
        assert (await app.client.post("/feedback", json=body)).status_code == 200
    assert (await mail_to(app, TEAM))["Reply-To"] is None


@pytest.mark.parametrize(
    "address",
    [
        "a@x.org\nBcc: victim@example.org",
        "a@x.org\r\nX-Evil: 1",
        "a@x.org, b@y.org",
        "<script>@x",
        "a@x\x00.org",
    ],
)
async def test_feedback_when_address_would_forge_headers_then_refused(app: Running, address: str) -> None:
    answer = await app.client.post("/feedback", json={"email": address, "feedback": "h"})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "email"


async def test_feedback_when_text_looks_like_headers_or_html_then_it_is_text(app: Running) -> None:
    text = "Bcc: victim@example.org\r\nSubject: owned\r\n\r\n<script>alert(1)</script>\r\n.\r\nQUIT"
    await app.client.post("/feedback", json={"email": "", "feedback": text})

    message = await mail_to(app, TEAM)
    assert message["Bcc"] is None
    assert message["Subject"] == "OpenML website feedback"
    html = message.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()


@pytest.mark.parametrize("feedback", ["", "   ", "x" * 10_001, None, 5])
async def test_feedback_when_text_is_missing_or_endless_then_422(app: Running, feedback: object) -> None:
    answer = await app.client.post("/feedback", json={"email": "", "feedback": feedback})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "feedback"


async def test_mail_when_written_then_text_html_and_automatic_headers(app: Running) -> None:
    await app.client.post("/signup", json=BOB)
    message = await mail_to(app, BOB["email"])

    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Id"]
    assert message["Date"]
    assert message["Message-ID"]
    link = link_in(message)
    html = message.get_body(("html",))
    assert html is not None
    assert link in html.get_content()
    folder = app.resources.settings.data_dir / "mail"
    raw = await asyncio.to_thread(next(folder.glob("*bob@example.org.eml")).read_bytes)
    assert link.encode() in raw, "whole in the raw mail: no soft line break cuts it"
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert message_from_bytes(raw, policy=policy.default).defects == []


async def test_outbox_when_the_mail_is_feedback_then_its_text_is_forgotten_once_sent(app: Running) -> None:
    await app.client.post("/feedback", json={"email": "ada@example.org", "feedback": "a private matter"})
    await mail_to(app, TEAM)
    async with app.resources.database.session() as session:
        rows = repr((await session.execute(sa.select(outbox))).all())
    assert "a private matter" not in rows or "pending" in rows
