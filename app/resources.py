"""What a process holds while it runs: made in one place, closed in the reverse order."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from limits.aio.storage import RedisStorage

from app.core.active_writers import ActiveWriters
from app.core.authenticators import Authenticators
from app.core.challenges import ChallengeSigner
from app.core.concurrency import BoundedExecutor, ConcurrencyLimit
from app.core.denylist import Denylist
from app.core.leaving import Leaving
from app.core.limits import RateLimiter, parse_overrides
from app.core.locks import Locks
from app.core.password_policy import PasswordPolicy, warm_up
from app.core.passwords import PasswordHasher
from app.core.probes import Probes
from app.core.relying_party import find_relying_party
from app.core.sealing import Sealer
from app.core.settings import Settings, SettingsError, missing_extra
from app.core.system import allow_many_files
from app.core.tasks import in_background
from app.core.tokens import ACCESS_TOKEN_LIFETIME, TokenSigner
from app.core.vitals import Vitals
from app.db import logins
from app.db.engine import Database
from app.db.notices import NoticeBoard
from app.db.open_requests import Receivers, WatchedUploads
from app.db.rate_counters import DatabaseStorage
from app.db.revisions import find_schema
from app.db.store_marks import StoreGuard
from app.events.notifications import INDEX, Notifications
from app.imaging import MAX_PIXELS, PictureRedrawer
from app.index.engine import SearchIndex
from app.index.store import path_in
from app.mail.messages import MessageBuilder, create_messages
from app.mail.transport import MailTransport, create_transport
from app.oidc.issuers import Issuers
from app.openml.client import OpenMLClient, open_client
from app.published.service import PublishedFiles
from app.storage.local import LocalStorage
from app.storage.parts import UploadStorage
from app.storage.pictures import LocalPictures, PictureStorage
from app.tabular import UPLOAD_LIMITS

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

    from app.events.queue import WorkBroker

HASHES_SAMPLED = 64
RECEIVES_AT_ONCE, RECEIVES_PER_USER = 2000, 200
"""Bodies of uploads that a process takes at once: each holds a connection and a file, of which systems give thousands,
and one user leaves nine tenths of them to others."""
STREAMS_AT_ONCE, STREAMS_PER_USER = 1000, 50
FILE_THREADS = 16
"""Behind `asyncio.to_thread`, which is for files: they wait for the disk, and compute nothing (tests/rules)."""
CHECKS_AT_ONCE, CHECKS_QUEUE, CHECKS_PER_USER = 2, 200, 20
"""Each takes milliseconds, or a second for input made to be slow, which delays only the user who sent it."""
REDIS_CONNECTIONS = 20
REDIS_SECONDS = 5
"""Longest wait for a free connection, and for an answer."""


@dataclass(frozen=True, slots=True)
class Resources:
    """The long-lived objects of a process, which routes and the worker share."""

    settings: Settings
    database: Database
    passwords: PasswordHasher
    policy: PasswordPolicy
    tokens: TokenSigner
    authenticators: Authenticators | None
    """What checks passkeys; None where there are none."""
    sealer: Sealer
    """Encrypts what the database keeps and the service has to read again."""
    denylist: Denylist
    limits: RateLimiter
    notices: NoticeBoard
    """What is announced, and whether changes are taken."""
    notifications: Notifications
    broker: "WorkBroker | None"
    openml: OpenMLClient
    issuers: Issuers
    """Other services whose signed statements about people and programs are read."""
    storage: UploadStorage
    store: StoreGuard
    """Whether that store is the one that the database belongs to."""
    index: SearchIndex | None
    """What is found by searches; None where `SEARCH_INDEX` says that there is none."""
    published: PublishedFiles
    """What the files of published datasets hold."""
    checks: BoundedExecutor
    """What is computed for users while they wait: descriptions judged, previews read, names looked for."""
    changes: Locks
    """Changes of one upload come one after another: what one was judged by, no other alters meanwhile."""
    receive_limit: ConcurrencyLimit
    """How many requests may send the bytes of uploads at once: in all, and for each user."""
    receivers: Receivers
    active_writers: ActiveWriters
    leaving: Leaving
    """Whether this process is about to stop."""
    stream_limit: ConcurrencyLimit
    """How many event streams may be open at once: in all, and for each user."""
    watched: WatchedUploads
    pictures: PictureStorage
    redrawer: PictureRedrawer
    messages: MessageBuilder
    mail: MailTransport
    vitals: Vitals
    """State of the worker inside this process, if there is one."""
    probes: Probes
    """What was found when it was last asked whether all is well."""


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open everything for one process.

    Raises:
        MigrationError: the database is not where this version needs it; the text says which command to run.
    """
    allow_many_files()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(FILE_THREADS, "files"))
    async with AsyncExitStack() as stack:
        notifications = Notifications()
        database = Database(settings, notifications)
        denylist = Denylist(database.now)
        stack.push_async_callback(database.close)
        (await find_schema(database.engine)).require_usable()
        await database.learn()
        if not database.is_sqlite:
            await stack.enter_async_context(in_background(database.keep_time()))
        await asyncio.to_thread(warm_up)
        policy = await asyncio.to_thread(PasswordPolicy.of, settings)
        passwords = PasswordHasher()
        stack.callback(passwords.close)
        async with database.session() as session:
            passwords.learn(await logins.sample_password_hashes(session, HASHES_SAMPLED))
        watched = WatchedUploads(database, notifications)
        stack.push_async_callback(watched.close)
        receivers = Receivers(database)
        stack.push_async_callback(receivers.close)
        pool = _redis_pool(settings, stack)
        if pool is not None:
            await _join_others(settings, pool, notifications, denylist, stack)
        openml = await stack.enter_async_context(
            open_client(
                settings.openml_url,
                timeout_seconds=settings.timings.openml_timeout_seconds,
                max_columns=UPLOAD_LIMITS.max_columns,
                way_out=settings.way_out,
            )
        )
        storage, pictures = await open_storage(settings)
        probes = Probes()
        stack.push_async_callback(probes.close)
        checks = _open_checks(stack)
        active_writers = ActiveWriters()
        leaving = Leaving(
            settings.timings.drain_seconds,
            wake_streams=watched.wake_all,
            stop_writers=active_writers.stop_all,
        )
        yield Resources(
            settings=settings,
            database=database,
            passwords=passwords,
            policy=policy,
            tokens=TokenSigner(
                settings.token_secret,
                accepted=settings.accepted_secrets,
                lifetime=ACCESS_TOKEN_LIFETIME,
                now=database.now,
            ),
            authenticators=_authenticators(settings, database, checks),
            sealer=Sealer(settings.token_secret, accepted=settings.accepted_secrets),
            denylist=denylist,
            notices=NoticeBoard(database),
            limits=_rate_limiter(settings, database, pool),
            notifications=notifications,
            broker=await _open_broker(settings, notifications, stack),
            openml=openml,
            issuers=Issuers(
                settings.way_out,
                now=database.now,
                allow_this_machine=settings.environment == "development",
            ),
            storage=storage,
            store=StoreGuard(database, storage),
            index=_open_index(settings, notifications, stack),
            published=_open_published(settings, openml, stack),
            checks=checks,
            changes=Locks(),
            receive_limit=ConcurrencyLimit(total=RECEIVES_AT_ONCE, per_user=RECEIVES_PER_USER),
            receivers=receivers,
            active_writers=active_writers,
            leaving=leaving,
            stream_limit=ConcurrencyLimit(total=STREAMS_AT_ONCE, per_user=STREAMS_PER_USER),
            watched=watched,
            pictures=pictures,
            redrawer=PictureRedrawer(max_pixels=MAX_PIXELS),
            messages=create_messages(settings),
            mail=create_transport(settings),
            vitals=Vitals(),
            probes=probes,
        )


