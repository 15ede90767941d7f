"""`python -m tests.release`: what a version is published as, in `dist` (or `--into`), and its notes on standard output.

The source archive and the wheel (the same bytes from each build of the same commit), a CycloneDX list of everything
that the image installs, the licences with their texts, and the checksums of all of these. Needs uv for the list.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from packaging.requirements import Requirement

from app import __version__

ROOT = Path(__file__).parents[1]
LOCKED = ("requirements-engines.txt", "requirements-tables.txt")
"""What the image has."""
CYCLONEDX = "cyclonedx-bom==7.5.0"
UNRELEASED = "Unreleased"


def notes_of(version: str, changelog: str) -> str:
    """Return the section of a version.

    Raises:
        LookupError: it has none.
    """
    found = re.search(
        rf"^## \[?{re.escape(version)}\b.*?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    if found is None:
        raise LookupError(
            f"CHANGELOG.md has no section of {version}. Put what is under {UNRELEASED} under "
            f"'## {version} - {datetime.now(UTC):%Y-%m-%d}', commit, "
            f"and tag it v{version} when this has run. To try it before: make release NOTES={UNRELEASED}"
        )
    return found[1].strip()


def build(folder: Path, epoch: str) -> None:
    """Build the source archive and the wheel; `epoch` is the time that files in them have."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(folder)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)


def image_python() -> str:
    """Return the version of Python that the image has, e.g. `3.13`."""
    found: list[str] = re.findall(
        r"^ARG BASE=python:(\d+\.\d+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    return found[0]


def requirements(python: str) -> str:
    """Return everything that the image has with a version of Python (`3.13`, `3.11.2`), each once, with its hashes."""
    installed = {
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python if python.count(".") > 1 else f"{python}.0",
        "sys_platform": "linux",
    }
    blocks: dict[str, str] = {}
    for name in LOCKED:
        text = (ROOT / name).read_text(encoding="utf-8")
        for line, hashes in re.findall(
            r"^([a-z0-9][^\n]*?) \\\n((?: {4}--hash=[^\n]*\n)+)", text, re.MULTILINE
        ):
            found = Requirement(line)
            if found.marker is None or found.marker.evaluate(installed):
                blocks[found.name] = f"{line.partition(' ;')[0]} \\\n{hashes}"
    return "".join(blocks[name] for name in sorted(blocks))


def write_bom(path: Path, epoch: str) -> None:
    """Write the list of what the image has, valid by CycloneDX's schema."""
    command = [
        "uvx",
        "--from",
        CYCLONEDX,
        "cyclonedx-py",
        "requirements",
        "-",
        "--pyproject",
        "pyproject.toml",
    ]
    command += ["--output-reproducible", "--validate", "--output-file", str(path)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    subprocess.run(
        command, cwd=ROOT, env=environment, input=requirements(image_python()).encode(), check=True
    )
    bom = json.loads(path.read_text(encoding="utf-8"))
    # Not in pyproject.toml, which names the file that has it.
    bom["metadata"]["component"]["version"] = __version__
    path.write_text(json.dumps(bom, indent=2) + "\n", encoding="utf-8")


def write_licences(path: Path) -> None:
    """Write the licences of what is installed here, with their texts."""
    command = [sys.executable, "-m", "app.cli", "licences", "--texts"]
    with path.open("wb") as file:
        subprocess.run(command, cwd=ROOT, check=True, stdout=file)


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of every file of the folder, as `sha256sum --check` reads them."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.iterdir())
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


def main() -> int:
    """Make everything anew, and print the notes; 1 if the version has none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notes", default=__version__, help="the section of CHANGELOG.md")
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="the folder, which is made anew")
    options = parser.parse_args()
    try:
        notes = notes_of(options.notes, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    except LookupError as error:
        sys.stderr.write(f"{error.args[0]}\n")
        return 1
    if shutil.which("uvx") is None:
        sys.stderr.write(
            "uvx was not found, which makes the list of what is in it. Install uv: pip install uv\n"
        )
        return 1
    stamp = ["git", "log", "-1", "--format=%ct"]
    epoch = subprocess.run(stamp, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    folder: Path = options.into
    shutil.rmtree(folder, ignore_errors=True)
    build(folder, epoch)
    write_bom(folder / f"openml-web-{__version__}.cdx.json", epoch)
    write_licences(folder / f"openml-web-{__version__}-licences.txt")
    write_checksums(folder)
    sys.stdout.write(f"{notes}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
