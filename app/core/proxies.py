"""Whose address counts behind proxies."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_WITH_PORT = re.compile(r"(?P<v4>[\d.]+):\d{1,5}|\[(?P<v6>[0-9A-Fa-f:.]+)\](:\d{1,5})?", re.ASCII)
Network = IPv4Network | IPv6Network


def client_address(peer: str, forwarded_for: Sequence[str], *, trusted: Sequence[Network]) -> str:
    """Return the client's address: the last one that no trusted proxy has.

    Args:
        peer: the other end of the connection.
        forwarded_for: the values of `X-Forwarded-For`; each proxy adds its own peer at the end.
        trusted: networks of proxies whose word is taken.
    """
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    # A socket file has no address, and a server before us may have believed a header: what is none, counts as none.
    address = peer if _parsed(peer) else ""
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


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Say whether the address is a proxy's whose word is taken."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in trusted)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed
