"""Results of checks, their execution and their inputs."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from app.core.errors import DatabaseUnavailableError, OperatorError
from app.core.hidden import printable
from app.core.settings import Settings
from app.db.engine import Database
from app.db.faults import sentence_of
from app.storage.problems import StorageError

CHECK_SECONDS = 30.0
"""How long a check may take; a mail server that looks us up takes some of them."""
SHORTEST_SECRET = 4
"""What is shorter would be found in any text."""


class Level(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    SKIPPED = "skipped"
    """It was not looked at; the text says why, or how to have it looked at."""
    WARNING = "warning"
    """It works, and somebody should know."""
    FAULT = "fault"
    """It does not work; the text says what to do."""


Remark = tuple[Level, str]
"""What is so, and what to do about it where that is not well."""


def ok(text: str) -> Remark:
    """Return a diagnosis of level `ok`."""
    return Level.OK, text


def skipped(text: str) -> Remark:
    """Return a diagnosis for a check that was not run."""
    return Level.SKIPPED, text


def warning(text: str) -> Remark:
    """Return a diagnosis of level `warning`: it works, but the operator should know."""
    return Level.WARNING, text


def fault(text: str) -> Remark:
    """Return a diagnosis of level `fault`: it does not work."""
    return Level.FAULT, text


class Diagnosis(NamedTuple):
    """One thing that a check found.

    Attributes:
        check: its name.
        level: how well it is.
        text: what is so, and what to do about it where that is not well. Without secrets.
    """

    check: str
    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Wishes:
    """Optional checks that the operator asks for.

    Attributes:
        through: address of the site as people reach it; empty: the way there is not looked at.
        mail_to: where a test mail goes; empty: none does.
        account: name or address of the account whose API key is tried at OpenML; empty: none is.
        dns: whether the name servers are asked about the sender's domain.
        name_server: which of them, `host` or `host:port`; empty: the system's.
    """

    through: str = ""
    mail_to: str = ""
    account: str = ""
    dns: bool = False
    name_server: str = ""


@dataclass(frozen=True, slots=True)
class Installation:
    """The installation that is checked.

    Attributes:
        settings: what is set.
        wishes: what is looked at beside.
        database: None where it does not answer.
    """

    settings: Settings
    wishes: Wishes
    database: Database | None


Found = AsyncIterator[Remark]
Examination = Callable[[Installation], Found]
"""A check: it yields what it finds, leaves nothing behind, and raises what it does not know a sentence for."""


async def examine(
    checks: Mapping[str, Examination], installation: Installation, *, seconds: float = CHECK_SECONDS
) -> list[Diagnosis]:
    """Run the checks concurrently; return their diagnoses in the order of the checks."""
    runs = (_run(name, check, installation, seconds) for name, check in checks.items())
    return [found for each in await asyncio.gather(*runs) for found in each]


async def _run(name: str, check: Examination, installation: Installation, seconds: float) -> list[Diagnosis]:
    found: list[Remark] = []
    try:
        async with asyncio.timeout(seconds):
            async for each in check(installation):
                found.append(each)  # noqa: PERF401 - those before a timeout count
    except TimeoutError:
        found.append(fault(f"Not done within {seconds:g} seconds: what it asks does not answer."))
    except DatabaseUnavailableError as error:
        found.append(fault(sentence_of(error)))
    except (OperatorError, StorageError) as error:
        found.append(fault(str(error)))
    except Exception as error:  # noqa: BLE001 - one check must not end the others; the place is for whoever mends it
        found.append(fault(f"It cannot be looked at: {type(error).__name__} at {_place_of(error)}."))
    secrets = secrets_of(installation.settings)
    return [Diagnosis(name, level, without(secrets, text)) for level, text in found]


def secrets_of(settings: Settings) -> list[str]:
    """Return every secret that is set, those inside of addresses and lists as well, the longest first."""
    values = (getattr(settings, name) for name in type(settings).model_fields)
    texts = {value.get_secret_value() for value in values if isinstance(value, SecretStr)}
    texts |= {password for text in texts for password in _passwords_in(text)}
    texts |= {provider.client_secret.get_secret_value() for provider in settings.providers}
    texts |= {*settings.accepted_secrets}
    headers = settings.otel_exporter_otlp_headers.get_secret_value().split(",")
    texts |= {header.partition("=")[2].strip() for header in headers}
    return sorted((text for text in texts if len(text) >= SHORTEST_SECRET), key=len, reverse=True)


def without(secrets: Iterable[str], text: str) -> str:
    """Return a text in one line, with each secret in it hidden: what servers answer may repeat one."""
    for secret in secrets:
        text = text.replace(secret, "…")
    return printable(" ".join(text.split()))


def _place_of(error: Exception) -> str:
    """Return where an exception was raised, without its text, which may hold secrets."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"


def _passwords_in(address: str) -> Iterable[str]:
    try:
        password = urlsplit(address).password
    except ValueError:
        return ()
    return (password, unquote(password)) if password else ()
