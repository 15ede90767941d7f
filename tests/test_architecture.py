"""What the pages promise, kept true."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.errors import (
    PACKAGES,
    ProblemError,
    TooBusyError,
    TooManyRequestsError,
    catalogue,
    problem_from_record,
)
from app.core.metrics_dashboard import dashboard_as_json
from app.core.metrics_reference import metrics_as_markdown
from app.core.reference import as_env_example, as_markdown
from app.openml.problems import DatasetRefusedError

ROOT = Path(__file__).parents[1]


def test_configuration_page_when_settings_change_then_made_anew() -> None:
    assert (ROOT / "docs/configuration.md").read_text() == as_markdown(), "run: make docs"


def test_page_of_metrics_when_one_changes_then_made_anew() -> None:
    assert (ROOT / "docs/metrics.md").read_text() == metrics_as_markdown(), "run: make docs"


def test_dashboard_when_a_metric_changes_then_made_anew() -> None:
    assert (ROOT / "deploy/grafana/dashboard.json").read_text() == dashboard_as_json(), "run: make docs"


def test_env_example_when_settings_change_then_made_anew() -> None:
    assert (ROOT / ".env.example").read_text() == as_env_example(), "run: make docs"


def test_api_page_when_problems_change_then_it_lists_each() -> None:
    listed = set(re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", (ROOT / "docs/api.md").read_text(), re.MULTILINE))

    assert listed == {(kind.slug, str(kind.status)) for kind in catalogue()}


def classes_of_app() -> Iterator[tuple[Path, ast.ClassDef]]:
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield path.relative_to(ROOT / "app"), node


def test_problems_when_a_package_has_some_then_the_catalogue_knows_them() -> None:
    homes = {Path("core/errors.py"), *(Path(package, "problems.py") for package in PACKAGES)}
    kinds = {"ProblemError", *(kind.__name__ for kind in catalogue())}
    found = {
        (path, node.name)
        for path, node in classes_of_app()
        if kinds & {base.id for base in node.bases if isinstance(base, ast.Name)}
        and not node.name.startswith("_")
    }

    assert {path for path, _ in found} == homes
    assert {name for _, name in found} == kinds - {"ProblemError"}


def test_problem_when_its_package_was_not_imported_then_its_record_is_read() -> None:
    record = DatasetRefusedError("Row 3 has 2 values.", row=3).record()
    script = (
        f"from app.core.errors import problem_from_record; print(problem_from_record({record}).document())"
    )

    said = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ast.literal_eval(said.stdout) == DatasetRefusedError("Row 3 has 2 values.", row=3).document()


# The constructors of the others take no text: they are answered at once and never recorded.
RECORDED = [kind for kind in catalogue() if kind not in {TooBusyError, TooManyRequestsError}]


@pytest.mark.parametrize("kind", RECORDED)
def test_problem_when_recorded_then_it_comes_back_the_same(kind: type[ProblemError]) -> None:
    problem = kind("a detail", row=3)
    found = problem_from_record(problem.record(), upload_id="u")

    assert type(found) is kind
    assert found.document() == {**problem.document(), "upload_id": "u"}


def test_markdown_links_when_relative_then_they_lead_somewhere() -> None:
    packages = (ROOT / "packages").glob("*/README.md")
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks/README.md", *packages]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_files_when_pages_name_them_then_they_are_there() -> None:
    folders = ("app", "tests", "packages", "benchmarks", "alembic")
    there = [path.as_posix() for name in folders for path in (ROOT / name).rglob("*.py")]
    named = {
        (page.name, name)
        for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
        for name in re.findall(r"`([\w./-]+\.py)`", page.read_text())
    }

    assert ("architecture.md", "uploads/pipeline.py") in named
    assert [each for each in sorted(named) if not any(path.endswith(f"/{each[1]}") for path in there)] == []


def test_requirements_when_locked_then_hashed_and_without_an_address() -> None:
    for name in (
        "requirements.txt",
        "requirements-engines.txt",
        "requirements-tables.txt",
        "requirements-dev.txt",
        "requirements-bench.txt",
    ):
        text = (ROOT / name).read_text()
        assert "://" not in text
        packages = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
        assert all("==" in line and line.endswith("\\") for line in packages), (
            "each is pinned, its hashes follow"
        )


def test_production_when_installed_then_neither_the_sandbox_nor_a_rival_is_there() -> None:
    """The image has what the Dockerfile copies, of what `.dockerignore` lets in."""
    absent = ("sandbox", "packages", "polars", "duckdb", "requirements-bench")
    copied = re.findall(r"^COPY (?!--from)(.+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    locked = [
        (ROOT / name).read_text()
        for name in ("requirements.txt", "requirements-engines.txt", "requirements-tables.txt")
    ]

    assert copied
    assert let_in[0] == "*"
    assert not [line for line in [*copied, *let_in, *locked] if any(word in line for word in absent)]


def test_classes_when_named_then_each_by_a_name_of_its_own() -> None:
    found = [node.name for _, node in classes_of_app()]

    assert [name for name, count in Counter(found).items() if count > 1] == []
