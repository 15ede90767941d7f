"""The mark of a store: an id that stands in it, by which it is told from an empty one, and from another one."""

import asyncio
import os
import secrets
from pathlib import Path
from typing import Protocol

from app.core.errors import StorageUnavailableError
from app.core.system import write_through
from app.storage.faults import disk_faults

MARK_NAME = "store-id"
LONGEST_MARK = 64
"""Bytes; what is longer is none of ours."""


class StoreMark(Protocol):
    """Reads and writes the mark of one store."""

    async def read(self) -> str | None:
        """Return the mark; None where there is none, or it is not text.

        Raises:
            StorageError: the store does not answer.
        """

    async def write(self, identity: str) -> None:
        """Set the mark.

        Raises:
            StorageError: the store does not take it.
        """


class LocalMark:
    """The file `store-id` in the folder of uploads: that folder, or one above it, may be a disk of its own."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / MARK_NAME

    async def read(self) -> str | None:
        """Return the mark, or None."""
        try:
            return decode_mark(await asyncio.to_thread(_read, self._path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageUnavailableError(
                f"{self._path} cannot be read: {error.strerror or error}."
            ) from None

    async def write(self, identity: str) -> None:
        """Set the mark; the folder is made if it is not there."""
        with disk_faults(self._path):
            await asyncio.to_thread(_write, self._path, identity.encode("ascii"))


def decode_mark(content: bytes) -> str | None:
    """Return the text of a mark; None for what is none."""
    text = content[:LONGEST_MARK].decode("ascii", errors="replace").strip()
    return text if text.isalnum() else None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LONGEST_MARK)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        write_through(file.fileno())
    draft.replace(path)
