"""A thousand clients at once on a slow line, on one web process and one worker.

    .venv/bin/python -m benchmarks.clients [--clients 1000] [--kilobytes 1000] [--seconds 60]

Each client begins an upload of a table and sends it with one PATCH (tus), spread over the given time, all at the same
time; the uploads belong to twenty users. Who is told to come back (503) does so, and goes on where it was. Meanwhile `GET /health/live` is asked fifty
times a second on a connection of its own, and the memory of the web process is sampled. What web process, worker, children
and sandbox take of the processor is told for each upload: where they add up to the time that it took, nothing but the
processor was waited for. In the end every upload must be a dataset of the sandbox, once, with the right MD5. Clients,
service, worker and sandbox share the machine.
"""

import argparse
import asyncio
import contextlib
import json
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from app.core.clock import utc_now
from app.core.settings import Settings
from app.core.tokens import TokenSigner
from app.db import users
from app.db.engine import Database
from app.db.migrations import migrate
from benchmarks.lines import Aim, Line
from benchmarks.processes import Spent, cpu_seconds, memory_mb, spent_by, started
from benchmarks.upload import SECRET
from tests.conftest import find_free_port

USERS = 20
PIECES = 20
TUS = "Tus-Resumable: 1.0.0\r\n"
ENDED = {"active", "failed", "cancelled", "duplicate"}


@dataclass
class Seen:
    """What was measured."""

    latencies: list[float] = field(default_factory=list)
    idle_mb: float = 0.0
    peak_mb: float = 0.0
    told_to_wait: Counter[str] = field(default_factory=Counter)
    """By problem, answers that asked a client to come back."""


async def prepare(settings: Settings) -> list[str]:
    database = Database(settings)
    await migrate(database.engine)
    tokens = []
    async with database.session() as session:
        for number in range(USERS):
            user_id = await users.add_user(
                session, username=f"bench{number}", email=f"bench{number}@example.org", password_hash="x", first_name="A",
                last_name="L", api_key=f"{number + 1:032x}", ip_address="", active=True, now=utc_now(),
            )  # fmt: skip
            await users.add_to_members(session, user_id)
            tokens.append(TokenSigner(SECRET, lifetime=timedelta(hours=12)).issue(user_id)[0])
    await database.close()
    return tokens


