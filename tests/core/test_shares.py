"""Places and who gets them, whatever comes in whatever order."""

import asyncio
import random

import pytest

from app.core.shares import Place, Shares, ShareUsedUpError


def _take_all(shares: Shares, subject: str) -> list[Place]:
    places = []
    while True:
        try:
            places.append(shares.take_now((subject,)))
        except ShareUsedUpError:
            return places


def test_places_when_one_wants_all_then_half_and_the_next_half_of_the_rest() -> None:
    shares = Shares(64)

    assert [len(_take_all(shares, name)) for name in "abcdefgh"] == [32, 16, 8, 4, 2, 1, 1, 0]


def test_places_when_one_has_many_networks_then_none_of_them_gets_more_than_it_leaves() -> None:
    shares = Shares(64)
    taken = 0
    for number in range(1000):
        try:
            shares.take_now(
                (f"2001:db8:0:{number:x}::/64", f"2001:db8:0:{number >> 8}00::/56", "2001:db8::/48")
            )
        except ShareUsedUpError:
            break
        taken += 1

    assert (taken, len(_take_all(shares, "192.0.2.1"))) == (32, 16)


def test_refusal_when_share_or_all_taken_then_says_which() -> None:
    shares = Shares(4)
    _take_all(shares, "a")
    with pytest.raises(ShareUsedUpError) as own:
        shares.take_now(("a",))
    for name in "bcd":
        _take_all(shares, name)
    with pytest.raises(ShareUsedUpError) as everybodys:
        shares.take_now(("e",))

    assert (own.value.is_own_share, everybodys.value.is_own_share) == (True, False)


def test_place_when_given_back_twice_then_counted_once() -> None:
    shares = Shares(2)
    place = shares.take_now(("a",))
    with place:
        pass
    place.give_back()

    assert [len(_take_all(shares, name)) for name in "bc"] == [1, 1]


async def test_waiting_when_places_become_free_then_networks_take_turns() -> None:
    shares = Shares(4)
    held = [*_take_all(shares, "x"), *_take_all(shares, "y"), *_take_all(shares, "z")]
    got: list[str] = []

    async def want(name: str) -> None:
        with await shares.take((name,), seconds=5):
            got.append(name)
            await asyncio.sleep(0)

    waiting = [asyncio.ensure_future(want(name)) for name in "aaaabc"]
    await asyncio.sleep(0)
    for place in held:
        place.give_back()
    await asyncio.gather(*waiting)

    assert sorted(got[:3]) == ["a", "b", "c"]


async def test_waiting_when_too_long_too_many_or_given_up_then_nothing_is_lost() -> None:
    shares = Shares(4)
    held = [*_take_all(shares, "x"), *_take_all(shares, "y"), *_take_all(shares, "z")]
    with pytest.raises(ShareUsedUpError):
        await shares.take(("a",), seconds=0.01)
    waiting = [asyncio.ensure_future(shares.take(("a",), seconds=5)) for _ in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(ShareUsedUpError):
        await shares.take(("a",), seconds=5)
    waiting[0].cancel()
    # Granted and given up in the same moment.
    held.pop().give_back()
    waiting[1].cancel()
    await asyncio.sleep(0.01)
    for place in held:
        place.give_back()
    for future in waiting[2:]:
        (await future).give_back()

    assert len(_take_all(shares, "b")) == 2


@pytest.mark.every(5)
@pytest.mark.parametrize("seed", range(40))
async def test_places_when_random_networks_come_and_go_then_the_rule_holds(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - no secret
    total = dice.choice([2, 3, 8, 64])
    shares = Shares(total)
    held: dict[str, list[Place]] = {name: [] for name in "abcdefgh"}

    async def come(name: str) -> None:
        try:
            place = await shares.take((name,), seconds=dice.choice([0.0, 0.001, 0.02]))
        except ShareUsedUpError:
            return
        held[name].append(place)
        assert sum(map(len, held.values())) <= total

    everybody: list[asyncio.Future[None]] = []
    for _ in range(60):
        name = dice.choice([*held])
        everybody += (
            comings := [asyncio.ensure_future(come(name)) for _ in range(dice.randrange(total + 2))]
        )
        if dice.random() < 0.5:
            await asyncio.sleep(dice.choice([0, 0.001]))
        for coming in comings[: dice.randrange(3)]:
            coming.cancel()
        mine = len(held[name])
        assert mine <= (total + 1) // 2
        for places in held.values():
            dice.shuffle(places)
            while places and dice.random() < 0.5:
                places.pop().give_back()
    await asyncio.gather(*everybody, return_exceptions=True)
    for places in held.values():
        for place in places:
            place.give_back()

    assert len(_take_all(shares, "z")) == (total + 1) // 2
