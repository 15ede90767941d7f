"""`openml-web workers`, `maintenance`, `announcements` and `reports`: the site as a whole, by an operator's hand."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import click
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.audit import AT_COMMAND_LINE
from app.admin import site
from app.admin.schemas import AnnouncementsResponse, NoticeResponse
from app.commands.running import with_database
from app.core.hidden import printable
from app.db import notices
from app.db.engine import Database, now_of

T = TypeVar("T")
LONGEST_NOTICE = 500
MOST_MINUTES = 100_000
MINUTES = click.option(
    "--minutes", type=click.IntRange(1, MOST_MINUTES), help="It ends by itself after so long."
)


@click.command()
def workers() -> None:
    """Say which worker processes of all machines work, and what waits for them."""
    found = with_database(site.show_workers)
    for worker in found.workers:
        state = "works" if worker.working else f"gone ({worker.fault or 'killed, or stands still'})"
        click.echo(f"{worker.host}  process {worker.pid}  {state}  last seen {worker.seen_at:%H:%M:%S}Z")
    if not found.workers:
        click.echo(
            "No openml-web worker; with EMBEDDED_WORKER each web process has one, which is not listed here."
        )
    for queue in found.queues:
        click.echo(f"{queue.name} due for {queue.seconds:.0f} seconds")


@click.group()
def maintenance() -> None:
    """Take no changes for a while (read-only mode); people can read, and sign in."""


@maintenance.command("on")
@click.option("--notice", required=True, help="What everybody is told: why, and until when.")
@MINUTES
def on_command(notice: str, minutes: int | None) -> None:
    """Refuse changes with 503 and the notice; every process does within two seconds."""
    text = _checked(notice)

    async def begin(session: AsyncSession) -> None:
        await site.begin_read_only(session, text, _after(session, minutes), AT_COMMAND_LINE)

    _in_a_unit(begin)
    click.echo("Read-only mode is on. Workers go on with what was accepted before.")


@maintenance.command("off")
def off_command() -> None:
    """Take changes again."""

    async def end(session: AsyncSession) -> bool:
        return await site.end_read_only(session, AT_COMMAND_LINE)

    click.echo("Read-only mode is off." if _in_a_unit(end) else "It was off.")


@maintenance.command("show")
def show_command() -> None:
    """Say whether it is on."""
    found = _announced().read_only
    click.echo(f"On: {_told(found)}" if found else "Off.")


@click.group()
def announcements() -> None:
    """Tell everybody something, on the pages and in GET /announcements."""


@announcements.command("add")
@click.argument("text")
@MINUTES
def add_command(text: str, minutes: int | None) -> None:
    """Tell everybody TEXT."""
    checked = _checked(text)

    async def add(session: AsyncSession) -> int:
        return await site.announce(session, checked, _after(session, minutes), AT_COMMAND_LINE)

    click.echo(f"Announcement {_in_a_unit(add)} is told.")


@announcements.command("list")
def list_command() -> None:
    """Say what everybody is told now."""
    found = _announced().announcements
    for notice in found:
        click.echo(_told(notice))
    if not found:
        click.echo("No announcement.")


@announcements.command("end")
@click.argument("number", type=click.IntRange(1))
def end_command(number: int) -> None:
    """Tell announcement NUMBER no more."""

    async def end(session: AsyncSession) -> None:
        await site.end_announcement(session, number, AT_COMMAND_LINE)

    _in_a_unit(end)
    click.echo(f"Announcement {number} has ended.")


@click.group()
def reports() -> None:
    """Read what users report, and close it."""


@reports.command("list")
@click.option("--all", "every", is_flag=True, help="Closed ones as well.")
def list_reports_command(*, every: bool) -> None:
    """List the latest reports."""

    async def find(session: AsyncSession) -> list[str]:
        found = await site.list_reports(session, only_open=not every)
        return [
            f"{one.id}  {one.created_at:%Y-%m-%d %H:%M:%S}Z  user {one.reporter_id}  {one.kind} {one.subject}  "
            f"{'closed' if one.closed_at else 'open'}  {one.text}"
            for one in found.reports
        ]

    lines = _in_a_unit(find)
    for line in lines:
        click.echo(printable(line))
    if not lines:
        click.echo("No report." if every else "No open report.")


@reports.command("close")
@click.argument("number", type=click.IntRange(1))
@click.option("--reason", required=True, help="What came of it; whoever reported reads it.")
def close_command(number: int, reason: str) -> None:
    """Close report NUMBER."""

    async def close(session: AsyncSession) -> None:
        await site.close_report(session, number, AT_COMMAND_LINE, reason)

    _in_a_unit(close)
    click.echo(f"Report {number} is closed.")


def _in_a_unit(work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    async def do(database: Database) -> T:
        return await database.unit(work)

    return with_database(do)


def _announced() -> AnnouncementsResponse:
    async def look(database: Database) -> AnnouncementsResponse:
        return site.as_announced(await notices.get_current(database))

    return with_database(look)


def _checked(text: str) -> str:
    text = text.strip()
    if not 0 < len(text) <= LONGEST_NOTICE or printable(text) != text:
        raise click.BadParameter(f"give a line of 1 to {LONGEST_NOTICE} characters that people can see")
    return text


def _after(session: AsyncSession, minutes: int | None) -> datetime | None:
    return None if minutes is None else now_of(session) + timedelta(minutes=minutes)


def _told(notice: NoticeResponse) -> str:
    ends = f", until {notice.ends_at.astimezone(UTC):%Y-%m-%d %H:%M}Z" if notice.ends_at else ""
    return printable(f"{notice.id}  {notice.text}{ends}")