def _open_index(
    settings: Settings, notifications: Notifications, stack: AsyncExitStack
) -> SearchIndex | None:
    if not settings.search_index:
        return None
    index = SearchIndex(path_in(settings.data_dir))
    index.on_want = partial(notifications.tell_all, INDEX)
    stack.callback(index.close)
    return index


def _open_published(settings: Settings, openml: OpenMLClient, stack: AsyncExitStack) -> PublishedFiles:
    published = PublishedFiles(
        settings.data_dir / "published", openml, reserve_bytes=settings.disk_reserve_bytes
    )
    stack.push_async_callback(published.close)
    return published


def _open_checks(stack: AsyncExitStack) -> BoundedExecutor:
    checks = BoundedExecutor("checks", threads=CHECKS_AT_ONCE, queue=CHECKS_QUEUE, per_user=CHECKS_PER_USER)
    stack.callback(checks.close)
    return checks


def _authenticators(settings: Settings, database: Database, checks: BoundedExecutor) -> Authenticators | None:
    party = find_relying_party(settings)
    if party is None:
        return None
    challenges = ChallengeSigner(settings.token_secret, accepted=settings.accepted_secrets, now=database.now)
    return Authenticators(party, challenges, checks)


async def open_storage(settings: Settings) -> tuple[UploadStorage, PictureStorage]:
    """Return where the bytes of uploads and pictures rest.

    Raises:
        SettingsError: the store of `STORAGE_URL` cannot be used; the text says which setting to look at.
    """
    if not settings.storage_url:
        return LocalStorage(settings.data_dir / "uploads"), LocalPictures(settings.data_dir / "pictures")
    try:
        from app.storage.s3 import open_s3  # noqa: PLC0415 - an extra
    except ImportError:
        raise missing_extra("STORAGE_URL", "s3") from None
    return await open_s3(settings)


