"""Translates drivers' errors for a database that is away, in trouble or full into one error, and logs it once."""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiomysql
import sqlalchemy as sa
import structlog

from app.core import metrics
from app.core.errors import DatabaseConflictError, DatabaseUnavailableError

log = structlog.get_logger(__name__)

SAID_AGAIN_SECONDS = 60.0
AWAY = "it does not answer"
LOST = "the connection broke"
_CONFLICT = "others changed the same rows at the same time"
_LOCKED = "others have locked it for too long"
_NO_CONNECTION = "it has no connection left"
_REFUSED = "it lets nobody in"
_TOO_SLOW = "it took too long"
_READ_ONLY = "it takes no writes"
_FULL = "its disk or memory is full"
NO_TABLE = "a table is missing"
FORBIDDEN = "its user may not do this"
_NO_DATABASE = "there is no such database"
_DAMAGED = "its file is damaged, or is none of SQLite's"

_MYSQL: Mapping[str, frozenset[int]] = {
    LOST: frozenset({1053, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 4031, 2006, 2013, 2014, 2055}),
    AWAY: frozenset({1047, 2002, 2003, 2005, 2012, 2026, 2027}),
    _CONFLICT: frozenset({1020, 1213}),
    _LOCKED: frozenset({1205}),
    _NO_CONNECTION: frozenset({1040, 1135, 1203, 1226}),
    _REFUSED: frozenset({1043, 1044, 1045, 1129, 1130, 1698}),
    _NO_DATABASE: frozenset({1049}),
    FORBIDDEN: frozenset({1142, 1143, 1227, 1370}),
    _TOO_SLOW: frozenset({1317, 1969, 3024}),
    _READ_ONLY: frozenset({1290, 1792, 1836}),
    NO_TABLE: frozenset({1146}),
    _FULL: frozenset({3, 1021, 1023, 1026, 1030, 1037, 1038, 1041, 1114, 1206, 1637, 1878}),
}
"""Error numbers of MySQL, MariaDB and their driver. Others are mistakes in a statement: those are ours."""
_SQLITE: Mapping[str, frozenset[int]] = {
    _LOCKED: frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}),
    AWAY: frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PROTOCOL}),
    _READ_ONLY: frozenset({sqlite3.SQLITE_READONLY}),
    _FULL: frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM}),
    _DAMAGED: frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}),
}
_ADVICE: Mapping[str, str] = {
    AWAY: "Check the address in DATABASE_URI, and that the database runs.",
    LOST: "Check the address in DATABASE_URI, and that it is that of MySQL or MariaDB.",
    _REFUSED: "Check user and password in DATABASE_URI (write @ as %40, / as %2F, : as %3A, % as %25), "
    "and what the database grants this user.",
    _NO_DATABASE: "Make it (CREATE DATABASE), or name another in DATABASE_URI.",
    FORBIDDEN: "Grant it to the user of DATABASE_URI: SELECT, INSERT, UPDATE and DELETE; "
    "for `openml-web migrate` CREATE, ALTER, DROP and INDEX, too.",
    _READ_ONLY: "See to it that this user may write to the database that DATABASE_URI names, "
    "or to DATA_DIR where it is empty.",
    NO_TABLE: "Run: openml-web migrate",
    _DAMAGED: "Name another file in DATABASE_URI, or put back a copy.",
}
"""What an operator can do, by the reason."""
_LABELS: Mapping[str, str] = {
    _READ_ONLY: "read-only",
    _FULL: "full",
    AWAY: "away",
    LOST: "lost",
    _CONFLICT: "conflict",
    _LOCKED: "locked",
    _NO_CONNECTION: "no-connection",
    _TOO_SLOW: "too-slow",
}
"""Of the metric."""
PRIMARY_CODE = 0xFF
"""The part of SQLite's error number that names the kind; the rest says more."""


class NoAnswerError(aiomysql.OperationalError):  # type: ignore[misc]  # the driver has no types
    """The server said nothing for as long as it may; asking again would take as long."""


class NoConnectionLeftError(Exception):
    """All connections that this process may have are in use."""


