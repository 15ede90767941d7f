"""Everything that can die, dies, while people upload: `make chaos`.

    .venv/bin/python -m tests.chaos [--uploads 200] [--faults 24] [--clients 8] [--seed 1]

A MariaDB, a Redis, the sandbox, a web process and two workers of its own; the clock of one worker is wrong by minutes.
One after another is SIGKILLed and started again, and the disk is filled, over and over, while people upload. Clients
are patient: they send each table by tus in pieces, or as one form with an `Idempotency-Key`, until the service says
that it has it. In the end every upload that was acknowledged is one dataset with the right bytes, or has failed with a
reason; no byte is left on the disk, and no row that nobody needs.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pymysql

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
SKEW = "+180s"
DISK_BYTES = 96 << 20
SETTLE_SECONDS = 240
ENDED = {"active", "failed", "duplicate", "cancelled"}
TIMINGS = {"lease_seconds": 3, "reconcile_seconds": 2, "upload_stall_seconds": 5, "openml_timeout_seconds": 5}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Part:
    """One process of the arrangement."""

    name: str
    command: list[str]
    environment: dict[str, str]
    is_up: Callable[[], bool]
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + 60
        while not self.is_up():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not come up: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)


def answers(url: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            return httpx.get(url, timeout=2).status_code < 500
        except httpx.HTTPError:
            return False

    return ask


@dataclass
class Arrangement:
    """All parts, in the order in which they are started."""

    folder: Path
    parts: dict[str, Part] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ports = {name: free_port() for name in ("mariadb", "redis", "sandbox", "web")}
        self.url = f"http://127.0.0.1:{ports['web']}"
        self.sandbox = f"http://127.0.0.1:{ports['sandbox']}"
        self.mariadb_port = ports["mariadb"]
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        self.is_small = mount(self.disk)
        data = self.folder / "mariadb"
        subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={data}",
                "--auth-root-authentication-method=normal",
            ],
            check=True,
            capture_output=True,
        )
        settings = {
            "DATA_DIR": str(self.disk),
            "DATABASE_URI": f"mysql://root@127.0.0.1:{ports['mariadb']}/openml",
            "OPENML_SERVER": f"{self.sandbox}/",
            "REDIS_URL": f"redis://127.0.0.1:{ports['redis']}/0",
            "APP_SECRET_KEY": "a secret of thirty-two bytes or more",
            "EMBEDDED_WORKER": "false",
            "PORT": str(ports["web"]),
            "TIMINGS": json.dumps(TIMINGS),
            "DISK_RESERVE_BYTES": "0",
            "RATE_LIMITS": "",
        }
        program = [sys.executable, "-m", "app.cli"]
        skewed = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": SKEW, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        database = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--port={ports['mariadb']}"]
        database += ["--bind-address=127.0.0.1", f"--socket={self.folder}/mariadb.sock", "--user=root"]
        redis = ["redis-server", "--port", str(ports["redis"]), "--save", "", "--dir", str(self.folder)]
        box = {"DATA_DIR": str(self.folder / "sandbox"), "SANDBOX_PORT": str(ports["sandbox"])}
        self._add("mariadb", database, {}, self._database_answers)
        self._add("redis", redis, {}, lambda: reachable(ports["redis"]))
        self._add("sandbox", [*program, "sandbox"], box, answers(self.sandbox))
        self._add("web", [*program, "serve"], settings, answers(f"{self.url}/health/live"))
        self._add("worker", [*program, "worker"], settings, never)
        self._add("worker with a wrong clock", [*program, "worker"], {**settings, **skewed}, never)

    def _add(
        self, name: str, command: list[str], environment: dict[str, str], is_up: Callable[[], bool]
    ) -> None:
        self.parts[name] = Part(
            name, command, environment, is_up, self.folder / f"{name.replace(' ', '-')}.log"
        )

    def _database_answers(self) -> bool:
        try:
            self.ask("SELECT 1", database="")
        except pymysql.err.Error:
            return False
        return True

    def ask(self, statement: str, *, database: str = "openml") -> list[Any]:
        connection = pymysql.connect(
            host="127.0.0.1", port=self.mariadb_port, user="root", database=database or None, autocommit=True
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def start(self) -> None:
        for name, part in self.parts.items():
            part.start()
            if "worker" not in name:
                part.wait_until_up()
            if name == "mariadb":
                self.ask("CREATE DATABASE openml CHARACTER SET latin1", database="")
                subprocess.run(
                    [sys.executable, "-m", "app.cli", "migrate"],
                    env={**os.environ, **self.parts["web"].environment},
                    check=True,
                    capture_output=True,
                )

    def stop(self) -> None:
        for part in reversed(self.parts.values()):
            part.kill()
        if self.is_small:
            subprocess.run(["umount", "-l", str(self.disk)], check=False)

    def strike(self, fault: str, draw: random.Random) -> None:
        """Do one bad thing, and make it good again after a while."""
        if fault == "disk full":
            filler = self.disk / "filler"
            fill(filler)
            time.sleep(draw.uniform(1, 3))
            filler.unlink()
            return
        part = self.parts[fault]
        part.kill()
        time.sleep(draw.uniform(0.1, 1.5))
        part.start()
        if "worker" not in fault:
            part.wait_until_up()


def never() -> bool:
    """A worker answers nothing; nobody waits for it."""
    return False


def reachable(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def mount(folder: Path) -> bool:
    """Give the folder a small disk of its own; only root can."""
    options = f"size={DISK_BYTES}"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False, capture_output=True
    )
    return done.returncode == 0


def fill(path: Path) -> None:
    """Use up the disk."""
    block = b"x" * (1 << 16)
    try:
        with path.open("wb", buffering=0) as file:
            while file.write(block) == len(block):
                pass
    except OSError:
        return


@dataclass
class Sent:
    """One upload as its client sees it."""

    name: str
    content: bytes
    path: str = ""
    acknowledged: bool = False
    tries: int = 0


class Client:
    """Sends tables, patiently."""

    def __init__(self, http: httpx.AsyncClient, draw: random.Random) -> None:
        self._http = http
        self._draw = draw

    async def send(self, sent: Sent) -> None:
        way = self._by_pieces if self._draw.random() < 0.7 else self._as_form
        await self._patiently(sent, lambda: way(sent))
        sent.acknowledged = True

    async def _patiently(self, sent: Sent, step: Callable[[], Awaitable[bool]]) -> None:
        while True:
            sent.tries += 1
            try:
                if await step():
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(self._draw.uniform(0.1, 0.6))

    def _metadata(self, sent: Sent) -> dict[str, str]:
        return {"dataset_name": sent.name, "description": "Chaos.", "def_tar_att": "kind"}

    async def _by_pieces(self, sent: Sent) -> bool:
        if not sent.path:
            body = {"file_name": f"{sent.name}.csv", "size": len(sent.content), "publish": True}
            digest = base64.b64encode(hashlib.sha256(sent.content).digest()).decode()
            answer = await self._http.post(
                "/uploads",
                json={**body, "metadata": self._metadata(sent)},
                headers={"Idempotency-Key": sent.name, "Repr-Digest": f"sha-256=:{digest}:"},
            )
            if answer.status_code not in {200, 201}:
                return self._again(answer)
            sent.path = urlsplit(answer.headers["location"]).path
        head = await self._http.head(sent.path, headers={"Tus-Resumable": "1.0.0"})
        if head.status_code != httpx.codes.OK:
            return self._again(head)
        offset = int(head.headers["upload-offset"])
        while offset < len(sent.content):
            end = offset + self._draw.randrange(1, len(sent.content) // 2)
            answer = await self._http.patch(
                sent.path,
                content=sent.content[offset:end],
                headers={
                    "Tus-Resumable": "1.0.0",
                    "Upload-Offset": str(offset),
                    "Content-Type": "application/offset+octet-stream",
                },
            )
            if answer.status_code != httpx.codes.NO_CONTENT:
                return self._again(answer)
            offset = int(answer.headers["upload-offset"])
            await asyncio.sleep(self._draw.uniform(0, 0.8))
        return True

    async def _as_form(self, sent: Sent) -> bool:
        metadata = json.dumps(self._metadata(sent))
        answer = await self._http.post(
            "/data-upload",
            files={"dataset": (f"{sent.name}.csv", sent.content), "metadata": (None, metadata)},
            headers={"Prefer": "respond-async", "Idempotency-Key": sent.name},
        )
        if answer.status_code != httpx.codes.ACCEPTED:
            return self._again(answer)
        sent.path = answer.json()["status_path"]
        return True

    def _again(self, answer: httpx.Response) -> bool:
        if answer.status_code < 500 and answer.status_code not in {408, 409, 429}:
            raise AssertionError(
                f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
            )
        return False


def table(name: str, draw: random.Random) -> bytes:
    rows = "".join(
        f"{number},{draw.random():.6f},{draw.choice('ab')}\n" for number in range(draw.randrange(50, 4000))
    )
    return f"{name.replace('-', '_')},x,kind\n{rows}0,0,a\n1,1,b\n".encode()


async def run(arrangement: Arrangement, options: argparse.Namespace) -> list[str]:
    """Return what is wrong in the end."""
    draw = random.Random(options.seed)  # noqa: S311 - not a secret
    async with httpx.AsyncClient(base_url=arrangement.url, timeout=20) as http:
        http.headers["Authorization"] = await sign_up(http, arrangement)
        all_sent = [Sent(name := f"chaos-{number}", table(name, draw)) for number in range(options.uploads)]
        waiting = asyncio.Queue[Sent]()
        for sent in all_sent:
            waiting.put_nowait(sent)

        async def client() -> None:
            while not waiting.empty():
                await Client(http, draw).send(waiting.get_nowait())

        sending = asyncio.gather(*(client() for _ in range(options.clients)))
        faults = [*arrangement.parts, *(["disk full"] if arrangement.is_small else [])]
        struck = 0
        while struck < options.faults:
            fault = faults[struck % len(faults)]
            await asyncio.sleep(draw.uniform(0.2, 1.5))
            print(f"{struck + 1:3} {fault}", flush=True)
            await asyncio.to_thread(arrangement.strike, fault, draw)
            struck += 1
        await sending
        print(
            f"{len(all_sent)} uploads acknowledged after {sum(sent.tries for sent in all_sent)} tries",
            flush=True,
        )
        found = await settle(http, all_sent)
    return [*judge(arrangement, found, all_sent), *await asyncio.to_thread(leftovers, arrangement)]


async def sign_up(http: httpx.AsyncClient, arrangement: Arrangement) -> str:
    person = {
        "first_name": "Ada",
        "last_name": "L",
        "email": "ada@example.org",
        "password": "seven rivers flow north",
    }
    assert (await http.post("/signup", json=person)).json() == {"msg": "User created"}
    arrangement.ask("UPDATE users SET active = 1")
    grant = {"username": person["email"], "password": person["password"]}
    answer = await http.post("/token", data=grant)
    return f"Bearer {answer.json()['access_token']}"


async def settle(http: httpx.AsyncClient, all_sent: list[Sent]) -> dict[str, dict[str, Any]]:
    """Wait until nothing is on its way; return every upload as its client sees it."""
    deadline = time.monotonic() + SETTLE_SECONDS
    found: dict[str, dict[str, Any]] = {}
    for sent in all_sent:
        while True:
            upload = (await http.get(sent.path)).json()
            if upload["state"] in ENDED or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.3)
        found[sent.name] = upload
    return found


def judge(arrangement: Arrangement, found: dict[str, dict[str, Any]], all_sent: list[Sent]) -> list[str]:
    wrong = []
    listed = httpx.get(
        f"{arrangement.sandbox}/api/v1/json/data/list/status/all/limit/10000", timeout=60
    ).json()
    datasets: dict[str, list[int]] = {}
    for dataset in listed["data"]["dataset"]:
        datasets.setdefault(dataset["name"], []).append(dataset["did"])
    rows = {
        row[0]: row[1:]
        for row in arrangement.ask("SELECT id, dataset_id, arff_md5, received_sha256 FROM uploads")
    }
    for sent in all_sent:
        upload, there = found[sent.name], datasets.get(sent.name, [])
        if upload["state"] == "failed" and upload["error"] and not there:
            print(f"{sent.name} failed: {upload['error']['detail']}")
            continue
        dataset_id, arff_md5, sha256 = rows[upload["id"]]
        if upload["state"] != "active" or there != [dataset_id]:
            wrong.append(f"{sent.name}: {upload['state']}, datasets {there}, recorded {dataset_id}")
            continue
        described = httpx.get(f"{arrangement.sandbox}/api/v1/json/data/{dataset_id}", timeout=60).json()
        if described["data_set_description"]["md5_checksum"] != arff_md5:
            wrong.append(f"{sent.name}: another MD5 on OpenML than was sent")
        if sha256 != hashlib.sha256(sent.content).hexdigest():
            wrong.append(f"{sent.name}: other bytes were received than sent")
    return wrong


def leftovers(arrangement: Arrangement) -> list[str]:
    """Return bytes and rows that nobody needs, once the janitor has had time."""
    deadline = time.monotonic() + 60
    while True:
        failed = {row[0] for row in arrangement.ask("SELECT id FROM uploads WHERE state = 'failed'")}
        uploads = arrangement.disk / "uploads"
        folders = {path.name for path in uploads.glob("*/")} - failed
        parts = {row[0] for row in arrangement.ask("SELECT DISTINCT upload_id FROM upload_parts")} - failed
        statement = "SELECT id FROM uploads WHERE state NOT IN ('active', 'failed', 'duplicate', 'cancelled')"
        on_their_way = {row[0] for row in arrangement.ask(statement)}
        lost = "SELECT DISTINCT upload_id FROM upload_events WHERE upload_id NOT IN (SELECT id FROM uploads)"
        events = {row[0] for row in arrangement.ask(lost)}
        left = {"folders": folders, "parts": parts, "uploads on their way": on_their_way, "events": events}
        if not any(left.values()) or time.monotonic() > deadline:
            return [f"left over: {kind}: {sorted(names)[:5]}" for kind, names in left.items() if names]
        time.sleep(0.5)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uploads", type=int, default=200)
    parser.add_argument("--faults", type=int, default=28)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="copy the logs there")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    arrangement = Arrangement(folder)
    try:
        arrangement.start()
        wrong = asyncio.run(run(arrangement, options))
    finally:
        arrangement.stop()
        if options.keep:
            shutil.copytree(
                folder,
                options.keep,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("mariadb", "disk", "*.sock"),
            )
        shutil.rmtree(folder, ignore_errors=True)
    print(
        "\n".join(wrong) or "every upload was published once, or failed with its reason; nothing is left over"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
