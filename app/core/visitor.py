"""Who is at the door, as far as a request says."""

from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import NamedTuple, Self

from starlette.requests import HTTPConnection

from app.core import proxies

USER_AGENT_LENGTH = 200


class Network(NamedTuple):
    """Addresses that one client may have all of, and how many clients' allowance they have together."""

    name: str
    scale: int


IPV6_SHARES = ((64, 1), (56, 4), (48, 16))
"""What providers give to one customer: at least the first, often the second, and anybody may ask for the third."""


class Visitor(NamedTuple):
    """The client's address and what it calls itself; both are hearsay and go to logs and lists only."""

    ip_address: str
    user_agent: str

    @classmethod
    def of(cls, request: HTTPConnection, *, trusted_proxies: Sequence[proxies.Network]) -> Self:
        """Return where a request comes from."""
        peer = request.client.host if request.client else ""
        forwarded = request.headers.getlist("x-forwarded-for")
        address = proxies.client_address(peer, forwarded, trusted=trusted_proxies)
        return cls(address, request.headers.get("user-agent", "")[:USER_AGENT_LENGTH])

    @property
    def network(self) -> str:
        """The smallest of `networks`: the address, or the /64 of one that is IPv6."""
        return self.networks[0].name

    @property
    def asker(self) -> tuple[str, ...]:
        """The names of `networks`: whose shares of what is shared (`core/shares.py`) a request counts in."""
        return tuple(network.name for network in self.networks)

    @property
    def networks(self) -> list[Network]:
        """What rate limits count by, from the smallest to the largest."""
        try:
            address = ip_address(self.ip_address)
        except ValueError:
            return [Network(self.ip_address, 1)]
        if not isinstance(address, IPv6Address):
            return [Network(str(address), 1)]
        return [
            Network(str(IPv6Network((address, bits), strict=False)), scale) for bits, scale in IPV6_SHARES
        ]
