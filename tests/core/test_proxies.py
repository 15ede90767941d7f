from ipaddress import ip_network

import pytest
import structlog

from app.core.clients import client_address
from app.core.settings import Settings
from app.deps import _say_untrusted
from tests.conftest import running

LOGIN = {"email": "nobody", "password": "seven rivers"}
TRUSTED = [ip_network("10.0.0.0/8"), ip_network("::1/128")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", ["1.2.3.4"], "203.0.113.9"),
        ("10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6", "1.2.3.4, 10.0.0.2"], "1.2.3.4"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["1.2.3.4, nonsense"], "10.0.0.1"),
        ("::1", ["2001:db8::5"], "2001:db8::5"),
        ("::ffff:10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("::ffff:203.0.113.9", [], "203.0.113.9"),
        ("10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("fe80::1%eth0", [], "fe80::1"),
        ("10.0.0.1", [f"fe80::1%{'a' * 60}"], "fe80::1"),
        ("10.0.0.1", ["fe80::1%\x1b[2J\u202e"], "fe80::1"),
        ("", ["1.2.3.4"], ""),
        ("10.0.0.1", ["203.0.113.1:4711"], "203.0.113.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1", ['"203.0.113.1:4711"'], "203.0.113.1"),
        ("10.0.0.1", ['"[2001:db8::1]:4711", 10.0.0.2:80'], "2001:db8::1"),
        ("10.0.0.1", ['6.6.6.6, "2001:db8::1"'], "2001:db8::1"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.1:"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.1:x"], "10.0.0.1"),
    ],
)
def test_address_when_behind_proxies_then_the_last_that_no_trusted_one_has(
    peer: str, forwarded: list[str], address: str
) -> None:
    assert client_address(peer, forwarded, trusted=TRUSTED) == address


@pytest.mark.parametrize(("environment", "times"), [("production", 1), ("development", 0)])
async def test_forwarded_for_when_nobody_trusted_sends_it_then_warned_of_once(
    settings: Settings, environment: str, times: int
) -> None:
    _say_untrusted.cache_clear()
    # What production would not start with is left as it is, so that this one word decides.
    async with running(settings.model_copy(update={"environment": environment})) as app:
        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                await app.client.post("/login", json=LOGIN, headers={"X-Forwarded-For": "1.2.3.4"})
            await app.client.post("/login", json=LOGIN)

    warnings = [line["event"] for line in lines if "TRUSTED_PROXIES" in line["event"]]
    assert len(warnings) == times
