"""What a setting must be so that nothing that starts with it fails later: addresses, hosts, spans of time."""

import math
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from app.core.mailboxes import HOST

MINIMUM_SECRET_BYTES = 32
LAST_PORT = 65_535
MOST = 2**53
"""Larger numbers fit neither the database nor the limits of the system."""
TEN_YEARS_OF_SECONDS = 10 * 365 * 86_400
LONGEST = {
    "seconds": TEN_YEARS_OF_SECONDS,
    "minutes": TEN_YEARS_OF_SECONDS // 60,
    "hours": TEN_YEARS_OF_SECONDS // 3600,
    "days": TEN_YEARS_OF_SECONDS // 86_400,
}
"""By the end of a setting's name; a date so far away could not be computed with."""


def require_number_in_bounds(name: str, value: float) -> None:
    """Return if the number can be computed with.

    Raises:
        ValueError: it is not finite, or too large.
    """
    most = LONGEST.get(name.rpartition("_")[2], MOST)
    if not math.isfinite(value) or value > most:
        raise ValueError(f"write a number of at most {most}")


def is_ip_address(host: str) -> bool:
    """Say whether a host is written as a number."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_this_machine(host: str) -> bool:
    """Say whether what is sent there stays on this machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read_network(value: object) -> IPv4Network | IPv6Network:
    """Return the network that is written there; an address alone is one of its own.

    Raises:
        ValueError: it is none; the text says what to write.
    """
    try:
        return ip_network(value)  # type: ignore[arg-type]  # whatever it is not made for, it refuses
    except ValueError:
        raise ValueError(
            "write addresses or networks, separated by commas, and no names, e.g. 127.0.0.1,10.0.0.0/8"
        ) from None


def require_http_url(text: str) -> None:
    """Return if requests can be sent there.

    Raises:
        ValueError: they cannot; the text says what to write.
    """
    wanted = "write an address with its scheme, and nothing after its path, e.g. https://www.openml.org/"
    try:
        parts = urlsplit(text)
        is_whole = bool(parts.hostname) and parts.port != 0 and parts.scheme in {"http", "https"}
    except ValueError:
        raise ValueError(wanted) from None
    is_plain = text.isascii() and text.isprintable() and " " not in text
    if not is_whole or not is_plain or parts.query or parts.fragment:
        raise ValueError(wanted)


def require_server_url(text: str) -> None:
    """Return if an address that may hold a password was not cut in the wrong places by what the password holds.

    Raises:
        ValueError: it was; the text says how to write it, and nothing of the address.
    """
    try:
        parts = urlsplit(text)
        is_whole = parts.port != 0 and "@" not in f"{parts.path}{parts.query}{parts.fragment}"
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ValueError(
            "write scheme://user:password@host:port/…, with a port from 1 to 65535; in user and password write "
            "@ as %40, / as %2F, : as %3A, # as %23, ? as %3F and % as %25"
        )


def read_listen_address(text: str) -> tuple[str, int]:
    """Return the host and the port that are written there.

    Raises:
        ValueError: they are not; the text says what to write.
    """
    host, _, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    try:
        require_host(host.strip("[]") if is_bracketed else host)
        is_whole = is_bracketed or ":" not in host
    except ValueError:
        is_whole = False
    if not is_whole or not port.isdecimal() or not 0 < int(port) <= LAST_PORT:
        raise ValueError("write host:port, e.g. 127.0.0.1:9464 or [::1]:9464")
    return host.strip("[]"), int(port)


def require_host(text: str) -> None:
    """Return if it is the name or address of a host, and nothing else.

    Raises:
        ValueError: it is not; the text says what to write.
    """
    is_ipv6 = ":" in text and set(text) <= set("0123456789abcdefABCDEF:.%")
    if not (is_ipv6 or HOST.fullmatch(text.rstrip("."))):
        raise ValueError("write the name of the host alone, without scheme and port, e.g. mail.example.org")
