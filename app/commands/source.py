"""The file that `openml-web upload` sends, as it was when it was hashed."""

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app.commands.answers import refused

BLOCK_BYTES = 1 << 18
STANDARD_INPUT = Path("-")
Report = Callable[[int, int], None]
"""Takes the bytes that were read, and how many there are; 0 where nobody knows."""
_CHANGED = "The file has changed while it was being sent. Run the command again."


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is open, and what identifies its bytes."""

    file: BinaryIO
    name: str
    size: int
    sha256: bytes
    stamp: tuple[int, int, int]

    def require_unchanged(self) -> None:
        """Refuse to go on with bytes that are not those that were hashed.

        Raises:
            RefusedError: the file was written to.
        """
        if _stamp(self.file) != self.stamp:
            raise refused(_CHANGED)

    def blocks(self, offset: int, length: int, report: Report) -> Iterator[bytes]:
        """Yield `length` bytes from `offset` on.

        Raises:
            RefusedError: the file has become shorter, or cannot be read any more.
        """
        end = offset + length
        try:
            self.file.seek(offset)
            while offset < end:
                block = self.file.read(min(BLOCK_BYTES, end - offset))
                if not block:
                    raise refused(_CHANGED)
                yield block
                offset += len(block)
                report(offset, self.size)
        except OSError as error:
            raise refused(f"{self.name} cannot be read: {error.strerror}.") from None


@contextmanager
def open_source(path: Path, name: str, report: Report) -> Iterator[Source]:
    """Hash a file, and keep it open to be sent. What comes from a pipe is kept in a file without a name meanwhile.

    Raises:
        RefusedError: it cannot be read to its end, or was written to while it was read.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(_open(path, name))
            if path != STANDARD_INPUT and stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                source = _hashed(file, name, report)
            else:
                source = _spooled(file, stack.enter_context(tempfile.TemporaryFile()), name, report)
        except OSError as error:
            raise refused(f"{name} cannot be read: {error.strerror}.") from None
        yield source


@contextmanager
def _open(path: Path, name: str) -> Iterator[BinaryIO]:
    if path == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    kind = path.stat().st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind)):
        raise refused(f"{name} is neither a file nor a pipe: it has no end to be read to.")
    with path.open("rb") as file:
        yield file


def _hashed(file: BinaryIO, name: str, report: Report) -> Source:
    before = _stamp(file)
    size, digest, done = before[0], hashlib.sha256(), 0
    # No further than it was long: a file that grows as fast as it is read has no end.
    while done <= size and (block := file.read(BLOCK_BYTES)):
        digest.update(block)
        done += len(block)
        report(done, size)
    if done != size or _stamp(file) != before:
        raise refused(
            "The file was being written to while it was read. Run the command again when it is whole."
        )
    return Source(file, name, size, digest.digest(), before)


def _spooled(file: BinaryIO, kept: BinaryIO, name: str, report: Report) -> Source:
    digest, done = hashlib.sha256(), 0
    while block := file.read(BLOCK_BYTES):
        kept.write(block)
        digest.update(block)
        done += len(block)
        report(done, 0)
    kept.flush()
    return Source(kept, name, done, digest.digest(), _stamp(kept))


def _stamp(file: BinaryIO) -> tuple[int, int, int]:
    facts = os.fstat(file.fileno())
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
