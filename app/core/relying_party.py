"""Whose passkeys these are: the domain that browsers bind them to, and the origins that they are used at."""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import structlog

from app.core.setting_checks import is_ip_address
from app.core.settings import Settings, SettingsError

log = structlog.get_logger(__name__)
LOCAL = "localhost"
"""The one name at which browsers let pages use passkeys without TLS."""


class RelyingParty(NamedTuple):
    """What authenticators are asked for, and what they have to answer (WebAuthn, 5.4.2 and 7.1).

    Attributes:
        id: the domain; a passkey works below it and nowhere else.
        origins: scheme, host and port of the pages that may ask for passkeys.
    """

    id: str
    origins: tuple[str, ...]

    @property
    def related(self) -> tuple[str, ...]:
        """Origins outside of the domain, which browsers accept where the domain names them (WebAuthn, 5.11)."""
        return tuple(origin for origin in self.origins if not _is_below(_host(origin), self.id))


def find_relying_party(settings: Settings) -> RelyingParty | None:
    """Return the domain and the origins of passkeys; None where they are switched off, or cannot work.

    Raises:
        SettingsError: they are switched on and cannot work, or are half configured; the text says what to set.
    """
    if settings.passkeys == "false":
        return None
    home = _home(settings)
    reason = _why_not(home)
    if reason and settings.passkeys == "true":
        raise SettingsError(f"{settings.name_of('passkeys')}=true, and passkeys cannot work: {reason}")
    if reason:
        return None
    party = RelyingParty(settings.rp_id.lower() or _host(home), tuple(settings.rp_origin) or (home,))
    complaints = list(_complaints(party, home))
    if complaints:
        raise SettingsError("Passkeys are half configured.\n- " + "\n- ".join(complaints))
    return party


def say_whether_there_are_passkeys(settings: Settings) -> None:
    """Log whether passkeys are on, and if not, why."""
    party = find_relying_party(settings)
    if party is not None:
        log.info("passkeys are on", domain=party.id, origins=", ".join(party.origins))
    else:
        reason = "switched off" if settings.passkeys == "false" else _why_not(_home(settings))
        log.info("passkeys are off", reason=reason)


def _home(settings: Settings) -> str:
    """Return the origin of `PUBLIC_URL`; by default the name of this machine, since browsers refuse its number."""
    parts = urlsplit(settings.public_url.lower() or f"http://{LOCAL}:{settings.port}")
    host = parts.netloc.removesuffix({"http": ":80", "https": ":443"}[parts.scheme])
    return f"{parts.scheme}://{host}"


def _why_not(origin: str) -> str:
    """Return why browsers let no page of that origin use passkeys; empty if they do."""
    host = _host(origin)
    if is_ip_address(host):
        return (
            f"browsers bind them to a name, and {host} is a number. Set PUBLIC_URL to an address with a name."
        )
    if not origin.startswith("https://") and not _is_below(host, LOCAL):
        return "browsers want https:// for them. Set PUBLIC_URL to such an address."
    return ""


def _complaints(party: RelyingParty, home: str) -> Iterator[str]:
    # A name without a dot is one of an own network, where it is the whole host; else it is a top-level domain.
    if not _is_below(_host(home), party.id) or ("." not in party.id and party.id not in (LOCAL, _host(home))):
        yield f"RP_ID is {party.id}. Set it to the host of PUBLIC_URL ({_host(home)}), or to a domain above it."
    if home not in party.origins:
        yield f"RP_ORIGIN lacks {home}, where our own pages are. Add it."
    for origin in party.origins:
        if urlsplit(origin).path or "@" in origin or not _host(origin) or _why_not(origin):
            yield f"RP_ORIGIN has {origin}. Write origins, separated by commas, e.g. https://www.openml.org"


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _is_below(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")
