"""The parent of several web processes: it starts them, says how they end, and starts others in their place."""

import multiprocessing
import os
import signal
import socket
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Final

import structlog
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from app.core.serving import GRACEFUL_SECONDS, GentleServer, configure

log = structlog.get_logger(__name__)

START_SECONDS = 180
"""In which a process has to give its first sign of life: many that start at once on a busy machine take a minute."""
STARTUP_FAILURE: Final = 3
"""uvicorn's exit code of a process whose application did not start."""
SETTLED_SECONDS = 60
"""A process that served for as long did not end because of its start."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0
"""Between the end of a process and the start of the next: each early end doubles it, up to the longest.

Not longer, nor a last attempt: whoever finds a request that ends a process must not end the service with it.
"""
ATTEMPTS_TO_START = 5
"""Ends in a row, before any process has answered, after which the service gives up: no further start will mend that."""
HEALTHCHECK_SECONDS = 30
"""After which a process that owes its parent a sign of life is ended: busy for as long, it serves nobody."""
LEAVING_SECONDS = 600
"""After which a process is ended that was told to stop: longer than all that it may wait for."""
SILENCE = "killed: it gave its parent no sign of life"


@dataclass
class _Life:
    """The state of one web process.

    Attributes:
        began: When it was first seen, by the monotonic clock.
        early_ends: How many processes ended early, one after another, in whose place it came.
        due: When the next may start in its place; `None` while it runs.
        asked: When it was asked for a sign of life that has not come; `None` if it is to be asked.
        has_answered: It has given one.
        is_ready: It takes requests.
    """

    began: float = field(default_factory=time.monotonic)
    early_ends: int = 0
    due: float | None = None
    asked: float | None = None
    has_answered: bool = False
    is_ready: bool = False


class WebProcess(Process):
    """uvicorn's worker process, running `GentleServer`."""

    @property
    def server(self) -> GentleServer:
        """The server, made in the process that runs it."""
        if self._server is None:
            self._server = GentleServer(self.config)
        assert isinstance(self._server, GentleServer)  # noqa: S101 - nobody else sets it
        return self._server


@dataclass
class _Replacement:
    """A replacement for a process, which is stopped once the new one accepts requests."""

    old: Process
    new: Process
    life: _Life = field(default_factory=_Life)


