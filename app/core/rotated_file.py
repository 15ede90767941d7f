"""A log file with rotation by size that several processes write to.

Each line is one write at the end of the file (`O_APPEND`), so lines never mix. Whoever finds the file too large puts it
aside under a lock that all of them take; the others see at their next line that the name means another file, and open
that. A line that is written in that very moment ends up in the file that was put aside: none is lost. The folder has to
be on a disk of the machine; each machine has a file of its own.
"""

import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path


class RotatedFile(logging.Handler):
    """Writes to `path`; at `most_bytes` that becomes `path.1`, what was that becomes `path.2`, and so on to `files`."""

    def __init__(self, path: Path, *, most_bytes: int, files: int) -> None:
        """Open the file.

        Raises:
            OSError: it cannot be written.
        """
        super().__init__()
        self._path = path
        self._most_bytes = most_bytes
        self._files = files
        self._file = self._open()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            line = f"{self.format(record)}\n".encode(errors="backslashreplace")
            self._follow()
            os.write(self._file, line)
        except Exception:  # noqa: BLE001 - as every handler: no line may end what it tells of
            self.handleError(record)

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            os.close(self._file)
        super().close()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _follow(self) -> None:
        """Reopen the file if it was rotated; rotate it first if it is too large."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._reopen()
            return
        if found.st_size >= self._most_bytes:
            self._put_aside()
        if not os.path.samestat(self._path.stat(), os.fstat(self._file)):
            self._reopen()

    def _reopen(self) -> None:
        os.close(self._file)
        self._file = self._open()

    def _put_aside(self) -> None:
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Somebody else may have done it meanwhile.
            if self._path.stat().st_size >= self._most_bytes:
                for number in range(self._files, 1, -1):
                    with suppress(FileNotFoundError):
                        self._aside(number - 1).rename(self._aside(number))
                self._path.rename(self._aside(1))
                os.close(self._open())
        finally:
            os.close(lock)

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
