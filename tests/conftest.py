"""The real application, on real parts: SQLite and MariaDB, an SMTP server, the sandbox on a port of its own."""

import asyncio
import gc
import importlib
import itertools
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import pymysql
import pytest
import sqlalchemy as sa
import structlog
from blockbuster import blockbuster_ctx
from sqlalchemy.engine import make_url
from starlette.types import Receive, Scope, Send
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from app.core.clock import utc_now
from app.core.methods import Method
from app.core.passwords import PasswordHasher
from app.core.settings import Settings, every_name
from app.core.timings import Timings
from app.db import sessions, users
from app.db.engine import Database
from app.db.every_table import metadata
from app.db.migrations import migrate
from app.db.tables import sessions as sessions_table
from app.main import create_app
from app.resources import Resources
from tests.described import document, untold
from tests.engines import ENGINES, engine_settings, outside_workers
from tests.node_clients import openapi_js as openapi_js  # noqa: PLC0414 - a fixture
from tests.node_clients import tus_js as tus_js  # noqa: PLC0414 - a fixture
from tests.s3_server import S3Server, find_weed, start_server
from tests.timings import short_timings
from tests.upstream import Upstream

if TYPE_CHECKING:
    from tests.service import Service

IN_CI = os.environ.get("CI") == "true"
LONG = os.environ.get("TEST_LONG", "")
"""Which tests run: `1` all, `rest` those that a run without it leaves out."""
MARIADB = os.environ.get("TEST_DATABASE_URL", "mysql://root@127.0.0.1:3306/")
T = TypeVar("T")
PASSWORD = "seven rivers flow north"
PATIENCE_SECONDS = 60.0
"""How long to wait for what has to come: a machine may have much else to do."""
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak plain HTTP: else each reads the system's certificates, and takes longer than its test."""


SHARED = {
    "wire": "wire",
    "own_pages": "pages",
    "browser": "browser",
    "storage": "store",
    "commands": "site",
    "proxies": "proxies",
    "test_connections": "database",
    "doctor_database": "doctor",
    "clients": "clients",
}
"""Folders, or words in the names of modules, whose tests share something that takes long to start."""


gc.disable()  # Nothing that collection makes is garbage.

STORE = pytest.StashKey[S3Server]()
"""Where the session keeps the S3 server, once a test has asked for it."""


FIRST = (
    "browser",
    "test_processes",
    "test_chaos",
    "test_outages",
    "test_openapi",
    "storage",
    "test_workers",
    "test_cli",
)
"""Folders and modules that take longest: begun last, they would be waited for by idle processes."""


TWICE = {"db", "test_data_upload", "test_sessions", "test_code_races"}
"""Folders and modules that the short run, too, tries on both databases; of the others it takes SQLite."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only `make test-long` runs, or all but that, and begin with what takes long."""
    if LONG != "1":
        names = {item.nodeid for item in items}
        alike = _repeated(items)
        left_out = {
            item for item in items if (item in alike or _is_for_the_long_run(item, names)) != (LONG == "rest")
        }
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=_turn)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Keep together what shares something that takes long to start; marks for that are lost with pytest 9.2."""
    return GroupScheduling(config, log)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out groups, and forgets those that are done: else each test's end goes through all that its process ran."""

    def _split_scope(self, nodeid: str) -> str:
        return _group_of(nodeid)

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        super().mark_test_complete(node, item_index, duration)
        groups = self.assigned_work[node]
        group = _group_of(self.registered_collections[node][item_index])
        if all(groups[group].values()):
            del groups[group]


def _turn(item: pytest.Item) -> int:
    words = {*item.path.parent.parts, item.path.stem}
    return next((turn for turn, word in enumerate(FIRST) if word in words), len(FIRST))


