"""Servers that die, freeze or fall silent beneath two hundred clients: `make outages`.

    .venv/bin/python -m tests.outages [--seconds 60] [--clients 200] [--strikes mariadb:kill,redis:mute]

The arrangement of tests/chaos.py with an S3 store; a line that can fall silent leads to each server. One after
another is killed, frozen (SIGSTOP) and muted for so many seconds, while people look, sign up, log in and upload. None
of them may be answered 500, or not at all, or late; whatever was acknowledged is there once in the end.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from app.core.limits import LIMITS
from tests.chaos import TIMINGS, Arrangement, Client, Sent, judge, leftovers, settle, sign_up, table
from tests.forwarder import Forwarder
from tests.s3_server import S3Server, find_weed, start_server

WAYS = ("kill", "pause", "mute")
SERVERS = {"mariadb": "mariadb", "redis": "redis", "openml": "sandbox", "store": ""}
"""What can go, and the part of the arrangement that it is."""
DATABASE_SECONDS = 3
LATEST_SECONDS = 25.0
"""When each answer must have come: no server is waited for longer, the store with its repetitions included."""
BUCKET = "outages"


class Lines:
    """A line to each server, in a thread of its own: servers use them before and while the clients' loop runs."""

    def __init__(self, ports: dict[str, int]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._lines = {name: Forwarder("127.0.0.1", port) for name, port in ports.items()}

    def __enter__(self) -> Self:
        self._thread.start()
        for line in self._lines.values():
            asyncio.run_coroutine_threadsafe(line.mend(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        ending: list[Future[None]] = [
            asyncio.run_coroutine_threadsafe(line.cut(), self._loop) for line in self._lines.values()
        ]
        for each in ending:
            each.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def port(self, name: str) -> int:
        return self._lines[name].port

    def mute(self, name: str) -> None:
        self._loop.call_soon_threadsafe(self._lines[name].fail, "mute")

    def heal(self, name: str) -> None:
        self._loop.call_soon_threadsafe(self._lines[name].heal)


@dataclass
class Deployment(Arrangement):
    """The arrangement, each server behind a line, and upload bytes in a store."""

    store: S3Server = field(init=False)
    lines: Lines = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        del self.parts["worker with a wrong clock"]
        command = find_weed()
        assert command is not None, "SeaweedFS's `weed` is not installed"
        self.store = start_server(command, self.folder / "s3")
        self.store.make_bucket(BUCKET)
        environment = self.parts["web"].environment
        ports = {
            "mariadb": self.mariadb_port,
            "redis": _port_of(environment["REDIS_URL"]),
            "openml": _port_of(self.sandbox),
            "store": self.store.port,
        }
        self.lines = Lines(ports)
        store = self.store.settings(f"{BUCKET}/all", f"http://127.0.0.1:{self.lines.port('store')}")
        environment |= {name.upper(): value for name, value in store.items()}
        environment |= {
            "DATABASE_URI": f"mysql://root@127.0.0.1:{self.lines.port('mariadb')}/openml",
            "TIMINGS": json.dumps(
                TIMINGS | {"database_timeout_seconds": DATABASE_SECONDS, "storage_timeout_seconds": 5}
            ),
            "REDIS_URL": f"redis://127.0.0.1:{self.lines.port('redis')}/0",
            "OPENML_SERVER": f"http://127.0.0.1:{self.lines.port('openml')}/",
            "RATE_LIMITS": ",".join(f"{name}=1000000/hour" for name in LIMITS),
        }
        self.parts["worker"].environment.update(environment)

    def stop(self) -> None:
        super().stop()
        self.store.kill()

    def strike_server(self, name: str, way: str, seconds: float) -> None:
        """Take a server away for so long."""
        if way == "mute":
            self.lines.mute(name)
            time.sleep(seconds)
            self.lines.heal(name)
            return
        if name == "store":
            self._strike_store(way, seconds)
            return
        part = self.parts[SERVERS[name]]
        if way == "kill":
            part.kill()
            time.sleep(seconds)
            part.start()
            part.wait_until_up()
            return
        assert part.process is not None
        os.killpg(part.process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.killpg(part.process.pid, signal.SIGCONT)

    def _strike_store(self, way: str, seconds: float) -> None:
        if way == "kill":
            self.store.kill()
            time.sleep(seconds)
            self.store.start()
            return
        self.store.pause()
        time.sleep(seconds)
        self.store.resume()


def _port_of(url: str) -> int:
    return httpx.URL(url).port or 0


class Tally:
    """Every answer: how many of which kind, and what must not be."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.wrong: list[str] = []
        self.latest = 0.0

    async def begin(self, request: httpx.Request) -> None:
        request.extensions["begun"] = time.monotonic()

    async def note(self, answer: httpx.Response) -> None:
        request = answer.request
        took = time.monotonic() - request.extensions["begun"]
        what = f"{request.method} {request.url.path}: {answer.status_code} after {took:.1f} s"
        self.counts[answer.status_code] += 1
        self.latest = max(self.latest, took)
        if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
            self.wrong.append(what)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "retry-after" not in answer.headers:
            self.wrong.append(f"{what}, without Retry-After")
        if took > LATEST_SECONDS:
            self.wrong.append(what)

    def no_answer(self, error: httpx.HTTPError) -> None:
        self.wrong.append(f"{error.request.method} {error.request.url.path}: {error!r}")


@dataclass
class Crowd:
    """Two hundred people, and what they were told."""

    http: httpx.AsyncClient
    tally: Tally
    draw: random.Random
    pause_seconds: float
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    signed_up: list[str] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)

    async def look(self) -> None:
        """Do what people do, over and over."""
        while not self.is_over.is_set():
            method, path, arguments = self._next_request()
            try:
                answer = await self.http.request(method, path, **arguments)
            except httpx.HTTPError as error:
                self.tally.no_answer(error)
            else:
                if path == "/signup" and answer.json().get("msg") == "User created":
                    self.signed_up.append(arguments["json"]["email"])
            await asyncio.sleep(self.draw.uniform(0.5, 4))

    def _next_request(self) -> tuple[str, str, dict[str, Any]]:
        email = f"{self.draw.getrandbits(48):x}@example.org"
        person = {"first_name": "A", "last_name": "B", "email": email, "password": "seven rivers flow north"}
        login = {"username": "ada@example.org", "password": "seven rivers flow north"}
        task = {"dataset_id": 1, "task_type": "supervised classification", "target_name": "kind"}
        requests: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", "/profile", {}),
            ("GET", "/uploads", {}),
            ("GET", "/sessions", {}),
            ("POST", "/forgotpassword", {"json": {"email": email}}),
            ("GET", "/api-key", {}),
            ("GET", "/data-edit", {"params": {"url": "data/1"}}),
            ("POST", "/upload-task", {"json": {**task, "estimation_procedure": "10-fold Crossvalidation"}}),
            ("POST", "/token", {"data": login}),
            ("POST", "/signup", {"json": person}),
        ]
        weights = [6, 6, 6, 2, 2, 2, 1, 1, 1]
        return self.draw.choices(requests, weights)[0]

    async def send(self, number: int) -> None:
        """Send one table after another."""
        count = 0
        while not self.is_over.is_set():
            sent = Sent(name := f"outage-{number}-{count}", table(name, self.draw))
            count += 1
            self.sent.append(sent)
            await Client(self.http, self.draw).send(sent)
            await asyncio.sleep(self.pause_seconds * self.draw.uniform(0.2, 1))


async def run(deployment: Deployment, options: argparse.Namespace) -> list[str]:
    """Return what is wrong in the end."""
    draw, tally = random.Random(options.seed), Tally()  # noqa: S311 - not a secret
    hooks: Any = {"request": [tally.begin], "response": [tally.note]}
    # Before uvicorn closes them: not every broken line is an outage.
    limits = httpx.Limits(max_connections=None, keepalive_expiry=2)
    async with httpx.AsyncClient(
        base_url=deployment.url, timeout=2 * LATEST_SECONDS, limits=limits, event_hooks=hooks
    ) as http:
        http.headers["Authorization"] = await sign_up(http, deployment)
        crowd = Crowd(http, tally, draw, pause_seconds=options.seconds)
        crowd.sent.append(first := Sent("outage-first", table("outage-first", draw)))
        await Client(http, draw).send(first)
        await settle(http, [first])  # The worker is up.
        people = [asyncio.create_task(crowd.look()) for _ in range(options.clients - options.writers)]
        people += [asyncio.create_task(crowd.send(number)) for number in range(options.writers)]
        for strike in options.strikes.split(","):
            server, way = strike.split(":")
            await asyncio.sleep(2)
            begun = Counter(tally.counts)
            await asyncio.to_thread(deployment.strike_server, server, way, options.seconds)
            print(f"{server} {way}: {dict(tally.counts - begun)}", flush=True)
        await asyncio.sleep(2)
        crowd.is_over.set()
        await asyncio.gather(*people)
        print(
            f"{sum(tally.counts.values())} answers, the latest after {tally.latest:.1f} s; "
            f"{len(crowd.sent)} uploads, {len(crowd.signed_up)} accounts",
            flush=True,
        )
        found = await settle(http, crowd.sent)
    wrong = [*tally.wrong, *judge(deployment, found, crowd.sent), *_judge_accounts(deployment, crowd)]
    return [*wrong, *await asyncio.to_thread(leftovers, deployment)]


def _judge_accounts(deployment: Deployment, crowd: Crowd) -> list[str]:
    rows = Counter(row[0] for row in deployment.ask("SELECT email FROM users"))
    lost = [f"{email}: signed up, and there is no account" for email in crowd.signed_up if not rows[email]]
    return lost + [f"{email}: {count} accounts" for email, count in rows.items() if count > 1]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--writers", type=int, default=20)
    strikes = [f"{server}:{way}" for server in SERVERS for way in WAYS]
    parser.add_argument("--strikes", default=",".join(strikes))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="copy the logs there")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="outages-"))
    deployment = Deployment(folder)
    try:
        with deployment.lines:
            deployment.start()
            wrong = asyncio.run(run(deployment, options))
    finally:
        deployment.stop()
        if options.keep:
            ignored = shutil.ignore_patterns("mariadb", "disk", "s3", "*.sock")
            shutil.copytree(folder, options.keep, dirs_exist_ok=True, ignore=ignored)
        shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(wrong) or "no answer was 500, late or missing; nothing is lost, doubled or left over")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
