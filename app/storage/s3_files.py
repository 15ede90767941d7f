"""The local files of the S3 storage: bytes on their way in, and a source that is put together."""

import hashlib
import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import obstore

from app.core.system import write_through
from app.storage.parts import Digests

FETCHED_KEPT = 100
"""Files of other machines that stay on the disk of this one."""


class Spool:
    """An unnamed file, which the system removes when it is closed. Its methods block; a thread calls them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: BinaryIO | None = None
        self.length = 0

    def append(self, block: bytearray) -> None:
        """Add bytes at the end; the file is made for the first."""
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - `close` closes it
        view = memoryview(block)
        while view:
            view = view[self._file.write(view) :]
        self.length += len(block)

    def read(self, start: int, length: int) -> bytes:
        """Return the bytes there."""
        if self._file is None:
            return b""
        return os.pread(self._file.fileno(), length, start)

    def close(self) -> None:
        """Give the room back."""
        if self._file is not None:
            self._file.close()


class Composition:
    """The draft of a composed file, and its hashes. Its methods block; a thread calls them, one at a time."""

    def __init__(self, draft: Path) -> None:
        self._draft = draft
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()  # a thread goes on when its request is cancelled
        self.length = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()

    def open(self) -> None:
        """Make the draft."""
        self._draft.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = self._draft.open("xb", buffering=0)

    def append(self, block: obstore.Bytes | bytes) -> None:
        """Add bytes at the end, unless it was dropped."""
        with self._lock:
            if self._file is None:
                return
            view = memoryview(block)
            self.length += len(view)
            self._md5.update(view)
            self._sha256.update(view)
            while view:
                view = view[self._file.write(view) :]

    def finish(self, path: Path) -> None:
        """Give the file its name, under which it is whole, whatever happens to the machine."""
        with self._lock:
            if self._file is not None:
                write_through(self._file.fileno())
                self._draft.replace(path)
                self._file.close()
                self._file = None

    def drop(self) -> None:
        """Remove the draft, if it did not get its name."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
            self._draft.unlink(missing_ok=True)

    def digests(self) -> Digests:
        """Return the length and the hashes of what was appended."""
        return Digests(self.length, self._md5.hexdigest(), self._sha256.hexdigest())


def remove_fetched(folder: Path, upload_id: str) -> None:
    """Remove what was fetched of an upload."""
    for path in folder.glob(f"{upload_id}-*"):
        path.unlink(missing_ok=True)


def keep_newest(folder: Path) -> None:
    """Remove all but the files that were fetched last; others are fetched again when they are needed."""
    with suppress(FileNotFoundError):  # Another process does the same.
        found = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in found[FETCHED_KEPT:]:
            file.unlink(missing_ok=True)
