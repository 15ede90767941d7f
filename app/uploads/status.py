"""The state of a user's uploads: read only, and only their own."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFoundError, problem_from_record
from app.db import upload_views
from app.db.upload_states import TO_PUBLISH, UploadState
from app.db.upload_views import UploadEvent, UploadView
from app.openml.client import OpenMLClient
from app.openml.fields import RepairResponse
from app.uploads.metadata import given
from app.uploads.schemas import (
    ProgressResponse,
    UploadDetailResponse,
    UploadEventResponse,
    UploadsResponse,
    UploadStatusResponse,
)


async def list_uploads(
    session: AsyncSession,
    openml: OpenMLClient,
    *,
    user_id: int,
    limit: int,
    before: str | None,
    states: Sequence[UploadState],
) -> UploadsResponse:
    """Return a page of the user's uploads, newest first.

    Raises:
        NotFoundError: `before` is no upload of this user.
    """
    older_than = await _find(session, user_id=user_id, upload_id=before) if before else None
    found = await upload_views.get_page_of_user(
        session, user_id, limit=limit + 1, before=older_than, states=states
    )
    shown = found[:limit]
    originals = await _originals(session, shown)
    return UploadsResponse(
        uploads=[UploadStatusResponse(**_facts(upload, openml, originals)) for upload in shown],
        next=shown[-1].id if len(found) > limit else None,
    )


async def describe_upload(
    session: AsyncSession, openml: OpenMLClient, *, user_id: int, upload_id: str
) -> UploadDetailResponse:
    """Return one of the user's uploads with its steps, and all that is said of its dataset.

    Raises:
        NotFoundError: there is none, or it is somebody else's.
    """
    status, events = await follow_upload(session, openml, user_id=user_id, upload_id=upload_id)
    description, known = await upload_views.get_said(session, upload_id)
    return UploadDetailResponse(
        **dict(status),
        metadata=given(description),
        reading=known.get("fields", {}),
        doubts=known.get("doubts", []),
        doubt_count=known.get("doubt_count", 0),
        events=events,
    )


async def follow_upload(
    session: AsyncSession, openml: OpenMLClient, *, user_id: int, upload_id: str
) -> tuple[UploadStatusResponse, list[UploadEventResponse]]:
    """Return the state of one of the user's uploads, and its steps: cheap enough to be asked every second.

    Raises:
        NotFoundError: there is none, or it is somebody else's.
    """
    upload = await _find(session, user_id=user_id, upload_id=upload_id)
    facts = _facts(upload, openml, await _originals(session, [upload]))
    events = await upload_views.get_events(session, upload.id)
    return UploadStatusResponse(**facts), [as_event(event) for event in events]


async def _find(session: AsyncSession, *, user_id: int, upload_id: str) -> UploadView:
    upload = await upload_views.get_view(session, upload_id, user_id=user_id)
    if upload is None:
        raise NotFoundError("You have no such upload.")
    return upload


def as_event(event: UploadEvent) -> UploadEventResponse:
    """Return a step as clients see it."""
    return UploadEventResponse(id=event.id, state=UploadState(event.state), at=event.at)


async def _originals(session: AsyncSession, found: Sequence[UploadView]) -> dict[str, int | None]:
    """Return the datasets of those uploads that some of the given ones repeat."""
    wanted = {upload.duplicate_of for upload in found if upload.duplicate_of}
    return await upload_views.get_dataset_ids(session, wanted) if wanted else {}


def progress_of(upload: UploadView) -> ProgressResponse | None:
    """Return how far the upload is in what is being done with it."""
    if upload.state == UploadState.RECEIVING:
        return ProgressResponse(
            phase="receiving", bytes=upload.received_bytes or 0, total_bytes=upload.total_bytes, rows=None
        )
    if upload.state in TO_PUBLISH and upload.progress:
        return ProgressResponse.model_validate(upload.progress)
    return None


def _facts(upload: UploadView, openml: OpenMLClient, originals: dict[str, int | None]) -> dict[str, Any]:
    is_repeated = upload.state == UploadState.DUPLICATE and upload.duplicate_of is not None
    dataset_id = originals.get(upload.duplicate_of or "") if is_repeated else upload.dataset_id
    return {
        "id": upload.id,
        "state": upload.state,
        "file_name": upload.file_name,
        "format": upload.format,
        "size": upload.total_bytes,
        "received_bytes": upload.received_bytes or 0,
        "sha256": upload.received_sha256,
        "publish": upload.publish_requested,
        "partial": upload.is_partial,
        "dataset_name": upload.dataset_name,
        "progress": progress_of(upload),
        "row_count": upload.row_count,
        "column_count": upload.column_count,
        "created_at": upload.created_at,
        "expires_at": upload.expires_at,
        "finished_at": upload.finished_at,
        "dataset_id": dataset_id,
        "dataset_url": openml.dataset_url(dataset_id) if dataset_id is not None else None,
        "duplicate_of": upload.duplicate_of,
        "warnings": upload.warnings or [],
        "repairs": [RepairResponse.model_validate(repair) for repair in upload.repairs or []],
        "error": problem_from_record(upload.error).document() if upload.error else None,
    }
