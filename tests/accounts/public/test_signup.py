import asyncio
import re

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from app.db.tables import account_tokens, outbox, users, users_groups
from tests.conftest import Person, Running, eventually
from tests.mailbox import link_in, mail_to

ADA = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.org",
    "password": "seven rivers flow north",
}


async def test_signup_when_new_then_row_as_the_real_server_has_it(app: Running) -> None:
    answer = await app.client.post("/signup", json=ADA)

    assert (answer.status_code, answer.json()) == (200, {"msg": "User created"})
    async with app.resources.database.session() as session:
        row = (await session.execute(sa.text("SELECT * FROM users"))).mappings().one()
    assert row["username"] == row["email"] == "ada@example.org"
    assert row["password"].startswith("$argon2id$")
    assert row["active"] == 0
    assert row["core"] == "false"
    assert row["created_on"] > 1_700_000_000
    assert re.fullmatch(r"[0-9a-f]{32}", row["session_hash"])
    unused = [
        "activation_selector",
        "activation_code",
        "forgotten_password_selector",
        "forgotten_password_code",
    ]
    assert [row[name] for name in [*unused, "remember_selector", "remember_code"]] == [None] * 6


async def test_signup_when_mail_arrives_then_its_link_confirms_once_and_tolerates_twice(app: Running) -> None:
    await app.client.post("/signup", json=ADA)
    message = await mail_to(app, "ada@example.org")
    link = link_in(message)

    assert message["To"] == "ada@example.org"
    assert message["Date"]
    assert message["Message-ID"]
    assert link.startswith(f"{app.resources.settings.site_url}/auth/confirm-page/?token=")

    login = {"email": ADA["email"], "password": ADA["password"]}
    assert (await app.client.post("/login", json=login)).json() == {"msg": "NotConfirmed"}

    first, second = [await app.client.post("/confirmation", json={"url": link}) for _ in range(2)]
    assert (first.status_code, first.json()) == (200, {"msg": "User confirmed"})
    assert second.status_code == 200
    assert "access_token" in (await app.client.post("/login", json=login)).json()
    async with app.resources.database.session() as session:
        groups = (await session.execute(sa.select(users_groups.c.group_id))).scalars().all()
    assert groups == [2]


BROWSER = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
"""What every browser says of a request of a page's."""
LOGIN = {"email": ADA["email"], "password": ADA["password"]}


async def test_signup_when_confirmed_in_the_same_browser_then_its_password_opens_the_account(
    app: Running,
) -> None:
    signed_up = await app.client.post("/signup", json=ADA, headers=BROWSER)
    (cookie,) = signed_up.headers.get_list("set-cookie")
    for words in ("openml-sign-up=", "HttpOnly", "Path=/;", "SameSite=strict", "Max-Age=172800"):
        assert words in cookie
    link = link_in(await mail_to(app, "ada@example.org"))

    answer = await app.client.post("/confirmation", json={"url": link}, headers=BROWSER)

    assert answer.json() == {"msg": "User confirmed"}
    assert "access_token" in (await app.client.post("/login", json=LOGIN)).json()


@pytest.mark.parametrize("way", ["page", "form"])
async def test_signup_when_its_owner_confirms_in_another_browser_then_the_password_of_whoever_signed_up_opens_nothing(
    app: Running, way: str
) -> None:
    """Pre-hijacking: an attacker signs up with the victim's address, and waits for the victim to open the link."""
    await app.client.post("/signup", json=ADA)
    link = link_in(await mail_to(app, "ada@example.org"))
    app.client.cookies.clear()

    if way == "page":
        confirmed = await app.client.post("/confirmation", json={"url": link}, headers=BROWSER)
        choose = confirmed.json()["choose_password"]
        again = await app.client.post("/confirmation", json={"url": link}, headers=BROWSER)
        assert again.json() == {"msg": "User confirmed"}, "the frontend asks twice"
    else:
        form = {"token": link.partition("token=")[2]}
        confirmed = await app.client.post("/auth/confirm-page/", data=form, headers=BROWSER)
        assert "Choose a password" in confirmed.text
        choose = link_in(await mail_to(app, "ada@example.org", subject="Choose"))
        assert choose in confirmed.text

    assert confirmed.status_code == 200
    assert (await app.client.post("/login", json=LOGIN)).json() == {"msg": "Wrong username or password"}
    assert choose == link_in(await mail_to(app, "ada@example.org", subject="Choose"))
    owners = {"url": choose, "password": "nine clouds drift west"}
    assert (await app.client.post("/resetpassword", json=owners)).is_success
    assert "access_token" in (await app.client.post("/login", json={**LOGIN, **owners})).json()


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
async def test_signup_when_its_frontend_is_on_another_site_then_its_password_counts(
    app: Running, site: str
) -> None:
    await app.client.post("/signup", json=ADA)
    link = link_in(await mail_to(app, "ada@example.org"))
    app.client.cookies.clear()

    answer = await app.client.post("/confirmation", json={"url": link}, headers={"Sec-Fetch-Site": site})

    assert answer.json() == {"msg": "User confirmed"}
    assert "access_token" in (await app.client.post("/login", json=LOGIN)).json()


