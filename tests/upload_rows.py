"""Rows of uploads as a test wants to find them: put into a state without the steps that lead there."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.upload_states import UploadState
from app.db.upload_tables import upload_events, uploads
from app.db.upload_values import as_kept


async def put_in(
    session: AsyncSession,
    upload_id: str,
    state: UploadState,
    *,
    at: datetime,
    detail: str | None = None,
    **values: Any,
) -> None:
    """Let an upload stand in a state, nobody's and due, with its event."""
    columns = {"state": state, "available_at": at, "lease_owner": None, "attempts": 0, **as_kept(values)}
    await session.execute(sa.update(uploads).where(uploads.c.id == upload_id).values(columns))
    event = {"upload_id": upload_id, "state": state, "at": at, "detail": detail}
    await session.execute(sa.insert(upload_events).values(event))
