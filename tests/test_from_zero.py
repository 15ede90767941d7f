"""The sequence of docs/operations.md for a first production site, run as it stands, with other ports and folders."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import AuthResult

from tests.conftest import IN_CI, find_free_port
from tests.mariadb_server import OwnMariaDB, own_mariadb
from tests.service import wait_for
from tests.web.pages.conftest import BUILD

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## From zero\n")[2].partition("\n## ")[0]
UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
NOT_RUN = {
    "useradd --system --home-dir /var/lib/openml-web --create-home openml",
    "git clone https://github.com/openml/openml-web /opt/openml-web",
    "cd /opt/openml-web",
    "install -d -o openml -g openml -m 750 /var/log/openml-web",
    "cp deploy/systemd/*.service /etc/systemd/system/",
    "systemctl daemon-reload",
    "systemctl enable --now openml-web@5000 openml-web@5001 openml-web-worker@1",
}
"""What would change the machine of whoever runs the test. Of the units the commands are run, and systemd reads them."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)


def instead(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def test_lines_when_not_run_then_they_are_those_that_change_the_machine() -> None:
    assert {line.removeprefix("# ") for block in blocks("console") for line in block.splitlines()} == NOT_RUN


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_units_when_systemd_reads_them_then_it_has_nothing_to_say(tmp_path: Path) -> None:
    names = []
    for unit in UNITS:
        names.append(tmp_path / unit.name.replace("@", "@1"))
        # It looks whether the command is there.
        text = unit.read_text().replace("/opt/openml-web/.venv/bin/openml-web", shutil.which("true") or "")
        names[-1].write_text(text)

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, names)],
        capture_output=True,
        text=True,
        check=False,
    )

    ours = [line for line in done.stderr.splitlines() if "openml-web" in line]
    assert (len(UNITS), ours) == (2, [])


def command_of(unit: str, instance: str) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of a unit's instance."""
    text = (ROOT / "deploy/systemd" / unit).read_text()
    command = re.findall(r"^ExecStart=(.*)", text, re.MULTILINE)
    given = [line.partition("=") for line in re.findall(r"^Environment=(.*)", text, re.MULTILINE)]
    assert len(command) == 1
    return command[0].split(), {name: value.replace("%i", instance) for name, _, value in given}


@contextmanager
def mail_server(authority: trustme.CA) -> Iterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    port = find_free_port()

    def take(*given: object) -> AuthResult:
        return AuthResult(success=getattr(given[-1], "password", b"") == b"the-password-of-the-mail-server")

    server = Controller(
        Sink(), hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True,
        authenticator=take, auth_required=True,
    )  # fmt: skip
    server.start()
    try:
        yield port
    finally:
        server.stop()


@pytest.mark.long
def test_site_when_made_as_the_page_says_then_the_doctor_finds_no_fault(
    tmp_path: Path, sandbox_url: str
) -> None:
    if shutil.which("nginx") is None:
        (pytest.fail if IN_CI else pytest.skip)("nginx is not installed")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    web, other, front, metrics = (str(find_free_port()) for _ in range(4))
    home = tmp_path / "opt"
    home.mkdir()
    (tmp_path / "log").mkdir()
    with ExitStack() as stack:
        database = stack.enter_context(own_mariadb(tmp_path, "--bind-address=127.0.0.1"))
        smtp = stack.enter_context(mail_server(authority))
        changes = {
            "https://www.openml.org/\n": f"{sandbox_url}\nALLOW_PLAIN_HTTP=true\nOUTGOING_CA_FILE={tmp_path}/ca.pem\n",
            "https://www.openml.org": f"https://localhost:{front}",
            "127.0.0.1:3306": f"127.0.0.1:{database.port}",
            "127.0.0.1:9464": f"127.0.0.1:{metrics}",
            "/var/lib/openml-web-build": str(BUILD),
            "/var/lib/openml-web": str(tmp_path / "var"),
            "/var/log/openml-web": str(tmp_path / "log"),
            "/opt/openml-web/.venv/bin/openml-web": f"{sys.executable} -m app.cli",
            "mail.example.org": "localhost",
            "SMTP_PORT=587": f"SMTP_PORT={smtp}",
            ".venv/bin/openml-web": f"{sys.executable} -m app.cli",
            "127.0.0.1:5000": f"127.0.0.1:{web}",
            "127.0.0.1:5001": f"127.0.0.1:{other}",
        }
        run_sql(database)
        settings, migrate, doctor, working = blocks("sh")
        for script in (settings, migrate):
            assert run(script, home, changes).returncode == 0
        assert (home / ".env").stat().st_mode & 0o777 == 0o640
        first = run(doctor, home, changes).stdout
        assert [line for line in first.splitlines() if line.startswith("fault")] == [
            "fault    worker     No worker is running; start openml-web worker."
        ], first
        web_unit, worker_unit = "openml-web@.service", "openml-web-worker@.service"
        services = {}
        for unit, instance in ((web_unit, web), (web_unit, other), (worker_unit, "1")):
            command, environment = command_of(unit, instance)
            process = started(instead(" ".join(command), changes), home, environment)
            services[instance] = stack.enter_context(process)
        for port in (web, other):
            wait_until_listening(port)
        stack.enter_context(started(nginx(tmp_path, authority, front, changes), tmp_path, {}))
        wait_until_listening(front)
        # What listens has not imported its routes yet, which takes a busy machine longer than `health` waits.
        for check in (
            f"PORT={web} .venv/bin/openml-web health --of web",
            ".venv/bin/openml-web health --of worker",
        ):
            wait_for(partial(is_well, check, home, changes))

        last = run(f"export PORT={web}\n{working}", home, changes)
        assert last.returncode == 0, last.stdout + last.stderr
        assert "0 faults" in last.stdout
        assert "speaks" not in last.stdout
        assert "letters-and-digits" not in first + last.stdout
        drain(tmp_path, front, other, services[other])