async def test_signup_when_its_owner_has_chosen_a_password_by_mail_before_then_that_one_stays(
    app: Running,
) -> None:
    await app.client.post("/signup", json=ADA)
    link = link_in(await mail_to(app, "ada@example.org"))
    app.client.cookies.clear()
    await app.client.post("/forgotpassword", json={"email": ADA["email"]})
    reset = link_in(await mail_to(app, "ada@example.org", subject="Reset"))
    owners = {"url": reset, "password": "nine clouds drift west"}
    assert (await app.client.post("/resetpassword", json=owners)).is_success
    await app.client.post("/send-confirmation-token", json={"email": ADA["email"]})

    async def newer() -> str | None:
        found = link_in(await mail_to(app, "ada@example.org", subject="Welcome"))
        return found if found != link else None

    answer = await app.client.post("/confirmation", json={"url": await eventually(newer)}, headers=BROWSER)

    assert answer.json() == {"msg": "User confirmed"}
    assert "access_token" in (await app.client.post("/login", json={**LOGIN, **owners})).json()


async def test_confirmation_when_token_was_used_and_account_closed_since_then_refused(app: Running) -> None:
    await app.client.post("/signup", json=ADA)
    link = link_in(await mail_to(app, "ada@example.org"))
    await app.client.post("/confirmation", json={"url": link})
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).values(active=0))

    answer = await app.client.post("/confirmation", json={"url": link})

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_confirmation_when_token_is_too_old_then_refused(app: Running) -> None:
    await app.client.post("/signup", json=ADA)
    link = link_in(await mail_to(app, "ada@example.org"))

    async def grows_old() -> bool | None:
        try:
            async with app.resources.database.session() as session:
                await session.execute(
                    sa.update(account_tokens).values(expires_at=account_tokens.c.created_at)
                )
        except OperationalError:
            return None  # MySQL saw a deadlock: the janitor looks at the same row in this moment.
        return True

    await eventually(grows_old)
    assert (await app.client.post("/confirmation", json={"url": link})).status_code == 400


async def test_confirmation_when_token_is_none_that_we_made_then_refused(app: Running) -> None:
    await app.client.post("/signup", json=ADA)
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).values(activation_code="0000"))

    for url in [
        "",
        "?token=",
        "?token=0000",
        "?token=passkey_pending",
        "?token=a&token=b",
        "http://[",
        "?x=1",
    ]:
        answer = await app.client.post("/confirmation", json={"url": url})
        assert answer.status_code == 400, url
        assert answer.json()["type"] == "https://openml.org/problems/link-not-valid"


async def test_token_when_stored_then_only_its_digest_and_no_trace_in_the_sent_mail(app: Running) -> None:
    await app.client.post("/signup", json=ADA)
    token = link_in(await mail_to(app, "ada@example.org")).partition("token=")[2]

    async def sent() -> bool | None:
        async with app.resources.database.session() as session:
            return (await session.scalar(sa.select(outbox.c.state))) == "sent" or None

    await eventually(sent)
    async with app.resources.database.session() as session:
        everything = [
            repr((await session.execute(sa.text(f"SELECT * FROM {table}"))).all())
            for table in ("users", "account_tokens", "outbox")
        ]
    assert token not in "".join(everything)


