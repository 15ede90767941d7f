"""What is asked all the time reads no more of `uploads` for all that was published before."""

from app.core.settings import Settings
from app.db.engine import Database
from tests.hot_statements import ASKS, Asked, analyze, ask, ask_of_reader, fill, scans

COUNT = 2000


async def test_statements_when_the_table_is_long_then_none_reads_all_of_it(settings: Settings) -> None:
    database = Database(settings)
    try:
        await fill(database, COUNT)
        for has_statistics in (False, True) if database.is_sqlite else (True,):
            if has_statistics:
                await analyze(database)
            found = {name: await ask(database, name) or [ask_of_reader(database)] for name in ASKS}
            slow = {name: [await scans(database, each) for each in asked] for name, asked in found.items()}
            assert {name: lines for name, lines in slow.items() if any(lines)} == {}
        everything = Asked("SELECT count(*) FROM uploads WHERE file_name = 'x'", ())
        assert len(await scans(database, everything)) == 1, "a scan would be seen"
    finally:
        await database.close()
