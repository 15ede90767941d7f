"""The lock of the one process of a machine that fills its index."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

LOCK_SECONDS: Final = 5.0


@asynccontextmanager
async def only_one(path: Path) -> AsyncIterator[None]:
    """Hold the lock of the one process of this machine that fills the index; the system frees it when that ends."""
    file = await asyncio.to_thread(_open_lock, path.parent)
    try:
        while not _locked(file):  # noqa: ASYNC110 - no event comes from other processes
            await asyncio.sleep(LOCK_SECONDS)
        yield
    finally:
        os.close(file)


def is_being_filled(path: Path) -> bool:
    """Say whether a process of this machine fills the index."""
    file = _open_lock(path.parent)
    try:
        return not _locked(file)
    finally:
        os.close(file)


def _open_lock(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(folder / "filling.lock", os.O_RDWR | os.O_CREAT, 0o600)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
