"""Checks of mail: the SMTP server, and the sender domain's DNS records."""

import asyncio

import dns.asyncresolver
import dns.exception
import dns.resolver

from app.doctor.diagnosis import Found, Installation, fault, ok, skipped, warning
from app.mail.transport import DeliveryError, SmtpTransport
from app.mail.trial import HINT, send_test

SMTP_SECONDS = 25.0
"""A little less than a check has, so that it is said who does not answer."""
DNS_SECONDS = 5.0
DNS_PORT = 53


async def check_mail(installation: Installation) -> Found:
    """Connect, log in and name the sender; send a mail where one is wished for."""
    settings, mail_to = installation.settings, installation.wishes.mail_to
    if not settings.send_email:
        yield warning("SEND_EMAIL=false: no mail is sent, and accounts are active at once.")
        return
    if settings.smtp_server:
        place = f"{settings.smtp_server}:{settings.smtp_port}"
        try:
            async with asyncio.timeout(SMTP_SECONDS):
                offers_tls = await SmtpTransport(settings).examine()
        except TimeoutError:
            yield fault(f"{place}: it does not answer within {SMTP_SECONDS:g} seconds. {HINT}")
            return
        except DeliveryError as error:
            yield fault(f"{place}: {error}. {HINT}")
            return
        how = "with TLS" if settings.smtp_use_tls else "without TLS"
        who = "lets us in" if settings.smtp_login else "asks for no login"
        yield ok(f"{place} answers {how}, {who}, and takes mails of {settings.sender.address}.")
        if offers_tls:
            yield warning(f"{place} offers TLS, and mails go without. Set SMTP_USE_TLS=true.")
    else:
        yield warning(f"SMTP_SERVER is not set: mails are files in {settings.data_dir / 'mail'}.")
    if mail_to:
        try:
            yield ok(f"A test mail is out: {await send_test(settings, mail_to)}.")
        except (DeliveryError, ValueError) as error:
            yield fault(f"A test mail to {mail_to} did not leave: {error}. {HINT}")


async def check_sender(installation: Installation) -> Found:
    """Ask the name servers whether the sender's domain lets others believe its mails."""
    domain = installation.settings.sender.domain
    if not installation.wishes.dns:
        yield skipped(f"With --dns the name servers are asked for SPF, DKIM and DMARC of {domain}.")
        return
    try:
        async for found in _look_up(installation, domain):
            yield found
    except dns.exception.DNSException as error:
        yield warning(
            f"The name servers do not answer for {domain} ({type(error).__name__}). Try again later."
        )


async def _look_up(installation: Installation, domain: str) -> Found:
    resolver = _resolver(installation.wishes.name_server)
    policies = [text for text in await _texts(resolver, domain) if text.lower().startswith("v=spf1")]
    if len(policies) == 1:
        yield ok(f"SPF of {domain}: {policies[0]}. The mail server has to be among those that it names.")
    else:
        yield warning(
            f"{domain} has {len(policies) or 'no'} SPF records, and should have one. Publish a TXT record that "
            "names the "
            f'mail server, e.g. "v=spf1 mx a:{installation.settings.smtp_server or "mail.example.org"} -all".'
        )
    if await _exists(resolver, f"_domainkey.{domain}"):
        yield ok(f"{domain} publishes keys for DKIM. That the mail server signs, a test mail's headers show.")
    else:
        yield warning(
            f"{domain} publishes no key for DKIM. Have the mail server sign, and publish its key below "
            f"_domainkey.{domain}."
        )
    if not [text for text in await _texts(resolver, f"_dmarc.{domain}") if text.startswith("v=DMARC1")]:
        yield warning(
            f'{domain} has no DMARC record. Publish one at _dmarc.{domain}, e.g. "v=DMARC1; p=none; rua=mailto:…".'
        )


def _resolver(name_server: str) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=not name_server)
    if name_server:
        host, _, port = name_server.partition(":")
        resolver.nameservers, resolver.port = [host], int(port or DNS_PORT)
    resolver.lifetime = DNS_SECONDS
    return resolver


async def _texts(resolver: dns.asyncresolver.Resolver, name: str) -> list[str]:
    try:
        answer = await resolver.resolve(name, "TXT")
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]


async def _exists(resolver: dns.asyncresolver.Resolver, name: str) -> bool:
    """Return whether there is anything at a name or below it (RFC 8020)."""
    try:
        await resolver.resolve(name, "TXT", raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        return False
    return True
