"""What a cancelled task leaves behind."""

import asyncio
import random
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.core.settings import Settings
from app.db.engine import Database

TRIES = 150


@pytest.mark.parametrize("database_uri", ["sqlite", "mariadb"], indirect=True)
async def test_session_when_its_task_is_cancelled_then_others_can_write_at_once(
    database_uri: str, tmp_path: Path
) -> None:
    database = Database(Settings(_env_file=None, data_dir=tmp_path, database_uri=database_uri))
    moments = random.Random(1)  # noqa: S311 - not a secret

    async def write() -> None:
        async with database.session() as session:
            await session.execute(sa.text("SELECT 1"))
            await session.execute(sa.text("DELETE FROM uploads"))

    try:
        for _ in range(TRIES):
            writing = asyncio.create_task(write())
            await asyncio.sleep(moments.random() * 0.004)
            writing.cancel()
            [cancellation] = await asyncio.gather(writing, return_exceptions=True)
            # Its traceback is alive, and with it all that the task had in hand.
            assert cancellation is None or isinstance(cancellation, asyncio.CancelledError)
            await write()
    finally:
        await database.close()
