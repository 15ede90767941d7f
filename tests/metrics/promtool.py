"""Prometheus' programs (Debian's package `prometheus`), where they are."""

import os
import shutil

import pytest

REQUIRED = os.environ.get("TEST_PROMETHEUS") == "required"


def needed(program: str) -> str:
    """Return the path of a program; skip the test where it is missing, unless it is required."""
    found = shutil.which(program)
    if found is None:
        assert not REQUIRED, f"{program} is missing"
        pytest.skip(f"{program} is missing (Debian: apt install prometheus)")
    return found
