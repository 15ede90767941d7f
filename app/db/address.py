"""`DATABASE_URI`, parsed and checked before anything connects, so that a mistake in it is reported as one."""

import inspect
import os
import stat
from pathlib import Path
from typing import Any

import aiomysql
import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.mysql.aiomysql import MySQLDialect_aiomysql
from sqlalchemy.engine import URL, make_url

from app.core.settings import SettingsError

log = structlog.get_logger(__name__)

HIGHEST_PORT = 65535
HOW_TO_WRITE = (
    "Write mysql://user:password@host:3306/openml; in user and password "
    "write @ as %40, / as %2F, : as %3A, # as %23, ? as %3F and % as %25."
)
COMPANIONS = ("", "-wal", "-shm", "-journal")
"""What the names of SQLite's files end in; it gives the others the mode of the first."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def parse_address(address: str, *, prepare: bool = True) -> URL:
    """Return the parsed URL of a supported database; with `prepare` SQLite's file is made, and its owner's alone.

    Raises:
        SettingsError: it is none, or the file cannot be used; no part of it that may be a password is repeated.
    """
    try:
        url = make_url(address)
    except (sa.exc.ArgumentError, ValueError):
        # Their own texts would repeat the address, password included.
        raise SettingsError(f"DATABASE_URI is not an address. {HOW_TO_WRITE}") from None
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise SettingsError(
                "DATABASE_URI names an SQLite database in memory, which workers cannot share."
            )
        if prepare:
            _keep_private(Path(url.database))
        return url
    if url.drivername != "mysql+aiomysql":
        raise SettingsError(
            f"DATABASE_URI starts with {url.drivername}://; this service speaks mysql:// and sqlite://"
        )
    _require_whole(url)
    return url.update_query_dict({"charset": "utf8mb4"}) if "charset" not in url.query else url


def files_of(url: URL) -> list[Path]:
    """Return those of SQLite's files that are there; none of another database."""
    if url.get_backend_name() != "sqlite":
        return []
    names = (f"{url.database}{ending}" for ending in COMPANIONS)
    return [Path(name) for name in names if Path(name).exists()]


def connect_options(url: URL) -> dict[str, Any]:
    """Return what the driver of MySQL is called with, in SQLAlchemy's reading of the address.

    So TLS and other options mean what its documentation says.

    Raises:
        SettingsError: an option is none of the driver's, or has no value that it takes.
    """
    try:
        _, options = MySQLDialect_aiomysql().create_connect_args(url)
    except ValueError:
        raise SettingsError("DATABASE_URI has an option whose value is none, behind its `?`.") from None
    unknown = set(options) - set(inspect.signature(aiomysql.Connection.__init__).parameters)
    if unknown:
        raise SettingsError(
            f"DATABASE_URI has options behind its `?` that nobody knows: {', '.join(sorted(unknown))}."
        )
    return dict(options)


def _require_whole(url: URL) -> None:
    """Refuse an address that was cut in the wrong places, or lacks what we need.

    Raises:
        SettingsError: it was, or does.
    """
    if "@" in f"{url.host}{url.database}":
        raise SettingsError(f"DATABASE_URI has more than one @. {HOW_TO_WRITE}")
    if url.port is not None and not 0 < url.port <= HIGHEST_PORT:
        raise SettingsError(f"DATABASE_URI has a port that is none: 1 to {HIGHEST_PORT}. {HOW_TO_WRITE}")
    if not url.database:
        raise SettingsError(f"DATABASE_URI names no database. {HOW_TO_WRITE}")


def _keep_private(path: Path) -> None:
    """Make the file if there is none, for its owner alone, and take away what others may do with one that is there.

    It holds hashes of passwords, API keys and addresses.

    Raises:
        SettingsError: it cannot be made, or not be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, stat.S_IRUSR | stat.S_IWUSR))
    except OSError as error:
        raise SettingsError(
            f"The database {path} cannot be used: {error.strerror}. Let this user write there, or name another file in "
            "DATABASE_URI (or another folder in DATA_DIR, where that is empty)."
        ) from None
    for ending in COMPANIONS:
        _shut_out_others(path.with_name(path.name + ending))


def _shut_out_others(path: Path) -> None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if not mode & OTHERS:
            return
        path.chmod(mode & ~OTHERS)
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("others on this machine may read the database", file=str(path), error=error.strerror)
    else:
        log.warning("others on this machine could read the database; they cannot any more", file=str(path))
