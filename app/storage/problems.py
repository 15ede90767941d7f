"""What the store of bytes could not do."""

from app.core.errors import ProblemError


class StorageError(Exception):
    """What keeps bytes, a folder or a bucket, did not do what it was asked; what all of `app/storage` raises.

    StorageUnavailableError, StorageFullError and BytesLostError are problems as well; a disk that fails is none.
    """


class BytesLostError(StorageError, ProblemError):
    """The store no longer has the bytes that it had acknowledged."""

    slug, status, title = "bytes-lost", 500, "Stored bytes of this file are missing; upload it again"


class StorageUnavailableError(StorageError, ProblemError):
    """The store for files cannot be reached, or does not answer; what it had acknowledged is safe."""

    slug, status, title = "storage-unavailable", 503, "The store for files does not answer; try again shortly"
    passes_after_seconds = 5


class StorageFullError(StorageError, ProblemError):
    """There is no room for the upload."""

    slug, status, title = "storage-full", 507, "There is no room for the upload at the moment"
    passes_after_seconds = 600
