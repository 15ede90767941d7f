"""How one's uploads fare: read only, and only one's own."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFoundError, problem_from_record
from app.db import uploads
from app.db.uploads import Upload, UploadState
from app.openml.client import OpenMLClient
from app.upload.schemas import (
    RepairResponse,
    UploadDetailResponse,
    UploadEventResponse,
    UploadsResponse,
    UploadStatusResponse,
)


async def list_uploads(
    session: AsyncSession, openml: OpenMLClient, *, user_id: int, limit: int, before: str | None
) -> UploadsResponse:
    """Return a page of the user's uploads, newest first.

    Raises:
        NotFoundError: `before` is no upload of this user.
    """
    older_than = await _find(session, user_id, before) if before else None
    found = await uploads.get_page_of_user(session, user_id, limit=limit + 1, before=older_than)
    shown = found[:limit]
    return UploadsResponse(
        uploads=[_status(upload, openml) for upload in shown],
        next=shown[-1].id if len(found) > limit else None,
    )


async def find_upload(
    session: AsyncSession, openml: OpenMLClient, *, user_id: int, upload_id: str
) -> UploadDetailResponse:
    """Return one of the user's uploads with its steps.

    Raises:
        NotFoundError: there is none, or it is somebody else's.
    """
    upload = await _find(session, user_id, upload_id)
    events = await uploads.get_events(session, upload.id)
    return UploadDetailResponse(
        **_status(upload, openml).model_dump(),
        events=[UploadEventResponse(state=UploadState(event.state), at=event.at) for event in events],
    )


async def _find(session: AsyncSession, user_id: int, upload_id: str) -> Upload:
    upload = await uploads.get_upload(session, upload_id)
    if upload is None or upload.user_id != user_id:
        raise NotFoundError("You have no such upload.")
    return upload


def _status(upload: Upload, openml: OpenMLClient) -> UploadStatusResponse:
    error = problem_from_record(upload.error).document() if upload.error else None
    return UploadStatusResponse(
        id=upload.id,
        state=UploadState(upload.state),
        file_name=upload.file_name,
        format=upload.format,
        dataset_name=upload.description["dataset_name"] if upload.description else None,
        received_bytes=upload.received_bytes,
        row_count=upload.row_count,
        column_count=upload.column_count,
        created_at=upload.created_at,
        finished_at=upload.finished_at,
        dataset_id=upload.dataset_id,
        dataset_url=openml.dataset_url(upload.dataset_id) if upload.dataset_id is not None else None,
        warnings=upload.warnings or [],
        repairs=[RepairResponse.model_validate(repair) for repair in upload.repairs or []],
        error=error,
    )
