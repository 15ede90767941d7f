"""Compares the clocks of this machine, the database and OpenML."""

import time
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from app.core.clock import utc_now
from app.core.errors import DatabaseUnavailableError
from app.core.outgoing import open_http
from app.core.settings import Settings
from app.doctor.diagnosis import Found, Installation, Level, ok, skipped

TOLERATED_SECONDS = 5.0
"""OpenML's header has whole seconds, and answers take a while."""
WRONG_SECONDS = 60.0
"""From here on the store refuses signatures, certificates are not valid yet, and log lines mislead."""
OPENML_SECONDS = 15.0
ADVICE = "Set the clocks by a time server (timedatectl set-ntp true, chronyc tracking)."


async def check_clocks(installation: Installation) -> Found:
    """Compare this machine's clock with the others; where all of them are known, say which is wrong."""
    others = {
        "the database's": await _ahead_of_us_in_database(installation),
        "OpenML's": await _ahead_of_us_at_openml(installation.settings),
    }
    known = {name: ahead for name, ahead in others.items() if ahead is not None}
    wrong = _wrong(known)
    if not known:
        yield skipped("There is no other clock to compare with.")
    elif not wrong:
        furthest = max(map(abs, known.values()))
        yield ok(f"This machine's clock agrees with {' and '.join(known)} ({furthest:.1f} s).")
    else:
        level = Level.FAULT if max(map(abs, wrong.values())) > WRONG_SECONDS else Level.WARNING
        apart = ", ".join(
            f"{name} {abs(s):.0f} s {'ahead' if s > 0 else 'behind'}" for name, s in wrong.items()
        )
        yield level, f"Against this machine's clock: {apart}.{blame(known)} {ADVICE}"


def _wrong(known: dict[str, float]) -> dict[str, float]:
    return {name: ahead for name, ahead in known.items() if abs(ahead) > TOLERATED_SECONDS}


def blame(known: dict[str, float]) -> str:
    """Return a sentence about which clock stands alone, by the seconds by which others are ahead of this machine's."""
    if len(wrong := _wrong(known)) < len(known):
        return f" The wrong one is {next(iter(wrong))}, for the others agree."
    if len(known) > 1 and max(known.values()) - min(known.values()) <= TOLERATED_SECONDS:
        return " The wrong one is this machine's, for the others agree."
    return ""


async def _ahead_of_us_in_database(installation: Installation) -> float | None:
    database = installation.database
    if database is None or database.is_sqlite:
        return None  # SQLite has the clock of this machine.
    try:
        await database.look_at_clock()
    except DatabaseUnavailableError:
        return None  # Another check says so.
    return (database.now() - utc_now()).total_seconds()


async def _ahead_of_us_at_openml(settings: Settings) -> float | None:
    client = open_http(settings.openml_url, timeout=httpx.Timeout(OPENML_SECONDS), way_out=settings.way_out)
    async with client:
        started, asked = time.monotonic(), utc_now()
        try:
            async with client.stream("GET", settings.openml_url) as answer:
                written = answer.headers.get("date", "")
        except httpx.HTTPError:
            return None  # Another check says so.
        middle = asked + timedelta(seconds=(time.monotonic() - started) / 2)
    moment = _read_date(written)
    # The header has no fractions: on average it is half a second behind.
    return (moment - middle).total_seconds() + 0.5 if moment else None


def _read_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None