def unavailable(error: BaseException, *, uncommitted: bool = False) -> DatabaseUnavailableError | None:
    """Return what a driver's error means, or None if it says that we made a mistake.

    `uncommitted` says that no COMMIT was sent yet: whatever a lost connection had begun is rolled back then.
    """
    reason = _reason(error)
    if reason is None:
        return None
    is_undone = reason == _CONFLICT or (uncommitted and is_lost(error))
    return (DatabaseConflictError if is_undone else DatabaseUnavailableError)(reason)


def is_lost(error: BaseException) -> bool:
    """Say whether the connection broke, with no word of how far the server came."""
    return _reason(error) == LOST


def _reason(error: BaseException | None) -> str | None:
    if isinstance(error, sa.exc.DBAPIError):
        return _reason(error.orig)
    if isinstance(error, NoConnectionLeftError | sa.exc.TimeoutError):
        return "all connections that this process may have are in use"
    if isinstance(error, NoAnswerError):
        return AWAY  # Whatever its number: to ask again would take as long.
    if isinstance(error, sqlite3.Error):
        return _sqlite_reason(error)
    if isinstance(error, aiomysql.Error):
        return _mysql_reason(error)
    return None


def _sqlite_reason(error: sqlite3.Error) -> str | None:
    if str(error).startswith("no such table"):
        return NO_TABLE
    code = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
    return next((reason for reason, codes in _SQLITE.items() if code in codes), None)


def _mysql_reason(error: aiomysql.Error) -> str | None:
    code = error.args[0] if error.args else None
    if not isinstance(code, int):
        # The driver's own words for a connection that is closed, or that talks nonsense.
        return LOST if isinstance(error, aiomysql.InterfaceError | aiomysql.InternalError) else None
    return next((reason for reason, codes in _MYSQL.items() if code in codes), None)


def sentence_of(error: DatabaseUnavailableError) -> str:
    """Return the message for a command line: the driver's reason, and what to change."""
    cause = error.__cause__ or error
    words = getattr(cause, "orig", cause)
    said = words.args[-1] if words.args else error.reason
    advice = _ADVICE.get(error.reason, "DATABASE_URI says where it is; try again later.")
    return f"The database cannot be used, {error.reason}: {said}. {advice}"


@contextmanager
def translated(*, uncommitted: bool = False) -> Iterator[None]:
    """Translate the body's driver errors; `uncommitted` as for `unavailable`.

    Raises:
        DatabaseUnavailableError: the database is away, in trouble or full.
    """
    try:
        yield
    except (
        sa.exc.DBAPIError,
        sa.exc.TimeoutError,
        sqlite3.Error,
        aiomysql.Error,
        NoConnectionLeftError,
    ) as error:
        found = unavailable(error, uncommitted=uncommitted)
        if found is None:
            raise
        raise found from error


class Outage:
    """Whether the database is away. It is said when that begins and when it is over; other trouble once a minute."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._said: dict[str, float] = {}

    @property
    def is_on(self) -> bool:
        """Whether the last attempt to connect failed."""
        return self._since is not None

    def begins(self, error: Exception) -> None:
        """Note that no connection can be made."""
        if self._since is None:
            self._since = time.monotonic()
            log.error("the database is away", reason=_reason(error) or type(error).__name__)

    def is_over(self) -> None:
        """Note that a connection was made."""
        if self._since is not None:
            log.warning("the database answers again", after_seconds=round(time.monotonic() - self._since, 1))
            self._since = None

    @contextmanager
    def translating(self, *, uncommitted: bool = False) -> Iterator[None]:
        """Translate the body's driver errors, and log an outage; `uncommitted` as for `unavailable`.

        Raises:
            DatabaseUnavailableError: the database is away, in trouble or full.
        """
        try:
            with translated(uncommitted=uncommitted):
                yield
        except DatabaseUnavailableError as error:
            metrics.DATABASE_FAULTS.add(_LABELS.get(error.reason, "other"))
            self._say(error.reason, error.__cause__ or error)
            raise

    def _say(self, reason: str, error: BaseException) -> None:
        now = time.monotonic()
        if self.is_on or now - self._said.get(reason, -SAID_AGAIN_SECONDS) < SAID_AGAIN_SECONDS:
            return
        self._said[reason] = now
        log.error(
            "the database cannot be used", reason=reason, error=str(getattr(error, "orig", error))[:300]
        )
