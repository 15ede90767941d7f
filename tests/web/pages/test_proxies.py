"""The samples of docs/deploy.md, run as they stand there, in front of the service as an operator starts it."""

import os
import re
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme

from app.core.settings import Settings
from app.doctor.diagnosis import Diagnosis, Level, Wishes
from app.doctor.examination import examine_installation
from tests.conftest import PATIENCE_SECONDS, find_free_port, wait_until_up
from tests.web.pages.conftest import BUILD

PAGE = (Path(__file__).parents[3] / "docs/deploy.md").read_text()
REQUIRED = os.environ.get("TEST_PROXIES") == "required"
ADA = {"first_name": "Ada", "last_name": "L", "email": "ada@example.org", "password": "correct horse battery"}
SOMEBODY = "127.0.0.2"
"""An address of this machine that the service would not see without the web server's word."""


@dataclass(frozen=True)
class Deployment:
    """A web server with the service behind it."""

    port: int
    service: int
    database: Path
    certificates: Path

    def connect(self, *protocols: str) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.certificates))
        context.set_alpn_protocols([*protocols])
        plain = socket.create_connection(
            ("127.0.0.1", self.port), timeout=PATIENCE_SECONDS, source_address=(SOMEBODY, 0)
        )
        return context.wrap_socket(plain, server_hostname="localhost")

    def client(self) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.certificates))
        transport = httpx.HTTPTransport(verify=context, local_address=SOMEBODY)
        return httpx.Client(
            base_url=f"https://localhost:{self.port}", transport=transport, timeout=PATIENCE_SECONDS
        )


