"""A MariaDB of a test's own: to be killed, frozen, asked for its counters, or given few connections."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.conftest import IN_CI, find_free_port
from tests.freezing import freeze
from tests.service import wait_for


class OwnMariaDB:
    """A server on a free port of this machine, with the database `openml`, which is empty."""

    def __init__(self, folder: Path, *options: str) -> None:
        for program in ("mariadbd", "mariadb-install-db"):
            if shutil.which(program) is None:
                _missing(f"there is no {program} on the path")
        self.port = find_free_port()
        self.address = f"mysql://root@127.0.0.1:{self.port}/openml"
        self._process: subprocess.Popen[bytes] | None = None
        data, temporary = folder / "mariadb", folder / "mariadb-tmp"
        # A server that begins removes what others left in its temporary folder, or has there just now.
        temporary.mkdir()
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db"]
        install.append(f"--tmpdir={temporary}")
        done = subprocess.run(
            [*install, "--auth-root-authentication-method=normal"],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        self._command = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--port={self.port}"]
        self._command += ["--bind-address=127.0.0.1", f"--socket={folder}/mariadb.sock"]
        self._command += [f"--tmpdir={temporary}", *options]
        if os.geteuid() == 0:
            self._command.append("--user=root")

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait_for(self._answers)
        self.ask("CREATE DATABASE IF NOT EXISTS openml CHARACTER SET latin1", database="")

    def kill(self) -> None:
        """End it at once; what was committed stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Freeze it: connections are still taken by the kernel, and nobody answers."""
        assert self._process is not None
        freeze(self._process)

    def resume(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def ask(self, statement: str, *, database: str = "openml") -> list[Any]:
        """Send one statement on a connection of its own."""
        connection = pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="root",
            database=database or None,
            autocommit=True,
            ssl_disabled=True,
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def questions(self) -> int:
        """Return how many statements all clients have sent so far, this one included."""
        return int(self.ask("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1])

    def connections(self) -> list[int]:
        """Return the numbers of the connections that are open, but for the one that asks."""
        found = self.ask(
            "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND db = 'openml'"
        )
        return [row[0] for row in found]

    def kill_connections(self) -> None:
        """Close all that are open, as an operator does with KILL."""
        for number in self.connections():
            with suppress(pymysql.err.OperationalError):  # It has just ended by itself.
                self.ask(f"KILL {number}")

    def _answers(self) -> bool:
        with suppress(pymysql.err.Error):
            self.ask("SELECT 1", database="")
            return True
        return False


@contextmanager
def own_mariadb(folder: Path, *options: str) -> Iterator[OwnMariaDB]:
    """Yield a server that runs; it ends with the test."""
    server = OwnMariaDB(folder, *options)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _missing(reason: str) -> None:
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)
