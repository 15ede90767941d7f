"""Administration of the site: announcements, read-only mode, reports, mails, workers; used by API and command line."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit
from app.accounts.audit import Deed, Hand
from app.admin.schemas import (
    AnnouncementsResponse,
    MailResponse,
    MailsResponse,
    NoticeResponse,
    QueueResponse,
    ReportResponse,
    ReportsResponse,
    WorkerResponse,
    WorkersResponse,
)
from app.core.errors import NotFoundError
from app.db import notices, outbox, reports, worker_heartbeats
from app.db.engine import Database, now_of
from app.db.notices import CurrentNotices, Notice, NoticeKind
from app.db.overdue import find_overdue
from app.worker.scheduling import CONVERSIONS_PER_USER

REPORTS_SHOWN = 100
MAILS_SHOWN = 100


def as_announced(found: CurrentNotices) -> AnnouncementsResponse:
    """Return what everybody is told, as clients see it."""
    return AnnouncementsResponse(
        announcements=[_notice(notice) for notice in found.announcements],
        read_only=_notice(found.read_only) if found.read_only else None,
    )


async def begin_read_only(session: AsyncSession, text: str, ends_at: datetime | None, by: Hand) -> None:
    """Take no changes from now on, and tell everybody why; another text replaces the one before."""
    await notices.end_notices(session, NoticeKind.READ_ONLY)
    await notices.add_notice(session, NoticeKind.READ_ONLY, text, ends_at=ends_at)
    await audit.note(session, by, f"read-only mode: {text}")


async def end_read_only(session: AsyncSession, by: Hand) -> bool:
    """Take changes again; False if they were taken."""
    if not await notices.end_notices(session, NoticeKind.READ_ONLY):
        return False
    await audit.note(session, by, "end of read-only mode")
    return True


async def announce(session: AsyncSession, text: str, ends_at: datetime | None, by: Hand) -> int:
    """Tell everybody something; return its number."""
    number = await notices.add_notice(session, NoticeKind.ANNOUNCEMENT, text, ends_at=ends_at)
    await audit.note(session, by, f"announcement {number}: {text}")
    return number


async def end_announcement(session: AsyncSession, notice_id: int, by: Hand) -> None:
    """Tell it no more.

    Raises:
        NotFoundError: there is no such announcement any more.
    """
    if not await notices.end_notices(session, NoticeKind.ANNOUNCEMENT, notice_id=notice_id):
        raise NotFoundError("There is no such announcement; it may have ended already.")
    await audit.note(session, by, f"end of announcement {notice_id}")


async def list_reports(session: AsyncSession, *, only_open: bool) -> ReportsResponse:
    """Return what users have reported."""
    found = await reports.get_reports(session, only_open=only_open, limit=REPORTS_SHOWN)
    return ReportsResponse(reports=[ReportResponse(**report._asdict()) for report in found])


async def close_report(session: AsyncSession, report_id: int, by: Hand, reason: str) -> None:
    """Close a report; whoever reported reads why.

    Raises:
        NotFoundError: there is no such open report.
    """
    report = await reports.close_report(session, report_id)
    if report is None:
        raise NotFoundError("There is no such report; it may be closed already.")
    detail = f"about {report.kind} {report.subject}: {reason}"
    await audit.write_deed(session, report.reporter_id, Deed.REPORT_CLOSED, by, detail=detail)


async def list_mails(session: AsyncSession, *, recipient: str, state: str) -> MailsResponse:
    """Return what became of the latest mails."""
    found = await outbox.list_mails(session, recipient=recipient, state=state, limit=MAILS_SHOWN)
    return MailsResponse(mails=[MailResponse.model_validate(mail, from_attributes=True) for mail in found])


async def retry_mail(session: AsyncSession, mail_id: int, by: Hand) -> None:
    """Let a mail be tried again at once.

    Raises:
        NotFoundError: there is no such mail, it is out, or it is being sent right now.
    """
    if not await outbox.retry_mails(session, mail_id=mail_id, now=now_of(session)):
        raise NotFoundError("There is no such mail, or it is out already, or it is being sent right now.")
    await audit.note(session, by, f"mail {mail_id} tried again")


async def show_workers(database: Database) -> WorkersResponse:
    """Return which worker processes work or worked lately, and what waits."""
    now = database.now()
    found = await worker_heartbeats.get_recent(database.reader, now)
    working = worker_heartbeats.find_working(found, now)
    return WorkersResponse(
        workers=[
            WorkerResponse(
                host=each.host,
                pid=each.pid,
                started_at=each.started_at,
                seen_at=each.seen_at,
                working=each in working,
                fault=each.fault,
            )
            for each in found
        ],
        queues=[
            QueueResponse(name=each.queue, seconds=each.seconds)
            for each in await find_overdue(database.reader, now, per_user=CONVERSIONS_PER_USER)
        ],
    )


def _notice(notice: Notice) -> NoticeResponse:
    return NoticeResponse(id=notice.id, text=notice.text, begins_at=notice.begins_at, ends_at=notice.ends_at)
