"""Tokens logged out in one process and refused in another, over a real Redis, without a question to the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
import redis
import sqlalchemy as sa
from pydantic import SecretStr

from app.core.clock import utc_now
from app.core.denylist import CACHED_AT_MOST, Denylist
from app.core.settings import Settings
from app.db.tables import revoked_tokens
from app.events.denylist import open_denylist
from tests.broker_servers import OwnRedis
from tests.conftest import Person, Running, eventually, insert_person, running, serving

on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
REVOKED = "Token has been revoked"


@pytest.fixture
async def two(settings: Settings, own_redis: OwnRedis) -> AsyncIterator[tuple[Running, Running]]:
    """Two processes' worth of application, on one database and one Redis."""
    joined = settings.model_copy(update={"redis_url": SecretStr(own_redis.url), "embedded_worker": False})
    async with serving(joined) as one, running(joined) as other:
        yield one, other


@pytest.fixture
async def ada(two: tuple[Running, Running], password_hash: str) -> Person:
    return await insert_person(two[0], password_hash)


async def refused(app: Running, person: Person) -> bool | None:
    """Whether the process refuses the token by itself: the database has forgotten that it was logged out."""
    answer = await app.client.get("/profile", headers=person.headers)
    if answer.status_code == 200:
        return None
    assert (answer.status_code, answer.json()["detail"]) == (401, REVOKED)
    return True


async def forget_rows(app: Running) -> None:
    async with app.resources.database.session() as session:
        assert (await session.execute(sa.delete(revoked_tokens))).rowcount  # type: ignore[attr-defined]  # a result of DELETE has one


@on_sqlite
async def test_token_when_logged_out_then_the_other_process_refuses_it_unasked(
    two: tuple[Running, Running], ada: Person
) -> None:
    one, other = two
    assert (await other.client.get("/profile", headers=ada.headers)).status_code == 200
    assert (await one.client.post("/logout", headers=ada.headers)).status_code == 200
    assert await refused(other, ada), "the database says so at once"

    await forget_rows(one)
    assert await refused(one, ada)
    await eventually(lambda: refused(other, ada))


@on_sqlite
async def test_token_when_one_session_is_ended_then_refused_unasked(
    two: tuple[Running, Running], ada: Person
) -> None:
    one, other = two
    login = await one.client.post("/login", json={"email": ada.email, "password": ada.password})
    headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
    listed = (await one.client.get("/sessions", headers=headers)).json()["sessions"]
    assert (await one.client.delete(f"/sessions/{listed[0]['id']}", headers=ada.headers)).status_code == 200

    await forget_rows(one)
    told = Person(**{**vars(ada), "token": login.json()["access_token"]})
    await eventually(lambda: refused(other, told))
    assert (await other.client.get("/profile", headers=ada.headers)).status_code == 200


@on_sqlite
async def test_token_when_redis_was_away_then_told_as_soon_as_it_is_back(
    two: tuple[Running, Running], ada: Person, own_redis: OwnRedis
) -> None:
    one, other = two
    await asyncio.to_thread(own_redis.kill)
    assert (await one.client.post("/logout", headers=ada.headers)).status_code == 200
    assert await refused(other, ada), "the database needs no Redis"

    await asyncio.to_thread(own_redis.start)
    await forget_rows(one)
    await eventually(lambda: refused(other, ada))


async def test_process_when_it_starts_later_then_it_knows_who_was_logged_out_and_has_not_ended(
    own_redis: OwnRedis,
) -> None:
    now, name = utc_now(), "test.logged-out"
    with redis.Redis.from_url(own_redis.url) as client:
        client.zadd(name, {f"dead{number}": now.timestamp() + number for number in range(60, 63)})
        client.zadd(name, {"ended": now.timestamp() - 1, "never": float("inf"), "late": 1e15})
    async with AsyncExitStack() as stack:
        one, other = Denylist(), Denylist()
        for denylist in (one, other):
            pool = redis.asyncio.ConnectionPool.from_url(own_redis.url)
            stack.push_async_callback(pool.disconnect)
            await stack.enter_async_context(open_denylist(pool, denylist, prefix="test"))

        async def knows(jti: str) -> bool | None:
            return other.knows(jti) or None

        await eventually(lambda: knows("dead62"))
        assert not other.knows("ended")
        with redis.Redis.from_url(own_redis.url) as client:
            # Whoever else writes there must not end what listens.
            client.publish(name, "no-time")
            client.publish(name, b"\xff 1e400")
        one.add("new", now + timedelta(hours=1))
        await eventually(lambda: knows("new"))
    with redis.Redis.from_url(own_redis.url) as client:
        assert client.zscore(name, "ended") is None, "it does not grow for ever"
        assert client.zscore(name, "new") is not None


def test_denylist_when_full_then_the_oldest_are_left_to_the_database() -> None:
    denylist, later = Denylist(), utc_now() + timedelta(hours=1)
    denylist.add("first", later)
    denylist.add("over", utc_now())
    for number in range(CACHED_AT_MOST - 1):
        denylist.add(str(number), later)
    assert not denylist.knows("first")
    assert denylist.knows("over")
    assert len(denylist.living()) == CACHED_AT_MOST - 1
    assert not denylist.knows("over"), "its token has ended by itself"
