"""What an index is told: the next changes, and those that were committed after one with a higher number."""

from app.db.index_changes import OVERLAP, get_changes, get_newest, tell_indices
from tests.conftest import Running


async def test_changes_when_asked_for_then_the_next_so_many_and_before_them_those_of_the_last_minute(
    app: Running,
) -> None:
    database = app.resources.database
    before = await get_newest(database.reader)
    for number in range(4):
        await tell_indices(database, "data", number, user_id=number or None)
    now, newest = database.now(), await get_newest(database.reader)

    async def numbers(*, after: int, minutes: int) -> list[int]:
        at = now + OVERLAP * minutes
        found = await get_changes(database.reader, now=at, after=after, limit=1)
        return [change.entity_id for change in found if change.id > before]

    known = await get_changes(database.reader, now=now, after=before, limit=4)
    assert [(change.kind, change.user_id, change.at <= now) for change in known if change.id > before] == [
        ("data", number or None, True) for number in range(4)
    ]
    second = known[-3].id
    assert await numbers(after=second, minutes=0) == [0, 1, 2]
    assert await numbers(after=second, minutes=2) == [2]
    assert await numbers(after=newest, minutes=2) == []
