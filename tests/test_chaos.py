"""The short form of `make chaos`: each part dies once while a few tables are uploaded."""

import os
import shutil

import pytest

from tests import chaos

NEEDED = ("mariadbd", "mariadb-install-db", "redis-server")


@pytest.mark.long
def test_uploads_when_each_part_dies_once_then_each_is_published_once() -> None:
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if not chaos.FAKETIME.exists():
        missing.append("libfaketime")
    if missing:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            f"not installed: {', '.join(missing)}"
        )

    assert chaos.main(["--uploads", "12", "--faults", "7", "--clients", "4"]) == 0