async def test_signup_when_address_is_taken_in_any_spelling_then_user_already_exists(
    app: Running, person: Person
) -> None:
    for address in [person.email, person.email.upper(), f" {person.email} "]:
        answer = await app.client.post("/signup", json={**ADA, "email": address})
        assert (answer.status_code, answer.json()) == (200, {"msg": "User already exists"}), address


async def test_signup_when_ten_come_at_once_for_one_address_then_one_account(app: Running) -> None:
    answers = await asyncio.gather(*(app.client.post("/signup", json=ADA) for _ in range(10)))

    texts = sorted(answer.json()["msg"] for answer in answers)
    assert texts == ["User already exists"] * 9 + ["User created"]
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(users)) == 1
        assert await session.scalar(sa.select(sa.func.count()).select_from(outbox)) == 1


async def test_signup_when_many_come_in_one_second_then_each_has_a_key_of_its_own(app: Running) -> None:
    people = [{**ADA, "email": f"person{number}@example.org"} for number in range(10)]
    answers = await asyncio.gather(*(app.client.post("/signup", json=person) for person in people))

    assert {answer.json()["msg"] for answer in answers} == {"User created"}
    async with app.resources.database.session() as session:
        keys = (await session.scalars(sa.select(users.c.session_hash))).all()
    assert len(set(keys)) == 10


async def test_signup_when_fields_are_wrong_then_each_is_named_and_no_value_repeated(app: Running) -> None:
    answer = await app.client.post(
        "/signup",
        json={"first_name": "", "last_name": "x" * 51, "email": "not an address", "password": 12345678},
    )

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {error["field"] for error in answer.json()["errors"]} == {
        "first_name",
        "last_name",
        "email",
        "password",
    }
    assert "12345678" not in answer.text


async def test_signup_when_password_is_short_then_the_problem_says_how_long(app: Running) -> None:
    answer = await app.client.post("/signup", json={**ADA, "password": "seven77"})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "password", "message": "Choose a password of at least 8 characters."}
    ]


async def test_signup_when_the_address_is_not_ascii_before_the_at_then_the_problem_says_what_may_stand_there(
    app: Running,
) -> None:
    answer = await app.client.post("/signup", json={**ADA, "email": "łukasz@żółw.example"})

    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "email"
    assert error["message"].startswith("Give an address that has only a-z")


async def test_signup_when_body_is_no_json_then_problem(app: Running) -> None:
    answer = await app.client.post("/signup", content=b"{", headers={"content-type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["msg"] == "The body is not valid JSON."


async def test_signup_when_body_is_huge_then_413(app: Running) -> None:
    answer = await app.client.post("/signup", json={**ADA, "first_name": "x" * 2_000_000})

    assert answer.status_code == 413
    assert answer.json()["type"] == "https://openml.org/problems/body-too-large"


async def test_password_when_typed_in_another_unicode_form_then_the_same(app: Running) -> None:
    await app.client.post("/signup", json={**ADA, "password": "cafe\u0301 cafe\u0301"})
    async with app.resources.database.session() as session:
        await session.execute(sa.update(users).values(active=1))

    answer = await app.client.post("/login", json={"email": ADA["email"], "password": "caf\u00e9 caf\u00e9"})

    assert "access_token" in answer.json()


@pytest.mark.parametrize(
    "name", ["=?us-ascii?q?a=0d=0aBcc=3Ax=40y.example?=", "=?utf-8?b?bWFsbG9yeUBldmlsLmV4YW1wbGUs?=", "a=?b"]
)
async def test_address_when_a_mail_header_would_hold_another_one_then_422_on_every_road(
    app: Running, person: Person, name: str
) -> None:
    email = f"{name}@example.org"
    profile = {"first_name": "Ada", "last_name": "Lovelace", "bio": "", "email": email}

    answers = [
        await app.client.post("/signup", json={**ADA, "email": email}),
        await app.client.post("/register", json={**ADA, "email": email}),
        await app.client.post("/profile", json=profile, headers=person.headers),
        await app.client.post("/feedback", json={"email": email, "feedback": "Hello"}),
    ]

    assert [answer.status_code for answer in answers] == [422] * 4
    assert all("=?" in answer.text for answer in answers)
