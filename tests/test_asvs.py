"""docs/asvs.md: every requirement of its chapters has a line that says how it stands, and names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/asvs.md").read_text(encoding="utf-8")
LINES = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if re.match(r"\| \d", line)
]
AT_LEVELS_1_AND_2 = {
    "6.1": 3,
    "6.2": 12,
    "6.3": 4,
    "6.4": 4,
    "6.5": 5,
    "6.6": 3,
    "6.8": 4,
    "7.1": 3,
    "7.2": 4,
    "7.3": 2,
    "7.4": 5,
    "7.5": 2,
    "7.6": 2,
    "9.1": 3,
    "9.2": 4,
    "10.1": 2,
    "10.2": 2,
    "10.3": 4,
    "10.4": 11,
    "10.5": 5,
    "10.6": 2,
    "10.7": 3,
}
"""How many requirements of levels 1 and 2 each section of ASVS 5.0 has: they come first. 6.7 has none."""


def test_asvs_page_when_read_then_it_has_each_requirement_once_with_a_verdict() -> None:
    wanted = [
        f"{section}.{number}" for section, many in AT_LEVELS_1_AND_2.items() for number in range(1, many + 1)
    ]

    assert [number.strip("| ") for number, *_ in LINES] == wanted
    for number, asked, verdict, here in LINES:
        assert asked, number
        assert verdict in {"met", "partly", "not met", "n/a"}, number
        assert here.strip("| "), f"{number} says {verdict}, and not by what, or why"


def test_asvs_page_when_it_names_tests_then_they_exist() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"def (test_\w+)\(", sources))
    named = set(re.findall(r"`(test_\w+)`", PAGE))

    assert len(named) > 30
    assert named <= there