def pytest_collection_finish() -> None:
    """Leave seven thousand tests out of every later search for garbage, and search less often."""
    gc.enable()
    gc.freeze()
    gc.set_threshold(10_000)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the S3 server wrote, if a test fails after it was started: it has moods of its own."""
    report = yield
    server = item.session.stash.get(STORE, None)
    if report.failed and server is not None:
        report.sections.append(("the S3 server's log", server.log_end()))
    return report


def _repeated(items: Sequence[pytest.Item]) -> set[pytest.Item]:
    """Return the cases that the mark `every` leaves to the long run; each database has its own first one."""
    seen = Counter[tuple[str, str]]()
    found = set[pytest.Item]()
    for item in items:
        if mark := item.get_closest_marker("every"):
            cases = item.nodeid.partition("[")[0], _database_of(item)
            if seen[cases] % mark.args[0]:
                found.add(item)
            seen[cases] += 1
    return found


def _is_for_the_long_run(item: pytest.Item, names: set[str]) -> bool:
    kind = _database_of(item)
    if item.get_closest_marker("long") or kind in {"strict", "app-next"}:
        return True
    has_twin = kind in {"mariadb", "openml"} and item.nodeid.replace(kind, "sqlite") in names
    return has_twin and not TWICE & {*item.path.parent.parts, item.path.stem}


@cache
def _group_of(node_id: str) -> str:
    """Return what the test shares with others, all of which one process runs; if nothing, the test itself."""
    path, _, rest = node_id.partition("::")
    for word, name in SHARED.items():
        if word in Path(path).parent.parts or word in Path(path).stem:
            return name
    kinds = set(re.split(r"[\[\]-]", rest)) & MARIADB_KINDS.keys()
    return kinds.pop() if kinds else node_id


def _database_of(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get("database_uri", "")) if callspec else ""


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_ends_processes() -> None:
    """A shell starts what runs in the background with that signal ignored, and so do all that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """A developer's own settings must not reach the tests; nor may a traceback read the disk in their middle."""
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, console])
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.lower() in every_name()}
    # Who tests the index switches it on: others count what the OpenML server is asked.
    os.environ["SEARCH_INDEX"] = "false"
    yield
    del os.environ["SEARCH_INDEX"]
    os.environ.update(kept)


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


def _mariadb(address: str, *statements: str) -> None:
    url = make_url(address)
    connection = pymysql.connect(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        database=url.database or None,
        autocommit=False,
        ssl_disabled=True,  # reading the system's certificates takes longer than most tests
    )
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        connection.commit()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("migrated")
    settings = Settings(_env_file=None, data_dir=folder)
    asyncio.run(migrate_database(settings))
    return folder / "openml.db"


async def migrate_database(settings: Settings) -> None:
    """Bring the database of the settings up to date."""
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


SCHEMAS = Path(__file__).parent / "db"
# Whose tables were there before ours, and how strict the server is with what they cannot hold.
MARIADB_KINDS = {
    "mariadb": (None, "STRICT_TRANS_TABLES"),
    "openml": (SCHEMAS / "openml_users.sql", ""),
    "strict": (SCHEMAS / "openml_users.sql", "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE"),
    "app-next": (SCHEMAS / "app_next_users.sql", "STRICT_ALL_TABLES"),
}


@pytest.fixture(scope="session")
def mariadb_kinds(mariadb_server: str) -> Iterator[dict[str, str]]:
    """A migrated database of each kind that was asked for; making one takes longer than most tests."""
    made: dict[str, str] = {}
    yield made
    for address in made.values():
        _mariadb(mariadb_server, f"DROP DATABASE {make_url(address).database}")


def _emptied_mariadb(server: str, kind: str, made: dict[str, str], folder: Path) -> str:
    if kind not in made:
        schema, mode = MARIADB_KINDS[kind]
        name = f"openml_web_test_{secrets.token_hex(6)}"
        _mariadb(server, f"CREATE DATABASE {name} CHARACTER SET latin1")
        url = make_url(server).set(database=name)
        address = url.update_query_dict({"init_command": f"SET SESSION sql_mode='{mode}'"})
        made[kind] = address.render_as_string(hide_password=False)
        if schema:
            statements = [text for text in schema.read_text().split(";\n") if text.strip()]
            _mariadb(made[kind], *statements)
        asyncio.run(migrate_database(Settings(_env_file=None, data_dir=folder, database_uri=made[kind])))
    tables = [table.name for table in metadata.sorted_tables if table.name not in {"groups", "users"}]
    _mariadb(made[kind], *(f"DELETE FROM `{table}`" for table in [*tables, "users"]))
    return made[kind]


