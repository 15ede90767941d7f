"""Room on the disk, looked at before each block is written: what others have reserved is not for this table."""

import os
from dataclasses import dataclass

from app.tabular.failures import no_room, over_quota
from app.tabular.types import Limits, TabularError


@dataclass(slots=True)
class Room:
    """What one open file may take of the disk.

    Attributes:
        file: its descriptor.
        limits: of the request.
        is_kept: whether the file stays, and so counts against what its owner may have.
        size: bytes that were allowed so far.
    """

    file: int
    limits: Limits
    is_kept: bool = True
    size: int = 0

    def take(self, more: int) -> None:
        """Allow so many more bytes.

        Raises:
            TabularError: `file-too-large`, `over-quota`, or `no-room` on the disk.
        """
        self.size += more
        if self.size > self.limits.max_unpacked_bytes:
            raise TabularError(
                "file-too-large",
                f"Unpacked, the table has more than {self.limits.max_unpacked_bytes} bytes, which is the most that is "
                "allowed.",
            )
        if self.is_kept and self.limits.max_kept_bytes is not None and self.size > self.limits.max_kept_bytes:
            raise over_quota()
        if self.limits.min_free_bytes:
            disk = os.fstatvfs(self.file)
            if disk.f_bavail * disk.f_frsize - more < self.limits.min_free_bytes:
                raise no_room("the reserve would be used")
