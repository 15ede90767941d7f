"""What `make run` says: that everything answers and where it is, or what does not answer."""

import asyncio
import time
from typing import NamedTuple

import click
import httpx

from app.core.outgoing import open_http
from app.core.settings import Settings

ANSWER_SECONDS = 5.0
PATIENCE_SECONDS = 30.0
"""After which it is said what has not come up; it is looked at further on. A busy laptop takes ten to start."""
LOOK_SECONDS = 0.3
LEFT_OUT = ["queues", "disk"]
"""Of the checks: what waited while nothing ran is worked off soon, and a full disk keeps nobody from signing up."""


class Fault(NamedTuple):
    """What does not work.

    Attributes:
        sentence: what, and where to look.
        is_lasting: whether waiting does not help: the process that had the socket has ended.
    """

    sentence: str
    is_lasting: bool = False


async def greet_when_ready(settings: Settings) -> None:
    """Greet once sign-up and the sandbox answer on their sockets; say once what does not, if that takes long."""
    patient_until = time.monotonic() + PATIENCE_SECONDS
    has_complained = False
    async with open_http(settings.local_url, timeout=httpx.Timeout(ANSWER_SECONDS)) as http:
        while fault := await _find_fault(http, settings):
            is_time = fault.is_lasting or time.monotonic() > patient_until
            if is_time and not has_complained:
                click.echo(f"\n  OpenML is not ready. {fault.sentence}\n", err=True)
                has_complained = True
            await asyncio.sleep(LOOK_SECONDS)
    click.echo(_greeting(settings))


async def _find_fault(http: httpx.AsyncClient, settings: Settings) -> Fault | None:
    site = settings.local_url
    try:
        health = await http.get(f"{site}/health/ready", params={"exclude": LEFT_OUT})
        if health.is_error:
            return Fault(f"The service says: {_detail(health)}")
        # Nothing is signed up: the answer names what is missing.
        signup = await http.post(f"{site}/signup", json={})
        if signup.status_code != httpx.codes.UNPROCESSABLE_ENTITY:
            return Fault(f"Sign-up at {site}/signup answers with status {signup.status_code}.")
    except httpx.HTTPError as error:
        return _silence("service", f"{site}/", error)
    return await _find_fault_of_sandbox(http, settings.sandbox_url) if settings.uses_sandbox else None


async def _find_fault_of_sandbox(http: httpx.AsyncClient, url: str) -> Fault | None:
    try:
        answer = await http.get(f"{url}api/v1/json/estimationprocedure/list")
    except httpx.HTTPError as error:
        return _silence("sandbox", url, error)
    if answer.is_success:
        return None
    return Fault(f"The sandbox at {url} answers with status {answer.status_code}.")


def _silence(who: str, url: str, error: httpx.HTTPError) -> Fault:
    reason = str(error) or type(error).__name__
    return Fault(
        f"The {who} does not answer at {url} ({reason}); the lines above say why.",
        is_lasting=isinstance(error, httpx.ConnectError),
    )


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}."


def _greeting(settings: Settings) -> str:
    folder = f"{(settings.data_dir / 'mail').resolve()}  (or {settings.site_url}/dev/mailbox)"
    openml = f"{settings.openml_url}  (what is published appears here)"
    return (
        f"\n  OpenML is ready.\n\n"
        f"  The site       {settings.site_url}/\n"
        f"  The API page   {settings.site_url}/docs\n"
        f"  {'The sandbox' if settings.uses_sandbox else 'OpenML     '}    {openml}\n"
        f"  Mails          {settings.smtp_server or folder}\n\n"
        f"  Stop with Ctrl-C.\n"
    )
