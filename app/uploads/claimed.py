"""An upload that a worker has claimed: its row as last read, its file here, and how its next states are recorded."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import UnauthorizedError
from app.core.settings import Settings
from app.db import upload_bytes, uploads
from app.db.engine import Database, notify_after_commit
from app.db.index_changes import add_change
from app.db.upload_states import ENDED, Actor, UploadState
from app.db.upload_values import Description, Phase, Upload, UploadProgress
from app.events.notifications import upload_topic
from app.mail.messages import MailKind
from app.openml.client import OpenMLClient
from app.openml.fields import is_api_key
from app.openml.problems import ApiKeyMissingError
from app.storage.parts import Digests, UploadStorage
from app.storage.problems import BytesLostError
from app.uploads.conversion import require_working_room
from app.uploads.lifecycle import forget_bytes, tell_owner
from app.worker.queues import Lease, LeaseLostError

log = structlog.get_logger(__name__)


class ClaimedUpload:
    """An upload that a worker has claimed, and moves on as its publisher."""

    def __init__(
        self,
        database: Database,
        storage: UploadStorage,
        openml: OpenMLClient,
        settings: Settings,
        *,
        upload: Upload,
        lease: Lease,
    ) -> None:
        self.database = database
        self.storage = storage
        self.openml = openml
        self.settings = settings
        self.upload = upload
        self.lease = lease
        self.lease_owner = lease.owner
        self.progress: UploadProgress | None = None
        """How far the phase is that the upload is in, see `ProgressResponse`."""

    def news(self) -> Mapping[str, Any]:
        """Return what is written down beside the lease."""
        return {"progress": self.progress}

    def report(self, phase: Phase, done: int, total: int | None, rows: int | None = None) -> None:
        """Note how far a phase is; the renewal of the lease writes it down."""
        self.progress = {"phase": phase, "bytes": done, "total_bytes": total, "rows": rows}

    def now(self) -> datetime:
        """Return the moment by the database's clock."""
        return self.database.now()

    @property
    def description(self) -> Description:
        """What is said of the dataset."""
        return self.upload.description or {}

    @property
    def dataset_name(self) -> str:
        """Its name on OpenML, which every upload that is published has."""
        return self.description["dataset_name"] or ""

    async def reload(self) -> None:
        """Read the row again, as `mine` does."""
        async with self.database.session() as session:
            self.upload = await self.mine(session)

    async def mine(self, session: AsyncSession) -> Upload:
        """Return the row as it is now.

        Raises:
            LeaseLostError: another worker has taken it over.
        """
        upload = await uploads.get_upload(session, self.upload.id)
        if upload is None or upload.lease_owner != self.lease_owner:
            raise LeaseLostError
        return upload

    async def move(
        self,
        state: UploadState,
        values: Mapping[str, Any] | None = None,
        *,
        detail: str | None = None,
        due_at: datetime | None = None,
    ) -> None:
        """Record the state, from which another worker continues if this one ends.

        Args:
            state: the next one.
            values: of other columns, written with it.
            detail: text of the event that is written with it; for `failed` the reason in the mail to the owner.
            due_at: from when on another queue's worker may claim the row, whose lease ends then; None keeps it.

        Raises:
            LeaseLostError: another worker has taken the upload over, or its owner has decided otherwise.
        """
        self.lease.is_ending = due_at is not None or state in ENDED
        now = self.now()

        async def record(session: AsyncSession) -> None:
            if state == UploadState.FAILED:
                await tell_owner(session, self.upload, MailKind.DATASET_FAILED, reason=detail or "")
            mine = await uploads.set_state(
                session,
                self.upload.id,
                state,
                by=Actor.PUBLISHER,
                now=now,
                lease_owner=self.lease_owner,
                available_at=due_at,
                detail=detail,
                values=values,
            )
            notify_after_commit(session, upload_topic(self.upload.id))
            if values and values.get("dataset_id"):
                await add_change(session, "data", values["dataset_id"])
            if not mine:
                # Rolls back what was meant for the owner as well.
                raise LeaseLostError

        await self.database.unit(record)
        self.upload = self.upload._replace(state=state, **(values or {}))
        log.info("upload", upload=self.upload.id, user=self.upload.user_id, state=state)

    async def set_values(self, values: Mapping[str, Any]) -> None:
        """Write columns of the row while it is verified.

        Raises:
            LeaseLostError: another worker has taken the upload over, or its owner has decided otherwise.
        """
        if not await self.database.unit(lambda session: self.write(session, values)):
            raise LeaseLostError

    async def write(self, session: AsyncSession, values: Mapping[str, Any]) -> bool:
        """Write columns as `set_values` does, as a part of a transaction; False if that is not to be."""
        return await uploads.set_values(
            session, self.upload.id, values, only_in={UploadState.VERIFYING}, lease_owner=self.lease_owner
        )

    async def compose(self) -> Digests:
        """Make one file of the parts, on this machine, and hash it.

        Raises:
            BytesLostError: bytes of it are missing.
            StorageFullError: there is no room.
        """
        parts = await upload_bytes.get_parts(self.database.reader, self.upload.id)
        total = sum(part.length for part in parts)
        if total != self.upload.total_bytes:
            raise BytesLostError
        more = self.storage.composing_bytes(parts)
        source = self.storage.path(self.upload.id, "source")
        if more and not await asyncio.to_thread(source.exists):
            await require_working_room(self.database, self.storage, self.settings, more)
        return await self.storage.compose(
            self.upload.id, parts, lambda done: self.report("verifying", done, total)
        )

    async def fetch(self) -> None:
        """Have the file on this machine: another one may have verified it."""
        source = self.storage.path(self.upload.id, "source")
        if not await asyncio.to_thread(source.exists):
            await self.compose()

    async def forget_bytes(self) -> None:
        """Remove every byte of the upload."""
        await forget_bytes(self.database, self.storage, self.upload.id)

    async def api_key(self) -> str:
        """Return the key that the account has now: it may have been replaced since the upload came in.

        Raises:
            UnauthorizedError: the account is closed.
            ApiKeyMissingError: it has none that OpenML would take.
        """
        owner = await uploads.get_owner(self.database.reader, self.upload.user_id)
        if owner is None or not owner.active:
            raise UnauthorizedError("The account was closed before the dataset was published")
        if owner.api_key is None or not is_api_key(owner.api_key):
            raise ApiKeyMissingError
        return owner.api_key
