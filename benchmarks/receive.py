"""Server CPU of receiving a large file by tus, beside a bare uvicorn application that reads the same bytes and drops them.

    .venv/bin/python -m benchmarks.receive [--megabytes 1000]

The same requests go to both, in turns: bodies of 64 MB with PATCH over one kept connection, as clients of tus send them
(a browser sends more in one). Ours counts, checks and syncs what it keeps on the disk; CPU is the user and system time of the
web process until each body is acknowledged. Nothing is published, so nothing else runs.
"""

import argparse
import asyncio
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from app.core.settings import Settings
from benchmarks.lines import Aim, Line
from benchmarks.processes import cpu_seconds, started
from benchmarks.upload import SECRET, prepare
from tests.conftest import find_free_port

BODY = 64_000_000
BLOCK = b"1.5,2.5,some words,b\n" * 3000
SINK = """
async def application(scope, receive, send):
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    headers = [(b"upload-offset", b"%d" % size)]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
"""


def send(port: int, path: str, token: str, megabytes: int) -> None:
    """Send so many bytes in bodies of `BODY`, each from where the server is."""
    left, offset = megabytes * 1_000_000, 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while left:
            size = min(BODY, left)
            head = (
                f"PATCH {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nTus-Resumable: 1.0.0\r\n"
                f"Upload-Offset: {offset}\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: {size}\r\n\r\n"
            )
            connection.sendall(head.encode())
            for _ in range(size // len(BLOCK)):
                connection.sendall(BLOCK)
            connection.sendall(BLOCK[: size % len(BLOCK)])
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 204"), answer
            left, offset = left - size, offset + size


def begin(url: str, token: str, megabytes: int) -> str:
    """Begin an upload, and return its path."""
    answer = httpx.post(
        f"{url}/uploads",
        headers={"Authorization": f"Bearer {token}"},
        json={"file_name": "t.csv", "size": megabytes * 1_000_000 + 1},
    )
    answer.raise_for_status()
    return urlsplit(answer.headers["location"]).path


def measure(megabytes: int, rounds: int) -> tuple[float, float]:
    """Return seconds of the processor of ours and of the sink, of each the least of some rounds."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "sink.py").write_text(SINK)
        port, sink_port = find_free_port(), find_free_port()
        url, sink_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sink_port}"
        token = asyncio.run(prepare(Settings(_env_file=None, data_dir=folder)))
        environment = {
            "DATA_DIR": str(folder), "JWT_SECRET_KEY": SECRET, "PORT": str(port), "EMBEDDED_WORKER": "false",
            "OPENML_SERVER": "http://127.0.0.1:9/", "LOG_LEVEL": "WARNING",
        }  # fmt: skip
        sink_command = ["-m", "uvicorn", "sink:application", f"--app-dir={folder}", f"--port={sink_port}"]
        sink = stack.enter_context(started([*sink_command, "--no-access-log"], {}, sink_url))
        ours = stack.enter_context(started(["-m", "app.cli", "serve"], environment, f"{url}/health/live"))
        costs: list[list[float]] = [[], []]
        for _ in range(rounds):
            path = begin(url, token, megabytes)
            for side, server, where in ((0, ours, port), (1, sink, sink_port)):
                before = cpu_seconds(server.pid)
                send(where, path, token, megabytes)
                costs[side].append(cpu_seconds(server.pid) - before)
            httpx.delete(
                f"{url}{path}", headers={"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
            )
    return min(costs[0]), min(costs[1])


def lines(*, short: bool) -> Iterator[Line]:
    """Measure one upload."""
    megabytes = 256 if short else 1000
    ours, sink = measure(megabytes, 3)
    yield Line(
        "receive by tus, CPU for 1 GB",
        ours * 1000 / megabytes,
        "s CPU",
        sink * 1000 / megabytes,
        "bare sink",
        Aim(1.5),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ours, sink = measure(options.megabytes, options.rounds)
    print(f"{options.megabytes} MB by tus: {ours:.2f} s CPU, bare sink {sink:.2f} s, ratio {ours / sink:.2f}")


if __name__ == "__main__":
    main()
