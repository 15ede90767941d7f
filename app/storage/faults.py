"""Translates errors of the local disk: full (`StorageFullError`), or another fault."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from app.storage.problems import StorageError, StorageFullError

log = structlog.get_logger(__name__)

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Turn what the disk says into one error, and say in the log where it is full; `path` is what is written.

    Raises:
        StorageFullError: the disk is full.
        StorageError: it fails otherwise.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            log_fault("the disk is full", error, path)
            raise StorageFullError from None
        raise StorageError(error.strerror or str(error)) from error


def log_fault(event: str, error: OSError, path: Path) -> None:
    """Write down what the system said, and of which file."""
    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    log.error(event, errno=name, path=str(error.filename or path), reason=error.strerror)
