"""Users' pictures in a folder of `DATA_DIR`, each under a random name and never changed."""

import asyncio
import re
import secrets
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from app.core.system import write_through
from app.storage.faults import disk_faults

_NAME = re.compile(r"[0-9a-f]{32}\.(png|jpg)")
_URL_FOLDER = "/imgs/"


def new_name(suffix: str) -> str:
    """Return a random name that cannot be guessed."""
    return f"{secrets.token_hex(16)}.{suffix}"


def path_of(name: str) -> str:
    """Return the path that a picture is served at, and that a user's row names."""
    return _URL_FOLDER + name


def name_in(path: str) -> str | None:
    """Return the name of the picture at a path of ours; None for any other address."""
    name = path.removeprefix(_URL_FOLDER)
    return name if name != path and _NAME.fullmatch(name) else None


class PictureStorage(Protocol):
    """Where pictures rest. Only names of ours are taken."""

    def spool(self) -> AbstractAsyncContextManager[BinaryIO]:
        """Yield a local file without a name, for bytes on their way in."""

    async def save(self, name: str, content: bytes) -> None:
        """Keep a picture; it is there as a whole or not at all."""

    async def read(self, name: str) -> bytes | None:
        """Return the picture, or None."""

    async def delete(self, name: str) -> None:
        """Remove the picture; nothing there is fine."""

    async def older_than(self, seconds: float) -> list[str]:
        """Return the names of what was written so long ago."""


class LocalPictures:
    """The folder, with 256 more in it. Only names of ours become paths."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @asynccontextmanager
    async def spool(self) -> AsyncIterator[BinaryIO]:
        """Yield an unnamed file for incoming bytes: the system removes it when it is closed."""
        with disk_faults(self._root):
            file = await asyncio.to_thread(self._open_spool)
            try:
                yield file
            finally:
                await asyncio.to_thread(file.close)

    async def save(self, name: str, content: bytes) -> None:
        """Keep a picture; it is there as a whole or not at all."""
        path = self._path(name)
        with disk_faults(path):
            await asyncio.to_thread(_write, path, content)

    async def read(self, name: str) -> bytes | None:
        """Return the picture, or None."""
        path = self._path(name)
        with disk_faults(path):
            return await asyncio.to_thread(_read, path)

    async def delete(self, name: str) -> None:
        """Remove the picture; nothing there is fine."""
        path = self._path(name)
        with disk_faults(path):
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def older_than(self, seconds: float) -> list[str]:
        """Return the names of the files here that were written so long ago, half-written ones included."""
        with disk_faults(self._root):
            return await asyncio.to_thread(self._older_than, time.time() - seconds)

    def _open_spool(self) -> BinaryIO:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return tempfile.TemporaryFile(dir=self._root)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name.removesuffix(".part")):
            raise ValueError("not a picture's name")
        return self._root / name[:2] / name

    def _older_than(self, moment: float) -> list[str]:
        names = []
        for path in self._root.glob("??/*"):
            with suppress(FileNotFoundError):
                if _NAME.fullmatch(path.name.removesuffix(".part")) and path.stat().st_mtime < moment:
                    names.append(path.name)
        return names


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.part")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            write_through(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
