"""The beginning of an upload: what a client says before its bytes, and which earlier request it repeats."""

import hashlib
import json
import math
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.concurrency import BoundedExecutor
from app.core.errors import ValidationFailedError
from app.core.settings import Settings
from app.db import open_requests, uploads, users
from app.db.engine import Database, notify_after_commit
from app.db.upload_states import Actor, UploadState, expiry
from app.db.upload_values import NewUpload, Upload
from app.events.notifications import UPLOADS
from app.openml.client import OpenMLClient
from app.storage.parts import UploadStorage
from app.tabular import format_of, what_to_do
from app.uploads.admission import require_room
from app.uploads.lifecycle import end_interrupted
from app.uploads.metadata import check_complete, check_draft, require_printable
from app.uploads.problems import FormatNotSupportedError, IdempotencyKeyReusedError, UploadStateError
from app.uploads.schemas import UploadDetailResponse
from app.uploads.status import describe_upload

LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Creation:
    """What a client says of an upload before its bytes.

    Attributes:
        file_name: its end says what the file is.
        size: of the file in bytes, if it is known.
        metadata: the dataset's description so far.
        publish: whether to publish as soon as the bytes are in.
        sha256: the hash that the file shall have, in hexadecimal.
        idempotency_key: with the same one, the same upload is meant.
        tus_metadata: the header `Upload-Metadata`, which tus wants back.
        ends_by_length: whether the file is whole once it has `size` bytes; else a request says when it is.
        is_partial: whether it is a partial upload: any name, no description, never published by itself.
        joined_from: the header `Upload-Concat` of a file that is joined, as it came.
        partial_ids: the ids of the partial uploads that the file is joined from, in order.
    """

    file_name: str
    size: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    publish: bool = False
    sha256: str | None = None
    idempotency_key: str | None = None
    tus_metadata: str | None = None
    ends_by_length: bool = True
    is_partial: bool = False
    joined_from: str | None = None
    partial_ids: Sequence[str] = ()

    def digest(self) -> str:
        """Return a digest of the request, to detect another one with the same key."""
        facts: list[object] = [self.file_name, self.size, self.metadata, self.publish, self.sha256]
        if self.is_partial or self.partial_ids:
            facts.append("partial" if self.is_partial else list(self.partial_ids))
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


class Created(NamedTuple):
    """An upload to send bytes to, whether it was made just now, and what is answered of it."""

    upload: Upload
    is_new: bool
    described: UploadDetailResponse


Begin = Callable[[AsyncSession], Awaitable[tuple[Upload, bool]]]
"""Returns an upload, and whether it was made just now."""


def key_digest(user_id: int, key: str) -> str:
    """Return the stored form of a user's `Idempotency-Key`."""
    if len(key) > LONGEST_KEY:
        raise ValidationFailedError.for_fields(
            [{"field": "Idempotency-Key", "message": f"Give at most {LONGEST_KEY} characters."}]
        )
    return hashlib.sha256(f"{user_id}\0{key}".encode()).hexdigest()


class FormKey(NamedTuple):
    """The `Idempotency-Key` of a form, whose content is not known before it has been read."""

    key: str
    digest: str

    @classmethod
    def of(cls, user_id: int, key: str, *, path: str, declared: str) -> "FormKey":
        """Return the key of a request to `path` whose body has the declared length."""
        facts = hashlib.sha256(f"{path}\0{declared}".encode()).hexdigest()
        return cls(key_digest(user_id, key), facts)


async def find_by_form_key(database: Database, storage: UploadStorage, key: FormKey) -> str | None:
    """Return the id of the upload whose form came with the key before.

    Raises:
        IdempotencyKeyReusedError: it came with another form.
        UploadStateError: that form is still coming; `Retry-After` says when its lease ends.
    """
    async with database.session() as session:
        found = await open_requests.get_key_holder(session, key.key)
    if found is None:
        return None
    if found.request_digest != key.digest:
        raise IdempotencyKeyReusedError
    if found.state != UploadState.RECEIVING:
        return found.id
    if await end_interrupted(database, storage, found.id):
        return None
    raise still_coming(found.available_at - database.now())


def still_coming(lease: timedelta = open_requests.RECEIVER_LEASE) -> UploadStateError:
    """Return the problem of a form whose key belongs to another that is coming in, and is known to be in so long."""
    return UploadStateError(
        "Another request with this Idempotency-Key is still coming in; send this one when that has ended.",
        retry_after_seconds=max(1, math.ceil(lease.total_seconds())),
    )


