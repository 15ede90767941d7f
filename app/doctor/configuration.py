"""Checks of the settings, the files that hold secrets, and the ports."""

import asyncio
import errno
import socket
import stat
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import httpx
from pydantic import SecretStr

from app.core import measuring
from app.core.outgoing import open_http
from app.core.production import production_complaints
from app.core.removed_settings import REMOVED, find_removed_settings
from app.core.setting_checks import read_listen_address
from app.core.setting_loading import files_of_values
from app.core.settings import Settings, names_of
from app.db.address import files_of, parse_address
from app.doctor.diagnosis import Found, Installation, fault, ok, warning

OTHERS = stat.S_IRWXO
SERVICE_SECONDS = 10.0
READY, NOT_READY = 200, 503


async def check_settings(installation: Installation) -> Found:
    """Say what is set that is not for production, or is no setting any more. `Settings` has judged the rest."""
    settings = installation.settings
    for name in find_removed_settings():
        yield warning(f"{name} is no setting any more, and ignored: {REMOVED[name]}. Remove it.")
    if settings.environment == "production":
        yield ok("ENVIRONMENT=production, and nothing in it is only safe on a laptop.")
        return
    complaints = list(production_complaints(settings))
    yield warning(
        "ENVIRONMENT is development. For other people than you, set ENVIRONMENT=production; then "
        f"{len(complaints)} more to set: {' '.join(complaints)}"
    )


def explained(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yield the name of each setting that is set, its value (of a secret its length alone), and what it means."""
    for field, about in type(settings).model_fields.items():
        if field not in settings.model_fields_set and not set(names_of(field)) & settings.given:
            continue
        value = getattr(settings, field)
        is_secret = isinstance(value, SecretStr)
        shown = f"(a secret of {len(value.get_secret_value())} characters)" if is_secret else _shown(value)
        yield settings.name_of(field), shown, about.description or ""


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


async def check_modes(installation: Installation) -> Found:
    """Say which files with secrets others on this machine may read."""
    wrong = [path for path in _files_with_secrets(installation) if _is_open(path)]
    for path in wrong:
        yield warning(f"Others on this machine may read or change {path}. Run: chmod o-rwx {path}")
    if not wrong:
        yield ok("Nobody else on this machine may read what holds secrets.")


def _files_with_secrets(installation: Installation) -> Iterator[Path]:
    yield from files_of_values()
    yield from files_of(parse_address(installation.settings.database_url, prepare=False))
    yield installation.settings.data_dir / "mail"
    yield installation.settings.data_dir / "development-secret"


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & OTHERS)
    except FileNotFoundError:
        return False


async def check_ports(installation: Installation) -> Found:
    """Say who listens on HOST:PORT, what the service there says of itself, and whether the other port can be had."""
    settings = installation.settings
    if settings.metrics_listen and _is_open_to_strangers(read_listen_address(settings.metrics_listen)[0]):
        yield warning(
            f"METRICS_LISTEN={settings.metrics_listen} answers whoever reaches this machine, without a password. Name "
            "an address that only Prometheus reaches, or keep others out by a firewall or a NetworkPolicy."
        )
    place = f"{settings.host}:{settings.port}"
    refusal = await asyncio.to_thread(_refusal, settings.host, settings.port)
    if refusal is None:
        yield warning(f"{place} is free: openml-web serve does not run here.")
        return
    if refusal.errno != errno.EADDRINUSE:
        yield fault(f"Nobody can listen on {place}: {refusal.strerror}. Check HOST and PORT.")
        return
    async with open_http(settings.local_url, timeout=httpx.Timeout(SERVICE_SECONDS)) as client:
        try:
            answer = await client.get(f"{settings.local_url}/health/ready?verbose=true")
        except httpx.HTTPError as error:
            yield fault(
                f"What listens on {place} does not answer ({type(error).__name__}). Is it another program?"
            )
            return
    checks = _checks_in(answer)
    if checks is None:
        yield fault(f"Another program listens on {place}. Stop it, or set PORT.")
        return
    for check in checks:
        if not check["ok"]:
            yield fault(f"The service on {place} says of its {check['name']}: {check['detail']}")
    if answer.status_code == READY:
        yield ok(f"openml-web serve answers on {place}.")
    if settings.metrics_listen and (wrong := await _metrics_refusal(settings)):
        yield fault(wrong)


def _checks_in(answer: httpx.Response) -> list[dict[str, str]] | None:
    """Return what the service says of itself; None if it is none of ours."""
    try:
        body = answer.json()
        is_ours = answer.status_code in {READY, NOT_READY} and isinstance(body["checks"], list)
    except (ValueError, KeyError, TypeError):
        return None
    return body["checks"] if is_ours else None


def _is_open_to_strangers(host: str) -> bool:
    """Return whether an address is one of the Internet's, or every address of this machine; names are not looked up."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_unspecified or address.is_global


async def _metrics_refusal(settings: Settings) -> str:
    host, port = read_listen_address(settings.metrics_listen)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    async with open_http(url, timeout=httpx.Timeout(SERVICE_SECONDS)) as client:
        try:
            answer = await client.get(f"{url}/metrics")
        except httpx.HTTPError as error:
            return f"METRICS_LISTEN={settings.metrics_listen} does not answer ({type(error).__name__})."
    if measuring.PREFIX not in answer.text:
        return f"Another program listens on METRICS_LISTEN={settings.metrics_listen}. Set another port."
    return ""


def _refusal(host: str, port: int) -> OSError | None:
    """Return why nobody can listen there; None if somebody could."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        return error
    return None
