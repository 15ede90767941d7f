"""What production must not do, and what to set instead; an installation that does it does not start."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.core.setting_checks import MINIMUM_SECRET_BYTES, is_this_machine

if TYPE_CHECKING:
    from app.core.settings import Settings

PUBLISHED_SECRETS = frozenset({"abcd", "changethis", "change-me", "changeme", "secret", "your-secret-key"})


def production_complaints(settings: "Settings") -> Iterator[str]:
    """Yield one sentence for each fault, with the setting that mends it."""
    yield from _secret_complaints(settings)
    if not settings.openml_server:
        yield "OPENML_SERVER is not set. Set it to the OpenML server, e.g. https://www.openml.org/"
    elif _is_sandbox(settings.openml_server, settings.sandbox_port):
        name = settings.name_of("openml_server")
        yield f"{name} is the built-in sandbox, which publishes nothing. Set it to a real OpenML server."
    if not settings.send_email:
        yield "SEND_EMAIL=false makes accounts active without a confirmed address. Remove it and set SMTP_SERVER."
    if not settings.smtp_server:
        yield "SMTP_SERVER is not set. Set it to your mail server: accounts are confirmed by mail."
    if not settings.sender.is_reachable:
        yield (
            f"EMAIL_SENDER ends in {settings.sender.domain}, which is nowhere: mail servers refuse such mails. "
            "Set it to an address of yours, e.g. OpenML <noreply@openml.org>"
        )
    if not settings.public_url:
        yield "PUBLIC_URL is not set. Set it to the address that people see; links in mails start with it."
    yield from _exposure_complaints(settings)


def _exposure_complaints(settings: "Settings") -> Iterator[str]:
    """Say where secrets would go over a line, or to a page, that anybody may have."""
    for field in ("public_url", "openml_server"):
        if getattr(settings, field).lower().startswith("http://") and not settings.allow_plain_http:
            yield (
                f"{settings.name_of(field)} begins with http://, which sends passwords and keys as they are. "
                "Set it to https://…, or ALLOW_PLAIN_HTTP=true for a network of its own."
            )
    for provider in settings.providers:
        if provider.is_on_this_machine:
            yield (
                f"SIGN_IN_PROVIDERS names {provider.id}, whose issuer is on this machine: that is for development. "
                "Name its public https address."
            )
    if "*" in settings.cors_origins:
        yield "CORS_ORIGINS is *, which lets every page call this service. Name the origins that may."
    has_password = settings.smtp_login or settings.smtp_pass.get_secret_value()
    if has_password and not settings.smtp_use_tls and not is_this_machine(settings.smtp_server):
        yield "SMTP_PASS would be sent without TLS. Set SMTP_USE_TLS=true."


def _secret_complaints(settings: "Settings") -> Iterator[str]:
    name, secret = settings.name_of("app_secret_key"), settings.app_secret_key.get_secret_value()
    if not secret:
        yield "APP_SECRET_KEY is not set. Set it to a random text of at least 32 bytes (openssl rand -hex 32)."
    elif secret.lower() in PUBLISHED_SECRETS:
        yield f"{name} is a published example. Set it to a random text (openssl rand -hex 32)."
    elif len(secret.encode()) < MINIMUM_SECRET_BYTES:
        yield f"{name} is shorter than 32 bytes. Set it to a longer random text (openssl rand -hex 32)."


def _is_sandbox(url: str, sandbox_port: int) -> bool:
    parts = urlsplit(url)
    return parts.hostname in {"localhost", "127.0.0.1", "::1", "0.0.0.0"} and parts.port == sandbox_port  # noqa: S104 - compared, not bound
