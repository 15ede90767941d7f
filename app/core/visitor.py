"""Who is at the door, as far as a request says."""

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

USER_AGENT_LENGTH = 200
HOUSEHOLD_BITS = 64
"""One customer's share of IPv6: whoever has one address there has all of them."""


class Visitor(NamedTuple):
    """The client's address and what it calls itself; both are hearsay and go to logs and lists only."""

    ip_address: str
    user_agent: str

    @property
    def network(self) -> str:
        """What rate limits count by: the address, or the household's network where it is IPv6."""
        try:
            address = ip_address(self.ip_address)
        except ValueError:
            return self.ip_address
        if isinstance(address, IPv6Address):
            return str(IPv6Network((address, HOUSEHOLD_BITS), strict=False))
        return str(address)
