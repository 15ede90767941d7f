"""Providers: a real one, and one that does what it is told."""

from collections.abc import AsyncIterator

import pytest

from app.core.clock import utc_now
from app.core.way_out import STRAIGHT
from app.oidc.issuers import Issuers
from tests.oidc.hostile import HostileProvider, serving_provider
from tests.oidc.real_provider import real_provider as real_provider  # noqa: PLC0414 - a fixture


@pytest.fixture
async def hostile() -> AsyncIterator[HostileProvider]:
    async with serving_provider() as provider:
        yield provider


@pytest.fixture
def issuers() -> Issuers:
    return Issuers(STRAIGHT, now=utc_now, allow_this_machine=True)