def table(number: int, kilobytes: int) -> bytes:
    row = f"{number},{number / 7:.6f},word {number},a\n{number},{number / 3:.6f},other {number},b\n".encode()
    return b"id,x,word,kind\n" + row * (kilobytes * 1000 // len(row) + 1)


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def upload(port: int, token: str, number: int, options: argparse.Namespace, seen: Seen) -> str:
    """Send one table slowly over a connection of its own; return the upload's path."""
    content = table(number, options.kilobytes)
    authorization = f"Authorization: Bearer {token}\r\nHost: 127.0.0.1\r\n"
    body = (
        f'{{"file_name": "t{number}.csv", "size": {len(content)}, "publish": true, "metadata": {{"dataset_name": '
        f'"t{number}", "description": "d", "def_tar_att": "kind"}}}}'
    ).encode()
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    begin = f"POST /uploads HTTP/1.1\r\n{authorization}{kind}".encode() + body
    while True:
        streams = await asyncio.open_connection("127.0.0.1", port)
        streams[1].write(begin)
        status, headers, said = await answer(streams[0])
        if status != 503:
            break
        await come_back(streams, headers, said, seen)
    if status != 201:
        raise RuntimeError(f"begin: {status}")
    path, offset = urlsplit(headers["location"]).path, 0
    while True:
        status, headers, said = await send(
            streams, path, authorization, content[offset:], offset, options.seconds
        )
        if status != 503:
            break
        await come_back(streams, headers, said, seen)
        streams = await asyncio.open_connection("127.0.0.1", port)
        streams[1].write(f"HEAD {path} HTTP/1.1\r\n{authorization}{TUS}\r\n".encode())
        _, headers, _ = await answer(streams[0], has_body=False)
        offset = int(headers["upload-offset"])
    streams[1].close()
    if status != 204 or int(headers["upload-offset"]) != len(content):
        raise RuntimeError(f"send: {status}")
    return path


async def come_back(streams: Streams, headers: dict[str, str], said: bytes, seen: Seen) -> None:
    """Wait as long as the answer asks for."""
    streams[1].close()
    seen.told_to_wait[json.loads(said)["type"].rpartition("/")[2]] += 1
    await asyncio.sleep(float(headers["retry-after"]))


async def send(
    streams: Streams, path: str, authorization: str, content: bytes, offset: int, seconds: float
) -> tuple[int, dict[str, str], bytes]:
    """Send what is left in so many seconds; return the answer."""
    reader, writer = streams
    kind = f"Content-Type: application/offset+octet-stream\r\nContent-Length: {len(content)}\r\n\r\n"
    writer.write(f"PATCH {path} HTTP/1.1\r\n{authorization}{TUS}Upload-Offset: {offset}\r\n{kind}".encode())
    piece = len(content) // PIECES + 1
    for begin in range(0, len(content), piece):
        writer.write(content[begin : begin + piece])
        await writer.drain()
        await asyncio.sleep(seconds / PIECES)
    return await answer(reader)


async def answer(reader: asyncio.StreamReader, *, has_body: bool = True) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")) if has_body else 0)
    return int(head[0].split()[1]), headers, body


async def probe(url: str, pid: int, seen: Seen) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        while True:
            began = time.perf_counter()
            (await client.get("/health/live")).raise_for_status()
            seen.latencies.append((time.perf_counter() - began) * 1000)
            if len(seen.latencies) % 25 == 0:
                megabytes = memory_mb(pid)
                seen.idle_mb = seen.idle_mb or megabytes
                seen.peak_mb = max(seen.peak_mb, megabytes)
            await asyncio.sleep(0.02)


async def all_ended(url: str, tokens: list[str], patience_seconds: float) -> Counter[str]:
    """Wait until no upload is on its way; return how they ended."""
    deadline = time.monotonic() + patience_seconds
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        while True:
            states: Counter[str] = Counter()
            for token in tokens:
                before: dict[str, Any] = {}
                while True:
                    page = (
                        await client.get(
                            "/uploads",
                            params={"limit": 100, **before},
                            headers={"Authorization": f"Bearer {token}"},
                        )
                    ).json()
                    states.update(upload["state"] for upload in page["uploads"])
                    if page["next"] is None:
                        break
                    before = {"before": page["next"]}
            if set(states) <= ENDED or time.monotonic() > deadline:
                return states
            await asyncio.sleep(5)


class Outcome(NamedTuple):
    """What many clients did to one web process: milliseconds of `/health/live`, mebibytes, seconds."""

    seen: Seen
    idle: list[float]
    busy: list[float]
    receiving: float
    everything: float
    failures: Counter[str]
    states: Counter[str]
    spent: Spent
    sandbox: float
    """Processor time of all, in seconds."""


class Processes(NamedTuple):
    """Their numbers."""

    web: int
    worker: int
    sandbox: int


async def observe(
    url: str, port: int, pids: Processes, tokens: list[str], options: argparse.Namespace
) -> Outcome:
    """Let them send, all at once, and wait until their uploads have ended."""
    seen = Seen()
    probing = asyncio.create_task(probe(url, pids.web, seen))
    await asyncio.sleep(5)
    idle, seen.latencies = sorted(seen.latencies), []
    began, before, sandbox = time.monotonic(), spent_by(pids.web, pids.worker), cpu_seconds(pids.sandbox)
    sent = await asyncio.gather(
        *(upload(port, tokens[number % USERS], number, options, seen) for number in range(options.clients)),
        return_exceptions=True,
    )
    receiving, busy = time.monotonic() - began, sorted(seen.latencies)
    failures = Counter(repr(one)[:80] for one in sent if isinstance(one, BaseException))
    states = await all_ended(url, tokens, options.patience)
    everything = time.monotonic() - began
    spent = spent_by(pids.web, pids.worker).per_upload(before, 1)
    sandbox = cpu_seconds(pids.sandbox) - sandbox
    probing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await probing
    return Outcome(seen, idle, busy, receiving, everything, failures, states, spent, sandbox)


def run(options: argparse.Namespace) -> Outcome:
    """Start the service, a worker and the sandbox, and let the clients come."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        port, sandbox_port = find_free_port(), find_free_port()
        url, sandbox_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}/"
        environment = {
            "DATA_DIR": f"{folder}/var", "JWT_SECRET_KEY": SECRET, "PORT": str(port), "SANDBOX_PORT": str(sandbox_port),
            "OPENML_SERVER": sandbox_url, "LOG_LEVEL": "WARNING", "EMBEDDED_WORKER": "false",
        }  # fmt: skip
        tokens = asyncio.run(prepare(Settings(_env_file=None, data_dir=Path(folder, "var"))))
        program = ["-m", "app.cli"]
        sandbox = stack.enter_context(started([*program, "sandbox"], environment, sandbox_url))
        service = stack.enter_context(started([*program, "serve"], environment, f"{url}/health/live"))
        worker = stack.enter_context(started([*program, "worker"], environment, f"{url}/health/live"))
        pids = Processes(service.pid, worker.pid, sandbox.pid)
        return asyncio.run(observe(url, port, pids, tokens, options))


def lines(*, short: bool) -> Iterator[Line]:
    """Measure many clients: how long until all is active, and what the web process holds."""
    clients, seconds = (100, 10) if short else (1000, 60)
    found = run(
        argparse.Namespace(clients=clients, kilobytes=1000, seconds=seconds, patience=120 if short else 1800)
    )
    if found.failures or set(found.states) != {"active"}:
        raise SystemExit(f"{found.failures} {found.states}")
    # By the clock, which everything on the machine shares; a rival that publishes there is none.
    yield Line(
        f"{clients} clients, 1 MB each: until all are active, for each",
        found.everything / clients,
        "s",
        found.receiving / clients,
        "until all have sent",
        Aim(0.2, of_value=True),
    )
    yield Line(
        f"{clients} clients, 1 MB each: memory of the web process",
        found.seen.peak_mb,
        "MB",
        found.seen.idle_mb,
        "idle",
        Aim(300, of_value=True),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--kilobytes", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--patience", type=float, default=1800, help="seconds until all must be published")
    options = parser.parse_args()
    found = run(options)
    print(
        f"{options.clients} clients sent {options.kilobytes} kB each in {found.receiving:.0f} s; "
        f"{len(found.failures)} kinds of failures; told to come back: {dict(found.seen.told_to_wait)}"
    )
    for failure, count in found.failures.items():
        print(f"  {count} x {failure}")
    for name, latencies in (
        ("idle", found.idle),
        ("while they send", found.busy),
        ("until published", sorted(found.seen.latencies)),
    ):
        print(
            f"GET /health/live, {name:16} p50 {latencies[len(latencies) // 2]:.1f} ms   "
            f"p99 {latencies[int(len(latencies) * 0.99)]:.1f} ms   worst {latencies[-1]:.0f} ms"
        )
    print(f"memory of the web process: idle {found.seen.idle_mb:.0f} MB, at most {found.seen.peak_mb:.0f} MB")
    print(f"after {found.everything:.0f} s: {dict(found.states)}")
    web, worker, children = (
        part / options.clients for part in (found.spent.web, found.spent.worker, found.spent.children)
    )
    print(
        f"for each {found.everything / options.clients:.3f} s; of the processor: web {web:.3f}   worker {worker:.3f}   "
        f"child {children:.3f}   sandbox {found.sandbox / options.clients:.3f} s"
    )


if __name__ == "__main__":
    main()
