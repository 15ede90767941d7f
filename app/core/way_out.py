"""Outgoing connections: the forward proxy, if any, and the trusted certificates."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

PORTS = {"http": 80, "https": 443}
PROXY_SCHEMES = frozenset(PORTS)


class Proxy(NamedTuple):
    """A forward proxy.

    Attributes:
        url: `http://` or `https://`, perhaps with a name and a password, which are not for logs.
        setting: which setting names it.
    """

    url: str
    setting: str

    @property
    def place(self) -> str:
        """Host and port, without name and password."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or PORTS[parts.scheme]}"

    @property
    def has_password(self) -> bool:
        """Whether a name or a password is given."""
        return "@" in urlsplit(self.url).netloc

    def explain(self, refusal: str) -> str:
        """Return a sentence about the status with which it refused, and what to set where that is for a password."""
        reason = f"the proxy answers: {refusal}"
        if not refusal.startswith("407"):
            return reason
        if self.has_password:
            return f"{reason}; it does not take the name and password in {self.setting}"
        wanted = f"write them into {self.setting}, http://name:password@host:port"
        return f"{reason}; it wants a name and a password: {wanted}"


@dataclass(frozen=True, slots=True)
class WayOut:
    """What the settings say of the way to other servers.

    Attributes:
        http: the proxy to servers without TLS; None: none.
        https: the proxy to servers with TLS.
        direct: hosts, domains, addresses and networks that are reached without a proxy, as `NO_PROXY` writes them.
        ca_file: a file of certificates that are believed beside the system's; empty: none.
    """

    http: Proxy | None = None
    https: Proxy | None = None
    direct: Sequence[str] = ()
    ca_file: str = ""

    def proxy_to(self, url: str) -> Proxy | None:
        """Return the proxy on the way to a server; None for none, as to this machine itself."""
        parts = urlsplit(url)
        proxy = self.https if parts.scheme == "https" else self.http
        return None if proxy is None or self._is_direct(parts) else proxy

    def _is_direct(self, server: SplitResult) -> bool:
        host = (server.hostname or "").rstrip(".")
        port = server.port or PORTS.get(server.scheme)
        return is_this_machine(host) or any(_matches(entry, host, port) for entry in self.direct)


STRAIGHT = WayOut()


def is_this_machine(host: str) -> bool:
    """Return whether a host, in lower case, can only be this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_of(text: str, setting: str) -> Proxy:
    """Return the proxy that a text names; one without a scheme is taken as `http://`, as everybody does.

    Raises:
        ValueError: it names none; the text says what to write, and does not repeat a password.
    """
    url = text if "://" in text else f"http://{text}"
    if not _names_a_proxy(url):
        raise ValueError(
            "write the address of a proxy, http://host:port or https://host:port, with name:password@ before the host "
            "if it wants them; what is special in a password is percent-encoded"
        )
    return Proxy(url, setting)


def _names_a_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and parts.port != 0 and parts.scheme in PROXY_SCHEMES
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url
    return is_whole and is_plain and not (parts.path.strip("/") or parts.query or parts.fragment)


def _matches(entry: str, host: str, port: int | None) -> bool:
    """Return whether an entry of `NO_PROXY` means a host: `*`, a name with all below it, an address, or a network."""
    entry = entry.strip().lower()
    if entry == "*":
        return True
    if (network := _network(entry)) is not None:
        try:
            return ip_address(host) in network
        except ValueError:
            return False
    name, colon, wanted_port = entry.rpartition(":")
    if colon and wanted_port.isdigit():
        return port == int(wanted_port) and _matches(name, host, port)
    name = entry.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None
