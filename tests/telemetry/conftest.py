"""A server that takes what is told."""

from collections.abc import Iterator

import pytest

from tests.telemetry.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found
