"""Limits on the bytes that one file may take, checked before each block is written."""

import errno
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass

from app.tabular.failures import no_room, over_quota
from app.tabular.types import ConversionRequest, Limits, TabularError


@dataclass(slots=True)
class DiskBudget:
    """The bytes that one open file may take.

    Attributes:
        file: its descriptor.
        limits: of the request.
        is_kept: whether the file has a name, so that it may outlive the process, and counts towards the owner's quota.
        size: bytes spent so far.
    """

    file: int
    limits: Limits
    is_kept: bool = True
    size: int = 0

    def spend(self, more: int) -> None:
        """Count `more` bytes that are about to be written.

        Raises:
            TabularError: `file-too-large`, `over-quota`, or `no-room` if fewer than `min_free_bytes` would stay free.
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


def is_of_disk(error: BaseException) -> bool:
    """Return whether an error is the disk's; libraries raise OSError for damaged files as well.

    Those have no errno, or that of a place in the file that cannot be.
    """
    return isinstance(error, OSError) and error.errno not in {None, 0, errno.EINVAL}


def remove_target(request: ConversionRequest) -> None:
    """Remove what was written, where this process may; whoever asked for it does so as well."""
    with suppress(PermissionError):
        request.target.unlink(missing_ok=True)


def remove_workspace(request: ConversionRequest) -> None:
    """Remove the files that only the work on a request needed."""
    shutil.rmtree(request.workspace, ignore_errors=True)
