"""How a child process is started: forked from a process that has its libraries loaded (Linux), or by itself."""

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from app.core import isolation
from app.core.forkserver import REFUSED, STARTED

log = structlog.get_logger(__name__)

CHECKOUT: Final = Path(__file__).parents[2]
# Where numpy is installed, pyarrow loads it, and its linear algebra would start threads. pyarrow's allocators would
# claim a gibibyte at once, all of which counts against the limit on memory, and start a thread for nothing. A thread of
# its pools that cannot be started later is waited for for ever (app/tabular/threads.py).
ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    "PYTHONUTF8": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "1",
    "MIMALLOC_ARENA_EAGER_COMMIT": "0",
    "MALLOC_ARENA_MAX": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
CAN_FORK: Final = sys.platform == "linux" and hasattr(os, "pidfd_open")
_STATUS_BYTES = 64


@dataclass(frozen=True, slots=True)
class Program:
    """What a child runs: the `main` of a module, which has a `preload` as well, with words as arguments."""

    module: str
    arguments: tuple[str, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        """Return the command line that starts it without a fork server."""
        return (sys.executable, "-m", self.module, *self.arguments)


class Child(Protocol):
    """A child process that was started."""

    stdout: asyncio.StreamReader

    async def wait(self) -> int:
        """Wait for its end; return its exit code, or minus the signal that ended it."""

    async def end(self) -> None:
        """Kill it and every process of its group, and wait for it."""


async def start(
    what: Program | Sequence[str], job: dict[str, Any], *, files: Sequence[int], max_line_bytes: int
) -> Child:
    """Start a child, and hand it the job as one line on its standard input.

    Args:
        what: what it runs.
        job: JSON values; the child finds the numbers of its files among them.
        files: descriptors of ours that it has, too.
        max_line_bytes: longest line that it may write.

    Raises:
        OSError: no process can be started.
    """
    if isinstance(what, Program):
        if CAN_FORK and (child := await _fork(what, job, files, max_line_bytes)):
            return child
        what = what.command
    return await _spawn(what, job, files, max_line_bytes)


class _Spawned:
    """A child that was started without a fork server."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None  # noqa: S101 - it was made a pipe
        self.stdout = process.stdout
        self._process = process

    async def send(self, line: bytes) -> None:
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - it was made a pipe
        # A child that is gone already has said why by the way it ended.
        with suppress(BrokenPipeError, ConnectionResetError):
            stdin.write(line)
            await stdin.drain()
        stdin.close()

    async def wait(self) -> int:
        return await self._process.wait()

    async def end(self) -> None:
        # On macOS a group whose processes have all ended may not be signalled.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()


async def _spawn(
    command: Sequence[str], job: dict[str, Any], files: Sequence[int], max_line_bytes: int
) -> _Spawned:
    # The child's standard error stays the server's: a traceback belongs into the log, not into an answer.
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=PIPE,
        stdout=PIPE,
        limit=max_line_bytes,
        cwd=CHECKOUT,
        env=ENVIRONMENT,
        start_new_session=True,
        pass_fds=files,
    )
    child = _Spawned(process)
    try:
        await child.send(_line(job, files))
    except BaseException:
        await child.end()
        raise
    return child


class _Forked:
    """A child of a fork server, which reports its start and exit status on a socket."""

    def __init__(
        self, status: socket.socket, stdout: asyncio.StreamReader, pipe: asyncio.ReadTransport
    ) -> None:
        self.stdout = stdout
        self._pipe = pipe
        self._socket = status
        self._status: int | None = None

    async def has_started(self) -> bool | None:
        """Return whether it has; None if the server would not, or could not, start any."""
        said = await self._said()
        return None if said == REFUSED else said == STARTED

    async def wait(self) -> int:
        if self._status is None:
            # A server that is gone has taken its children along; of this one nobody knows more.
            said = await self._said()
            self._status = int(said) if said else 1
        return self._status

    async def end(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        try:
            await self.wait()
            while await self.stdout.read(_STATUS_BYTES):
                pass  # Until the last process that could write has ended, with a server or without.
        finally:
            self._pipe.close()
            self._socket.close()

    async def _said(self) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self._socket, _STATUS_BYTES)
        except ConnectionError:
            return b""


async def _fork(
    program: Program, job: dict[str, Any], files: Sequence[int], max_line_bytes: int
) -> _Forked | None:
    """Start a child by a fork server; None if no fork server can."""
    server = _server(program.module)
    for _ in range(2):
        running = server.running
        if running is None:
            running = await asyncio.to_thread(server.start)
        child = await _ask(
            running, program.arguments, _line(job, range(3, 3 + len(files))), files, max_line_bytes
        )
        try:
            started = await child.has_started()
        except BaseException:
            await child.end()
            raise
        if started:
            return child
        await child.end()
        if started is None:
            break
        # It was killed, or nothing was asked of it for too long.
        await asyncio.to_thread(server.stop, running)
    log.warning("a child process has to be started by itself", module=program.module)
    return None


async def _ask(
    server: "_Running", arguments: Sequence[str], line: bytes, files: Sequence[int], max_line_bytes: int
) -> _Forked:
    """Request a child from a fork server, which may fail to start it."""
    stdout = asyncio.StreamReader(limit=max_line_bytes)
    with ExitStack() as theirs, ExitStack() as ours:
        status, its_status = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.enter_context(status)
        theirs.enter_context(its_status)
        status.settimeout(0)
        stdin: int = os.memfd_create("job")  # type: ignore[attr-defined,unused-ignore] # Linux has it
        theirs.callback(os.close, stdin)
        reading, writing = os.pipe()
        source = ours.enter_context(open(reading, "rb", buffering=0))  # noqa: ASYNC230, PTH123 - a pipe
        theirs.callback(os.close, writing)
        # It is memory: nothing that the loop would wait for. The position stays at the beginning.
        os.pwrite(stdin, line, 0)
        # A server that is gone is noticed by what the socket says: nothing.
        with suppress(ConnectionError, BlockingIOError):
            descriptors = [its_status.fileno(), stdin, writing, *files]
            socket.send_fds(server.control, [json.dumps(arguments).encode()], descriptors)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stdout), source
        )
        ours.pop_all()
    return _Forked(status, stdout, pipe)


def _line(job: dict[str, Any], files: Sequence[int]) -> bytes:
    return json.dumps({**job, "files": [*files]}).encode() + b"\n"


@dataclass(frozen=True, eq=False, slots=True)
class _Running:
    """A fork server that was started, and the socket that it is asked on."""

    process: "subprocess.Popen[bytes]"
    control: socket.socket


class _ForkServer:
    """The fork server of a module, started when a child is asked for. It ends with this process, or after a while."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._lock = threading.Lock()
        self._running: _Running | None = None

    @property
    def running(self) -> "_Running | None":
        """Return the running fork server, None if there is none."""
        return self._running

    def start(self) -> _Running:
        """Return the running fork server, or start one; blocking.

        Raises:
            OSError: no process can be started.
        """
        with self._lock:
            if self._running is None:
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                with theirs:
                    process = subprocess.Popen(  # noqa: S603 - our own program
                        [sys.executable, "-m", "app.core.forkserver", self._module],
                        stdin=theirs.fileno(),
                        stdout=subprocess.DEVNULL,
                        cwd=CHECKOUT,
                        env=ENVIRONMENT,
                        start_new_session=True,
                    )
                ours.settimeout(0)
                self._running = _Running(process, ours)
                log.info("children are forked", module=self._module, isolated_by=isolation.available())
            return self._running

    def stop(self, only: "_Running | None" = None) -> None:
        """Stop the running fork server, or `only` that one; blocking. Another is started when it is needed."""
        with self._lock:
            running = self._running
            if running is None or only not in {None, running}:
                return
            self._running = None
            running.control.close()
            running.process.kill()
            running.process.wait()


@cache
def _server(module: str) -> _ForkServer:
    """Return the fork server of a module: one for each process that has children."""
    server = _ForkServer(module)
    atexit.register(server.stop)
    return server
