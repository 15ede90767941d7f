"""Mail addresses as settings and headers spell them: `noreply@example.org`, or `OpenML Team <noreply@example.org>`."""

import re
from dataclasses import dataclass
from email.headerregistry import Address, HeaderRegistry
from typing import Any

LONGEST_ADDRESS = 254
"""RFC 5321, 4.5.3.1.3, without the angle brackets."""
HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
NOWHERE = ("localhost", "localdomain", "local", "invalid", "test", "example")
"""Top-level names that no mail comes from (RFC 2606, RFC 6761, RFC 6762)."""

ENCODED_WORD = "=?"
"""What mail programs take for the beginning of an encoded word (RFC 2047), also within an address, where none may be:
written in a header, `=?us-ascii?q?a=0d=0aBcc=3A…?=@example.org` would be decoded, and its line breaks with it."""

_parse = HeaderRegistry()


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name and a bare address, which is what SMTP takes."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """What stands after the `@`."""
        return self.address.rpartition("@")[2]

    @property
    def is_reachable(self) -> bool:
        """Whether mail servers elsewhere could know the domain."""
        return "." in self.domain and self.domain.rpartition(".")[2].lower() not in NOWHERE

    def header(self, *, default_name: str = "") -> Address:
        """Return it as headers have it, which encode and quote the name as they must."""
        return Address(self.name or default_name, addr_spec=self.address)


def parse_mailbox(text: str) -> Mailbox:
    """Return the one mailbox that the text names.

    Raises:
        ValueError: it names none, more than one, or one that mail servers do not take; the text says what to write.
    """
    wanted = "write one address: name@example.org, or Name <name@example.org>"
    if not text.isprintable():
        raise ValueError(f"there are characters in it that no header may have; {wanted}")
    found: Any = _parse("from", text)  # an address header, which its type does not say
    if found.defects or len(found.addresses) != 1 or found.groups[0].display_name is not None:
        raise ValueError(f"this is not one mail address; {wanted}")
    (address,) = found.addresses
    if not (address.username and address.addr_spec.isascii() and HOST.fullmatch(address.domain)):
        raise ValueError(f"mail servers do not take this address (write foreign domains as xn--…); {wanted}")
    if len(address.addr_spec) > LONGEST_ADDRESS:
        raise ValueError(f"the address is longer than {LONGEST_ADDRESS} characters; {wanted}")
    return Mailbox(address.display_name, address.addr_spec)
