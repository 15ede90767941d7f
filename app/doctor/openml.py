"""Checks of the OpenML server: its answers, and whether it accepts the API keys in the database."""

import asyncio
import secrets
import ssl
import time
from urllib.parse import SplitResult, urlsplit

from app.core.outgoing import read_certificates
from app.core.settings import Settings
from app.db import logins, users
from app.doctor.diagnosis import Found, Installation, Remark, fault, ok, skipped, warning
from app.doctor.plain_http import CONTINUE, ask
from app.openml.client import OpenMLClient, open_client
from app.openml.errors import AUTHENTICATION, NotSentError, OpenMLError, RefusedError
from app.openml.fields import is_api_key

OPENML_SECONDS = 20.0
LIMIT_SECONDS = 8.0
"""For the search for its limit, eight small requests: those checks that come before it have their time as well."""
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
        async for found in _check_key(installation, client):
            yield found
    yield await check_body_limit(settings)


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


async def check_body_limit(settings: Settings) -> Remark:
    """Say how large a body may be, by announcing some without a key and sending no byte of them.

    Apache (`LimitRequestBody`) and nginx (`client_max_body_size`) refuse what is too large for them by its head; for
    the rest they ask with `100 Continue`, and the line is cut then. PHP's own limits are not seen so.
    """
    if settings.way_out.proxy_to(settings.openml_url):
        return _unseen_limit(settings, "for a proxy is in between")
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            certificates = (
                await asyncio.to_thread(read_certificates, settings.outgoing_ca_file)
                if settings.openml_url.startswith("https://")
                else None
            )
            largest = await _largest_body(
                urlsplit(settings.openml_url), certificates, settings.upload_max_bytes
            )
    except (OSError, ValueError):
        largest = 0
    if not largest:
        return _unseen_limit(settings, "for it does not say so before a body is sent")
    if largest == settings.upload_max_bytes:
        return ok(
            f"It lets bodies of UPLOAD_MAX_BYTES ({largest}) begin. PHP's post_max_size and "
            "upload_max_filesize cannot be seen without publishing: they have to be as large."
        )
    return warning(
        f"It takes a body of {largest} bytes, and refuses one of {min(2 * largest, settings.upload_max_bytes)}: what "
        f"is larger is taken here and refused there, at the end. Lower UPLOAD_MAX_BYTES ({settings.upload_max_bytes}), "
        "or ask those who run it to raise nginx' client_max_body_size, Apache's LimitRequestBody, or PHP's "
        "post_max_size and upload_max_filesize."
    )


def _unseen_limit(settings: Settings, reason: str) -> Remark:
    return skipped(
        f"How large a file it takes cannot be seen, {reason}. Ask those who run it: UPLOAD_MAX_BYTES "
        f"({settings.upload_max_bytes}) has to fit its web server's limit (nginx client_max_body_size, Apache "
        "LimitRequestBody) and PHP's (post_max_size, upload_max_filesize)."
    )


async def _largest_body(server: SplitResult, certificates: ssl.SSLContext | None, most_bytes: int) -> int:
    """Return `most_bytes` if the server asks for such a body, else the largest power of two that it asks for; 0: none.

    Raises:
        OSError: it cannot be asked, or not in time.
        ValueError: it speaks no HTTP/1.1.
    """

    async def is_asked_for(length: int) -> bool:
        head = (
            "Content-Type: multipart/form-data; boundary=b",
            f"Content-Length: {length}",
            "Expect: 100-continue",
        )
        answer = await ask(server, certificates, f"POST {server.path}api/v1/xml/data", *head)
        return answer.status == CONTINUE

    if await is_asked_for(most_bytes):
        return most_bytes
    asked, refused = 0, most_bytes.bit_length()
    if not await is_asked_for(1):
        return 0
    while refused - asked > 1:
        middle = (asked + refused) // 2
        asked, refused = (middle, refused) if await is_asked_for(1 << middle) else (asked, middle)
    return 1 << asked
