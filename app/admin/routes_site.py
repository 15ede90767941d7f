"""What administrators see of the site as a whole, and tell everybody."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from sqlalchemy.ext.asyncio import AsyncSession

from app.admin import site
from app.admin.guard import GUARDED, HandDep
from app.admin.schemas import (
    DoneResponse,
    MailsResponse,
    NoticeRequest,
    ReasonRequest,
    ReportsResponse,
    WorkersResponse,
)
from app.core.bodies import BoundedRoute
from app.core.errors import NotFoundError, ValidationFailedError
from app.core.http import BODY_PROBLEMS, declare
from app.db.engine import call_after_commit
from app.db.outbox import MailState
from app.deps import AdministratorDep, DatabaseDep, ResourcesDep, SessionDep

router = APIRouter(prefix="/admin", tags=["administration"], route_class=BoundedRoute, responses=GUARDED)
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/mails", responses=declare(ValidationFailedError))
async def list_mails(
    _administrator: AdministratorDep,
    session: SessionDep,
    to: Annotated[str, Query(max_length=254)] = "",
    state: MailState | None = None,
) -> MailsResponse:
    """Say what became of the latest mails; what is in them is not shown."""
    return await site.list_mails(session, recipient=to, state=state or "")


@router.post("/mails/{mail_id}/retry", responses=declare(NotFoundError, *BODY_PROBLEMS))
async def retry_mail(mail_id: Number, by: HandDep, session: SessionDep) -> DoneResponse:
    """Let a mail that waits or was given up be tried again at once."""
    await site.retry_mail(session, mail_id, by)
    return DoneResponse(msg="Mail to be tried again")


@router.get("/workers")
async def list_workers(_administrator: AdministratorDep, database: DatabaseDep) -> WorkersResponse:
    """Say which worker processes work, and what waits for them."""
    return await site.show_workers(database)


@router.get("/reports", responses=declare(ValidationFailedError))
async def list_reports(
    _administrator: AdministratorDep, session: SessionDep, *, only_open: bool = True
) -> ReportsResponse:
    """List what users have reported."""
    return await site.list_reports(session, only_open=only_open)


@router.post("/reports/{report_id}/close", responses=declare(NotFoundError, *BODY_PROBLEMS))
async def close_report(
    report_id: Number,
    body: ReasonRequest,
    by: HandDep,
    session: SessionDep,
) -> DoneResponse:
    """Close a report; whoever reported reads the reason."""
    await site.close_report(session, report_id, by, body.reason)
    return DoneResponse(msg="Report closed")


@router.put("/read-only", responses=declare(*BODY_PROBLEMS))
async def begin_read_only(body: NoticeRequest, by: HandDep, resources: ResourcesDep) -> DoneResponse:
    """Take no changes from now on; every process knows within two seconds."""

    async def begin(session: AsyncSession) -> None:
        call_after_commit(session, resources.notices.forget)
        await site.begin_read_only(session, body.text, body.ends_at, by)

    await resources.database.unit(begin)
    return DoneResponse(msg="Read-only mode is on")


@router.delete("/read-only", responses=declare(NotFoundError))
async def end_read_only(by: HandDep, resources: ResourcesDep, session: SessionDep) -> DoneResponse:
    """Take changes again."""
    call_after_commit(session, resources.notices.forget)
    if not await site.end_read_only(session, by):
        raise NotFoundError("The site is not in read-only mode.")
    return DoneResponse(msg="Read-only mode is off")


@router.post("/announcements", responses=declare(*BODY_PROBLEMS))
async def announce(
    body: NoticeRequest,
    by: HandDep,
    resources: ResourcesDep,
    session: SessionDep,
) -> DoneResponse:
    """Tell everybody something."""
    call_after_commit(session, resources.notices.forget)
    number = await site.announce(session, body.text, body.ends_at, by)
    return DoneResponse(msg=f"Announcement {number} is told")


@router.delete("/announcements/{notice_id}", responses=declare(NotFoundError, ValidationFailedError))
async def end_announcement(
    notice_id: Number,
    by: HandDep,
    resources: ResourcesDep,
    session: SessionDep,
) -> DoneResponse:
    """Tell it no more."""
    call_after_commit(session, resources.notices.forget)
    await site.end_announcement(session, notice_id, by)
    return DoneResponse(msg="Announcement ended")
