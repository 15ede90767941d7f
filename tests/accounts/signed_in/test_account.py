import re

import pytest
import sqlalchemy as sa

from app.db.tables import revoked_tokens, users
from tests.conftest import Person, Running

PROTECTED = [("GET", "/verifytoken"), ("GET", "/profile"), ("GET", "/api-key"), ("POST", "/api-key")]


async def test_profile_when_signed_in_then_as_the_spa_reads_it(app: Running, person: Person) -> None:
    answer = await app.client.get("/profile", headers=person.headers)

    assert answer.status_code == 200
    assert answer.json() == {
        "username": person.email,
        "bio": "",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "email": person.email,
        "image": "",
        "id": person.id,
    }


@pytest.mark.every(3)
@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (None, ""),
        ("0000", ""),
        ("imgs/dev_data/ada/a.png", ""),
        ("img/community/misc/a.png", "{openml}img/community/misc/a.png"),
        ("https://x/y", "https://x/y"),
    ],
)
async def test_profile_when_row_was_made_elsewhere_then_no_null_and_an_absolute_picture(
    app: Running, person: Person, stored: str | None, shown: str
) -> None:
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).values(first_name=None, last_name=None, image=stored))

    profile = (await app.client.get("/profile", headers=person.headers)).json()

    assert (profile["first_name"], profile["last_name"], profile["image"]) == (
        "",
        "",
        shown.format(openml=app.resources.settings.openml_url),
    )


async def test_profile_when_texts_hold_quotes_and_accents_then_unchanged(
    app: Running, person: Person
) -> None:
    bio = 'Jos\u00e9 "Pepe" O\'Neill \\ 100 % <b>\n\tsecond line'
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).values(first_name="Jos\u00e9", bio=bio))

    profile = (await app.client.get("/profile", headers=person.headers)).json()

    assert (profile["first_name"], profile["bio"]) == ("Jos\u00e9", bio)


async def test_verifytoken_when_good_then_ok_and_the_flask_text(app: Running, person: Person) -> None:
    answer = await app.client.get("/verifytoken", headers=person.headers)

    assert (answer.status_code, answer.text) == (200, "token-valid")


@pytest.mark.every(5)
@pytest.mark.parametrize(("method", "path"), PROTECTED)
@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "Missing Authorization Header"),
        (
            "Basic YTpi",
            "Missing 'Bearer' type in 'Authorization' header. Expected 'Authorization: Bearer <JWT>'",
        ),
        ("Bearer ", "Bad Authorization header. Expected 'Authorization: Bearer <JWT>'"),
        ("Bearer null", "Not enough segments"),
    ],
)
async def test_protected_route_when_no_token_then_401_with_the_flask_text(
    app: Running, method: str, path: str, header: str | None, reason: str
) -> None:
    answer = await app.client.request(method, path, headers={"Authorization": header} if header else {})

    assert answer.status_code == 401
    assert answer.json()["msg"] == reason
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_api_key_when_renewed_then_random_hex_and_the_date_is_written(
    app: Running, person: Person
) -> None:
    before = await app.client.get("/api-key", headers=person.headers)
    renewed = await app.client.post("/api-key", json={"resetapikey": True}, headers=person.headers)
    after = await app.client.get("/api-key", headers=person.headers)

    assert before.json() == {"apikey": person.api_key}
    assert renewed.json()["msg"] == "API Key updated"
    assert re.fullmatch(r"[0-9a-f]{32}", renewed.json()["apikey"])
    assert after.json() == {"apikey": renewed.json()["apikey"]}
    assert after.json() != before.json()
    async with app.resources.database.session() as session:
        row = (await session.execute(sa.text("SELECT * FROM users"))).mappings().one()
    assert row.get("session_hash_date", "no such column there") is not None


async def test_logout_when_done_then_the_token_is_dead_and_others_live(app: Running, person: Person) -> None:
    other = {"Authorization": f"Bearer {app.resources.tokens.issue(person.id)[0]}"}

    answer = await app.client.post("/logout", json={"logout": "true"}, headers=person.headers)

    assert (answer.status_code, answer.json()) == (200, {"msg": "Successfully logged out"})
    refused = await app.client.get("/profile", headers=person.headers)
    assert (refused.status_code, refused.json()["msg"]) == (401, "Token has been revoked")
    assert (await app.client.get("/profile", headers=other)).status_code == 200
    again = await app.client.post("/logout", json={"logout": "true"}, headers=person.headers)
    assert again.status_code == 200


async def test_token_when_its_account_is_closed_or_gone_then_refused(app: Running, person: Person) -> None:
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).values(active=0))
    closed = await app.client.get("/profile", headers=person.headers)
    async with app.resources.database.session() as session:
        await session.execute(sa.delete(users))
    gone = await app.client.get("/profile", headers=person.headers)

    assert closed.status_code == gone.status_code == 401


async def test_denylist_when_token_would_have_ended_then_the_janitor_forgets_it(
    app: Running, person: Person
) -> None:
    from app.worker.janitor import forget_the_past

    await app.client.post("/logout", headers=person.headers)
    await forget_the_past(app.resources.database, audit_days=app.resources.settings.timings.audit_days)
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(revoked_tokens)) == 1
        await session.execute(sa.update(revoked_tokens).values(expires_at=sa.literal("2020-01-01 00:00:00")))
    await forget_the_past(app.resources.database, audit_days=app.resources.settings.timings.audit_days)
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(revoked_tokens)) == 0
