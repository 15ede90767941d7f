"""Passwords that other sites have lost, looked up in files of the operator: those of Pwned Passwords, SHA-1.

Either a folder of ranges, one file for each first five digits of a hash (`00000.txt`, of lines `SUFFIX:COUNT`), or one
file of all hashes in order (lines `HASH:COUNT`). Nothing is loaded: a look reads one range, or some forty pieces.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app.core.settings import SettingsError

PREFIX_DIGITS = 5
RANGES = 16**PREFIX_DIGITS
RANGE_BYTES = 1_000_000
"""More than any range has: they are below 100 kB."""
PIECE_BYTES = 4096
"""What is read in order, and not halved any more."""
SAMPLES = 64
_RANGE_LINE = re.compile(rb"[0-9A-F]{35}:\d{1,12}")
_LINE = re.compile(rb"[0-9A-F]{40}:\d{1,12}")
WANTED = "write the folder of ranges, or the file ordered by hash, of Pwned Passwords (SHA-1, not NTLM)"


@dataclass(frozen=True, slots=True)
class BreachedPasswords:
    """The operator's file, or folder."""

    path: Path

    def has(self, password: str) -> bool:
        """Say whether a password is among them; it reads the disk.

        Raises:
            OSError: the disk does not answer. A range that is missing has no passwords.
        """
        sha1 = hashlib.sha1(password.encode(errors="surrogatepass"), usedforsecurity=False)
        wanted = sha1.hexdigest().upper().encode()
        if self.path.is_dir():
            found = range_of(self.path, wanted[:PREFIX_DIGITS].decode())
            return found is not None and _stands_in_range(found, wanted[PREFIX_DIGITS:])
        with self.path.open("rb") as file:
            return _stands_in_order(file, wanted)


def range_of(folder: Path, prefix: str) -> Path | None:
    """Return the file of a range; None if there is none."""
    return next((path for name in (f"{prefix}.txt", prefix) if (path := folder / name).is_file()), None)


def open_breached(path: Path | None) -> BreachedPasswords | None:
    """Return the operator's passwords, once a few lines have shown that they are in a form that we read.

    Raises:
        SettingsError: they are not; the text says what to write.
    """
    if path is None:
        return None
    try:
        problem = _problem_of_folder(path) if path.is_dir() else _problem_of_file(path)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    if problem:
        raise SettingsError(f"BREACHED_PASSWORDS: {path} {problem}; {WANTED}.")
    return BreachedPasswords(path)


def _problem_of_folder(folder: Path) -> str:
    for prefix in ("00000", "80000", "FFFFF"):
        found = range_of(folder, prefix)
        if found is None:
            return f"has no range {prefix}"
        with found.open("rb") as file:
            if not _RANGE_LINE.fullmatch(file.readline(PIECE_BYTES).rstrip()):
                return f"has a range {prefix} whose first line is not SUFFIX:COUNT"
    return ""


def _problem_of_file(path: Path) -> str:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        lines = [_line_from(file, place * size // SAMPLES) for place in range(SAMPLES)]
    found = [line for line in lines if line]
    if not found or not all(_LINE.fullmatch(line) for line in found):
        return "has lines that are not HASH:COUNT"
    return "" if found == sorted(found) else "is not ordered by hash"


def _stands_in_range(path: Path, suffix: bytes) -> bool:
    with path.open("rb") as file:
        text = file.read(RANGE_BYTES)
    return any(line.partition(b":")[0] == suffix for line in text.upper().split())


def _stands_in_order(file: BinaryIO, wanted: bytes) -> bool:
    """Halve the file until a piece is left, whose lines are compared one by one."""
    low, high = 0, os.fstat(file.fileno()).st_size
    while high - low > PIECE_BYTES:
        middle = (low + high) // 2
        line = _line_from(file, middle)
        if line and line[: len(wanted)] <= wanted:
            low = middle
        else:
            high = middle
    return any(line[: len(wanted)] == wanted for line in _lines_between(file, low, high))


def _line_from(file: BinaryIO, offset: int) -> bytes:
    """Return the first line that begins at the offset or behind it; empty at the end."""
    file.seek(max(0, offset - 1))
    if offset:
        file.readline(PIECE_BYTES)  # The rest of the line before, or its end alone.
    return file.readline(PIECE_BYTES).rstrip().upper()


def _lines_between(file: BinaryIO, low: int, high: int) -> Iterator[bytes]:
    """Yield the lines that begin there, and the one after them."""
    yield (line := _line_from(file, low))
    while line and file.tell() <= high + 1:
        yield (line := file.readline(PIECE_BYTES).rstrip().upper())
