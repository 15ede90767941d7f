"""The list of checks. What `/health/ready` looks at is looked at here by the same functions."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from app.core.settings import Settings
from app.db.address import files_of, parse_address
from app.db.engine import Database
from app.db.store_marks import StoreGuard
from app.doctor.clocks import check_clocks
from app.doctor.configuration import check_modes, check_ports, check_settings
from app.doctor.database import check_layout, check_migrations, check_rights, check_server
from app.doctor.diagnosis import (
    Diagnosis,
    Examination,
    Found,
    Installation,
    Level,
    Wishes,
    examine,
    fault,
    ok,
    skipped,
    warning,
)
from app.doctor.machine import check_breached, check_children, check_limits
from app.doctor.mail import check_mail, check_sender
from app.doctor.openml import check_openml
from app.doctor.providers import check_providers
from app.doctor.servers import check_broker, check_redis, check_search
from app.doctor.site import check_site
from app.doctor.stores import check_stores
from app.health.checks import CheckName, check_disk, checks_of
from app.resources import open_storage
from app.uploads.conversion import RESERVE_SHARE


async def _check_disk(installation: Installation) -> Found:
    storage, _ = await open_storage(installation.settings)
    reserve = installation.settings.disk_reserve_bytes
    if wrong := await check_disk(storage, installation.settings):
        yield fault(wrong)
    elif await storage.working_bytes() < RESERVE_SHARE * reserve:
        yield warning(
            f"Less than {RESERVE_SHARE:g} times DISK_RESERVE_BYTES ({reserve}) is free: conversions wait, and uploads "
            "are refused soon. Make room."
        )
    else:
        yield ok("More than DISK_RESERVE_BYTES is free.")


BESIDE_THE_DATABASE: Mapping[str, Examination] = {
    "settings": check_settings,
    "modes": check_modes,
    "ports": check_ports,
    "limits": check_limits,
    "children": check_children,
    "passwords": check_breached,
    "clocks": check_clocks,
    "disk": _check_disk,
    "storage": check_stores,
    "redis": check_redis,
    "broker": check_broker,
    "mail": check_mail,
    "sender": check_sender,
    "openml": check_openml,
    "search": check_search,
    "providers": check_providers,
    "site": check_site,
}
DATABASE = "database"
MYSQL_PORT = 3306


def _in_the_database(settings: Settings, database: Database) -> dict[str, Examination]:
    """Return the checks that need a database that answers."""

    def on(check: Callable[[Database], Found]) -> Examination:
        return lambda _: check(database)

    def as_ready(name: CheckName, well: str) -> Examination:
        async def check(_: Installation) -> Found:
            storage, _pictures = await open_storage(settings)
            store = StoreGuard(database, storage, settles=False)
            wrong = await checks_of(settings, database, None, storage, store)[name]()
            yield fault(wrong) if wrong else ok(well)

        return check

    async def is_inside(_: Installation) -> Found:
        yield skipped("What works is inside openml-web serve (EMBEDDED_WORKER=true): see ports.")

    return {
        "server": on(check_server),
        "migrations": on(check_migrations),
        "rights": on(check_rights),
        "layout": on(check_layout),
        "worker": is_inside if settings.embedded_worker else as_ready(CheckName.WORKER, "It works."),
        "queues": as_ready(CheckName.QUEUES, "Nothing waits for longer than it may."),
    }


NAMES = (
    *("settings", "modes", "ports", "limits", "children", "passwords"),
    *(DATABASE, "server", "migrations", "rights", "layout", "worker", "queues"),
    *(
        "clocks",
        "disk",
        "storage",
        "redis",
        "broker",
        "mail",
        "sender",
        "openml",
        "search",
        "providers",
        "site",
    ),
)
"""Of all checks, as they are shown."""


async def examine_installation(
    settings: Settings, wishes: Wishes, only: frozenset[str] = frozenset()
) -> list[Diagnosis]:
    """Run the checks of these names, or all; return what they found, in the order of `NAMES`.

    Raises:
        SettingsError: `DATABASE_URI` is none.
    """
    wanted = only or frozenset(NAMES)
    url = parse_address(settings.database_url, prepare=False)
    is_there = url.get_backend_name() != "sqlite" or bool(files_of(url))
    database = Database(settings, prepare=False) if is_there else None

    async def answers(_: Installation) -> Found:
        if database is None:
            yield fault(f"There is no {url.database}. Run: openml-web migrate")
            return
        await database.check()
        await database.look_at_clock()
        place = f"{url.host}:{url.port or MYSQL_PORT}/" if url.host else ""
        yield ok(f"{place}{url.database} answers.")

    installation = Installation(settings, wishes, database)
    checks = dict(BESIDE_THE_DATABASE)
    try:
        found = await examine({DATABASE: answers}, installation)
        if database is not None and found[-1].level is Level.OK:
            checks |= _in_the_database(settings, database)
        else:
            installation = replace(installation, database=None)
        found += await examine(
            {name: checks[name] for name in NAMES if name in wanted & checks.keys()}, installation
        )
    finally:
        if database is not None:
            await database.close()
    return sorted((each for each in found if each.check in wanted), key=lambda each: NAMES.index(each.check))
