"""What a child process has and can do, seen from inside, and that it ends with whoever asked for it."""

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.core import child, forkserver, isolation
from app.core.child import ChildEndedError, Ending
from app.core.child_limits import MIB, ProcessLimits
from app.core.child_start import CAN_FORK, ENVIRONMENT, Program
from tests.children import children, command_of, fork_servers
from tests.core import attacker

ATTACKER = Program("tests.core.attacker")
LIMITS = ProcessLimits(memory_bytes=300 * MIB, cpu_seconds=20, file_bytes=MIB)
REFUSALS = {"EPERM", "EACCES", "EXDEV", "unable to open database file", "not allowed to raise maximum limit"}
FILES = {
    "secrets of the server", "other file", "other upload", "settings", "folder", "change of the source", "new file",
    "end of the source", "move", "link", "database", "memory of the machine",
}  # fmt: skip
"""Attacks that Landlock refuses; all others are refused by seccomp."""

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="no fork server on this system")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("source", "target", "other"):
        (tmp_path / name).write_text("1")
    (tmp_path / "work").mkdir()
    with sqlite3.connect(tmp_path / "database") as database:
        database.execute("CREATE TABLE secrets (id INTEGER)")
    return tmp_path


@pytest.mark.parametrize("what", [ATTACKER, ATTACKER.command], ids=["forked", "by itself"])
async def test_child_when_it_attacks_then_it_has_nothing_and_every_attack_fails(
    folder: Path, what: Program | tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET_KEY", "a secret of thirty-two bytes or more")
    with socket.create_server(("127.0.0.1", 0)) as listening, (folder / "other").open() as inheritable:
        os.set_inheritable(inheritable.fileno(), True)  # noqa: FBT003 - of the standard library
        (folder / "source").write_text(str(listening.getsockname()[1]))
        found = await child.ask(what, str(folder), LIMITS)

    assert found["environment"].items() - {("LC_CTYPE", "C.UTF-8")} == ENVIRONMENT.items()
    assert found["files"] == [0, 1, 2]
    assert found["limits"] == {
        "DATA": [300 * MIB] * 2, "CPU": [20, 25], "NOFILE": [64, 64], "FSIZE": [MIB, MIB], "CORE": [0, 0],
    }  # fmt: skip
    assert (found["nice"], found["new privileges"]) == (min(19, os.nice(0) + 10), 1)
    assert found["work"] == "done"
    assert (folder / "target").read_text() == (folder / "source").read_text()
    by = " ".join(isolation.available())
    refused = {
        name for name in attacker.attacks_on(folder) if ("Landlock" if name in FILES else "seccomp") in by
    }
    assert refused, "this kernel isolates nothing"
    assert {
        name: said for name, said in found["attacks"].items() if name in refused and said not in REFUSALS
    } == {}


async def test_server_when_looked_at_then_it_has_no_secret(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET_KEY", "a secret of thirty-two bytes or more")
    await child.ask(ATTACKER, str(folder), LIMITS)

    (server,) = fork_servers(ATTACKER.module)
    assert read(f"/proc/{server}/environ").split(b"\0")[:-1] == [
        f"{name}={value}".encode() for name, value in ENVIRONMENT.items()
    ]
    assert threads_of(server) == 1


async def test_child_when_its_caller_is_cancelled_then_it_is_gone() -> None:
    async with asyncio.timeout(30):
        task, pid = await a_sleeping_child()
        assert pid in children()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert not is_running(pid)


async def test_server_when_killed_then_its_children_end_and_another_is_started() -> None:
    async with asyncio.timeout(30):
        task, pid = await a_sleeping_child()
        (server,) = fork_servers(ATTACKER.module)
        os.kill(server, signal.SIGKILL)
        with pytest.raises(ChildEndedError) as caught:
            await task
        assert caught.value.ending is Ending.UNEXPECTED
        assert not is_running(pid)
        task, _ = await a_sleeping_child()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert fork_servers(ATTACKER.module) - {server}


def test_process_when_killed_then_its_server_and_their_children_are_gone() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_A_CHILD], stdout=subprocess.PIPE, text=True
    ) as asking:
        assert asking.stdout is not None
        said = next(line for line in asking.stdout if line.startswith("pids"))
        pids = list(map(int, said.split()[1:]))
        asking.kill()

    assert len(pids) == 2
    wait_until(lambda: not any(is_running(pid) for pid in pids))


async def test_server_when_a_thread_runs_in_it_then_the_child_is_started_by_itself() -> None:
    program = Program("tests.core.with_thread")

    assert await child.ask(program, None, ProcessLimits()) == os.getpid()
    assert fork_servers(program.module), "it was asked"


def test_server_when_nothing_is_asked_for_a_while_then_it_ends() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        began = time.monotonic()
        forkserver.ForkServer(theirs, attacker).serve(0.05)

    assert 0.05 <= time.monotonic() - began < 5


async def a_sleeping_child() -> tuple["asyncio.Task[Any]", int]:
    """Return the task that asks for a child that sleeps, and the child's process id, once it does."""
    pids: asyncio.Queue[int] = asyncio.Queue()
    task = asyncio.create_task(child.ask(ATTACKER, "sleep", LIMITS, on_progress=pids.put_nowait))
    return task, await pids.get()


STARTS_A_CHILD = """
import asyncio, os
from app.core import child
from app.core.child_limits import ProcessLimits
from app.core.child_start import Program
from tests.children import fork_servers

program = Program("tests.core.attacker")
say = lambda pid: print('pids', *fork_servers(program.module), pid, flush=True)
asyncio.run(child.ask(program, "sleep", ProcessLimits(), on_progress=say))
"""


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def threads_of(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def is_running(pid: int) -> bool:
    # One that nobody waits for any more has no command, and is as good as gone.
    return bool(command_of(pid))


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