@pytest.fixture(params=["sqlite", "mariadb"])
def database_uri(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> str:
    """A migrated, empty database of each kind."""
    return empty_database(request, tmp_path, migrated_sqlite)


def empty_database(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> str:
    """Return the address of an empty database of the kind that the parameter names."""
    if request.param in MARIADB_KINDS:
        server: str = request.getfixturevalue("mariadb_server")
        made: dict[str, str] = request.getfixturevalue("mariadb_kinds")
        return _emptied_mariadb(server, request.param, made, tmp_path / "var")
    path = tmp_path / "openml.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    return f"sqlite:///{path}"


# --- the sandbox


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The sandbox as a process of its own, on a free port."""
    with run_sandbox(tmp_path_factory.mktemp("sandbox")) as url:
        yield url


@contextmanager
def run_sandbox(folder: Path, *options: str, **settings: str) -> Iterator[str]:
    """Run the sandbox as a process of its own, on a free port; `settings` are of the service, for its accounts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        own = [f"--fd={listener.fileno()}", f"--data-dir={folder}/sandbox", "--processing-seconds=0.2"]
        process = subprocess.Popen(
            [sys.executable, "-m", "openml_sandbox", *own, "--stop-with-stdin", *options],
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            env={**os.environ, **settings},
        )
    with process:
        wait_until_up(url, process)
        yield url
        process.terminate()


# --- the store


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[S3Server]:
    """A real S3 server on free ports, with the bucket `tests`."""
    command = find_weed()
    if command is None:
        reason = "there is no S3 server: SeaweedFS's `weed` is neither beside this Python nor on the path"
        if IN_CI:
            pytest.fail(reason)
        pytest.skip(reason)
    server = start_server(command, tmp_path_factory.mktemp("s3"))
    try:
        server.make_bucket("tests")
        request.session.stash[STORE] = server
        yield server
    finally:
        server.kill()


@pytest.fixture
def s3(s3_server: S3Server) -> dict[str, str]:
    """Settings that keep upload bytes and pictures in a place of their own on a real S3 server."""
    return s3_server.settings(f"tests/{secrets.token_hex(4)}")


def wait_until_up(url: str, process: "subprocess.Popen[Any]", *, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    with httpx.Client(timeout=5, verify=NO_CERTIFICATES) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                pytest.fail(f"the process ended with {process.returncode} before it answered")
            try:
                client.get(url)
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                return
    process.kill()
    pytest.fail(f"{url} does not answer")


@pytest.fixture
async def upstream(sandbox_url: str) -> AsyncIterator[Upstream]:
    """The sandbox as its other clients see it; faults end with the test."""
    async with httpx.AsyncClient(
        base_url=sandbox_url, timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES
    ) as client:
        yield Upstream(client)
        await client.delete("sandbox/faults")


@pytest.fixture
def service(tmp_path: Path, database_uri: str, sandbox_url: str, free_port: int) -> Iterator["Service"]:
    """The service, ready to be started as processes of its own."""
    from tests.service import Service

    settings = {
        "DATA_DIR": str(tmp_path / "var"),
        "DATABASE_URI": database_uri,
        "OPENML_SERVER": sandbox_url,
        "PUBLIC_URL": f"http://127.0.0.1:{free_port}",
        "APP_SECRET_KEY": "a secret of thirty-two bytes or more",
        "TIMINGS": short_timings(),
    }
    service = Service(free_port, {**os.environ, **settings})
    yield service
    service.kill()


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    return find_free_port()


@pytest.fixture
def unused_port() -> int:
    """Another."""
    return find_free_port()


def find_free_port() -> int:
    """Return a port that nobody listens on and nobody is given until it is used.

    The system's own choice would be one of those that it gives to every connection that is opened meanwhile.
    Each worker of the tests has ports of its own, and takes them in turn.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = 12_000 + 1_000 * (worker % 16) + next(_PORTS) % 1_000
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


_PORTS = itertools.count(secrets.randbelow(1_000))


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
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, database_uri: str, sandbox_url: str
) -> Iterator[Settings]:
    with engine_settings(request) as engines:
        yield Settings(
            _env_file=None,
            data_dir=tmp_path / "var",
            database_uri=database_uri,
            openml_server=sandbox_url,
            timings=Timings(lease_seconds=2, reconcile_seconds=1),
            **engines,
        )


@dataclass(frozen=True)
class Running:
    """The application inside its lifespan, and a client that calls it."""

    client: httpx.AsyncClient
    resources: Resources


STOP_SECONDS = 60


@asynccontextmanager
async def _ending_in_time(lifespan: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Fail, and say which tasks are left, where the application does not stop."""
    entered = await lifespan.__aenter__()
    try:
        yield entered
    finally:
        stopping = asyncio.ensure_future(lifespan.__aexit__(None, None, None))
        done, _ = await asyncio.wait([stopping], timeout=STOP_SECONDS)
        if not done:
            for task in asyncio.all_tasks():
                task.print_stack()
            pytest.fail(f"the application does not stop within {STOP_SECONDS} seconds")
        await stopping


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    if ENGINES and settings.embedded_worker:
        async with outside_workers(settings) as web_settings, running(web_settings) as app:
            yield app
        return
    # Starting and stopping may block, for nobody is served then; answering may not.
    async with serving(settings) as app:
        with blockbuster_ctx(scanned_modules=["app"]) as blockbuster:
            # The one exception, which app/db/reader.py explains: a row by its key, from SQLite's page cache.
            for function in ("sqlite3.Connection.execute", "sqlite3.Cursor.fetchone"):
                blockbuster.functions[function].can_block_in("app/db/reader.py", "_first")
            # Under `make coverage`, which takes it when a thread is measured for the first time.
            blockbuster.functions["threading.Lock.acquire"].can_block_in("coverage/collector.py", "lock_data")
            yield app


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Running]:
    """Run the application, and let it block."""
    document()  # not while nothing may block
    application = create_app(settings)
    async with _ending_in_time(application.router.lifespan_context(application)) as state:
        assert state is not None

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await application({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(app=with_state)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver", event_hooks={"response": [_as_described]}
        ) as client:
            yield Running(client, state["resources"])


async def _as_described(answer: httpx.Response) -> None:
    """Hold whatever a test is answered against the OpenAPI document."""
    if "json" in answer.headers.get("content-type", ""):
        await answer.aread()
        wrong = untold(answer)
        assert not wrong, (
            f"{answer.request.method} {answer.request.url.path}: {wrong}. Describe it where the route is declared; a "
            "header also in app/core/openapi.py or app/uploads/described.py."
        )


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


async def insert_person(app: Running, password_hash: str, /, **changes: Any) -> Person:
    """Insert an account, confirmed unless told otherwise, and return it with a session that has just begun."""
    email = changes.pop("email", f"{secrets.token_hex(4)}@example.org")
    values = {
        "username": email,
        "email": email,
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
    token, issued = app.resources.tokens.issue(user_id)
    async with app.resources.database.session() as session:
        await sessions.add_session(session, issued, Method.PASSWORD, ip_address="", user_agent="")
    return Person(user_id, values["email"], PASSWORD, values["api_key"], token)


async def grow_stale(app: Running) -> None:
    """Let everybody have shown who they are too long ago for what lasts."""
    async with app.resources.database.session() as session:
        old = {"created_at": app.resources.database.now().replace(year=2020), "reauthenticated_at": None}
        await session.execute(sa.update(sessions_table).values(old))


MakePerson = Callable[..., Awaitable[Person]]


@pytest.fixture
def make_person(app: Running, password_hash: str) -> MakePerson:
    return partial(insert_person, app, password_hash)


@pytest.fixture
async def person(make_person: MakePerson) -> Person:
    return await make_person()


async def eventually(look: Callable[[], Awaitable[T | None]], *, seconds: float = PATIENCE_SECONDS) -> T:
    """Return what `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while (found := await look()) is None:
        if time.monotonic() > deadline:
            pytest.fail(f"nothing after {seconds} seconds")
        await asyncio.sleep(0.05)
    return found
