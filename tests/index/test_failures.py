"""What fails each time waits, twice as long each time, and is given up."""

from app.index.failures import FIRST_SECONDS, GIVEN_UP, LONGEST_SECONDS, MOST, Failures


def test_failures_when_in_a_row_then_each_waits_longer_and_others_go_on() -> None:
    now = [0.0]
    failures = Failures(lambda: now[0])
    for count in range(GIVEN_UP):
        assert not failures.is_given_up("a")
        failures.note("a")
        assert failures.is_waiting("a")
        assert not failures.is_waiting("b")
        now[0] += FIRST_SECONDS * 2**count
        assert not failures.is_waiting("a")
    assert failures.is_given_up("a")
    failures.forget("a")
    assert not failures.is_given_up("a")
    for _ in range(2000):
        failures.note("a")
    now[0] += LONGEST_SECONDS
    assert not failures.is_waiting("a")


def test_failures_when_very_many_then_the_last_are_known() -> None:
    failures = Failures()
    for number in range(MOST + 10):
        failures.note(number)
    assert len(failures) == MOST
    assert not failures.is_waiting(0)
    assert failures.is_waiting(MOST)
