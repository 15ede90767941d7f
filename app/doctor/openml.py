"""Checks of the OpenML server: its answers, and whether it accepts the API keys in the database."""

import secrets
import time

from app.db import logins, users
from app.doctor.diagnosis import Found, Installation, fault, ok, skipped, warning
from app.openml.client import OpenMLClient, open_client
from app.openml.errors import AUTHENTICATION, NotSentError, OpenMLError, RefusedError
from app.openml.fields import is_api_key

OPENML_SECONDS = 20.0
SLOW_SECONDS = 5.0
"""As the alert OpenMLWebOpenMLSlow."""


async def check_openml(installation: Installation) -> Found:
    """Read a list, ask for what is not there, and look whether both are answered as OpenML answers."""
    settings = installation.settings
    async with open_client(
        settings.openml_url, timeout_seconds=OPENML_SECONDS, way_out=settings.way_out
    ) as client:
        started = time.monotonic()
        try:
            measures = await client.list_measures()
            # Nobody has a dataset of that name: the list is refused, by a number.
            await client.list_datasets(f"doctor-{secrets.token_hex(8)}")
        except NotSentError as error:
            yield fault(
                f"{settings.openml_url} cannot be reached ({error}). Check OPENML_SERVER, and OUTGOING_PROXY."
            )
            return
        except OpenMLError as error:
            yield fault(
                f"{settings.openml_url} does not answer as OpenML does ({type(error).__name__}: {error}). Check "
                "OPENML_SERVER: its root is wanted, without api/v1."
            )
            return
        yield ok(
            f"{settings.openml_url} answers, and says what it does not know as OpenML does ({len(measures)} "
            "measures)."
        )
        if (seconds := (time.monotonic() - started) / 2) > SLOW_SECONDS:
            yield warning(
                f"It took {seconds:.0f} s for each of two small answers: forms that wait for it are answered late. "
                "Tell those who run it, or look at OUTGOING_PROXY."
            )
        yield skipped(
            "How large a file it takes, and how many calls in a while, cannot be seen without publishing. Ask those "
            f"who run it: UPLOAD_MAX_BYTES ({settings.upload_max_bytes}) has to fit its web server's limit (nginx "
            "client_max_body_size, Apache LimitRequestBody) and PHP's (post_max_size, upload_max_filesize)."
        )
        async for found in _check_key(installation, client):
            yield found


async def _check_key(installation: Installation, client: OpenMLClient) -> Found:
    account = installation.wishes.account
    if not account:
        yield skipped("With --account NAME it is asked whether OpenML takes that account's API key.")
        return
    database = installation.database
    if database is None:
        yield skipped("The database does not answer, which has the API key.")
        return
    key = None
    for found in (await logins.find_logins(database, account))[:1]:
        row = await users.get_account(database.reader, user_id=found.id, jti="")
        key = row[0].api_key if row else None
    if not key or not is_api_key(key):
        yield fault(f"{account} has no API key in this database. Name another account with --account.")
        return
    try:
        await client.check_key(key)
    except RefusedError as error:
        if error.code not in AUTHENTICATION:
            raise
        yield fault(
            f"OpenML refuses the API key of {account} ({error.code}: {error.message}). Does OPENML_SERVER read "
            "the database of DATABASE_URI? If it does, the account may only read, or has a new key."
        )
    else:
        yield ok(f"OpenML takes the API key of {account}, and lets it publish.")