def is_well(check: str, folder: Path, changes: Mapping[str, str]) -> bool:
    return run(check, folder, changes).returncode == 0


def drain(folder: Path, front: str, other: str, process: "subprocess.Popen[bytes]") -> None:
    """Take one out as the page says, and end it: nobody notices."""
    configuration = folder / "nginx.conf"
    text = configuration.read_text()
    configuration.write_text(text.replace(f"127.0.0.1:{other};", f"127.0.0.1:{other} down;"))
    assert configuration.read_text() != text
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    with httpx.Client(base_url=f"https://localhost:{front}", verify=context) as client:
        subprocess.run(
            ["nginx", "-s", "reload", "-e", folder / "error.log", "-p", folder, "-c", configuration],
            check=True,
        )
        process.terminate()
        assert {client.get("/health/live").status_code for _ in range(50)} == {200}
    process.wait(timeout=60)


def run_sql(database: OwnMariaDB) -> None:
    database.ask("DROP DATABASE openml", database="")
    (script,) = blocks("sql")
    for statement in filter(str.strip, script.split(";\n")):
        database.ask(statement, database="")


def run(script: str, folder: Path, changes: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", "-ec", instead(script, changes)], cwd=folder, env=environment_of(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def environment_of() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@contextmanager
def started(
    command: str, folder: Path, environment: Mapping[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        ["sh", "-c", f"exec {command}"], cwd=folder, env={**environment_of(), **environment},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait_until_listening(port: str) -> None:
    def answers() -> bool:
        with socket.socket() as trial:
            return trial.connect_ex(("127.0.0.1", int(port))) == 0

    wait_for(answers)


def nginx_conf(folder: Path, front: str, changes: Mapping[str, str]) -> str:
    """The server of docs/deploy.md behind the upstream of this page."""
    page = (ROOT / "docs/deploy.md").read_text()
    sample = re.findall(r"^```nginx\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[0]
    (upstream,) = blocks("nginx")
    return instead(
        upstream + sample[sample.index("server {\n    listen") :],
        {
            **changes,
            "listen 443 ssl;": f"listen 127.0.0.1:{front} ssl;",
            "server_name www.openml.org;": "server_name localhost;",
            "/etc/ssl/openml": str(folder / "server"),
        },
    )


def nginx(folder: Path, authority: trustme.CA, front: str, changes: Mapping[str, str]) -> str:
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(folder / "server.key"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "server.crt"))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {folder / kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder / 'nginx.pid'}; error_log {folder / 'error.log'}; worker_processes 1;\n"
        f"events {{}}\nhttp {{ access_log off;\n{folders}{nginx_conf(folder, front, changes)}}}\n"
    )
    return f"nginx -e {folder / 'error.log'} -p {folder} -c {folder / 'nginx.conf'}"
