"""What everybody is told, and what users tell administrators."""

from fastapi import APIRouter

from app.admin import site
from app.admin.schemas import AnnouncementsResponse, ReportedResponse, ReportRequest
from app.core.bodies import BoundedRoute
from app.core.errors import TooManyRequestsError, UnauthorizedError
from app.core.http import BODY_PROBLEMS, declare
from app.core.limits import Hit
from app.db import reports
from app.deps import LimitsDep, PrincipalDep, ResourcesDep, SessionDep

router = APIRouter(tags=["administration"], route_class=BoundedRoute)


@router.get("/announcements")
async def list_announcements(resources: ResourcesDep) -> AnnouncementsResponse:
    """Say what everybody is told now, and whether changes are taken; up to two seconds late."""
    return site.as_announced(await resources.notices.read())


@router.post("/reports", responses=declare(UnauthorizedError, *BODY_PROBLEMS, TooManyRequestsError))
async def report(
    body: ReportRequest, principal: PrincipalDep, session: SessionDep, limits: LimitsDep
) -> ReportedResponse:
    """Tell administrators of a dataset, a user or an upload. What becomes of it stands in `GET /audit`."""
    await limits.hit(Hit("report-account", str(principal.account.id)), Hit("report-everybody"))
    number = await reports.add_report(
        session, principal.account.id, kind=body.kind, subject=body.subject, text=body.text
    )
    return ReportedResponse(id=number)
