"""Where upload bytes rest, whatever keeps them: a file is a list of parts, each written by one request.

A part counts once its row stands in `upload_parts`. So two writers never meet in one part, a writer that lost its turn
leaves bytes that nobody reads, and what a client was told it has sent is there after any crash.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from app.storage.marks import StoreMark

Stage = Literal["source", "arff", "profile", "plans"]
"""Working files of an upload: what was sent, what OpenML gets, what the preview shows, and what it has learnt."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a file.

    Attributes:
        start: offset of the first one.
        name: what the storage calls the part.
        length: how many bytes of it count.
        stored_in: the upload that it came with, where that is another one than it belongs to now.
    """

    start: int
    name: str
    length: int
    stored_in: str | None = None


@dataclass(frozen=True, slots=True)
class Digests:
    """A whole file: its length in bytes, and its hashes in hexadecimal."""

    length: int
    md5: str
    sha256: str


class PartWriter(Protocol):
    """Takes the bytes of one request, from an offset on."""

    length: int
    """Bytes taken so far, durable or not."""

    async def write(self, chunk: bytes) -> None:
        """Add bytes."""

    async def flush(self) -> Sequence[Part]:
        """Make every byte so far durable; return the parts whose rows are to be written, new or grown."""

    async def discard(self) -> None:
        """Remove every byte: no row will ever tell of one."""


class UploadStorage(Protocol):
    """Form of our upload ids (hexadecimal): no text of a client ever becomes a path."""

    is_on_this_disk: bool
    """Whether what comes in takes of the same disk as the working files."""

    @property
    def mark(self) -> StoreMark:
        """What tells the store from an empty one, and from another."""

    def writer(self, upload_id: str, start: int) -> AbstractAsyncContextManager[PartWriter]:
        """Return a writer for the bytes from `start` on."""

    async def compose(
        self, upload_id: str, parts: Sequence[Part], on_progress: Callable[[int], None]
    ) -> Digests:
        """Make the local working file `source` of the parts, and hash it; may be repeated after a crash.

        `on_progress` is called with the number of bytes so far.
        """

    def path(self, upload_id: str, stage: Stage, version: str = "") -> Path:
        """Return where the working file of this stage is on this machine, or will be.

        What is made anew while others read it has a version of its own: letters and digits.
        """

    async def keep(self, upload_id: str, stage: Stage, version: str = "") -> None:
        """Let every machine `fetch` the working file that this one has made."""

    async def fetch(self, upload_id: str, stage: Stage, version: str = "") -> Path | None:
        """Return where a file that was kept is on this machine now, or None if there is none."""

    async def drop(self, upload_id: str, stage: Stage, version: str = "") -> None:
        """Remove a file that was kept; nothing there is fine."""

    async def delete(self, upload_id: str) -> None:
        """Remove every byte of the upload; nothing there is fine."""

    async def upload_ids(self) -> list[str]:
        """Return the uploads that have bytes here."""

    async def free_bytes(self) -> int | None:
        """Return how many bytes there is room for; None if no limit is known."""

    async def check(self) -> None:
        """Return if it takes bytes at present; for whoever asks whether all is well.

        Raises:
            StorageError: it does not; the text says why.
        """

    async def working_bytes(self) -> int:
        """Return how many bytes are free on this machine's disk, where the working files are."""

    def composing_bytes(self, parts: Sequence[Part]) -> int:
        """Return how many bytes more `compose` needs on this machine's disk, beside what is there."""
