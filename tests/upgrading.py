"""Clients that go on all the time behind nginx, while what is behind it is exchanged."""

import secrets
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.conftest import IN_CI, NO_CERTIFICATES, PATIENCE_SECONDS, find_free_port
from tests.service import wait_for
from tests.uploads.test_data_upload import CSV, SPA_METADATA, form

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
PAGE = (Path(__file__).parents[1] / "docs/upgrade.md").read_text()
UPSTREAM = PAGE.partition("```nginx\n")[2].partition("```")[0]
SAMPLE_PORTS = (5000, 5001)
"""Of the two instances in the sample of docs/upgrade.md."""
KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
"""Of nginx' temporary folders."""


class Front:
    """nginx on a port of its own, with the upstream of docs/upgrade.md, and without TLS."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        self.port = find_free_port()
        self._folder = folder
        self._ports = ports
        self._command = [
            "nginx",
            "-e",
            str(folder / "error.log"),
            "-p",
            str(folder),
            "-c",
            str(folder / "nginx.conf"),
        ]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[None]:
        self._write(without=None)
        with subprocess.Popen([*self._command, "-g", "daemon off;"]) as process:
            try:
                wait_for(lambda: _status(f"{self.url}/health/live") == 200)
                yield
            finally:
                process.terminate()

    def leave_out(self, port: int | None) -> None:
        """Send nothing more to an instance, and wait until all that it was sent is answered."""
        self._write(without=port)
        before = self._workers()
        subprocess.run([*self._command, "-s", "reload"], check=True)
        wait_for(lambda: not before & self._workers(), seconds=2 * PATIENCE_SECONDS)

    def _workers(self) -> set[str]:
        parent = (self._folder / "nginx.pid").read_text().strip()
        return set(
            subprocess.run(
                ["pgrep", "-P", parent], capture_output=True, text=True, check=False
            ).stdout.split()
        )

    def _write(self, *, without: int | None) -> None:
        upstream = UPSTREAM
        for sample, port in zip(SAMPLE_PORTS, self._ports, strict=True):
            line = f"server 127.0.0.1:{sample};"
            assert line in upstream
            upstream = upstream.replace(line, f"server 127.0.0.1:{port}{' down' if port == without else ''};")
        folders = "".join(f"{kind}_temp_path {self._folder / kind};\n" for kind in KINDS)
        (self._folder / "nginx.conf").write_text(
            f"pid {self._folder / 'nginx.pid'}; error_log {self._folder / 'error.log'}; worker_processes 1;\n"
            f"events {{}}\nhttp {{ access_log off;\n{folders}"
            f"{upstream}"
            f"server {{\nlisten 127.0.0.1:{self.port};\nclient_max_body_size 100m;\nlocation / {{\n"
            "proxy_pass http://openml_web;\nproxy_http_version 1.1;\nproxy_request_buffering off;\n"
            'proxy_set_header Connection "";\nproxy_set_header Host $host:$server_port;\n}\n}\n}\n'
        )


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=5, verify=NO_CERTIFICATES).status_code
    except httpx.HTTPError:
        return 0


@dataclass
class Clients:
    """Who reads, and publishes small tables in both ways, one request after another; each answer is looked at.

    Attributes:
        accepted: the names of tables that were taken.
        failed: requests that were not answered as they should.
        asked: how many there were.
    """

    url: str
    headers: dict[str, str]
    accepted: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    asked: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def at_work(self) -> Iterator["Clients"]:
        """Let them go on while the body runs."""
        steps = ((self._read, 0.02), (self._read, 0.02), (self._send_form, 0.4), (self._send_parts, 0.4))
        threads = [threading.Thread(target=self._go_on, args=step) for step in steps]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _go_on(self, step: Callable[[], None], pause: float) -> None:
        while not self._stop.wait(pause):
            step()

    def _read(self) -> None:
        self._ask("GET", "/profile", 200)

    def _send_form(self) -> None:
        name = f"form-{secrets.token_hex(6)}"
        headers = {"Prefer": "respond-async"}
        if self._ask("POST", "/data-upload", 202, headers=headers, files=form(CSV, dataset_name=name)):
            self.accepted.append(name)

    def _send_parts(self) -> None:
        name = f"parts-{secrets.token_hex(6)}"
        described = {"file_name": "t.csv", "size": len(CSV), "publish": True}
        described["metadata"] = {**SPA_METADATA, "dataset_name": name}
        begun = self._ask("POST", "/uploads", 201, json=described)
        if begun is None:
            return
        path = "/uploads/" + begun.headers["Location"].rsplit("/", 1)[1]
        half = len(CSV) // 2
        for start, part in ((0, CSV[:half]), (half, CSV[half:])):
            self._ask("PATCH", path, 204, headers={**BYTES, "Upload-Offset": str(start)}, content=part)
        self.accepted.append(name)

    def _ask(self, method: str, path: str, status: int, **arguments: object) -> httpx.Response | None:
        """Ask on a connection of its own: what nginx closes to its clients is not what is tried."""
        headers = {**self.headers, **(arguments.pop("headers", None) or {})}  # type: ignore[dict-item]  # arguments of httpx, passed on
        with self._lock:
            self.asked += 1
        try:
            with httpx.Client(timeout=60, verify=NO_CERTIFICATES) as client:
                answer = client.request(method, self.url + path, headers=headers, **arguments)  # type: ignore[arg-type]  # arguments of httpx, passed on
        except httpx.HTTPError as error:
            self.failed.append(f"{method} {path}: {error!r}")
            return None
        if answer.status_code == status:
            return answer
        self.failed.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return None


def require_nginx() -> None:
    if shutil.which("nginx") is None:
        (pytest.fail if IN_CI else pytest.skip)("nginx is not installed: nothing was tried behind it")
