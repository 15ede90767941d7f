"""docs/resumable.md: each requirement of both protocols names tests, and those there are."""

import ast
import re
from pathlib import Path

import httpx
import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "resumable.md").read_text()
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ") and "::" in line]
SECTIONS = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)


def names_in(file: str) -> set[str]:
    """The tests of a file that the page names, wherever it lies."""
    found = {path for folder in ("uploads", "browser") for path in (TESTS / folder).glob(file)}
    assert len(found) == 1, f"{file} is none of our files, or more than one"
    tree = ast.parse(found.pop().read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_requirement_when_the_page_names_its_tests_then_there_are_such(row: list[str]) -> None:
    tests = re.findall(r"`([^`]+)`", row[-1])

    assert tests
    for test in tests:
        file, _, name = test.partition("::")
        assert name in names_in(file), f"{row[0]}: there is no {test}"


@pytest.mark.parametrize(
    "file", ["test_tus.py", "test_ietf.py", "test_concatenation.py", "test_tus_clients.py"]
)
def test_tests_when_they_hold_us_to_a_protocol_then_the_page_names_them(file: str) -> None:
    told = {name for row in ROWS for name in re.findall(rf"`{file}::([^`]+)`", row[-1])}
    tests = {name for name in names_in(file) if name.startswith("test_")}

    assert tests == told


async def test_extensions_when_announced_then_each_has_requirements_on_the_page(
    client: httpx.AsyncClient,
) -> None:
    announced = (await client.options("/uploads")).headers["tus-extension"].split(",")

    assert {name for name in announced if not any(row[0].startswith(f"({name})") for row in ROWS)} == set()
    assert len([title for title in SECTIONS if title.endswith("requirement by requirement")]) == 2
