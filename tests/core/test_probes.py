import asyncio

import pytest

from app.core import probes
from app.core.errors import DatabaseUnavailableError
from app.core.probes import Finding, Probes


class Counted:
    """A check that can be made to hang or to find something, and counts how often it is run."""

    def __init__(self) -> None:
        self.runs = 0
        self.wrong: str | None = None
        self.error: Exception | None = None
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def __call__(self) -> str | None:
        self.runs += 1
        await self.goes_on.wait()
        if self.error:
            raise self.error
        return self.wrong


@pytest.fixture
def check() -> Counted:
    return Counted()


async def test_look_when_a_flood_asks_then_a_check_runs_once(check: Counted) -> None:
    asked = Probes()

    at_once = await asyncio.gather(*(asked.look({"disk": check}) for _ in range(500)))
    for _ in range(500):
        assert await asked.look({"disk": check}) == [Finding("disk", ok=True, detail="")]

    assert all(found == at_once[0] for found in at_once)
    assert check.runs == 1


async def test_look_when_some_time_has_passed_then_it_is_looked_again(
    check: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "KEEP_SECONDS", 0.05)
    asked = Probes()
    assert (await asked.look({"disk": check}))[0].ok
    check.wrong = "It is full."

    await asyncio.sleep(0.06)

    assert await asked.look({"disk": check}) == [Finding("disk", ok=False, detail="It is full.")]


async def test_look_when_a_check_hangs_then_the_others_are_told_in_time_and_it_is_not_begun_again(
    check: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "KEEP_SECONDS", 0.01)
    monkeypatch.setattr(probes, "CHECK_SECONDS", 0.2)
    hanging = Counted()
    hanging.goes_on.clear()
    asked = Probes()

    for _ in range(5):
        async with asyncio.timeout(5):
            found = await asked.look({"store": hanging, "disk": check})
        assert found == [
            Finding("store", ok=False, detail=found[0].detail),
            Finding("disk", ok=True, detail=""),
        ]
        assert "`store` asks has not answered within 0.2 seconds. See that it runs" in found[0].detail
        await asyncio.sleep(0.02)
    assert hanging.runs == 1

    hanging.goes_on.set()
    await asyncio.sleep(0.02)
    assert (await asked.look({"store": hanging}))[0].ok
    hanging.goes_on.clear()
    await asyncio.sleep(0.02)
    begun = asyncio.create_task(asked.look({"store": hanging}))
    await asyncio.sleep(0.02)
    await asked.close()
    assert not (await begun)[0].ok


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (DatabaseUnavailableError("Access denied for 'root'"), "The database does not answer."),
        (RuntimeError("secret"), "It cannot be looked at (RuntimeError); the log says why."),
    ],
)
async def test_look_when_a_check_fails_then_its_text_stays_inside(
    check: Counted, error: Exception, detail: str
) -> None:
    check.error = error

    assert await Probes().look({"database": check}) == [Finding("database", ok=False, detail=detail)]