def _redis_pool(settings: Settings, stack: AsyncExitStack) -> "ConnectionPool | None":
    url = settings.redis_url.get_secret_value()
    if not url:
        return None
    try:
        import redis.asyncio  # noqa: PLC0415 - an extra

        from app.events.redis_lists import driver_info  # noqa: PLC0415 - an extra
    except ImportError:
        raise missing_extra("REDIS_URL", "redis") from None
    try:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=REDIS_CONNECTIONS,
            timeout=REDIS_SECONDS,
            socket_timeout=REDIS_SECONDS,
            driver_info=driver_info(),
        )
    except ValueError:
        raise SettingsError("REDIS_URL is not an address. Write e.g. redis://host:6379/0") from None
    stack.push_async_callback(pool.disconnect)
    return pool


async def _join_others(
    settings: Settings,
    pool: "ConnectionPool",
    notifications: Notifications,
    denylist: Denylist,
    stack: AsyncExitStack,
) -> None:
    from app.events.channel import open_channel  # noqa: PLC0415 - an extra
    from app.events.denylist import open_denylist  # noqa: PLC0415 - an extra

    prefix = settings.broker_prefix
    await stack.enter_async_context(open_channel(pool, notifications, prefix=prefix))
    await stack.enter_async_context(open_denylist(pool, denylist, prefix=prefix))


async def _open_broker(
    settings: Settings, notifications: Notifications, stack: AsyncExitStack
) -> "WorkBroker | None":
    url = settings.broker_url.get_secret_value()
    if not url:
        return None
    try:
        from app.events.queue import open_work_broker  # noqa: PLC0415 - an extra
    except ImportError:
        raise missing_extra("BROKER_URL", "redis", "rabbitmq") from None
    return await stack.enter_async_context(
        open_work_broker(url, notifications, prefix=settings.broker_prefix)
    )


def _rate_limiter(settings: Settings, database: Database, pool: "ConnectionPool | None") -> RateLimiter:
    try:
        overrides = parse_overrides(settings.rate_limits)
    except ValueError as error:
        raise SettingsError(f"RATE_LIMITS: {error}") from None
    if pool is None:
        return RateLimiter(DatabaseStorage(database), overrides=overrides)
    storage = RedisStorage(
        "async+redis://in-the-pool:6379",  # Of REDIS_URL it would want a port.
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix=f"{settings.broker_prefix}.limits",
        connection_pool=pool,  # type: ignore[arg-type]  # as documented
    )
    return RateLimiter(storage, overrides=overrides)
