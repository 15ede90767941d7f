"""Cleaning up: tokens, mails, counters, accounts and pictures whose time has passed."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import (
    account_changes,
    account_tokens,
    api_tokens,
    audit_events,
    index_changes,
    notices,
    outbox,
    provider_flows,
    rate_counters,
    refresh_families,
    reports,
    revoked_tokens,
    sessions,
    sign_in_tickets,
    spent_challenges,
    task_requests,
    trusted_publishers,
    unconfirmed,
    users,
    worker_heartbeats,
)
from app.db.engine import Database
from app.oidc.id_token import LEEWAY
from app.storage.pictures import PictureStorage, path_of

log = structlog.get_logger(__name__)

MAIL_RETENTION = timedelta(days=30)
"""How long an operator can see what became of a mail."""
TASK_RETENTION = timedelta(days=90)
"""How long a user can see what became of a task that waited."""
TOKEN_RETENTION = timedelta(days=30)
"""How long a user can see that an API token has expired."""
IDS_AT_ONCE = 500
PICTURE_GRACE_SECONDS = 3600
"""How long a picture may be without a row that names it: the row is written after the picture."""


async def remove_orphaned_pictures(database: Database, pictures: PictureStorage) -> None:
    """Remove pictures that no user's row names: left by processes that ended while they wrote or replaced one."""
    found = await pictures.older_than(PICTURE_GRACE_SECONDS)
    if not found:
        return
    async with database.session() as session:
        named = await users.get_images(session, path_of(""))
    for name in found:
        if path_of(name) not in named:
            await pictures.delete(name)


async def purge_unconfirmed(database: Database, *, days: int) -> None:
    """Remove accounts that were made here long ago, and whose address nobody ever confirmed."""
    before = database.now() - timedelta(days=days)
    async with database.session() as session:
        found = await unconfirmed.get_ids(session, before=before, limit=IDS_AT_ONCE)
    for user_id in found:
        if await database.unit(partial(unconfirmed.remove, user_id=user_id, before=before)):
            log.info("an account that was never confirmed is removed", user=user_id)


async def forget_the_past(database: Database, *, audit_days: int) -> None:
    """Delete expired tokens and old mails, a table at a time: whoever needs one of them waits for that one only."""
    now = database.now()
    chores: list[Callable[[AsyncSession], Awaitable[object]]] = [
        partial(revoked_tokens.delete_expired, now=now),
        partial(account_tokens.delete_expired, now=now),
        partial(account_changes.delete_expired, now=now),
        partial(sign_in_tickets.delete_expired, now=now),
        partial(refresh_families.delete_ended, now=now),
        partial(api_tokens.delete_expired, now=now, before=now - TOKEN_RETENTION),
        partial(provider_flows.delete_expired, now=now),
        partial(trusted_publishers.delete_expired, before=now - LEEWAY),
        partial(spent_challenges.delete_expired, now=now),
        partial(rate_counters.delete_expired, now=now),
        partial(sessions.delete_expired, before=now),
        partial(audit_events.delete_before, before=now - timedelta(days=audit_days)),
        partial(outbox.delete_finished, before=now - MAIL_RETENTION),
        partial(task_requests.delete_ended, before=now - TASK_RETENTION),
        partial(notices.delete_ended, before=now - timedelta(days=audit_days)),
        partial(reports.delete_before, before=now - timedelta(days=audit_days)),
        partial(index_changes.delete_before, before=now - index_changes.RETENTION),
        partial(worker_heartbeats.delete_before, before=now - worker_heartbeats.RETENTION),
    ]
    for chore in chores:
        async with database.session() as session:
            await chore(session)
