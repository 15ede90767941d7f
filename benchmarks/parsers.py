"""Server CPU of reading HTTP/1.1 with h11, with httptools, and with httptools below our own protocol, in one run.

    .venv/bin/python -m benchmarks.parsers [--seconds 3] [--rounds 3]

Each server is a process of its own (one worker, uvloop) with a bare ASGI application that reads the body and says how long
it was, so that what differs is the protocol. Requests are as browsers send them, over four kept connections.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PROTOCOLS = ("h11", "httptools", "app.core.http1:HttpProtocol")
APPLICATION = """
import app.core.http1  # everywhere, so that what is loaded does not differ
async def application(scope, receive, send):
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"%d" % size
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""
HEADERS = (
    "Host: 127.0.0.1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept: application/json, */*\r\n"
    "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\nOrigin: http://localhost:3000\r\n"
    f"Referer: http://localhost:3000/search\r\nAuthorization: Bearer {'x' * 120}\r\n"
)
BODY = b'{"email": "ada@example.org", "password": "seven rivers flow north"}'
GET = f"GET /health/live?x=1 HTTP/1.1\r\n{HEADERS}\r\n".encode()
POST = f"POST /login HTTP/1.1\r\n{HEADERS}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
GIGABYTE = 1_000_013_824
BLOCK = b"x" * 65536
CONNECTIONS = 4


def cpu_seconds(process: "subprocess.Popen[bytes]") -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_answer(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return body


def small(port: int, request: bytes, seconds: float) -> int:
    """Return how many requests were answered."""
    counts = [0] * CONNECTIONS
    end = time.perf_counter() + seconds

    def ask(number: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while time.perf_counter() < end:
                connection.sendall(request)
                read_answer(connection)
                counts[number] += 1

    threads = [threading.Thread(target=ask, args=[number]) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def large(port: int, *, in_chunks: bool) -> None:
    framing = "Transfer-Encoding: chunked" if in_chunks else f"Content-Length: {GIGABYTE}"
    block = b"10000\r\n" + BLOCK + b"\r\n" if in_chunks else BLOCK
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode())
        for _ in range(GIGABYTE // len(BLOCK)):
            connection.sendall(block)
        if in_chunks:
            connection.sendall(b"0\r\n\r\n")
        assert int(read_answer(connection)) == GIGABYTE


def measure(protocol: str, folder: Path, seconds: float) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "bare:application", "--http", protocol, "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{Path(__file__).parents[1]}"}
    with subprocess.Popen(
        [*command, "--no-access-log", "--lifespan", "off", "--log-level", "warning"], env=environment
    ) as process:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        said = []
        for name, request in (("GET", GET), ("POST", POST)):
            before = cpu_seconds(process)
            count = small(port, request, seconds)
            cpu = (cpu_seconds(process) - before) / count
            said.append(f"{name} {count / seconds:6.0f} requests/s {cpu * 1e6:4.0f} µs CPU")
        for name, in_chunks in (("1 GB", False), ("1 GB in chunks", True)):
            before = cpu_seconds(process)
            large(port, in_chunks=in_chunks)
            said.append(f"{name} {cpu_seconds(process) - before:.2f} s CPU")
        print(f"{protocol.partition(':')[0]:15} {'   '.join(said)}")
        process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "bare.py").write_text(APPLICATION)
        for _ in range(arguments.rounds):
            for protocol in PROTOCOLS:
                measure(protocol, Path(name), arguments.seconds)


if __name__ == "__main__":
    main()
