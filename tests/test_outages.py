"""The short form of `make outages`: each server goes away once or more while a few people use the service."""

import os
import shutil

import pytest

from tests import outages
from tests.s3_server import find_weed

STRIKES = "mariadb:kill,mariadb:pause,mariadb:mute,redis:mute,store:pause,openml:mute"


@pytest.mark.timeout(600)
@pytest.mark.long
def test_answers_when_servers_die_freeze_and_fall_silent_then_none_is_500_and_nothing_is_lost() -> None:
    missing = [
        name for name in ("mariadbd", "mariadb-install-db", "redis-server") if shutil.which(name) is None
    ]
    if find_weed() is None:
        missing.append("weed")
    if missing:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            f"not installed: {', '.join(missing)}"
        )

    options = ["--seconds", "4", "--clients", "30", "--writers", "4", "--strikes", STRIKES]
    assert outages.main(options) == 0
