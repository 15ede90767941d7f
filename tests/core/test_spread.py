"""Those whom an outage sends away in one moment do not all come back in one."""

import pytest

from app.core.errors import NotReadyError, ReadOnlyModeError, TooBusyError, TooManyRequestsError
from app.core.http import problem_response, spread


@pytest.mark.parametrize(("seconds", "latest"), [(1, 3), (2, 4), (5, 7), (10, 15), (60, 70), (3600, 3610)])
def test_wait_when_spread_then_never_shorter_and_bounded(seconds: int, latest: int) -> None:
    assert spread(seconds, lambda _: 0) == seconds
    assert spread(seconds, lambda below: below - 1) == latest


@pytest.mark.parametrize(
    ("problem", "least", "most"),
    [(NotReadyError(), 5, 7), (TooBusyError(), 2, 4), (ReadOnlyModeError(), 60, 70)],
)
def test_problem_when_it_passes_by_itself_then_its_wait_is_spread_in_the_answer_alone(
    problem: NotReadyError | TooBusyError | ReadOnlyModeError, least: int, most: int
) -> None:
    waits = {int(problem_response(problem).headers["retry-after"]) for _ in range(200)}

    assert waits <= set(range(least, most + 1))
    assert problem.headers == {"Retry-After": str(least)}


def test_problem_when_it_is_of_one_client_then_its_wait_is_exact() -> None:
    assert problem_response(TooManyRequestsError(retry_after_seconds=7)).headers["retry-after"] == "7"
