"""Receiving an upload, and waiting for what the worker makes of it."""

import difflib
import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from pydantic import ValidationError

from app.core.clock import utc_now
from app.core.errors import (
    BodyTooLargeError,
    FormatNotSupportedError,
    MalformedBodyError,
    Problem,
    StillWorkingError,
    ValidationFailedError,
    problem_from_record,
)
from app.core.multipart import PartEnd, PartEvent, PartStart, too_large
from app.core.wakeups import UPLOADS, upload_topic
from app.db import uploads
from app.db.engine import wake_after_commit
from app.db.uploads import HAS_OUTCOME, Outcome, UploadState
from app.resources import Resources
from app.storage.local import Digests
from app.tabular import format_of
from app.upload.schemas import UploadMetadata

log = structlog.get_logger(__name__)

METADATA_BYTES = 1 << 20
MOST_WARNINGS = 20
POLL_SECONDS = 1.0
"""How often a waiting request looks at the row, for the worker may live in another process."""


@dataclass(slots=True)
class _Form:
    """What has come of the form so far."""

    upload_id: str | None = None
    digests: Digests | None = None
    metadata: bytes | None = None


class Receiver:
    """Takes one form: the file goes to storage, the metadata is checked, the row tells how it went.

    No database connection is held while bytes move. Whatever breaks off in between leaves a row in the state
    `receiving` whose lease runs out; the janitor then says so and removes the bytes.
    """

    def __init__(self, resources: Resources, *, user_id: int) -> None:
        self._resources = resources
        self._user_id = user_id
        self._owner = secrets.token_hex(8)
        self._form = _Form()
        self._renewed = time.monotonic()
        # A client may be silent for so long, and bytes are what renews the lease.
        settings = resources.settings
        self._lease = timedelta(seconds=settings.lease_seconds + settings.upload_stall_seconds)

    async def receive(self, events: AsyncIterator[PartEvent]) -> str:
        """Return the id of an upload whose bytes are safe on disk and whose row is `received`.

        Raises:
            FormatNotSupportedError: the file's name ends in something we cannot read.
            BodyTooLargeError: the file is larger than the limit.
            ValidationFailedError: a part is missing, or the metadata is not what OpenML takes.
        """
        try:
            await self._read_form(events)
            metadata, repairs = _parse_metadata(self._form.metadata)
            return await self._accept(metadata, repairs, _about_unknown_fields(self._form.metadata))
        except Problem as problem:
            await self._give_up(problem)
            raise
        except BaseException:
            # The client went away, or we are shutting down.
            await self._give_up(
                MalformedBodyError("The upload broke off before its last byte; send it again.")
            )
            raise

    async def _read_form(self, events: AsyncIterator[PartEvent]) -> None:
        async for event in events:
            if not isinstance(event, PartStart):
                continue
            if event.name == "dataset" and event.file_name is not None:
                await self._read_file(event.file_name, events)
            elif event.name == "metadata":
                self._form.metadata = await _read_small(events)

    async def _read_file(self, file_name: str, events: AsyncIterator[PartEvent]) -> None:
        if self._form.upload_id is not None:
            raise MalformedBodyError("The form has two files; send one.")
        upload_id = await self._begin(file_name)
        storage, limit = self._resources.storage, self._resources.settings.upload_max_bytes
        async with storage.writer(upload_id, "source") as writer:
            async for event in events:
                if isinstance(event, PartEnd):
                    break
                if isinstance(event, bytes):
                    if writer.length + len(event) > limit:
                        raise too_large(limit)
                    await writer.write(event)
                    await self._renew(upload_id)
            self._form.digests = await writer.finish()

    async def _begin(self, file_name: str) -> str:
        kind = format_of(file_name)
        if kind is None:
            raise FormatNotSupportedError
        upload_id = self._form.upload_id = secrets.token_hex(16)
        async with self._resources.database.session() as session:
            await uploads.add_upload(
                session,
                upload_id=upload_id,
                user_id=self._user_id,
                file_name=file_name,
                format=kind.format,
                owner=self._owner,
                now=utc_now(),
                lease=self._lease,
            )
        return upload_id

    async def _renew(self, upload_id: str) -> None:
        if time.monotonic() - self._renewed < self._resources.settings.lease_seconds / 3:
            return
        self._renewed = time.monotonic()
        async with self._resources.database.session() as session:
            await uploads.renew_lease(session, upload_id, owner=self._owner, until=utc_now() + self._lease)

    async def _accept(
        self, metadata: UploadMetadata, repairs: list[dict[str, str]], warnings: list[str]
    ) -> str:
        upload_id, digests = self._form.upload_id, self._form.digests
        if upload_id is None or digests is None:
            raise ValidationFailedError.for_fields(
                [{"field": "dataset", "message": "Send a file in the part `dataset`."}]
            )
        now = utc_now()
        async with self._resources.database.session() as session:
            accepted = await uploads.set_state(
                session,
                upload_id,
                UploadState.RECEIVED,
                now=now,
                owner=self._owner,
                available_at=now,
                values={
                    "description": metadata.model_dump(mode="json"),
                    "repairs": repairs,
                    "warnings": warnings,
                    "received_bytes": digests.length,
                    "received_md5": digests.md5,
                    "received_sha256": digests.sha256,
                },
            )
            wake_after_commit(session, UPLOADS)
        if not accepted:
            # The process slept past its lease and the janitor has cleaned up.
            raise MalformedBodyError("The upload took a break too long; send it again.")
        return upload_id

    async def _give_up(self, problem: Problem) -> None:
        upload_id = self._form.upload_id
        if upload_id is None:
            return
        async with self._resources.database.session() as session:
            await uploads.set_state(
                session,
                upload_id,
                UploadState.FAILED,
                now=utc_now(),
                owner=self._owner,
                detail=problem.detail,
                values={"error": problem.record()},
            )
        await self._resources.storage.delete(upload_id)


