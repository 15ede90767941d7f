"""Catch DatabaseUnavailableError, into which db.faults translates what drivers raise, and connect through db.engine.

An error that is caught by a driver's name is one of a dozen that mean the same, and an own connection waits for ever.
"""

import ast
from collections.abc import Iterator

from tests.rules.source import SANDBOX, Source, Violation, dotted

TRANSLATES = {"app/db/faults.py", "app/db/mysql.py"}
INDEX = "app/index/"
CONNECTS = {
    *TRANSLATES,
    "app/db/engine.py",
    "app/db/reader.py",
    "app/db/sqlite.py",
    "app/db/migrations.py",
    "app/db/revisions.py",
    "app/db/snapshots.py",
}
DRIVERS = ("sqlalchemy.exc", "sqlite3", "aiomysql", "pymysql", "pymysql.err", "aiosqlite")
ERRORS = {
    "DBAPIError",
    "DatabaseError",
    "DisconnectionError",
    "Error",
    "InterfaceError",
    "InternalError",
    "MySQLError",
    "OperationalError",
    "SQLAlchemyError",
    "TimeoutError",
}
"""All but what statements are wrong by: of those, a key that is taken (`IntegrityError`) is an answer."""
MODULES = {"exc", "err", "sqlite3", "aiomysql", "pymysql", "aiosqlite"}
CONNECTING = (
    "create_async_engine",
    "create_engine",
    "aiomysql.connect",
    "aiomysql.create_pool",
    "pymysql.connect",
)
CONNECTING_METHODS = (
    "sqlite3.connect",
    "aiosqlite.connect",
    "engine.connect",
    "engine.begin",
    "engine.raw_connection",
)


def violations(source: Source) -> Iterator[Violation]:
    """Yield each use of a driver's error, and each connection made beside the pools."""
    if source.name.startswith(SANDBOX):
        return  # A service of its own, with a file of its own.
    if source.name.startswith(INDEX):
        return  # Derived data in a file of its own, which is no database of the service.
    if source.name not in {*TRANSLATES, "app/db/reader.py"}:
        yield from _errors(source.tree)
    if source.name not in CONNECTS:
        for name, call in source.calls():
            if name.endswith(CONNECTING + CONNECTING_METHODS):
                yield call.lineno, f"{name}() is called"


def _errors(tree: ast.Module) -> Iterator[Violation]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in DRIVERS:
            for alias in node.names:
                if alias.name in ERRORS:
                    yield node.lineno, f"{node.module}.{alias.name} is imported"
        elif isinstance(node, ast.Attribute) and node.attr in ERRORS:
            module = dotted(node.value).rpartition(".")[2]
            if module in MODULES:
                yield node.lineno, f"{module}.{node.attr} is named"
