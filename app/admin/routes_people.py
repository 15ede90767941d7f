"""What administrators see of people, and do to accounts."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Path, Query
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import lifecycle, second_factor
from app.accounts.audit import Hand
from app.admin import people
from app.admin.guard import GUARDED, HandDep
from app.admin.schemas import DoneResponse, MailAgainRequest, PeopleResponse, PersonResponse, ReasonRequest
from app.core.bodies import BoundedRoute
from app.core.errors import BadRequestError, NotFoundError, ValidationFailedError
from app.core.http import BODY_PROBLEMS, declare
from app.db.engine import Database
from app.db.people import LARGEST_NUMBER
from app.deps import AdministratorDep, DatabaseDep, SessionDep, SettingsDep

CHANGED = declare(BadRequestError, NotFoundError, *BODY_PROBLEMS)
router = APIRouter(
    prefix="/admin/users", tags=["administration"], route_class=BoundedRoute, responses=GUARDED
)
UserId = Annotated[int, Path(ge=1, le=LARGEST_NUMBER)]


@router.get("", responses=declare(ValidationFailedError))
async def find_users(
    _administrator: AdministratorDep,
    session: SessionDep,
    text: Annotated[
        str, Query(min_length=1, max_length=254, description="A part of a name or address, or a number.")
    ],
) -> PeopleResponse:
    """Find people."""
    return await people.find(session, text)


@router.get("/{user_id}", responses=declare(NotFoundError, ValidationFailedError))
async def show_user(
    user_id: UserId,
    by: HandDep,
    database: DatabaseDep,
    session: SessionDep,
) -> PersonResponse:
    """Show somebody's story. The audit trail of the account tells its owner, once a day, that somebody looked."""
    return await people.show(session, database.reader, user_id, by)


@router.post("/{user_id}/confirm", responses=CHANGED)
async def confirm_user(
    user_id: UserId,
    body: ReasonRequest,
    by: HandDep,
    database: DatabaseDep,
) -> DoneResponse:
    """Confirm the address of a new account."""
    await _change(database, user_id, by, body.reason, people.confirm)
    return DoneResponse(msg="Account confirmed")


@router.post("/{user_id}/open", responses=CHANGED)
async def open_user(
    user_id: UserId,
    body: ReasonRequest,
    by: HandDep,
    database: DatabaseDep,
) -> DoneResponse:
    """Open an account that was closed."""
    await _change(database, user_id, by, body.reason, people.open_account)
    return DoneResponse(msg="Account opened")


@router.post("/{user_id}/close", responses=CHANGED)
async def close_user(
    user_id: UserId,
    body: ReasonRequest,
    by: HandDep,
    database: DatabaseDep,
) -> DoneResponse:
    """Close an account: its sessions end, and no mail link opens it."""
    await _change(database, user_id, by, body.reason, people.close)
    return DoneResponse(msg="Account closed")


@router.post("/{user_id}/end-sessions", responses=CHANGED)
async def end_sessions_of_user(
    user_id: UserId,
    body: ReasonRequest,
    by: HandDep,
    database: DatabaseDep,
) -> DoneResponse:
    """End every session of an account."""

    async def end(session: AsyncSession, user: int, by: Hand, reason: str) -> None:
        await lifecycle.end_sessions(session, user, by, reason=reason)

    await _change(database, user_id, by, body.reason, end)
    return DoneResponse(msg="Sessions ended")


@router.post("/{user_id}/reset-second-factor", responses=CHANGED)
async def reset_second_factor_of_user(
    user_id: UserId, body: ReasonRequest, by: HandDep, database: DatabaseDep, settings: SettingsDep
) -> DoneResponse:
    """Have the second factors of somebody who has lost them removed in a day, unless they object."""

    async def ask(session: AsyncSession, user: int, by: Hand, reason: str) -> None:
        await second_factor.ask_for_reset(session, settings, user, by, reason=reason)

    await _change(database, user_id, by, body.reason, ask)
    return DoneResponse(msg="The second factors are removed in 24 hours, unless their owner objects")


@router.post("/{user_id}/mail", responses=CHANGED)
async def send_mail_to_user(
    user_id: UserId, body: MailAgainRequest, by: HandDep, database: DatabaseDep, settings: SettingsDep
) -> DoneResponse:
    """Send the mail that confirms the address, or resets the password, once more; its link goes to the owner alone."""

    async def send(session: AsyncSession, user: int, by: Hand, reason: str) -> None:
        await people.send_mail(session, settings, user, by, kind=body.mail, reason=reason)

    await _change(database, user_id, by, body.reason, send)
    return DoneResponse(msg="Mail on its way")


async def _change(
    database: Database,
    user_id: int,
    by: Hand,
    reason: str,
    work: Callable[[AsyncSession, int, Hand, str], Awaitable[None]],
) -> None:
    async def change(session: AsyncSession) -> None:
        await people.require_ordinary(session, database.reader, user_id, by)
        await work(session, user_id, by, reason)

    await database.unit(change)
