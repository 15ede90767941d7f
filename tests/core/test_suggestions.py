"""Did you mean …?"""

import time
from collections.abc import Callable

import pytest

from app.core.suggestions import SECONDS, suggest

WIDE = 50_000
NASTY: dict[str, Callable[[], tuple[str, list[str]]]] = {
    "many columns": lambda: ("sensor_17_tempreature", [f"sensor_{n}_temperature" for n in range(WIDE)]),
    "all alike": lambda: ("ab" * 128, [f"{'ab' * 120}{n:05}" for n in range(WIDE)]),
    "one letter": lambda: ("a" * 255 + "b", ["a" * 200 + "c" * (n % 56) for n in range(WIDE)]),
    "a long name": lambda: ("x" * 1_000_000, ["x" * 999_999] * 100),
    "long candidates": lambda: ("x" * 200, ["x" * 1_000_000] * 100),
    "case only": lambda: ("ß" * 200, [f"SS{n}" * 30 for n in range(WIDE)]),
    "nothing at all": lambda: ("", [""] * WIDE),
}


def test_suggest_when_a_name_is_misspelt_then_the_likeliest_first() -> None:
    names = ["flow", "level", "lever", "station"]

    assert suggest("levle", names) == ["level", "lever"]
    assert suggest("levle", names, most=1) == ["level"]
    assert suggest("temperature", names) == []


def test_suggest_when_only_case_or_blanks_differ_then_those_alone_however_many_there_are() -> None:
    names = [*(f"column {number}" for number in range(WIDE)), "Level"]

    assert suggest(" level", names) == ["Level"]


def test_suggest_when_there_are_more_alike_than_are_asked_for_then_the_first_are_kept() -> None:
    names = [f"column_{number}" for number in range(3000)]

    assert suggest("colum_7", names)[0] == "column_7"


@pytest.mark.parametrize("kind", NASTY)
def test_suggest_when_the_names_are_nasty_then_the_time_is_bounded(kind: str) -> None:
    name, candidates = NASTY[kind]()

    began = time.thread_time()
    found = suggest(name, candidates)
    took = time.thread_time() - began

    assert len(found) <= 3
    # difflib alone takes 20 seconds and more for some of these.
    assert took < 25 * SECONDS
