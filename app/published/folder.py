"""What is kept of published files on this machine: derived, bounded, and shared by its processes. All of it blocks."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from app.openml.records import DatasetFile

KEPT_BYTES: Final = 20_000_000_000
"""Of all files together; those that were asked for longest ago go first."""
KEPT_FILES: Final = 50_000
UNFINISHED_SECONDS = 6 * 3600
"""After that, what a process was making is taken for left behind."""
PLACES: Final = 2
"""How many files one machine looks at at once."""
_PART = ".part"


class Taken(NamedTuple):
    """What the folder takes of the disk."""

    files: int
    size: int


class PublishedFolder:
    """The folder `DATA_DIR/published`: for each file of a dataset its statistics, its copy, and what was exported."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, file: DatasetFile, ending: str) -> Path | None:
        """Return what is kept of a file, and note that it was asked for; None if it is not there."""
        path = self.place(file, ending)
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    def place(self, file: DatasetFile, ending: str) -> Path:
        """Return where something of a file is kept."""
        return self.path / f"{file.dataset_id}-{file.md5}.{ending}"

    def part(self, file: DatasetFile, ending: str) -> Path:
        """Return where something is made, before it is moved to its place; whoever makes it holds a lock."""
        return self.path / f"{file.dataset_id}-{file.md5}.{ending}.{os.getpid()}{_PART}"

    def note_failure(self, file: DatasetFile, record: dict[str, Any], *, seconds: float) -> None:
        """Remember for a while why nothing could be made of a file."""
        part = self.part(file, "failed")
        part.write_text(json.dumps({"until": time.time() + seconds, "record": record}), encoding="utf-8")
        part.replace(self.place(file, "failed"))

    def failure(self, file: DatasetFile) -> dict[str, Any] | None:
        """Return why nothing can be made of a file, if that is known."""
        try:
            found = json.loads(self.place(file, "failed").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        record: dict[str, Any] | None = found["record"] if found["until"] > time.time() else None
        return record

    def prune(self) -> None:
        """Remove what was left behind, and what was asked for longest ago, until what is left is within bounds."""
        kept: list[tuple[float, int, Path]] = []
        for path, found in self._files():
            if path.suffix == _PART and found.st_mtime < time.time() - UNFINISHED_SECONDS:
                path.unlink(missing_ok=True)
            elif path.suffix != _PART:
                kept.append((found.st_mtime, found.st_size, path))
        total, files = sum(size for _, size, _ in kept), len(kept)
        for _, size, path in sorted(kept):
            if total <= KEPT_BYTES and files <= KEPT_FILES:
                return
            path.unlink(missing_ok=True)
            total, files = total - size, files - 1

    def measure(self) -> Taken:
        """Return what it takes of the disk, what is being made included."""
        sizes = [found.st_size for _, found in self._files()]
        return Taken(len(sizes), sum(sizes))

    @contextmanager
    def lock(self, name: str) -> Iterator[bool]:
        """Say whether nobody else on this machine holds this name; hold it while the body runs."""
        locks = self.path / "locks"
        locks.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(locks / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        with suppress(FileNotFoundError), os.scandir(self.path) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.is_file(follow_symlinks=False):
                        yield Path(entry.path), entry.stat(follow_symlinks=False)