async def wait_for_outcome(resources: Resources, upload_id: str) -> Outcome:
    """Return how the upload was published.

    Raises:
        Problem: why it was not, as the worker wrote it down.
        StillWorkingError: it takes longer than a request may wait; the upload goes on.
    """
    deadline = time.monotonic() + resources.settings.upload_wait_seconds
    with resources.wakeups.listen(upload_topic(upload_id)) as listener:
        while time.monotonic() < deadline:
            outcome = await uploads.get_outcome(resources.database.reader, upload_id)
            if outcome and outcome.state == UploadState.FAILED and outcome.error:
                raise problem_from_record(outcome.error, upload_id=upload_id)
            if outcome and outcome.state in HAS_OUTCOME:
                return outcome
            await listener.wait(seconds=POLL_SECONDS)
    raise StillWorkingError(
        "The upload is safe and still being published; look for it on OpenML in a while.", upload_id=upload_id
    )


async def _read_small(events: AsyncIterator[PartEvent]) -> bytes:
    content = bytearray()
    async for event in events:
        if isinstance(event, PartEnd):
            break
        if isinstance(event, bytes):
            content += event
            if len(content) > METADATA_BYTES:
                raise BodyTooLargeError(f"The metadata is larger than {METADATA_BYTES} bytes.")
    return bytes(content)


def _about_unknown_fields(content: bytes | None) -> list[str]:
    """Return a warning for each field that was ignored: it may be another one misspelled."""
    known = list(UploadMetadata.model_fields)
    document = json.loads(content or b"{}")
    warnings = []
    for name in [name for name in document if name not in known][:MOST_WARNINGS]:
        meant = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {meant[0]!r}?" if meant else "."
        warnings.append(f"The metadata's {name[:64]!r} is no field and was ignored{hint}")
    return warnings


def _parse_metadata(content: bytes | None) -> tuple[UploadMetadata, list[dict[str, str]]]:
    """Return the metadata, and what was changed in it."""
    if content is None:
        raise ValidationFailedError.for_fields(
            [{"field": "metadata", "message": "Send the description as JSON."}]
        )
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError):
        raise MalformedBodyError("The part `metadata` is not valid JSON.") from None
    may_repair = not isinstance(document, dict) or document.get("repair", True) is not False
    context: dict[str, list[str]] | None = {"repaired": []} if may_repair else None
    try:
        metadata = UploadMetadata.model_validate(document, context=context)
    except ValidationError as error:
        raise ValidationFailedError.from_pydantic(
            error.errors(include_input=False, include_url=False)
        ) from None
    repaired = dict.fromkeys(context["repaired"] if context else [])
    return metadata, [
        {
            "column": "",
            "change": f"The text of {field} is published in plain ASCII.",
            "reason": "OpenML takes no other characters there.",
        }
        for field in repaired
    ]