class Supervisor(Multiprocess):
    """uvicorn's, which would say nothing, start again without a pause, and end well however its processes ended.

    On SIGHUP the processes are replaced one by one: the next begins when the one before takes requests, and all look
    at the program and its settings anew. Nobody waits for those that leave, so that a process that ends meanwhile is
    replaced as always.
    """

    def __init__(self, factory: str, listener: socket.socket, *, processes: int) -> None:
        """Store the import path of the application factory, and the listening socket that all processes share."""
        config = configure(factory, factory=True, workers=processes, timeout_worker_healthcheck=START_SECONDS)
        super().__init__(config, [listener])
        self._lives: dict[Process, _Life] = {}
        self._has_served = False
        self._has_failed = False
        self._outdated: list[Process] = []
        self._replacement: _Replacement | None = None
        self._leaving: dict[Process, float] = {}
        """Those that were told to stop, and when by the monotonic clock."""

    def init_processes(self) -> None:
        """Start the first processes."""
        self.processes = [self._start() for _ in range(self.processes_num)]

    def _start(self) -> Process:
        process = WebProcess(self.config, self.sockets)
        process.start()
        return process

    def run(self) -> None:
        """Keep the processes running until a signal comes; exit with 1 if they cannot be started at all."""
        host, port = self.sockets[0].getsockname()[:2]
        log.info("service starts", host=host, port=port, web_processes=self.processes_num, pid=os.getpid())
        super().run()
        log.info("service stopped", pid=os.getpid())
        if self._has_failed:
            raise SystemExit(1)

    def keep_subprocess_alive(self) -> None:
        """Check each process (called twice a second); log those that ended, and start replacements that are due."""
        self._lives = {process: self._lives.get(process) or _Life() for process in self.processes}
        for index, process in enumerate(self.processes):
            life = self._lives[process]
            if self.should_exit.is_set():
                return
            if life.due is not None:
                self._replace_if_due(index, life, life.due)
            elif not process.process.is_alive() or self._is_silent(process, life):
                self._note_end(process, life)
        self._roll()

    # --- one by one

    def handle_hup(self) -> None:
        """Replace all processes, one by one."""
        log.info("web processes are replaced, one by one", web_processes=len(self.processes))
        self._outdated = list(self.processes)

    def handle_ttin(self) -> None:
        """Start one more."""
        self.processes.append(self._start())

    def handle_ttou(self) -> None:
        """Stop one, but not the last."""
        if len(self.processes) > 1:
            self._tell_to_stop(self.processes.pop())

    def terminate_all(self) -> None:
        """Tell every process to stop."""
        super().terminate_all()
        if self._replacement is not None:
            self._tell_to_stop(self._replacement.new)

    def join_all(self) -> None:
        """Wait for every process."""
        super().join_all()
        for process in self._leaving:
            process.join()

    def _tell_to_stop(self, process: Process) -> None:
        process.terminate()
        self._leaving[process] = time.monotonic()

    def _roll(self) -> None:
        """Run the next due step of the rolling replacement."""
        for process, since in list(self._leaving.items()):
            if process.process.is_alive() and time.monotonic() - since > LEAVING_SECONDS:
                process.kill()
            if not process.process.is_alive():
                process.join()
                del self._leaving[process]
        if self._replacement is not None:
            self._look_at(self._replacement)
        elif self._outdated:
            old = self._outdated.pop(0)
            # One that ended meanwhile was replaced already.
            if old in self.processes and self._lives[old].due is None:
                self._replacement = _Replacement(old, self._start())

    def _look_at(self, replacement: _Replacement) -> None:
        old, new, life = replacement.old, replacement.new, replacement.life
        if not new.process.is_alive() or self._is_silent(new, life):
            new.kill()
            new.join()
            log.error(
                "a new web process does not start, so the old ones go on", reason=describe_end(new.exitcode)
            )
            self._outdated, self._replacement = [], None
        elif life.is_ready:
            self._replacement = None
            if old not in self.processes or self._lives[old].due is not None:
                self._tell_to_stop(new)
                return
            self.processes[self.processes.index(old)] = new
            self._lives[new] = life
            self._tell_to_stop(old)
            log.info("web process replaced", child=new.pid, replaces=old.pid, to_do=len(self._outdated))

    # --- one that ends by itself

    def _is_silent(self, process: Process, life: _Life) -> bool:
        """Exchange heartbeats without blocking, and return whether the process' answer is overdue."""
        now = time.monotonic()
        try:
            if life.asked is None:
                process.parent_conn.send(b"ping")
                life.asked = now
            elif process.parent_conn.poll():
                life.is_ready = process.parent_conn.recv()
                self._has_served = life.is_ready or self._has_served
                life.asked, life.has_answered = None, True
        except (OSError, EOFError):
            return False  # it is ending, and will be seen to have ended
        patience = HEALTHCHECK_SECONDS if life.has_answered else START_SECONDS
        return life.asked is not None and now - life.asked > patience

    def _replace_if_due(self, index: int, ended: _Life, due: float) -> None:
        if time.monotonic() < due:
            return
        process = self.processes[index] = self._start()
        self._lives[process] = _Life(early_ends=ended.early_ends)
        log.info("web process started in place of one that ended", child=process.pid)

    def _note_end(self, process: Process, life: _Life) -> None:
        was_silent = process.process.is_alive()
        process.kill()
        process.join()
        if time.monotonic() - life.began > SETTLED_SECONDS:
            life.early_ends = 0
        pause = min(FIRST_PAUSE_SECONDS * 2**life.early_ends, LONGEST_PAUSE_SECONDS)
        life.early_ends += 1
        life.due = time.monotonic() + pause
        reason = SILENCE if was_silent else describe_end(process.exitcode)
        log.error(
            "web process ended",
            child=process.pid,
            reason=reason,
            exit_code=process.exitcode,
            early_ends=life.early_ends,
            next_start_in_seconds=pause,
        )
        self._give_up_if_in_vain(process, life)

    def _give_up_if_in_vain(self, process: Process, life: _Life) -> None:
        if self._has_served:
            return
        if process.exitcode == STARTUP_FAILURE or life.early_ends >= ATTEMPTS_TO_START:
            log.error("service gives up: no web process of it came as far as answering")
            self._has_failed = True
            self.should_exit.set()


def describe_end(exit_code: int | None) -> str:
    """Say what an exit code of `multiprocessing` means, which negates the number of a signal."""
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    number = -exit_code
    name = signal.Signals(number).name if number in set(signal.Signals) else "unknown"
    hint = "; perhaps the system was out of memory" if name == "SIGKILL" else ""
    return f"killed by signal {number} ({name}){hint}"


def end_with_parent() -> None:
    """Have this process stop, as on SIGTERM, when the one that started it is gone; nothing else would free the port.

    For processes that `multiprocessing` started, on any system: their parent holds a pipe that closes with it.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_stop_after, args=[parent], daemon=True, name="end-with-parent").start()


def _stop_after(parent: BaseProcess) -> None:
    parent.join()
    log.error("the parent of this web process is gone, so it stops")
    signal.raise_signal(signal.SIGTERM)
    time.sleep(GRACEFUL_SECONDS + HEALTHCHECK_SECONDS)
    # Whatever holds it up, the port is needed by the next.
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
