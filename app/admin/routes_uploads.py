"""What administrators see of uploads, and do to them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, status
from fastapi.responses import JSONResponse

from app.accounts.audit import Hand
from app.admin import uploads
from app.admin.guard import GUARDED, HandDep
from app.admin.schemas import AdminUploadDetailResponse, AdminUploadsResponse, DoneResponse, ReasonRequest
from app.admin.uploads import UploadCare
from app.core.bodies import BoundedRoute
from app.core.errors import NotFoundError, ValidationFailedError
from app.core.http import BODY_PROBLEMS, declare
from app.db.people import LARGEST_NUMBER
from app.db.upload_states import UploadState
from app.deps import AdministratorDep, ResourcesDep, SessionDep
from app.resources import Resources
from app.uploads.problems import UploadStateError
from app.uploads.service import Judging

CHANGED = declare(NotFoundError, UploadStateError, *BODY_PROBLEMS)
router = APIRouter(
    prefix="/admin/uploads", tags=["administration"], route_class=BoundedRoute, responses=GUARDED
)
UploadId = Annotated[str, Path(max_length=32)]


def care_of(resources: Resources, by: Hand, reason: str) -> UploadCare:
    """Return what an administrator does it with."""
    judging = Judging(resources.database, resources.storage, resources.checks, resources.changes)
    return UploadCare(judging, by, reason)


@router.get("", responses=declare(ValidationFailedError))
async def find_uploads(
    _administrator: AdministratorDep,
    session: SessionDep,
    user_id: Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER)] = None,
    state: UploadState | None = None,
    *,
    quarantined: bool = False,
) -> AdminUploadsResponse:
    """List the latest uploads: of everybody or of one user, in one state, or those in quarantine."""
    return await uploads.find(session, user_id=user_id, state=state, quarantined=quarantined)


@router.get("/{upload_id}", responses=declare(NotFoundError, ValidationFailedError))
async def show_upload(
    upload_id: UploadId, _administrator: AdministratorDep, session: SessionDep
) -> AdminUploadDetailResponse:
    """Show an upload's story: every step so far, and why it failed. What is in its file is not shown."""
    return await uploads.show(session, upload_id)


@router.post(
    "/{upload_id}/cancel",
    responses={
        **CHANGED,
        status.HTTP_202_ACCEPTED: {"model": DoneResponse, "description": "It is being sent."},
    },
)
async def cancel_somebodys_upload(
    upload_id: UploadId,
    body: ReasonRequest,
    by: HandDep,
    resources: ResourcesDep,
) -> DoneResponse:
    """Stop an upload and remove its bytes; 202 if it is being sent right now, and stops only if that fails."""
    if await care_of(resources, by, body.reason).cancel(upload_id):
        return DoneResponse(msg="Upload cancelled")
    later = DoneResponse(msg="It is being sent, and stops only if that fails")
    return JSONResponse(later.model_dump(), status.HTTP_202_ACCEPTED)  # type: ignore[return-value]  # another status


@router.post("/{upload_id}/requeue", responses=CHANGED)
async def requeue_upload(
    upload_id: UploadId,
    body: ReasonRequest,
    by: HandDep,
    resources: ResourcesDep,
) -> DoneResponse:
    """Let an upload go on: at once if it waits, once more if it failed, after all if its file is in quarantine."""
    await care_of(resources, by, body.reason).requeue(upload_id)
    return DoneResponse(msg="Upload goes on")


@router.post("/{upload_id}/quarantine", responses=CHANGED)
async def quarantine_upload(
    upload_id: UploadId,
    body: ReasonRequest,
    by: HandDep,
    resources: ResourcesDep,
) -> DoneResponse:
    """Stop an upload and keep its file for 30 days, which its owner can neither publish nor remove."""
    await care_of(resources, by, body.reason).quarantine(upload_id)
    return DoneResponse(msg="File in quarantine")


@router.post("/{upload_id}/remove", responses=CHANGED)
async def remove_upload(
    upload_id: UploadId,
    body: ReasonRequest,
    by: HandDep,
    resources: ResourcesDep,
) -> DoneResponse:
    """Remove a file that is in quarantine."""
    await care_of(resources, by, body.reason).remove(upload_id)
    return DoneResponse(msg="File removed")
