"""The real application, on real parts: SQLite and MariaDB, an SMTP server, the sandbox on a port of its own."""

import asyncio
import importlib
import os
import secrets
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pymysql
import pytest
from blockbuster import blockbuster_ctx
from sqlalchemy.engine import make_url
from starlette.types import Receive, Scope, Send

from app.core.clock import utc_now
from app.core.passwords import PasswordHasher
from app.core.settings import Settings
from app.db import users
from app.db.engine import Database
from app.db.migrations import migrate
from app.main import create_app
from app.resources import Resources

IN_CI = os.environ.get("CI") == "true"
MARIADB = os.environ.get("TEST_DATABASE_URL", "mysql://root@127.0.0.1:3306/")
T = TypeVar("T")
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """A developer's own settings must not reach the tests."""
    kept = {
        name: os.environ.pop(name.upper()) for name in Settings.model_fields if name.upper() in os.environ
    }
    yield
    os.environ.update({name.upper(): value for name, value in kept.items()})


# --- databases


@pytest.fixture(scope="session")
def mariadb_server() -> str:
    """The address of a MariaDB that tests may make databases on."""
    url = make_url(MARIADB)
    try:
        _mariadb(MARIADB, "SELECT 1")
    except pymysql.err.OperationalError as error:
        reason = f"MariaDB does not answer at {url.host}:{url.port} ({error.args[1]}); set TEST_DATABASE_URL"
        if IN_CI:
            pytest.fail(reason)
        pytest.skip(reason)
    return MARIADB


def _mariadb(address: str, statement: str) -> None:
    url = make_url(address)
    connection = pymysql.connect(
        host=url.host or "127.0.0.1", port=url.port or 3306, user=url.username, password=url.password or ""
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("migrated")
    settings = Settings(_env_file=None, data_dir=folder)
    asyncio.run(_migrate(settings))
    return folder / "openml.db"


async def _migrate(settings: Settings) -> None:
    database = Database(settings)
    try:
        await migrate(database.engine)
    finally:
        await database.close()


@pytest.fixture
def empty_mariadb(mariadb_server: str) -> Iterator[str]:
    name = f"openml_web_test_{secrets.token_hex(6)}"
    _mariadb(mariadb_server, f"CREATE DATABASE {name} CHARACTER SET latin1")
    yield make_url(mariadb_server).set(database=name).render_as_string(hide_password=False)
    _mariadb(mariadb_server, f"DROP DATABASE {name}")


@pytest.fixture(params=["sqlite", "mariadb"])
def database_uri(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> str:
    """A migrated, empty database of each kind."""
    if request.param == "mariadb":
        address: str = request.getfixturevalue("empty_mariadb")
        asyncio.run(_migrate(Settings(_env_file=None, data_dir=tmp_path / "var", database_uri=address)))
        return address
    path = tmp_path / "openml.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    return f"sqlite:///{path}"


# --- the sandbox


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The sandbox as a process of its own, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        environment = {
            **os.environ,
            "DATA_DIR": str(tmp_path_factory.mktemp("sandbox")),
            "SANDBOX_PROCESSING_SECONDS": "0.2",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "sandbox-on", str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            env=environment,
        )
    with process:
        wait_until_up(url, process)
        yield url
        process.terminate()


def wait_until_up(url: str, process: "subprocess.Popen[Any]", *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the process ended with {process.returncode} before it answered")
        try:
            httpx.get(url, timeout=1)
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    process.kill()
    pytest.fail(f"{url} does not answer")


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def create_dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """openml-python's own function; it reads and writes its configuration on import, and so gets a home of its own."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        home = str(tmp_path_factory.mktemp("openml"))
        patch.setenv("HOME", home)
        patch.setenv("XDG_CONFIG_HOME", home)
        patch.setenv("OPENML_CACHE_DIR", home)
        functions = importlib.import_module("openml.datasets.functions")
        yield functions.create_dataset


# --- the application


@pytest.fixture
def settings(tmp_path: Path, database_uri: str, sandbox_url: str) -> Settings:
    return Settings(
        _env_file=None,
        data_dir=tmp_path / "var",
        database_uri=database_uri,
        openml_server=sandbox_url,
        lease_seconds=2,
        reconcile_seconds=1,
    )


@dataclass(frozen=True)
class Running:
    """The application inside its lifespan, and a client that calls it."""

    client: httpx.AsyncClient
    resources: Resources


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    application = create_app(settings)
    async with application.router.lifespan_context(application) as state:
        assert state is not None

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await application({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(app=with_state)
        # Starting and stopping may block, for nobody is served then; answering may not.
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            with blockbuster_ctx(scanned_modules=["app"]) as blockbuster:
                # The one exception, which app/db/reader.py explains: a row by its key, from SQLite's page cache.
                for function in ("sqlite3.Connection.execute", "sqlite3.Cursor.fetchone"):
                    blockbuster.functions[function].can_block_in("app/db/reader.py", "_first")
                yield Running(client, state["resources"])


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Running]:
    async with running(settings) as found:
        yield found


@pytest.fixture
def client(app: Running) -> httpx.AsyncClient:
    return app.client


# --- people


@dataclass(frozen=True)
class Person:
    """An account, and what proves who they are."""

    id: int
    email: str
    password: str
    api_key: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@pytest.fixture(scope="session")
def password_hash() -> str:
    hasher = PasswordHasher()
    try:
        return asyncio.run(hasher.hash(PASSWORD))
    finally:
        hasher.close()


MakePerson = Callable[..., Awaitable[Person]]


@pytest.fixture
def make_person(app: Running, password_hash: str) -> MakePerson:
    """Insert an account, confirmed unless told otherwise, and return it with an access token."""

    async def make(**changes: Any) -> Person:
        values = {
            "email": f"{secrets.token_hex(4)}@example.org",
            "password_hash": password_hash,
            "first_name": "Ada",
            "last_name": "Lovelace",
            "api_key": secrets.token_hex(16),
            "ip_address": "127.0.0.1",
            "active": True,
            "now": utc_now(),
            **changes,
        }
        async with app.resources.database.session() as session:
            user_id = await users.add_user(session, **values)
            if values["active"]:
                await users.add_to_members(session, user_id)
        token = app.resources.tokens.issue(user_id)
        return Person(user_id, values["email"], PASSWORD, values["api_key"], token)

    return make


@pytest.fixture
async def person(make_person: MakePerson) -> Person:
    return await make_person()


async def eventually(look: Callable[[], Awaitable[T | None]], *, seconds: float = 20) -> T:
    """Return what `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while (found := await look()) is None:
        if time.monotonic() > deadline:
            pytest.fail(f"nothing after {seconds} seconds")
        await asyncio.sleep(0.05)
    return found
