"""The fork server: a process with the children's libraries loaded and no other state.

    python -m app.core.forkserver MODULE

Its standard input is a socket to the process that it serves. Each message on it asks for one child: the arguments of
the module's `main` as JSON, and with it a socket, the child's standard input and output, and files for it. On the
socket of the child the server says `started`, and in the end its exit status (minus the signal that ended it); once
that socket is shut down at the other end, it kills the child. The server reads no byte of a user and runs no thread.
It ends when the process that it serves does, or when nothing was asked of it for a while; its children end with it.
"""

import fcntl
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from app.core import isolation
from app.core.child_limits import STOP_SIGNALS, leave

MESSAGE_BYTES = 4096
MOST_FILES = 16
STARTED, REFUSED = b"started", b"refused"
IDLE_SECONDS = 600.0
"""Without a child: what the server keeps in memory is given back, and the next child waits for another one."""
_ABOVE = 64
"""Where the descriptors of a child wait until their places are free."""


@dataclass(eq=False, slots=True)
class _Child:
    """A child that runs: its process, a descriptor that is readable once it has ended, and where its status goes."""

    pid: int
    ending: int
    status: socket.socket


class ForkServer:
    """Forks children for one process, and reports their exit statuses."""

    def __init__(self, control: socket.socket, module: ModuleType) -> None:
        self._control = control
        self._module = module
        self._pid = os.getpid()
        self._children: set[_Child] = set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)

    def serve(self, idle_seconds: float) -> None:
        """Serve until the client process has ended, or has sent no request for that time."""
        last = time.monotonic()
        while self._children or time.monotonic() - last < idle_seconds:
            for key, _ in self._selector.select(idle_seconds):
                last = time.monotonic()
                if isinstance(key.data, _Child):
                    self._attend(key.data, has_ended=key.fileobj == key.data.ending)
                elif not self._take():
                    return

    def _take(self) -> bool:
        """Receive a request and start its child; False if the client process has ended."""
        message, files, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, MOST_FILES)
        if not message:
            return False
        status = socket.socket(fileno=files[0])
        try:
            self._start(json.loads(message), status, files[1:])
        finally:
            for file in files[1:]:
                os.close(file)
        return True

    def _start(self, arguments: list[str], status: socket.socket, files: list[int]) -> None:
        try:
            # Of a process with threads, a fork has the locks that the others hold, and nobody to give them back.
            pid = os.fork() if _threads() == 1 else -1
        except OSError:
            pid = -1
        if pid == 0:
            self._be_child(arguments, files)
        if pid < 0:
            with suppress(OSError):
                status.send(REFUSED)
            status.close()
            return
        ending: int = os.pidfd_open(pid)  # type: ignore[attr-defined,unused-ignore] # Linux has it
        child = _Child(pid, ending, status)
        self._children.add(child)
        self._selector.register(child.ending, selectors.EVENT_READ, child)
        self._selector.register(status, selectors.EVENT_READ, child)
        with suppress(OSError):
            status.send(STARTED)

    def _attend(self, child: _Child, *, has_ended: bool) -> None:
        if child not in self._children:
            return  # Both of its descriptors were readable.
        # The number is its own until it is waited for. It may not have come as far as a group of its own.
        for kill in (os.killpg, os.kill):
            with suppress(ProcessLookupError):
                kill(child.pid, signal.SIGKILL)
        if not has_ended:
            self._selector.unregister(child.status)
            return
        _, status = os.waitpid(child.pid, 0)
        with suppress(OSError):
            child.status.send(b"%d" % os.waitstatus_to_exitcode(status))
        self._children.discard(child)
        self._selector.unregister(child.ending)
        with suppress(KeyError):
            self._selector.unregister(child.status)
        os.close(child.ending)
        child.status.close()

    def _be_child(self, arguments: list[str], files: list[int]) -> NoReturn:
        try:
            isolation.end_with_parent(self._pid)
            os.setsid()
            _place([*files])
            self._module.main(*arguments)
            leave()
        except SystemExit as ending:
            os._exit(ending.code if isinstance(ending.code, int) else 1)
        except BaseException:  # noqa: BLE001 - as Python does with what nobody caught
            traceback.print_exc()
        finally:
            os._exit(1)


def _threads() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def _place(files: list[int]) -> None:
    """Make the descriptors standard input, standard output, and what follows standard error; close all others."""
    waiting = [fcntl.fcntl(file, fcntl.F_DUPFD, _ABOVE) for file in files]
    places = [0, 1, *range(3, len(files) + 1)]
    for file, place in zip(waiting, places, strict=True):
        os.dup2(file, place)
    os.closerange(len(files) + 1, os.sysconf("SC_OPEN_MAX"))


def main(module_name: str) -> None:
    """Load the module and what its children need, and serve."""
    for number in STOP_SIGNALS:
        # Whoever is served decides when the work ends.
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=os.dup(0))
    module = importlib.import_module(module_name)
    module.preload()
    isolation.prepare()
    gc.collect()
    # What is there now is there for good: no collection of a child looks at it, and so copies it.
    gc.freeze()
    ForkServer(control, module).serve(IDLE_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1])
    leave()
