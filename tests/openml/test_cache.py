import asyncio

import pytest

from app.openml.cache import TimedCache


class Source:
    """Answers with 1, 2, 3 …, or fails; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False

    async def __call__(self) -> int:
        self.asked += 1
        answer = self.asked
        await asyncio.sleep(0.01)
        if self.fails:
            raise ConnectionError
        return answer


async def test_value_when_many_ask_at_once_then_fetched_once() -> None:
    source = Source()
    remembered = TimedCache(source, seconds=60)

    assert await asyncio.gather(*(remembered.get() for _ in range(50))) == [1] * 50
    assert await remembered.get() == 1
    assert source.asked == 1


async def test_value_when_too_old_then_fetched_anew_and_the_old_one_serves_in_need() -> None:
    source = Source()
    remembered = TimedCache(source, seconds=0)

    assert await remembered.get() == 1
    assert await remembered.get() == 2
    source.fails = True
    assert await remembered.get() == 2
    source.fails = False
    assert await remembered.get() == 4


async def test_value_when_it_cannot_be_fetched_then_all_who_asked_hear_so_after_one_try() -> None:
    source = Source()
    source.fails = True
    remembered = TimedCache(source, seconds=60)

    answers = await asyncio.gather(*(remembered.get() for _ in range(5)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [ConnectionError] * 5
    assert source.asked == 1


async def test_value_when_the_first_who_asked_gives_up_then_the_others_get_it() -> None:
    source = Source()
    remembered = TimedCache(source, seconds=60)
    impatient = asyncio.create_task(remembered.get())
    patient = asyncio.create_task(remembered.get())
    await asyncio.sleep(0)

    impatient.cancel()

    assert await patient == 1
    assert source.asked == 1
    with pytest.raises(asyncio.CancelledError):
        await impatient
