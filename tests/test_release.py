"""What a release is made of."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from app import __version__
from app.core.licences import find_licences
from tests import release


def test_release_when_built_twice_then_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        release.build(tmp_path / name, "1700000000")
        release.write_checksums(tmp_path / name)

    first, second = ((tmp_path / name / "SHA256SUMS").read_text() for name in ("first", "second"))
    assert first == second
    digest, _, name = first.splitlines()[0].partition("  ")
    assert hashlib.sha256((tmp_path / "first" / name).read_bytes()).hexdigest() == digest
    assert {line.rpartition(".")[2] for line in first.splitlines()} == {"gz", "whl"}


def test_requirements_when_those_of_the_image_are_joined_then_each_once_with_its_hashes() -> None:
    lines = release.requirements(release.image_python()).splitlines()

    names = [line.partition("==")[0] for line in lines if not line.startswith(" ")]
    assert {"fastapi", "obstore", "pyreadstat", "sentry-sdk"} <= set(names)
    assert len(names) == len(set(names))
    assert sum("--hash=sha256:" in line for line in lines) >= len(names)
    assert ";" not in "".join(lines)
    other = release.requirements("3.11.2").splitlines()
    versions = [[line for line in each if line.startswith("numpy==")] for each in (lines, other)]
    assert versions[0] != versions[1], "of two that are locked, each Python has its own"
    assert "async-timeout" in "".join(other)


def test_notes_when_a_version_has_a_section_then_that_one() -> None:
    changelog = "# Changelog\n\n## Unreleased\n- new\n\n## 0.1.0 - 2026-01-01\n- first\n\n## 0.1\n- older\n"

    assert release.notes_of("0.1.0", changelog) == "- first"
    assert release.notes_of("Unreleased", changelog) == "- new"
    with pytest.raises(
        LookupError, match=r"no section of 2\. .* under '## 2 - 20.* make release NOTES=Unreleased"
    ):
        release.notes_of("2", changelog)


def test_licences_when_listed_then_each_package_with_its_terms() -> None:
    found = {each.name: each for each in find_licences()}

    assert found["openml-web"].summary == "BSD-3-Clause"
    assert "Permission is hereby granted" in found["fastapi"].texts[0]
    assert {"uvicorn", "pyarrow", "greenlet"} <= set(found)
    assert not {"pytest", "ruff", "mypy"} & set(found)
    assert [each.name for each in found.values() if each.summary.startswith("not said")] == []


@pytest.mark.long
def test_release_when_made_then_archive_wheel_list_licences_and_checksums_fit_each_other(
    tmp_path: Path,
) -> None:
    if shutil.which("uvx") is None:
        (pytest.fail if os.environ.get("TEST_UV") == "required" else pytest.skip)("not installed: uv")
    folder = tmp_path / "dist"
    command = [sys.executable, "-m", "tests.release", "--notes", "Unreleased", "--into", str(folder)]
    done = subprocess.run(command, cwd=release.ROOT, capture_output=True, text=True, check=True, timeout=300)

    assert done.stdout.startswith("### ")
    archive, wheel = f"openml_web-{__version__}.tar.gz", f"openml_web-{__version__}-py3-none-any.whl"
    listed, licences = f"openml-web-{__version__}.cdx.json", f"openml-web-{__version__}-licences.txt"
    pairs = (line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines())
    sums = {name: digest for digest, name in pairs}
    assert set(sums) == {archive, wheel, listed, licences}
    assert {path.name for path in folder.iterdir()} == {*sums, "SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    with tarfile.open(folder / archive) as packed:
        parts = {name.partition("/")[2] for name in packed.getnames()}
    with zipfile.ZipFile(folder / wheel) as packed_wheel:
        modules = {*packed_wheel.namelist()}
    assert {"LICENSE", "pyproject.toml", "app/main.py", "docs/operations.md"} <= parts
    assert {"app/main.py", "app/alembic/env.py"} <= modules
    bom = json.loads((folder / listed).read_text())
    assert (bom["bomFormat"], bom["metadata"]["component"]["version"]) == ("CycloneDX", __version__)
    components = {(each["name"], each["version"]) for each in bom["components"]}
    pinned = re.findall(
        r"^([a-z0-9._-]+)==([^ ;\\]+)", release.requirements(release.image_python()), re.MULTILINE
    )
    assert components == set(pinned)
    for each in bom["components"]:
        assert any(place.get("hashes") for place in each["externalReferences"]), each["name"]
    text = (folder / licences).read_text()
    assert [each.name for each in find_licences() if each.name not in text] == []
