"""Clients for Node and for pages, as their makers publish them."""

import hashlib
import os
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest

IN_CI = os.environ.get("CI") == "true"
TUS_JS = Path(__file__).parent / "upload" / "tus_js"
ARTIFACTS = Path(__file__).parents[1] / "artifacts"


@pytest.fixture(scope="session")
def tus_js() -> Path:
    """A folder with our scripts, in which tus-js-client and Uppy are installed as they are locked."""
    if shutil.which("npm") is None:
        (pytest.fail if IN_CI else pytest.skip)("tus-js-client needs node and npm")
    lock = hashlib.sha256((TUS_JS / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = ARTIFACTS / f"tus-js-{lock}"
    if not folder.exists():
        draft = ARTIFACTS / f"tus-js-{secrets.token_hex(4)}"
        draft.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(TUS_JS / name, draft)
        arguments = ["--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            ["npm", "ci", *arguments], cwd=draft, capture_output=True, text=True, check=False
        )
        if done.returncode:
            (pytest.fail if IN_CI else pytest.skip)(f"tus-js-client cannot be installed: {done.stderr}")
        draft.rename(folder)
    for script in TUS_JS.glob("*.mjs"):
        shutil.copy(script, folder)
    return folder
