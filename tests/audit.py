"""`python -m tests.audit`: are there known vulnerabilities in what is locked? Needs uv, and a way to the advisories.

Where they cannot be reached, or know nothing of a package, that is said, and is no failure: unknown is not vulnerable.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCKED = (
    "requirements-engines.txt",
    "requirements-tables.txt",
    "requirements-dev.txt",
    "requirements-bench.txt",
)
"""The first two have what production has, and every extra."""
SECONDS = 300


def audit(path: Path) -> dict[str, Any] | None:
    """Return pip-audit's report of one file of locked requirements; None if it could not make one."""
    command = ["uvx", "pip-audit", "--requirement", str(path), "--require-hashes", "--disable-pip"]
    try:
        done = subprocess.run(
            [*command, "--progress-spinner", "off", "--format", "json"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        report: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    return report


def found_in(name: str, report: dict[str, Any]) -> list[str]:
    """Print how many packages the advisories know, and return a line for each vulnerability."""
    known = [package for package in report["dependencies"] if "vulns" in package]
    print(f"{name}: {len(known)} of {len(report['dependencies'])} packages could be looked up")
    return [
        f"{name}: {package['name']} {package['version']}: {hole['id']}, "
        f"mended in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for package in known
        for hole in package["vulns"]
    ]


def main() -> int:
    """Print what is known; 1 if anything is vulnerable."""
    holes: list[str] = []
    for name in LOCKED:
        report = audit(ROOT / name)
        if report is None:
            print(f"{name}: not looked at, for uv or the advisories cannot be reached")
        else:
            holes += found_in(name, report)
    print(*holes, sep="\n", end="\n" if holes else "")
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(main())
