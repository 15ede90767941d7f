"""A multipart/form-data body with a file, streamed from disk, whose length is known before the first byte."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of the form: its bytes, or where they are on disk (`length` of them)."""

    name: str
    file_name: str
    content_type: str
    content: bytes | Path
    length: int


class MultipartBody:
    """Fields first, then files, in the order given. Can be sent once or many times."""

    def __init__(
        self,
        fields: Mapping[str, str],
        files: list[FilePart],
        *,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._on_progress = on_progress
        self._boundary = secrets.token_hex(16)
        self._fields = fields
        self._files = files

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that describe the body."""
        return {
            "Content-Type": f"multipart/form-data; boundary={self._boundary}",
            "Content-Length": str(self.length),
        }

    @property
    def length(self) -> int:
        """Return the length of the whole body in bytes."""
        fields = sum(len(self._field(name, value)) for name, value in self._fields.items())
        files = sum(len(self._head(part)) + part.length + len(b"\r\n") for part in self._files)
        return fields + files + len(self._end())

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body; files are read in a thread, a mebibyte at a time."""
        for name, value in self._fields.items():
            yield self._field(name, value)
        for part in self._files:
            yield self._head(part)
            if isinstance(part.content, bytes):
                yield part.content
            else:
                sent = 0
                async for chunk in _read(part.content):
                    yield chunk
                    sent += len(chunk)
                    self._on_progress(sent)
            yield b"\r\n"
        yield self._end()

    def _field(self, name: str, value: str) -> bytes:
        head = f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        return f"{head}{value}\r\n".encode()

    def _head(self, part: FilePart) -> bytes:
        return (
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="{part.name}"; filename="{part.file_name}"\r\n'
            f"Content-Type: {part.content_type}\r\n\r\n"
        ).encode()

    def _end(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode()


async def _read(path: Path) -> AsyncIterator[bytes]:
    file: BinaryIO = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
    finally:
        await asyncio.to_thread(file.close)
