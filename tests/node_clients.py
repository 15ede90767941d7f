"""Clients for Node and for pages, as their makers publish them."""

import hashlib
import os
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest

IN_CI = os.environ.get("CI") == "true"
TESTS = Path(__file__).parent
ARTIFACTS = Path(__file__).parents[1] / "artifacts"


@pytest.fixture(scope="session")
def tus_js() -> Path:
    """A folder with our scripts, in which tus-js-client and Uppy are installed as they are locked."""
    return installed(TESTS / "uploads" / "tus_js", "*.mjs")


@pytest.fixture(scope="session")
def openapi_js() -> Path:
    """A folder with our programs, in which readers of OpenAPI documents are installed as they are locked."""
    return installed(TESTS / "openapi_clients", "*.*")


@pytest.fixture(scope="session")
def oidc_js() -> Path:
    """A folder with our script, in which oidc-provider is installed as it is locked."""
    return installed(TESTS / "oidc" / "node_provider", "*.mjs")


def installed(source: Path, ours: str) -> Path:
    """Return a folder with the packages that a lock names, and our own files; it is kept for later runs."""
    if shutil.which("npm") is None:
        (pytest.fail if IN_CI else pytest.skip)(f"{source.name} needs node and npm")
    lock = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = ARTIFACTS / f"{source.name.replace('_', '-')}-{lock}"
    if not folder.exists():
        draft = ARTIFACTS / f"{source.name}-{secrets.token_hex(4)}"
        draft.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, draft)
        arguments = ["--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            ["npm", "ci", *arguments], cwd=draft, capture_output=True, text=True, check=False
        )
        if done.returncode:
            (pytest.fail if IN_CI else pytest.skip)(f"{source.name} cannot be installed: {done.stderr}")
        draft.rename(folder)
    for script in source.glob(ours):
        shutil.copy(script, folder)
    return folder
