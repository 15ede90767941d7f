"""The folder in which the processes of one machine keep their values: one for each `DATA_DIR`, new with each start.

A process takes the first number that nobody has, by a lock on a file, which the system gives back when the process
ends in whatever way. Whoever gets the number next counts on in the same files: what a dead process has counted stays in
the sums, and there are never more files than processes that ran at once. Only what a dead process had going on (live
gauges) is removed.

The files are in memory (`/dev/shm`) where there is such a place, and have their whole size from the start: memory that
is mapped to a file on a full disk ends the process that writes to it.
"""

import fcntl
import hashlib
import itertools
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - made for this, and the folder is ours alone
_OURS_ALONE: Final = 0o700
FILE_BYTES: Final = {
    "counter": 512 << 10,
    "histogram": 1 << 20,
    "gauge_livesum": 64 << 10,
    "gauge_livemax": 64 << 10,
}
"""Room for a few thousand series of each kind; a tenth of it is used."""


class SharedFolder:
    """This process' place in the folder.

    Attributes:
        path: of the folder.
        number: of the process there.
    """

    def __init__(self, data_dir: Path) -> None:
        """Enter the folder; whoever comes when nobody is there finds it empty.

        Raises:
            OSError: there is no room, or the folder is somebody else's.
        """
        self.path = folder_of(data_dir)
        self._locks: list[int] = []
        self._start = self._open("start.lock")
        try:
            self._enter()
            self.number = self._take_number()
            self._make_room()
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Release the number; the last process removes the files."""
        with suppress(BlockingIOError):
            fcntl.flock(self._start, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._remove_all()
        while self._locks:
            os.close(self._locks.pop())

    def become_server(self) -> bool:
        """Return whether this process is the one that answers: the first that asks, until it ends."""
        return self._lock("server.lock") is not None

    def forget_the_dead(self) -> None:
        """Remove the live gauges of ended processes whose number is free."""
        for path in self.path.glob("process-*.lock"):
            number = int(path.stem.removeprefix("process-"))
            if number != self.number and (lock := self._lock(path.name)) is not None:
                self._remove_live(number)
                self._locks.remove(lock)
                os.close(lock)

    def _enter(self) -> None:
        with suppress(BlockingIOError):
            fcntl.flock(self._start, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._remove_all()
        # Held by every process as long as it lives. Between the two locks another one may find nobody there, and
        # remove files, of which there are none yet.
        fcntl.flock(self._start, fcntl.LOCK_SH)

    def _remove_all(self) -> None:
        for path in self.path.glob("*.db"):
            path.unlink(missing_ok=True)

    def _take_number(self) -> int:
        for number in itertools.count():
            if self._lock(f"process-{number}.lock") is not None:
                self._remove_live(number)
                return number
        raise AssertionError("numbers do not end")

    def _make_room(self) -> None:
        for kind, size in FILE_BYTES.items():
            with (self.path / f"{kind}_{self.number}.db").open("ab") as file:
                file.write(bytes(max(0, size - file.tell())))

    def _remove_live(self, number: int) -> None:
        for path in self.path.glob(f"gauge_live*_{number}.db"):
            path.unlink(missing_ok=True)

    def _lock(self, name: str) -> int | None:
        """Lock a file until this process ends, and return it; None if another process has it."""
        file = self._open(name)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._locks.remove(file)
            os.close(file)
            return None
        return file

    def _open(self, name: str) -> int:
        file = os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._locks.append(file)
        return file


def folder_of(data_dir: Path) -> Path:
    """Make the folder for a `DATA_DIR`, and return it.

    Raises:
        OSError: it cannot be made, or somebody else was there before.
    """
    root = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:16]
    path = root / f"openml-web-{os.getuid()}-{digest}"
    with suppress(FileExistsError):
        path.mkdir(mode=_OURS_ALONE)
    found = path.lstat()
    if found.st_uid != os.getuid() or found.st_mode != stat.S_IFDIR | _OURS_ALONE:
        raise PermissionError(f"{path} is not a folder of our own")
    return path
