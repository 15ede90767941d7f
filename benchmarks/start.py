"""How long `make run` takes to its first answer, and what its processes hold when idle.

    .venv/bin/python benchmarks/start.py

Three starts on a new folder, three more on the same one; the requirements are installed already.
"""

import os
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(url: str) -> float:
    began = time.perf_counter()
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return time.perf_counter() - began
        except (urllib.error.URLError, OSError):
            time.sleep(0.01)


def memory_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in family(int(child)))]


def describe(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return "sandbox" if "openml_sandbox" in words else "service" if "dev" in words else ""


def one_start(folder: str) -> tuple[float, dict[str, float]]:
    port = free_port()
    environment = {**os.environ, "DATA_DIR": folder, "PORT": str(port), "SANDBOX_PORT": str(free_port())}
    process = subprocess.Popen(
        ["make", "-s", "run"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    seconds = wait_for(f"http://127.0.0.1:{port}/health/ready")
    time.sleep(2)
    memory = {describe(pid): memory_mb(pid) for pid in family(process.pid) if describe(pid)}
    process.terminate()
    process.wait()
    return seconds, memory


def main() -> None:
    first, later = [], []
    memory: dict[str, float] = {}
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            first.append(one_start(folder)[0])
            seconds, memory = one_start(folder)
            later.append(seconds)
    print(f"first answer, new folder       {statistics.median(first):.2f} s")
    print(f"first answer, kept folder      {statistics.median(later):.2f} s")
    for name, megabytes in memory.items():
        print(f"idle memory, {name:17} {megabytes:.0f} MB")


if __name__ == "__main__":
    main()
