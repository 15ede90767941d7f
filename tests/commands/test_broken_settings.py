"""Every command with every setting that can be wrong: a sentence on standard error, an exit code, and nothing more."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import pymysql
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import AuthResult
from sqlalchemy.engine import make_url

from tests.broker_servers import RABBITMQ, OwnRedis
from tests.timings import timings

SECRET = "tra/la@hop"
"""A password as people have them; no part of it may be repeated."""
WRONG = "not-the-password"
PARTS = ("tra", "la@", "hop", WRONG)
BOUND_SECONDS = 60
CALLS = {
    "serve": ["serve"],
    "worker": ["worker"],
    "dev": ["dev"],
    "sandbox": ["sandbox"],
    "migrate": ["migrate"],
    "mail list": ["mail", "list"],
    "mail retry": ["mail", "retry", "1"],
    "mail test": ["mail", "test", "ada@example.org"],
    "user show": ["user", "show", "ada@example.org"],
    "user create": ["user", "create", "ada@example.org", "--first-name", "Ada", "--last-name", "L"],
}
OF_DATABASE = ["migrate", "serve", "worker", "dev", "mail list", "mail retry", "user show", "user create"]
STARTING = ["worker", "serve", "dev"]


@dataclass(frozen=True)
class Broken:
    """A mistake, the commands that meet it (the first stands for them in the short form), and what they say."""

    settings: dict[str, str]
    says: str
    commands: list[str]


BROKEN = {
    "data folder is a file": Broken(
        {"DATA_DIR": "{folder}/a-file"}, "DATA_DIR cannot be used: {folder}/a-file", list(CALLS)
    ),
    "data folder below a file": Broken(
        {"DATA_DIR": "{folder}/a-file/var"}, "Set it to a folder that this user may write to", list(CALLS)
    ),
    "data folder that nobody can write to": Broken({"DATA_DIR": "/proc/openml"}, "DATA_DIR", list(CALLS)),
    "raw @ and / in the database's password": Broken(
        {"DATABASE_URI": f"mysql://openml:{SECRET}@127.0.0.1/openml"}, "write @ as %40", OF_DATABASE
    ),
    "raw @ alone": Broken(
        {"DATABASE_URI": "mysql://openml:tra@hop@127.0.0.1/openml"}, "write @ as %40", OF_DATABASE
    ),
    "database's port is a word": Broken(
        {"DATABASE_URI": "mysql://openml:tra@127.0.0.1:hop/openml"}, "DATABASE_URI is not", OF_DATABASE
    ),
    "database's port out of range": Broken(
        {"DATABASE_URI": "mysql://openml:tra@127.0.0.1:70000/openml"}, "1 to 65535", OF_DATABASE
    ),
    "database without a name": Broken(
        {"DATABASE_URI": "mysql://openml:tra@127.0.0.1"}, "names no database", OF_DATABASE
    ),
    "database of another kind": Broken(
        {"DATABASE_URI": "postgresql://openml:tra@127.0.0.1/openml"}, "mysql:// and sqlite://", OF_DATABASE
    ),
    "database's option is unknown": Broken(
        {"DATABASE_URI": "mysql://openml:tra@127.0.0.1/openml?colour=red"}, "colour", OF_DATABASE
    ),
    "nobody at the database's address": Broken(
        {"DATABASE_URI": "mysql://openml:tra@127.0.0.1:1/openml"}, "Check the address", OF_DATABASE
    ),
    "database is a folder": Broken({"DATABASE_URI": "sqlite:///{folder}"}, "Is a directory", OF_DATABASE),
    "database is another file": Broken(
        {"DATABASE_URI": "sqlite:///{folder}/a-file"}, "none of SQLite's", OF_DATABASE
    ),
    "database was never made": Broken(
        {}, "Run: openml-web migrate", ["mail list", "mail retry", *STARTING[:2]]
    ),
    "Redis' name is nobody's": Broken(
        {"REDIS_URL": f"redis://:{WRONG}@redis.invalid/0"}, "REDIS_URL names a host", STARTING
    ),
    "raw / in Redis' password": Broken(
        {"REDIS_URL": f"redis://:{SECRET}@127.0.0.1:6379/0"}, "@ as %40", list(CALLS)
    ),
    "RabbitMQ refuses": Broken(
        {"BROKER_URL": f"amqp://guest:{WRONG}@{urlsplit(RABBITMQ).netloc.rpartition('@')[2]}/"},
        "BROKER_URL: the server at",
        STARTING,
    ),
    "RabbitMQ has no such vhost": Broken(
        {"BROKER_URL": f"{RABBITMQ.rstrip('/')}/not-there"}, "name of the vhost", STARTING
    ),
    "raw / in RabbitMQ's password": Broken(
        {"BROKER_URL": f"amqp://guest:{SECRET}@127.0.0.1:5672/"}, "@ as %40", list(CALLS)
    ),
    "store is no address": Broken(
        {"STORAGE_URL": "bucket", "AWS_SECRET_ACCESS_KEY": WRONG, "AWS_ACCESS_KEY_ID": "a"},
        "STORAGE_URL is not a store's address",
        ["worker", "serve", "user show"],
    ),
    "store's key is half": Broken(
        {"STORAGE_URL": "s3://bucket", "AWS_SECRET_ACCESS_KEY": WRONG},
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ["worker", "serve", "user show"],
    ),
    "a port out of range": Broken({"SMTP_PORT": "70000"}, "SMTP_PORT", list(CALLS)),
    "a proxy by its name": Broken(
        {"TRUSTED_PROXIES": "nginx,proxy"},
        "wrong values. - TRUSTED_PROXIES: write addresses or networks, separated by commas, and no names, "
        "e.g. 127.0.0.1,10.0.0.0/8",
        ["serve", "worker"],
    ),
    "a host that is none": Broken({"HOST": "a..b"}, "HOST", ["serve", "dev", "sandbox"]),
    "mail server is away": Broken(
        {"SMTP_SERVER": "127.0.0.1", "SMTP_PORT": "1", "SMTP_LOGIN": "ada", "SMTP_PASS": WRONG},
        "SMTP_SERVER, SMTP_PORT",
        ["mail test"],
    ),
}
MIGRATED = {"database was never made"}
CASES = [
    pytest.param(
        what, command, marks=[pytest.mark.long] if number or kind % 8 else [], id=f"{command}: {what}"
    )
    for kind, (what, broken) in enumerate(BROKEN.items())
    for number, command in enumerate(broken.commands)
]


def call(folder: Path, command: list[str], **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *command],
        cwd=folder,
        env={
            **os.environ,
            "PORT": "0",
            "SANDBOX_PORT": "0",
            "TIMINGS": timings(database_timeout_seconds=4),
            **settings,
        },
        capture_output=True,
        text=True,
        timeout=BOUND_SECONDS,
        check=False,
    )


def require_sentence(done: "subprocess.CompletedProcess[str]", says: str) -> None:
    assert done.returncode not in {0, -9}, done.stdout
    assert says in " ".join(done.stderr.replace("│", " ").split()), done.stderr
    for output in (done.stdout, done.stderr):
        assert "Traceback" not in output, output
        assert not [part for part in PARTS if part in output]


@pytest.mark.parametrize(("what", "command"), CASES)
def test_command_when_a_setting_is_wrong_then_a_sentence_says_what_to_change(
    tmp_path: Path, migrated_sqlite: Path, what: str, command: str
) -> None:
    broken = BROKEN[what]
    (tmp_path / "a-file").write_text("This is no database, and no folder either.")
    if what not in MIGRATED:
        (tmp_path / "var").mkdir()
        (tmp_path / "var" / "openml.db").write_bytes(migrated_sqlite.read_bytes())
    settings = {name: value.format(folder=tmp_path) for name, value in broken.settings.items()}
    began = time.monotonic()

    done = call(tmp_path, CALLS[command], **settings)

    require_sentence(done, broken.says.format(folder=tmp_path))
    assert time.monotonic() - began < BOUND_SECONDS


@dataclass(frozen=True)
class Users:
    """A database, a user who may do all there, and one who may only look."""

    database: str
    owner: str
    reader: str

    def address(self, user: str, password: str, *, database: str = "") -> str:
        return f"mysql://{user}:{password}@{HOST}/{database or self.database}"


HOST = "127.0.0.1:3306"


@pytest.fixture(scope="module")
def users(mariadb_server: str) -> Iterator[Users]:
    url = make_url(mariadb_server)
    word = secrets.token_hex(5)
    found = Users(f"openml_web_test_{word}", f"owner_{word}", f"reader_{word}")
    with pymysql.connect(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        ssl_disabled=True,
        autocommit=True,
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE DATABASE {found.database}")
        for user, rights in ((found.owner, "ALL"), (found.reader, "SELECT")):
            cursor.execute(f"CREATE USER {user}@'%%' IDENTIFIED BY %s", [SECRET])
            cursor.execute(f"GRANT {rights} ON {found.database}.* TO {user}@'%'")
        yield found
        cursor.execute(f"DROP DATABASE {found.database}")
        cursor.execute(f"DROP USER {found.owner}@'%', {found.reader}@'%'")


@pytest.mark.long
def test_database_when_its_password_is_written_as_told_then_it_works(users: Users, tmp_path: Path) -> None:
    right = quote(SECRET, safe="")

    refused = {
        "Check user and password": users.address(users.owner, WRONG),
        "Make it (CREATE DATABASE)": users.address("root", "", database="openml_web_not_there"),
        "Grant it to the user": users.address(users.reader, right),
    }
    for says, address in refused.items():
        require_sentence(call(tmp_path, ["migrate"], DATABASE_URI=address), says)
    done = call(tmp_path, ["migrate"], DATABASE_URI=users.address(users.owner, right))

    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_worker_when_redis_refuses_then_a_sentence(
    tmp_path: Path, free_port: int, migrated_sqlite: Path
) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "openml.db").write_bytes(migrated_sqlite.read_bytes())
    redis = OwnRedis(tmp_path, free_port, password="sesame")
    redis.start()
    try:
        wrong = call(tmp_path, ["worker"], REDIS_URL=redis.url.replace("sesame", WRONG))
        beyond = call(tmp_path, ["worker"], REDIS_URL=f"{redis.url}99")
    finally:
        redis.kill()

    require_sentence(
        wrong, f"REDIS_URL: the server at 127.0.0.1:{free_port} refuses us. Check user and password"
    )
    require_sentence(beyond, "Check the number of the database")


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_mail_test_when_the_password_is_wrong_then_what_to_check(tmp_path: Path, free_port: int) -> None:
    def judge(*_arguments: object) -> AuthResult:
        return AuthResult(success=False, handled=False)

    server = Controller(
        Sink(),
        hostname="127.0.0.1",
        port=free_port,
        authenticator=judge,
        auth_required=True,
        auth_require_tls=False,
    )
    server.start()
    try:
        done = call(
            tmp_path,
            CALLS["mail test"],
            SMTP_SERVER="127.0.0.1",
            SMTP_PORT=str(free_port),
            SMTP_LOGIN="ada",
            SMTP_PASS=WRONG,
        )
    finally:
        server.stop()

    require_sentence(done, "Not sent: login refused: 535")
    assert "SMTP_LOGIN, SMTP_PASS" in done.stderr


@pytest.mark.every(3)
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["mail", "list", "--state", "bogus"], "'pending', 'sent', 'failed'"),
        pytest.param(["mail", "list", "--limit", "9" * 30], "--limit", marks=pytest.mark.long),
        pytest.param(["mail", "retry", "9" * 30], "Invalid value for", marks=pytest.mark.long),
        pytest.param(
            ["user", "create", "not-an-address", "--first-name", "Ada", "--last-name", "L"],
            "EMAIL",
            marks=pytest.mark.long,
        ),
        (["user", "show", "9" * 30], "nobody has the name"),
        (["serve", "--workers", "0"], "--workers"),
    ],
)
def test_command_when_an_argument_is_wrong_then_said(
    tmp_path: Path, migrated_sqlite: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "openml.db").write_bytes(migrated_sqlite.read_bytes())

    require_sentence(call(tmp_path, arguments), says)