def sample(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found.group(1)


def replaced(text: str, **changes: str) -> str:
    """The sample with other ports and files; each is there to be replaced."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def nginx_command(folder: Path, port: int, service: int, **changes: str) -> list[str]:
    text = replaced(
        sample("nginx"),
        **{
            "127.0.0.1:5000": f"127.0.0.1:{service}",
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            "server_name www.openml.org;": "server_name localhost;",
            "/etc/ssl/openml.crt": str(folder / "server.pem"),
            "/etc/ssl/openml.key": str(folder / "server.key"),
            **changes,
        },
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {folder / kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder / 'nginx.pid'}; error_log {folder / 'error.log'}; worker_processes 1;\n"
        f"events {{}}\nhttp {{ access_log off;\n{folders}{text}}}\n"
    )
    return ["nginx", "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]


def caddy_command(folder: Path, port: int, service: int) -> list[str]:
    globally = f"    admin off\n    auto_https disable_redirects\n    http_port {find_free_port()}\n"
    certificate = f"{folder / 'server.pem'} {folder / 'server.key'}"
    text = replaced(
        sample("caddyfile"),
        **{
            "127.0.0.1:5000": f"127.0.0.1:{service}",
            "{\n    servers": f"{{\n{globally}    servers",
            "www.openml.org {": f"localhost:{port} {{\n    bind 127.0.0.1\n    tls {certificate}",
        },
    )
    (folder / "Caddyfile").write_text(text)
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


@contextmanager
def process(command: list[str], folder: Path, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        started = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
    with started:
        try:
            yield started
        finally:
            started.terminate()


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path
) -> Iterator[Deployment]:
    if shutil.which(request.param) is None:
        reason = f"{request.param} is not installed: its sample in docs/deploy.md was not tried"
        if REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(request.param)
    database = folder / "openml.db"
    database.write_bytes(migrated_sqlite.read_bytes())
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(folder / "server.key"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    service, port = find_free_port(), find_free_port()
    environment = {
        "DATA_DIR": str(folder / "var"),
        "DATABASE_URI": f"sqlite:///{database}",
        "SPA_DIR": str(BUILD),
        "PORT": str(service),
        "TRUSTED_PROXIES": "127.0.0.1",
        "SEND_EMAIL": "false",
        "EMBEDDED_WORKER": "false",
        "OPENML_SERVER": "http://127.0.0.1:9/",
        "HOME": str(folder),
    }
    commands = {"nginx": nginx_command, "caddy": caddy_command}
    with ExitStack() as stack:
        serve = [sys.executable, "-m", "app.cli", "serve"]
        wait_until_up(
            f"http://127.0.0.1:{service}/", stack.enter_context(process(serve, folder, **environment))
        )
        front = stack.enter_context(
            process(commands[request.param](folder, port, service), folder, HOME=str(folder))
        )
        wait_until_listening(port, front, folder)
        yield Deployment(port, service, database, folder / "ca.pem")


def wait_until_listening(port: int, front: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert front.poll() is None, [path.read_text() for path in folder.glob("*.log")]
            time.sleep(0.05)
        else:
            return
    pytest.fail("the web server does not listen")


def test_browser_when_it_offers_http_2_then_http_1_1_with_a_reason_phrase(deployment: Deployment) -> None:
    with deployment.client() as client:
        client.post("/signup", json=ADA)
        form = {"username": ADA["email"], "password": ADA["password"]}
        token = client.post("/token", data=form).json()["access_token"]
    with deployment.connect("h2", "http/1.1") as connection:
        assert connection.selected_alpn_protocol() in {"http/1.1", None}
        connection.sendall(
            f"GET /verifytoken HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")


def test_upload_when_token_is_bad_then_refused_before_the_file_has_come(deployment: Deployment) -> None:
    head = (
        "POST /data-upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer null\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 50000000\r\n\r\n"
    )
    with deployment.connect("http/1.1") as connection:
        connection.sendall(head.encode() + b"--b\r\n")
        answer = answer_while_sending(connection, at_most=10_000_000)
    assert answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n")


def answer_while_sending(connection: ssl.SSLSocket, *, at_most: int) -> bytes:
    """What comes back while a body is on its way, as browsers send: on and on, whatever was answered."""
    connection.settimeout(0.1)
    for _ in range(at_most // 65536):
        try:
            connection.sendall(b"x" * 65536)
        except OSError:
            break
        try:
            return connection.recv(4096)
        except TimeoutError:
            continue
    connection.settimeout(5)
    return connection.recv(4096)


def test_address_when_browser_claims_another_then_the_real_one_is_kept(deployment: Deployment) -> None:
    with deployment.client() as client:
        headers = {
            "X-Forwarded-For": "203.0.113.9",
            "Forwarded": "for=203.0.113.9",
            "X-Real-IP": "203.0.113.9",
        }
        answer = client.post("/signup", json={**ADA, "email": "bob@example.org"}, headers=headers)
        assert answer.json() == {"msg": "User created"}
    with closing(sqlite3.connect(deployment.database)) as database:
        row = database.execute("SELECT ip_address FROM users WHERE email = 'bob@example.org'").fetchone()
    assert row == (SOMEBODY,)


def test_files_when_served_through_it_then_packed_once_and_revalidated(deployment: Deployment) -> None:
    with deployment.client() as client:
        script = client.get("/static/js/main.4f8a21c7.js", headers={"Accept-Encoding": "br"})
        assert script.headers["content-encoding"] == "br"
        again = client.get("/search?type=data")
        known = client.get("/search", headers={"If-None-Match": again.headers["etag"]})
        assert (again.content, known.status_code) == ((BUILD / "index.html").read_bytes(), 304)
        assert client.get("/d/61").headers["location"] == "/search?type=data&sort=runs&id=61"
        part = client.get("/robots.txt", headers={"Range": "bytes=0-4"})
        assert (part.status_code, part.text) == (206, "User-")


async def through(deployment: Deployment, port: int, folder: Path) -> list[Diagnosis]:
    """What `openml-web doctor --through` finds."""
    settings = Settings(
        _env_file=None,
        data_dir=folder,
        database_uri=f"sqlite:///{deployment.database}",
        outgoing_ca_file=str(deployment.certificates),
    )
    return await examine_installation(
        settings, Wishes(through=f"https://localhost:{port}/"), frozenset({"site"})
    )


async def test_doctor_when_the_sample_is_used_then_nothing_is_wrong(
    deployment: Deployment, tmp_path: Path
) -> None:
    found = await through(deployment, deployment.port, tmp_path)

    assert {each.level for each in found} == {Level.OK}
    assert "ours is 127.0.0.1" in str(found)
    assert "up to UPLOAD_MAX_BYTES (50000000000)" in str(found)


FORWARDED = "proxy_set_header X-Forwarded-For $remote_addr;"


@pytest.mark.parametrize("deployment", ["nginx"], indirect=True)
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({FORWARDED: ""}, "Whoever writes X-Forwarded-For is believed"),
        ({FORWARDED: 'proxy_set_header X-Forwarded-For "";'}, "No X-Forwarded-For arrives"),
        ({FORWARDED: f"{FORWARDED} proxy_bind 127.0.0.3;"}, "Name 127.0.0.3 in TRUSTED_PROXIES"),
        ({"proxy_request_buffering off;": ""}, "keeps bodies back until they are whole"),
        ({"client_max_body_size 51000m;": "client_max_body_size 10m;"}, "refuses bodies of UPLOAD_MAX_BYTES"),
        (
            {
                "proxy_request_buffering off;": "proxy_request_buffering off; proxy_ignore_headers X-Accel-Buffering;"
            },
            "keeps event streams back",
        ),
        ({" ssl;": " ssl http2;"}, "speaks HTTP/2 to browsers"),
        ({"location / {": "location /elsewhere {"}, "not by this service"),
    ],
)
async def test_doctor_when_a_line_of_the_sample_is_another_then_says_what_is_wrong(
    deployment: Deployment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, str],
    says: str,
) -> None:
    monkeypatch.setattr("app.doctor.plain_http.ANSWER_SECONDS", 2.0)
    for name in ("server.pem", "server.key"):
        (tmp_path / name).write_bytes((deployment.certificates.parent / name).read_bytes())
    port = find_free_port()
    with process(nginx_command(tmp_path, port, deployment.service, **change), tmp_path) as front:
        wait_until_listening(port, front, tmp_path)
        found = await through(deployment, port, tmp_path)

    faults = [each.text for each in found if each.level is Level.FAULT]
    assert len(faults) == 1, found
    assert says in faults[0]
