"""What is asked all the time reads no more of `uploads` for all that was published before, by others or by oneself."""

import pytest
import sqlalchemy as sa

from app.core.settings import Settings
from app.db import upload_queues
from app.db.engine import Database
from app.db.upload_tables import uploads
from tests.hot_statements import ASKS, Asked, analyze, ask, effort, fill

COUNT = 4000
"""Below some thousand rows MariaDB reads all of a table rather than a page of it by an index."""
MOST_STEPS, MOST_ROWS = 3000, 200


async def test_statements_when_the_table_is_long_then_they_read_little_of_it(settings: Settings) -> None:
    database = Database(settings)
    try:
        await fill(database, COUNT)
        most = MOST_STEPS if database.is_sqlite else MOST_ROWS
        for has_statistics in (False, True) if database.is_sqlite else (True,):
            if has_statistics:
                await analyze(database)
            found = {
                name: [await effort(database, each) for each in await ask(database, name)] for name in ASKS
            }
            assert {name: steps for name, steps in found.items() if max(steps) > most} == {}
        everything = Asked("SELECT count(*) FROM uploads WHERE file_name = 'x'", ())
        assert await effort(database, everything) > COUNT, "a scan is seen"
    finally:
        await database.close()


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
async def test_who_waits_when_there_is_a_backlog_then_one_entry_of_each_user_is_read(
    settings: Settings,
) -> None:
    database = Database(settings)
    try:
        await fill(database, COUNT)
        waits = sa.update(uploads).values(state=upload_queues.TO_PUBLISH.states[0])
        async with database.session() as session:
            await session.execute(waits)
        await analyze(database)
        found = [await effort(database, each) for each in await ask(database, "who waits for longest")]
        assert max(found) < COUNT // 5
    finally:
        await database.close()
