"""Rate limits, counted in memory, in the database, and in Redis: the same answers from each."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis.asyncio
import sqlalchemy as sa
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from structlog.testing import capture_logs

from app.core import limits
from app.core.clients import Client
from app.core.errors import TooManyRequestsError
from app.core.limits import LIMITS, LOCAL, MODEST, Hit, RateLimiter, hits_from, parse_overrides
from app.core.settings import Settings, SettingsError
from app.db.engine import Database
from app.db.rate_counters import DatabaseStorage
from app.db.tables import rate_counters
from app.worker.janitor import forget_the_past
from tests.conftest import IN_CI, PASSWORD, Person, Running, running
from tests.forwarder import Forwarder

REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15")
SHARED = "wrong-password-account"
LIMIT = {SHARED: "3/1 hour"}


@pytest.fixture
def redis_url() -> str:
    try:
        with redis.Redis.from_url(REDIS) as client:
            client.ping()
    except redis.exceptions.ConnectionError:
        (pytest.fail if IN_CI else pytest.skip)("Redis does not answer; set TEST_REDIS_URL")
    return REDIS


@pytest.fixture(params=["memory", "database", "redis"])
async def storage(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Storage]:
    if request.param == "memory":
        yield MemoryStorage()
    elif request.param == "redis":
        url = request.getfixturevalue("redis_url")
        pool = redis.asyncio.ConnectionPool.from_url(url)
        yield RedisStorage(
            f"async+{url}",
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix=secrets.token_hex(8),  # what a run before this one counted is none of ours
            connection_pool=pool,  # type: ignore[arg-type]  # as documented
        )
        await pool.disconnect()
    else:
        database = Database(settings)
        yield DatabaseStorage(database)
        await database.close()


async def allowed(limiter: RateLimiter, *hits: Hit) -> bool:
    try:
        await limiter.hit(*hits)
    except TooManyRequestsError:
        return False
    return True


async def site_allowed(limiter: RateLimiter, network: str) -> bool:
    try:
        await limiter.hit_site(SHARED, network)
    except TooManyRequestsError:
        return False
    return True


async def test_limit_when_reached_then_refused_with_a_time_and_others_are_not(storage: Storage) -> None:
    limiter = RateLimiter(storage, overrides=LIMIT)
    mine, other = Hit(SHARED, secrets.token_hex(8)), Hit(SHARED, secrets.token_hex(8))

    assert [await allowed(limiter, mine) for _ in range(5)] == [True] * 3 + [False] * 2
    assert await allowed(limiter, other)
    with pytest.raises(TooManyRequestsError) as refused:
        await limiter.hit(mine)
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 3600


@pytest.mark.long
async def test_limit_when_one_client_has_many_ipv6_networks_then_they_share_what_some_households_have(
    storage: Storage,
) -> None:
    limiter = RateLimiter(storage, overrides=LIMIT)
    prefix = f"2001:db8:{secrets.randbelow(0xFFFF):x}"

    async def tries(*networks: str) -> int:
        visitors = [Client(f"{prefix}:{network}::1", "") for network in networks]
        return sum([await allowed(limiter, *hits_from(SHARED, visitor)) for visitor in visitors])

    assert await tries(*["1"] * 10) == 3, "a household"
    assert await tries(*(f"{n:x}" for n in range(2, 0xFF))) < 4 * 3, "the same /56: some households"
    assert await tries(*(f"{n:x}01" for n in range(1, 0xFF))) < 16 * 3, "the same /48"
    assert await allowed(limiter, *hits_from(SHARED, Client("2001:db8:ffff:1::1", "")))


async def test_cap_of_the_site_when_one_client_asks_for_all_of_it_then_others_still_have_half(
    storage: Storage,
) -> None:
    limiter = RateLimiter(storage, overrides={SHARED: "40/1 hour"})
    name = secrets.token_hex(8)

    greedy = [await site_allowed(limiter, name) for _ in range(60)]
    modest = [await site_allowed(limiter, secrets.token_hex(8)) for _ in range(30)]

    assert sum(greedy) <= 20 + MODEST
    assert sum(modest) == 40 - sum(greedy), "whoever asks for little, until there is nothing left"


async def test_limit_when_an_attempt_is_given_back_then_it_was_none(storage: Storage) -> None:
    limiter = RateLimiter(storage, overrides=LIMIT)
    mine = Hit(SHARED, secrets.token_hex(8))

    for _ in range(10):
        await limiter.hit(mine)
        await limiter.give_back(mine)
    assert [await allowed(limiter, mine) for _ in range(5)] == [True] * 3 + [False] * 2


async def test_limit_when_workers_count_at_once_then_not_one_more(storage: Storage) -> None:
    workers = [RateLimiter(storage, overrides={SHARED: "10/1 hour"}) for _ in range(4)]
    hit = Hit(SHARED, secrets.token_hex(8))

    answers = await asyncio.gather(*(allowed(workers[n % 4], hit) for n in range(40)))

    assert answers.count(True) == 10


async def test_limit_when_its_window_is_over_then_open_again(storage: Storage) -> None:
    limiter = RateLimiter(storage, overrides={SHARED: "1/1 second"})
    hit = Hit(SHARED, secrets.token_hex(8))

    assert await allowed(limiter, hit)
    assert not await allowed(limiter, hit)
    await asyncio.sleep(1.1)
    assert await allowed(limiter, hit)


@pytest.mark.parametrize("subject", ["Ada@Example.org", " ada@example.org "])
async def test_limit_when_the_name_is_spelled_otherwise_then_the_same_counter(
    storage: Storage, subject: str
) -> None:
    limiter = RateLimiter(storage, overrides={SHARED: "1/1 hour"})
    unique = secrets.token_hex(4)
    assert await allowed(limiter, Hit(SHARED, unique + "ada@example.org"))
    assert not await allowed(limiter, Hit(SHARED, unique + subject.strip()))


async def test_limit_when_the_shared_place_is_away_then_each_worker_counts_alone() -> None:
    nowhere = RedisStorage("async+redis://127.0.0.1:1", wrap_exceptions=True, implementation="redispy")
    limiter = RateLimiter(nowhere, overrides=LIMIT)

    assert [await allowed(limiter, Hit(SHARED, "x")) for _ in range(5)] == [True] * 3 + [False] * 2


async def test_counters_when_their_window_is_over_then_the_janitor_forgets_them(app: Running) -> None:
    await app.client.post("/forgotpassword", json={"email": "ada@example.org"})
    await forget_the_past(app.resources.database, audit_days=app.resources.settings.timings.audit_days)
    async with app.resources.database.session() as session:
        names = (await session.scalars(sa.select(rate_counters.c.name))).all()
        assert len(names) == 1
        assert "ada@example.org" not in "".join(names), "what people typed is nobody's business"
        await session.execute(sa.update(rate_counters).values(expires_at=sa.literal("2020-01-01 00:00:00")))
    await forget_the_past(app.resources.database, audit_days=app.resources.settings.timings.audit_days)
    async with app.resources.database.session() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(rate_counters)) == 0


@pytest.mark.parametrize("entry", ["no-such-limit=1/hour", "login-address=often", "login-address"])
def test_overrides_when_wrong_then_said(entry: str) -> None:
    with pytest.raises(ValueError, match=r"no limit|couldn't parse"):
        parse_overrides([entry])
    assert parse_overrides(["login-address=500/5 minutes"]) == {"login-address": "500/5 minutes"}
    assert LIMITS.keys() >= LOCAL


async def test_start_when_a_limit_is_wrong_then_a_sentence(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="RATE_LIMITS: 'nonsense' is no limit"):
        async with running(settings.model_copy(update={"rate_limits": ("nonsense=1/hour",)})):
            pass


# --- on the routes

Ask = Callable[[Running, int], Awaitable[Any]]


def login_of(app: Running, login: str, password: str, **headers: str) -> Awaitable[Any]:
    return app.client.post("/login", json={"email": login, "password": password}, headers=headers)


BOUNDED: dict[str, tuple[str, Ask]] = {
    "login": ("login-account-address=3/hour", lambda app, _: login_of(app, "nobody", "x")),
    "login of many": ("login-address=3/hour", lambda app, n: login_of(app, f"nobody{n}", "x")),
    "login of all": ("login-everybody=3/hour", lambda app, n: login_of(app, f"nobody{n}", "x")),
    "token": (
        "login-account-address=3/hour",
        lambda app, _: app.client.post("/token", data={"username": "nobody", "password": "x"}),
    ),
    "sign-up": (
        "signup-address=3/hour",
        lambda app, n: app.client.post(
            "/signup",
            json={"first_name": "A", "last_name": "B", "email": f"a{n}@example.org", "password": PASSWORD},
        ),
    ),
    "register": ("signup-everybody=3/hour", lambda app, n: app.client.post(
        "/register",
        json={"first_name": "A", "last_name": "B", "email": f"a{n}@example.org", "password": PASSWORD},
    )),
    "resend": (
        "mail-address=3/hour",
        lambda app, _: app.client.post("/send-confirmation-token", json={"email": "a@example.org"}),
    ),
    "forgot": (
        "mail-address=3/hour",
        lambda app, n: app.client.post("/forgotpassword", json={"email": f"a{n}@example.org"}),
    ),
    "reset": (
        "link-address=3/hour",
        lambda app, _: app.client.post("/resetpassword", json={"url": "?token=x", "password": PASSWORD}),
    ),
    "confirm": ("link-address=3/hour", lambda app, _: app.client.post("/confirmation", json={"url": "?token=x"})),
    "feedback": (
        "feedback-address=3/hour",
        lambda app, n: app.client.post("/feedback", json={"email": "", "feedback": str(n)}),
    ),
}  # fmt: skip


@pytest.mark.every(4)
@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_route_when_asked_too_often_then_429_with_a_time(settings: Settings, name: str) -> None:
    override, ask = BOUNDED[name]
    async with running(settings.model_copy(update={"rate_limits": (override,)})) as app:
        answers = [await ask(app, number) for number in range(5)]

    assert [answer.status_code == 429 for answer in answers] == [False] * 3 + [True] * 2
    refused = answers[-1]
    # OAuth has a form of its own for /token, which holds the problem as well.
    assert refused.headers["content-type"] in {"application/problem+json", "application/json"}
    assert refused.json()["type"] == "https://openml.org/problems/too-many-requests"
    assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_upload_when_too_often_then_429_before_a_byte(settings: Settings, password_hash: str) -> None:
    limited = settings.model_copy(update={"rate_limits": ("upload-account=2/hour",)})
    async with running(limited) as app:
        headers = {"Authorization": f"Bearer {await token_of_new_user(app, password_hash)}"}
        answers = [await app.client.post("/data-upload", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers][-1] == 429


async def token_of_new_user(app: Running, password_hash: str) -> str:
    from app.core.clock import utc_now
    from app.db import users

    async with app.resources.database.session() as session:
        user_id = await users.add_user(
            session,
            username="u",
            email="u@example.org",
            password_hash=password_hash,
            first_name="U",
            last_name="U",
            api_key=secrets.token_hex(16),
            ip_address="",
            active=True,
            now=utc_now(),
        )
    return app.resources.tokens.issue(user_id)[0]


async def test_guesses_when_many_then_slowed_alike_for_known_and_unknown_names(
    app: Running, person: Person
) -> None:
    async def statuses(login: str) -> list[int]:
        return [(await login_of(app, login, f"guess {n}")).status_code for n in range(12)]

    assert await statuses(person.email) == await statuses("nobody@example.org") == [200] * 10 + [429] * 2


async def test_guesses_when_from_everywhere_then_stopped_but_the_owner_still_gets_in(
    settings: Settings, password_hash: str
) -> None:
    """An attacker with a thousand addresses can neither go on guessing nor lock the owner out."""
    settings = settings.model_copy(
        update={"trusted_proxies": ("127.0.0.1/32",), "rate_limits": ("wrong-password-account=20/1 hour",)}
    )
    settings = Settings(_env_file=None, **{**settings.model_dump(), "trusted_proxies": "127.0.0.1"})
    async with running(settings) as app:
        await token_of_new_user(app, password_hash)
        home = {"X-Forwarded-For": "203.0.113.7"}
        assert "access_token" in (await login_of(app, "u@example.org", PASSWORD, **home)).json()
        guesses = [
            await login_of(app, "u@example.org", "guess", **{"X-Forwarded-For": f"198.51.100.{n}"})
            for n in range(25)
        ]
        owner = await login_of(app, "u@example.org", PASSWORD, **home)
        elsewhere = await login_of(app, "u@example.org", PASSWORD, **{"X-Forwarded-For": "192.0.2.1"})

    assert [guess.status_code for guess in guesses] == [200] * 20 + [429] * 5
    assert "access_token" in owner.json()
    assert elsewhere.status_code == 429, "only where the owner never was"


async def test_address_when_the_peer_is_no_trusted_proxy_then_what_it_claims_is_ignored(
    app: Running,
) -> None:
    answers = [
        await login_of(app, "nobody", "x", **{"X-Forwarded-For": f"198.51.100.{n}"}) for n in range(12)
    ]
    assert answers[-1].status_code == 429, "an attacker cannot make up addresses"


async def test_limits_when_kept_in_redis_then_the_account_flow_works_and_is_counted(
    settings: Settings, redis_url: str, password_hash: str
) -> None:
    settings = settings.model_copy(update={"redis_url": type(settings.redis_url)(redis_url)})
    async with running(settings) as app:
        await token_of_new_user(app, password_hash)
        assert "access_token" in (await login_of(app, "u@example.org", PASSWORD)).json()
        # Under a name of its own: Redis outlives the test.
        stranger = secrets.token_hex(8)
        answers = [await login_of(app, stranger, "wrong") for _ in range(12)]
        async with app.resources.database.session() as session:
            assert await session.scalar(sa.select(sa.func.count()).select_from(rate_counters)) == 0

    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2


async def test_limit_when_its_server_falls_silent_then_one_waits_for_it_and_the_others_do_not(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AWAY_SECONDS", 3600.0)
    address = urlsplit(redis_url)
    line = Forwarder(address.hostname or "", address.port or 6379)
    await line.mend()
    pool = redis.asyncio.ConnectionPool.from_url(
        f"redis://127.0.0.1:{line.port}{address.path}", socket_timeout=0.5, socket_connect_timeout=0.5
    )
    storage = RedisStorage(
        "async+redis://in-the-pool:6379",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix=secrets.token_hex(4),
        connection_pool=pool,  # type: ignore[arg-type]  # as documented
    )
    limiter = RateLimiter(storage, overrides={})
    await limiter.hit(Hit(SHARED, "somebody"))
    line.fail("mute")

    with capture_logs() as logs:
        for _ in range(20):
            await limiter.hit(Hit(SHARED, "somebody"))

    assert [entry["event"] for entry in logs] == ["rate limits cannot be shared"]
    line.heal()
    monkeypatch.setattr(limiter, "_away_until", 0.0)
    with capture_logs() as logs:
        await limiter.hit(Hit(SHARED, "somebody"))
    assert [entry["event"] for entry in logs] == ["rate limits are shared again"]
    await pool.disconnect()
    await line.cut()
