"""The states of an upload, for those who know nothing of a database: `openml-web upload` among them."""

from enum import StrEnum


class UploadState(StrEnum):
    """Where an upload stands: in this order, but for the last four, which end it before `active`.

    `ready` waits for its owner; an upload that is to be published at once goes by it. A partial upload, of which a file
    is put together, only receives, and then is `joined` with others.
    """

    RECEIVING = "receiving"
    VERIFYING = "verifying"
    READY = "ready"
    RECEIVED = "received"
    CHECKED = "checked"
    CONVERTED = "converted"
    SENDING = "sending"
    PUBLISHED = "published"
    PROCESSING = "processing"
    ACTIVE = "active"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DUPLICATE = "duplicate"
    JOINED = "joined"


ENDED = frozenset(
    {
        UploadState.ACTIVE,
        UploadState.FAILED,
        UploadState.CANCELLED,
        UploadState.DUPLICATE,
        UploadState.JOINED,
    }
)
"""States that nothing follows, unless its owner asks for it."""
HAS_OUTCOME = ENDED | {UploadState.PUBLISHED, UploadState.PROCESSING}
"""States in which the person who uploaded can be told how it ended."""
HOLDS_BYTES = frozenset(UploadState) - HAS_OUTCOME
"""States whose bytes are needed, and count against the quota of their owner."""
CAN_RETRY = frozenset({UploadState.FAILED, UploadState.DUPLICATE})
"""States from which an upload goes on if its owner asks for it, as long as its bytes are kept."""
