"""Checks of the reverse proxy in front of the service: paths, responses, request bodies and streams."""

import asyncio
import json
import ssl
import time
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

from app.core.clock import utc_now
from app.core.outgoing import read_certificates, with_advice
from app.core.settings import SettingsError
from app.doctor.diagnosis import Found, Installation, Level, Remark, fault, ok, skipped, warning
from app.doctor.plain_http import ANSWER_SECONDS, PlainAnswer, ask, asked, connected
from app.health.routes import STREAM_EVENTS, STREAM_PAUSE_SECONDS

INVENTED = "203.0.113.9"
"""An address of documentation (RFC 5737), which nobody has: what a browser might claim to be."""
SMALL_BYTES = 1_000_000
FORM_BYTES = 1_000_000
"""What stands around the file in a form."""
DAYS_LEFT = 14
UNAUTHORIZED, TOO_LARGE = 401, 413


async def check_site(installation: Installation) -> Found:
    """Ask the site as a browser does, and send the beginnings of uploads that have to be refused at once."""
    if not installation.wishes.through:
        yield skipped("With --through https://… it is looked at what the web server in front does.")
        return
    site = urlsplit(installation.wishes.through.rstrip("/"))
    if site.scheme not in {"http", "https"} or not site.hostname:
        raise SettingsError("--through is no address. Write it as people do, e.g. https://www.openml.org")
    certificates = (
        read_certificates(installation.settings.outgoing_ca_file) if site.scheme == "https" else None
    )
    try:
        if certificates is not None:
            async for found in _check_tls(site, certificates):
                yield found
        answer = await ask(
            site, certificates, f"GET {site.path}/health/client", f"X-Forwarded-For: {INVENTED}"
        )
        try:
            told = json.loads(answer.body)
            address, forwarded = str(told["address"]), str(told["forwarded"])
        except (ValueError, KeyError, TypeError):
            yield fault(
                f"{site.geturl()}/health/client is answered with {answer.status}, and not by this service. Check the "
                "address, and where the web server sends its paths."
            )
            return
        async for found in _check_address(answer, address, forwarded):
            yield found
        async for found in _check_bodies(site, certificates, installation.settings.upload_max_bytes):
            yield found
        yield await _check_stream(site, certificates)
    except TimeoutError:
        yield fault(f"{site.geturl()} does not answer within {ANSWER_SECONDS:g} seconds.")
    except (OSError, ValueError) as error:
        yield fault(f"{site.geturl()} cannot be asked: {with_advice(str(error) or type(error).__name__)}.")


async def _check_tls(site: SplitResult, certificates: ssl.SSLContext) -> Found:
    certificates.set_alpn_protocols(["h2", "http/1.1"])
    async with connected(site, certificates) as (_, writer):
        line: ssl.SSLObject = writer.get_extra_info("ssl_object")
        protocol, certificate = line.selected_alpn_protocol(), line.getpeercert() or {}
    certificates.set_alpn_protocols(["http/1.1"])
    if protocol == "h2":
        yield fault(
            "The web server speaks HTTP/2 to browsers, which has no reason phrases: the frontend takes nobody "
            "for logged in. Switch it off there (docs/deploy.md)."
        )
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    days = (ends - utc_now()).days
    level = Level.WARNING if days < DAYS_LEFT else Level.OK
    yield (
        level,
        f"Its certificate ends on {ends:%Y-%m-%d}, in {days} days."
        + (" Renew it." if level is Level.WARNING else ""),
    )


async def _check_address(answer: PlainAnswer, address: str, forwarded: str) -> Found:
    if answer.reason != "OK":
        yield fault(
            f"The web server changes the reason phrase OK to {answer.reason!r}: nobody is logged in then."
        )
    if address == INVENTED:
        yield fault(
            "Whoever writes X-Forwarded-For is believed: anybody gets around rate limits. Have the web server "
            "overwrite the header with the address that it sees, and name nothing but web servers in "
            "TRUSTED_PROXIES."
        )
    elif forwarded == "ignored":
        yield fault(
            f"X-Forwarded-For is not believed, so that all clients count as one ({address}). Name {address} in "
            "TRUSTED_PROXIES, if that is the web server."
        )
    elif forwarded == "none":
        yield fault(
            f"No X-Forwarded-For arrives, so that all clients count as one ({address}). Have the web server set "
            "it (docs/deploy.md)."
        )
    else:
        yield ok(f"Clients are known by their own addresses; ours is {address}.")


async def _check_bodies(site: SplitResult, certificates: ssl.SSLContext | None, most_bytes: int) -> Found:
    """Begin two uploads with a token that is none: the service refuses both before it has read them."""
    try:
        answer = await _begin_upload(site, certificates, SMALL_BYTES)
    except TimeoutError:
        yield fault(
            "The web server keeps bodies back until they are whole: uploads are refused late, and fill its disk. "
            "Have it pass them on as they come (nginx: proxy_request_buffering off)."
        )
        return
    if answer.status != UNAUTHORIZED:
        yield fault(
            f"An upload with a token that is none is answered with {answer.status}, and not with 401."
        )
        return
    try:
        answer = await _begin_upload(site, certificates, most_bytes + FORM_BYTES)
    except (TimeoutError, ConnectionError):
        answer = PlainAnswer(TOO_LARGE, "", b"")
    if answer.status != UNAUTHORIZED:
        yield fault(
            f"The web server refuses bodies of UPLOAD_MAX_BYTES ({most_bytes}) with {answer.status}. Raise its "
            "limit (nginx: client_max_body_size), or lower UPLOAD_MAX_BYTES."
        )
    else:
        yield ok(f"Bodies are passed on as they come, up to UPLOAD_MAX_BYTES ({most_bytes}).")


async def _check_stream(site: SplitResult, certificates: ssl.SSLContext | None) -> Remark:
    """Follow a stream of a second, of which the first event has to be there before the last one is sent."""
    async with (
        asyncio.timeout(ANSWER_SECONDS),
        asked(site, certificates, f"GET {site.path}/health/stream") as reader,
    ):
        head = await reader.readuntil(b"\r\n\r\n")
        if b"text/event-stream" not in head.lower():
            status = head.decode("latin-1").partition("\r\n")[0]
            return warning(f"/health/stream is answered with {status!r}: try it again in five minutes.")
        await reader.readuntil(b"data: 1\n\n")
        first = time.monotonic()
        await reader.readuntil(f"data: {STREAM_EVENTS}\n\n".encode())
        seconds = time.monotonic() - first
    if seconds < STREAM_PAUSE_SECONDS:
        return fault(
            "The web server keeps event streams back until they end: who watches an upload sees nothing of it. Have it "
            "pass answers on as they come (nginx: X-Accel-Buffering is honoured, or proxy_buffering off)."
        )
    return ok("Event streams are passed on as they come.")


async def _begin_upload(site: SplitResult, certificates: ssl.SSLContext | None, length: int) -> PlainAnswer:
    head = (
        "Authorization: Bearer none",
        "Content-Type: multipart/form-data; boundary=b",
        f"Content-Length: {length}",
    )
    return await ask(site, certificates, f"POST {site.path}/data-upload", *head, body=b"--b\r\n")
