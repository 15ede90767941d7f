"""What is asked all the time reads no more of `uploads` for all that was published before, by others or by oneself."""

from app.core.settings import Settings
from app.db.engine import Database
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
