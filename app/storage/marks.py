"""The mark of a store: an id that stands in it, by which it is told from an empty one, and from another one."""

from typing import Protocol

MARK_NAME = "store-id"
LONGEST_MARK = 64
"""Bytes; what is longer is none of ours."""


class StoreMark(Protocol):
    """Reads and writes the mark of one store."""

    async def read(self) -> bytes | None:
        """Return what stands where the mark belongs, its first `LONGEST_MARK` bytes; None where nothing does.

        Raises:
            StorageError: the store does not answer.
        """

    async def write(self, identity: str) -> None:
        """Set the mark.

        Raises:
            StorageError: the store does not take it.
        """