async def begin_upload(
    database: Database,
    storage: UploadStorage,
    settings: Settings,
    checks: BoundedExecutor,
    openml: OpenMLClient,
    *,
    user_id: int,
    creation: Creation,
) -> Created:
    """Begin an upload whose bytes may come in many requests.

    With the `Idempotency-Key` of an earlier request it is that one's upload; with the digest of a file that the user
    published under the same name, the earlier upload of it.

    Raises:
        FormatNotSupportedError: the file's name ends in something we cannot read.
        ValidationFailedError: the file's name or the metadata is wrong, or incomplete and to be published at once.
        IdempotencyKeyReusedError: the key came with another request before.
        QuotaExceededError, StorageFullError, TooBusyError, TooManyRequestsError, BodyTooLargeError: there is no room.
    """
    new = await new_upload(database, checks, user_id, creation)

    async def begin(session: AsyncSession) -> tuple[Upload, bool]:
        await users.require_open(session, user_id)
        earlier = await find_earlier(session, new)
        if earlier is not None:
            return earlier, False
        await require_room(session, storage, settings, user_id=user_id, size=creation.size)
        await uploads.add_upload(session, new)
        if creation.size == 0 and creation.ends_by_length:
            await finish(session, new)  # no request will bring its last byte
        upload = await uploads.get_upload(session, new.id)
        assert upload is not None  # noqa: S101 - it was written in this very transaction
        return upload, True

    return await created(database, openml, user_id, begin)


async def created(database: Database, openml: OpenMLClient, user_id: int, begin: Begin) -> Created:
    """Begin an upload and describe it in one transaction: where there is no answer, there is no upload either.

    Raises:
        UploadStateError: another request with the same key is written in this moment.
    """

    async def work(session: AsyncSession) -> Created:
        upload, is_new = await begin(session)
        described = await describe_upload(session, openml, user_id=user_id, upload_id=upload.id)
        return Created(upload, is_new, described)

    try:
        return await database.unit(work)
    except IntegrityError:
        raise UploadStateError(
            "Another request with this Idempotency-Key is being served; send it again in a second.",
            retry_after_seconds=1,
        ) from None


async def new_upload(
    database: Database, checks: BoundedExecutor, user_id: int, creation: Creation
) -> NewUpload:
    """Return the row of an upload that begins now.

    Raises:
        FormatNotSupportedError, ValidationFailedError: see `begin_upload`.
    """
    require_printable(creation.file_name)
    kind = format_of(creation.file_name)
    if kind is None and not creation.is_partial:
        raise FormatNotSupportedError(what_to_do(creation.file_name))
    check = check_complete if creation.publish else check_draft
    metadata = await checks.run_for(user_id, check, creation.metadata)
    key = creation.idempotency_key and key_digest(user_id, creation.idempotency_key)
    now = database.now()
    return NewUpload(
        id=secrets.token_hex(16),
        user_id=user_id,
        file_name=creation.file_name,
        format=kind.format if kind and not creation.is_partial else "",
        created_at=now,
        available_at=now,
        expires_at=expiry(now),
        total_bytes=creation.size,
        reserved_bytes=creation.size or 0,
        expected_sha256=creation.sha256,
        publish_requested=creation.publish,
        description=metadata.values,
        repairs=metadata.repairs,
        warnings=metadata.warnings,
        tus_metadata=creation.tus_metadata,
        is_partial=creation.is_partial,
        joined_from=creation.joined_from,
        idempotency_key=key or None,
        request_digest=creation.digest(),
    )


async def find_earlier(session: AsyncSession, new: NewUpload) -> Upload | None:
    """Return the upload that was begun with the same key, or that has published the same file under the same name.

    Raises:
        IdempotencyKeyReusedError: the key came with another request before.
    """
    if new.idempotency_key:
        found = await uploads.get_by_idempotency_key(session, new.idempotency_key)
        if found is not None:
            if found.request_digest != new.request_digest:
                raise IdempotencyKeyReusedError
            return found
    description = new.description or {}
    if new.expected_sha256 and not description.get("allow_duplicate"):
        return await uploads.get_duplicate(
            session, new.user_id, sha256=new.expected_sha256, name=description.get("dataset_name")
        )
    return None


async def finish(session: AsyncSession, new: NewUpload, *, total_bytes: int = 0) -> None:
    """Let a file go on that has all its bytes in the very transaction that begins it."""
    moved = await uploads.set_state(
        session,
        new.id,
        UploadState.VERIFYING,
        by=Actor.OWNER,
        now=new.created_at,
        available_at=new.created_at,
        values={
            "expires_at": None,
            "total_bytes": total_bytes,
            "received_bytes": total_bytes,
            "reserved_bytes": total_bytes,
            "stored_bytes": total_bytes,
        },
    )
    assert moved  # noqa: S101 - it was written in this very transaction
    notify_after_commit(session, UPLOADS)
