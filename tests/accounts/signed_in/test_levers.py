"""No limit is a lever: what one client uses up is not everybody's, and guesses count wherever they are made."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from app.core.settings import Settings
from app.db.tables import audit_events, users
from tests.conftest import PASSWORD, Running, eventually, running
from tests.mailbox import mail_to

MALLORY = "2001:db8:bad:{:x}::1"
"""An address in one of the 65 536 networks of a /48."""
HOME = "203.0.113.9"


def limited(settings: Settings, *limits: str) -> Settings:
    changed = settings.model_copy(update={"rate_limits": limits})
    # What is validated becomes networks, which a copy would not.
    return Settings(_env_file=None, **{**changed.model_dump(), "trusted_proxies": "127.0.0.1"})


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Running]:
    limits = ("mail-everybody=16/1 hour", "mail-account=2/1 hour", "signup-everybody=16/1 hour")
    async with running(limited(settings, *limits)) as found:
        yield found


async def post(app: Running, path: str, body: dict[str, Any], *, origin: str) -> Any:
    return await app.client.post(path, json=body, headers={"X-Forwarded-For": origin})


def somebody(name: str) -> dict[str, str]:
    return {"first_name": "A", "last_name": "B", "email": f"{name}@example.org", "password": PASSWORD}


@pytest.mark.long
async def test_mails_when_one_client_asks_for_all_there_are_then_others_still_get_theirs(
    site: Running,
) -> None:
    for number in range(40):
        await post(site, "/forgotpassword", {"email": "nobody@example.org"}, origin=MALLORY.format(number))
    await post(site, "/signup", somebody("victim"), origin=HOME)
    for number in range(40):
        await post(
            site, "/send-confirmation-token", {"email": "victim@example.org"}, origin=MALLORY.format(number)
        )
    await post(site, "/signup", somebody("ada"), origin=HOME)
    await mail_to(site, "ada@example.org")

    await post(site, "/send-confirmation-token", {"email": "ada@example.org"}, origin=HOME)

    async def second() -> bool | None:
        folder = site.resources.settings.data_dir / "mail"
        found = await asyncio.to_thread(lambda: list(folder.glob("*ada@example.org.eml")))
        return True if len(found) >= 2 else None

    assert await eventually(second)


async def test_signups_when_one_client_makes_all_there_are_then_others_still_can(site: Running) -> None:
    made = [
        (await post(site, "/signup", somebody(f"m{n}"), origin=MALLORY.format(n))).status_code
        for n in range(30)
    ]
    ada = await post(site, "/signup", somebody("ada"), origin=HOME)

    assert made.count(200) <= 8 + 5
    assert 429 in made
    assert ada.json() == {"msg": "User created"}


async def test_passwords_when_sprayed_over_accounts_and_workers_then_one_network_stops_at_the_limit(
    settings: Settings,
) -> None:
    limits = ("wrong-password-address=6/1 hour", "login-address=1000/1 minute")
    answers = []
    for worker in range(2):
        async with running(limited(settings, *limits)) as site:
            for number in range(5):
                body = {"email": f"person{worker}{number}@example.org", "password": "Summer2026!"}
                answers.append((await post(site, "/login", body, origin="198.51.100.7")).status_code)
            other = {"email": "ada@example.org", "password": "Summer2026!"}
            elsewhere = await post(site, "/login", other, origin=f"198.51.100.{100 + worker}")
            assert elsewhere.status_code == 200

    assert answers == [200] * 6 + [429] * 4, "the second worker knows what the first has counted"


async def test_owner_when_others_guess_then_gets_in_from_any_address_of_the_networks_that_are_theirs(
    settings: Settings,
) -> None:
    limits = ("wrong-password-account=5/1 hour", "wrong-password-address=1000/1 hour")
    async with running(limited(settings, *limits)) as site:
        await post(site, "/signup", somebody("ada"), origin="2001:db8:1:2::1")
        async with site.resources.database.session() as session:
            await session.execute(sa.update(users).values(active=1))
        login = {"email": "ada@example.org", "password": PASSWORD}
        assert "access_token" in (await post(site, "/login", login, origin="2001:db8:1:2::1")).json()
        guesses = [
            await post(site, "/login", {**login, "password": "wrong"}, origin=f"198.51.100.{n}")
            for n in range(10)
        ]

        from_home = await post(site, "/login", login, origin="2001:db8:1:2:abcd::99")
        from_elsewhere = await post(site, "/login", login, origin="2001:db8:1:3::1")

    assert [answer.status_code for answer in guesses][-1] == 429
    assert "access_token" in from_home.json(), "another address of the same household"
    assert from_elsewhere.status_code == 429


async def test_guesses_when_a_name_is_spelled_in_many_ways_then_they_count_for_one_account(
    settings: Settings,
) -> None:
    limits = ("wrong-password-account=5/1 hour", "login-account-address=1000/1 minute")
    async with running(limited(settings, *limits)) as site:
        body = somebody("ada") | {"email": "ada@xn--bcher-kva.example"}
        await post(site, "/signup", body, origin=HOME)
        spelled = [
            "ada@xn--bcher-kva.example",
            "ADA@XN--BCHER-KVA.EXAMPLE",
            "ada@bücher.example",
            "Ada@Bücher.example",
        ]
        answers = [
            (
                await post(
                    site,
                    "/login",
                    {"email": spelled[n % len(spelled)], "password": "wrong"},
                    origin=f"198.51.100.{n}",
                )
            ).status_code
            for n in range(8)
        ]

    assert answers == [200] * 5 + [429] * 3


async def test_password_when_asked_for_again_then_guesses_count_for_the_account_wherever_they_come_from(
    settings: Settings,
) -> None:
    limits = ("wrong-password-again=4/1 hour",)
    async with running(limited(settings, *limits)) as site:
        await post(site, "/signup", somebody("ada"), origin=HOME)
        async with site.resources.database.session() as session:
            await session.execute(sa.update(users).values(active=1))
        login = {"email": "ada@example.org", "password": PASSWORD}
        token = (await post(site, "/login", login, origin=HOME)).json()["access_token"]
        answers = [
            (
                await site.client.post(
                    "/delete",
                    json={"password": "wrong"},
                    headers={"X-Forwarded-For": f"198.51.100.{n}", "Authorization": f"Bearer {token}"},
                )
            ).status_code
            for n in range(6)
        ]

    assert answers == [401] * 4 + [429] * 2


async def test_trail_when_much_is_done_to_wash_it_then_every_event_can_be_read_and_kinds_by_themselves(
    settings: Settings,
) -> None:
    async with running(limited(settings, "export-account=3/1 hour")) as site:
        await post(site, "/signup", somebody("ada"), origin=HOME)
        async with site.resources.database.session() as session:
            await session.execute(sa.update(users).values(active=1))
            user_id = await session.scalar(sa.select(users.c.id))
        login = {"email": "ada@example.org", "password": PASSWORD}
        token = (await post(site, "/login", login, origin=HOME)).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        exports = [(await site.client.get("/export", headers=headers)).status_code for _ in range(5)]
        async with site.resources.database.session() as session:
            values = {"user_id": user_id, "kind": "profile changed", "ip_address": "", "user_agent": ""}
            values["at"] = sa.func.current_timestamp()
            for _ in range(450):
                await session.execute(sa.insert(audit_events).values(values))
        pages, before = [], None
        while True:
            query = {"limit": 200} | ({"before": before} if before else {})
            page = (await site.client.get("/audit", params=query, headers=headers)).json()
            pages.append(page["events"])
            before = page["next"]
            if before is None:
                break
        alone = (await site.client.get("/audit", params={"kind": "logged in"}, headers=headers)).json()
        unknown = await site.client.get("/audit", params={"kind": "washed"}, headers=headers)

    assert exports == [200] * 3 + [429] * 2
    kinds = [event["kind"] for page in pages for event in page]
    assert [len(page) for page in pages[:-1]] == [200, 200]
    assert kinds.count("profile changed") == 450
    assert {"signed up", "logged in", "data exported"} < set(kinds)
    assert len({event["id"] for page in pages for event in page}) == len(kinds)
    assert [event["kind"] for event in alone["events"]] == ["logged in"]
    assert unknown.status_code == 422
