"""Where a request comes from: the address that counts behind proxies, and the networks that it is in."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple, Self

from starlette.requests import HTTPConnection

_WITH_PORT = re.compile(r"(?P<v4>[\d.]+):\d{1,5}|\[(?P<v6>[0-9A-Fa-f:.]+)\](:\d{1,5})?", re.ASCII)
ProxyNetwork = IPv4Network | IPv6Network


def client_address(peer: str, forwarded_for: Sequence[str], *, trusted: Sequence[ProxyNetwork]) -> str:
    """Return the client's address: the last one that no trusted proxy has.

    Args:
        peer: the other end of the connection.
        forwarded_for: the values of `X-Forwarded-For`; each proxy adds its own peer at the end.
        trusted: networks of trusted proxies.
    """
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    # A socket file has no address, and a server before us may have believed a header: what is none, counts as none.
    address = str(_parsed(peer) or "")
    while hops and is_trusted(address, trusted):
        hop = _parsed(_without_port(hops.pop()))
        if hop is None:
            break
        address = str(hop)
    return address


def _without_port(hop: str) -> str:
    """Return the address of `203.0.113.1:4711`, `[2001:db8::1]:4711` or either in quotes, as some proxies write it."""
    found = _WITH_PORT.fullmatch(hop.strip('" '))
    return (found["v4"] or found["v6"]) if found else hop.strip('" ')


def is_trusted(address: str, trusted: Sequence[ProxyNetwork]) -> bool:
    """Return whether the address is a trusted proxy's."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in trusted)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Return the address: of IPv4 also where a socket of IPv6 took it, and without a zone, which may be any text."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        return parsed.ipv4_mapped or IPv6Address(parsed.packed)
    return parsed


USER_AGENT_LENGTH = 200


class ClientNetwork(NamedTuple):
    """Addresses that one client may have all of, and how many clients' allowance they have together."""

    name: str
    scale: int


IPV6_SHARES = ((64, 1), (56, 4), (48, 16))
"""What providers give to one customer: at least the first, often the second, and anybody may ask for the third."""


BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
"""By what each calls itself; browsers call themselves by others' names as well, which come later here."""
SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}
DEVICE_LENGTH = 40


class Client(NamedTuple):
    """The client's address and what it calls itself; both are hearsay and go to logs and lists only."""

    ip_address: str
    user_agent: str

    @classmethod
    def of(cls, request: HTTPConnection, *, trusted_proxies: Sequence[ProxyNetwork]) -> Self:
        """Return where a request comes from."""
        peer = request.client.host if request.client else ""
        forwarded = request.headers.getlist("x-forwarded-for")
        address = client_address(peer, forwarded, trusted=trusted_proxies)
        return cls(address, request.headers.get("user-agent", "")[:USER_AGENT_LENGTH])

    @property
    def device(self) -> str:
        """The family of browser and system, e.g. `Firefox on Linux`, or the program's name; no versions."""
        browser = next((name for word, name in BROWSERS.items() if f"{word}/" in self.user_agent), "")
        system = next((name for word, name in SYSTEMS.items() if word in self.user_agent), "")
        program = self.user_agent.partition(" ")[0].partition("/")[0]
        return (" on ".join(filter(None, (browser, system))) or program or "unknown program")[:DEVICE_LENGTH]

    @property
    def network(self) -> str:
        """The smallest of `networks`: the address, or the /64 of one that is IPv6."""
        return self.networks[0].name

    @property
    def asker(self) -> tuple[str, ...]:
        """The names of `networks`: whose shares of what is shared (`core/shares.py`) a request counts in."""
        return tuple(network.name for network in self.networks)

    @property
    def networks(self) -> list[ClientNetwork]:
        """What rate limits count by, from the smallest to the largest."""
        try:
            address = ip_address(self.ip_address)
        except ValueError:
            return [ClientNetwork(self.ip_address, 1)]
        if not isinstance(address, IPv6Address):
            return [ClientNetwork(str(address), 1)]
        return [
            ClientNetwork(str(IPv6Network((address, bits), strict=False)), scale)
            for bits, scale in IPV6_SHARES
        ]
