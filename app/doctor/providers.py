"""Checks of the providers that people may sign in with: what they say of themselves, and their keys."""

from app.accounts.provider_flow import redirect_uri
from app.core.clock import utc_now
from app.core.providers import Provider
from app.doctor.diagnosis import Found, Installation, Remark, fault, ok, skipped
from app.oidc.errors import OidcError
from app.oidc.identities import github_api
from app.oidc.issuers import Issuers


async def check_providers(installation: Installation) -> Found:
    """Ask each provider what a log-in asks it, and tell the redirect address that it has to know."""
    settings = installation.settings
    if not settings.providers:
        yield skipped("SIGN_IN_PROVIDERS is not set: people sign in with a password.")
        return
    is_development = settings.environment == "development"
    issuers = Issuers(settings.way_out, now=utc_now, allow_this_machine=is_development)
    for provider in settings.providers:
        yield await _look(issuers, provider, redirect_uri(settings, provider))


async def _look(issuers: Issuers, provider: Provider, redirect: str) -> Remark:
    try:
        if provider.kind == "github":
            await issuers.fetcher.get(f"{github_api(provider)}/")
            return ok(f"{provider.id}: its API answers. Register there: {redirect}")
        metadata = await issuers.of(provider.issuer).metadata()
        keys = await issuers.of(provider.issuer).count_keys()
    except OidcError as error:
        return fault(
            f"{provider.id}: {error}. Nobody can sign in with it. Check its issuer in SIGN_IN_PROVIDERS, and "
            "OUTGOING_PROXY."
        )
    if not metadata.authorization_endpoint or not metadata.token_endpoint:
        return fault(f"{provider.id}: its metadata name no endpoints for log-ins. Check its issuer.")
    if not keys:
        return fault(f"{provider.id}: none of its keys can be used. Tell those who run it.")
    return ok(f"{provider.id}: metadata and {keys} keys are there. Register there: {redirect}")
