"""What serving the frontend costs, beside nginx on the same files in the same run; needs `wrk` and `nginx`.

Three servers: nginx as Debian sets it up (a line in its access log for each request), nginx tuned (no log, open files
kept), and `openml-web serve`. One worker process each. Requests per second and core are requests by the processor time
that the server itself took.
"""

import argparse
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from benchmarks.processes import cpu_seconds, family, memory_mb
from tests.conftest import find_free_port

BUILD = Path(__file__).parents[1] / "tests/web/pages/build"
SCRIPT = "/static/js/big.12345678.js"
CONNECTIONS = 16
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    include /etc/nginx/mime.types; sendfile on; tcp_nopush on; {tuning}
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{ listen 127.0.0.1:{port}; root {build}; location / {{ try_files $uri /index.html; }} }}
}}
"""
DEBIAN = "access_log {folder}/access.log;"
TUNED = "access_log off; open_file_cache max=1000; keepalive_requests 1000000;"


def total(measure: Callable[[int], float], process: "subprocess.Popen[bytes]") -> float:
    """Return what a process and all that descend from it have together."""
    return sum(map(measure, family(process.pid)))


def start(command: list[str], url: str, **environment: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    while True:
        try:
            assert httpx.get(url).status_code == 200
        except httpx.TransportError:
            assert process.poll() is None, command
            time.sleep(0.02)
        else:
            return process


def nginx(folder: Path, build: Path, tuning: str) -> "tuple[subprocess.Popen[bytes], str]":
    folder.mkdir()
    port = find_free_port()
    text = NGINX.format(folder=folder, port=port, build=build, tuning=tuning.format(folder=folder))
    (folder / "nginx.conf").write_text(text)
    url = f"http://127.0.0.1:{port}"
    return start(["nginx", "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")], f"{url}/"), url


def ours(folder: Path, build: Path) -> "tuple[subprocess.Popen[bytes], str]":
    folder.mkdir()
    port = find_free_port()
    environment = {
        "DATA_DIR": str(folder),
        "SPA_DIR": str(build),
        "PORT": str(port),
        "EMBEDDED_WORKER": "false",
        "OPENML_SERVER": "http://127.0.0.1:9/",
    }
    command = [sys.executable, "-m", "app.cli"]
    subprocess.run(
        [*command, "migrate"], env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    return start([*command, "serve"], f"{url}/", **environment), url


def load(url: str, seconds: int) -> float:
    """Return how many requests were answered."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", url]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in printed, printed
    assert "Socket errors" not in printed, printed
    found = re.search(r"(\d+) requests in", printed)
    assert found, printed
    return float(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        build = folder / "build"
        shutil.copytree(BUILD, build)
        (build / SCRIPT[1:]).write_bytes(random.Random(1).randbytes(1_000_000).hex().encode())
        starts: dict[str, Callable[[], tuple[subprocess.Popen[bytes], str]]] = {
            "nginx as on Debian": lambda: nginx(folder / "debian", build, DEBIAN),
            "nginx, tuned": lambda: nginx(folder / "tuned", build, TUNED),
            "openml-web serve": lambda: ours(folder / "ours", build),
        }
        servers = {label: begin() for label, begin in starts.items()}
        try:
            for path in ("/", SCRIPT):
                compare(servers, path, options.seconds, options.rounds)
            process, url = servers["openml-web serve"]
            before = total(memory_mb, process)
            sent = sum(load(f"{url}{path}", options.seconds * 2) for path in ("/", SCRIPT, "/nowhere"))
            print(
                f"memory of openml-web: {before:.0f} MB, after {sent:.0f} more requests {total(memory_mb, process):.0f} MB"
            )
        finally:
            for process, _ in servers.values():
                process.terminate()
                process.wait()


def compare(
    servers: "dict[str, tuple[subprocess.Popen[bytes], str]]", path: str, seconds: int, rounds: int
) -> None:
    rates: dict[str, list[float]] = {label: [] for label in servers}
    per_core: dict[str, list[float]] = {label: [] for label in servers}
    for _ in range(rounds):
        for label, (process, url) in servers.items():
            before = total(cpu_seconds, process)
            answered = load(url + path, seconds)
            rates[label].append(answered / seconds)
            per_core[label].append(answered / (total(cpu_seconds, process) - before))
    print(f"GET {path}")
    mine = statistics.median(per_core["openml-web serve"])
    for label in servers:
        core = statistics.median(per_core[label])
        rate = statistics.median(rates[label])
        print(
            f"  {label:20} {rate:8.0f} requests/s   {core:8.0f} for each second of processor   ours: {mine / core:.0%}"
        )


if __name__ == "__main__":
    main()
