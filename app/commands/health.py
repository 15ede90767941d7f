"""`openml-web health`: whether what runs here works, for whatever starts it again if it does not."""

import asyncio

import click
import httpx

from app.core.errors import DatabaseUnavailableError
from app.core.outgoing import open_http
from app.core.setting_loading import load_settings
from app.core.settings import Settings
from app.db.engine import Database
from app.db.revisions import MigrationError, find_schema
from app.worker.heartbeat import examine_host

CHECK_SECONDS = 15.0
"""The first answer of a service imports its routes. Who calls this (image, compose.yaml, Kubernetes) waits 20 seconds,
of which a start of Python takes some."""
OK = 200


@click.command()
@click.option("--live", is_flag=True, help="Of openml-web serve ask only whether it answers.")
@click.option("--of", type=click.Choice(["web", "worker"]), help="Which, on a machine that has both.")
def health(*, live: bool, of: str | None) -> None:
    """Say whether what runs here works: openml-web serve on HOST:PORT, or else the workers of this machine.

    What all processes share and people can do without (workers elsewhere, queues) does not count.
    """
    works, sentence = asyncio.run(check(load_settings(), live=live, of=of))
    click.echo(sentence, err=not works)
    raise click.exceptions.Exit(0 if works else 1)


async def check(settings: Settings, *, live: bool = False, of: str | None = None) -> tuple[bool, str]:
    """Return whether what runs here works, and a sentence that says so; the arguments are the options."""
    if of == "worker":
        return await check_worker(settings)
    path = "/health/live" if live else "/health/ready?exclude=worker&exclude=queues"
    async with open_http(settings.local_url, timeout=httpx.Timeout(CHECK_SECONDS)) as client:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                answer = await client.get(settings.local_url + path)
        except (TimeoutError, httpx.TimeoutException):
            return False, f"{settings.local_url} does not answer within {CHECK_SECONDS:g} seconds."
        except httpx.ConnectError:
            works, sentence = (False, "") if of == "web" else await check_worker(settings)
            return (
                works,
                sentence if works else f"Nothing answers on {settings.local_url}. {sentence}".strip(),
            )
        except httpx.HTTPError as error:
            return False, f"{settings.local_url} does not answer ({type(error).__name__})."
    if answer.status_code == OK:
        return True, f"{settings.local_url} answers."
    return False, f"{settings.local_url} answers {answer.status_code}. {_detail_of(answer)}"


def _detail_of(answer: httpx.Response) -> str:
    """Return what a problem says; empty where it is none."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return ""


async def check_worker(settings: Settings) -> tuple[bool, str]:
    """Return whether it works, and a sentence that says so, within `CHECK_SECONDS`."""
    database = Database(settings)
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            (await find_schema(database.engine)).require_usable()
            return await examine_host(database)
    except TimeoutError:
        return False, f"The database does not answer within {CHECK_SECONDS:g} seconds."
    except DatabaseUnavailableError as error:
        return False, f"The database cannot be used: {error.reason}."
    except MigrationError as error:
        return False, str(error)
    finally:
        await database.close()
