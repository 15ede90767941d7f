"""What programs look for at fixed addresses: crawlers, people who found a hole, password managers."""

from datetime import timedelta

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse

from app.core.bodies import BoundedRoute
from app.core.clock import utc_now
from app.core.errors import NotFoundError
from app.deps import ResourcesDep, SettingsDep
from app.web.catalogue.routes import CatalogueDep

router = APIRouter(include_in_schema=False, route_class=BoundedRoute)
VALID = timedelta(days=180)
"""How long the contact may be relied on; RFC 9116 advises less than a year."""
ROBOTS = """User-agent: *
Disallow: /api/
Disallow: /auth/
Disallow: /dashboard/
Disallow: /data/
Disallow: /datasets/
Disallow: /dev/
Disallow: /es/
Disallow: /tasks/
Disallow: /uploads
"""
"""Pages for people may be found; what costs the servers behind us, or is somebody's own, is no page to be found."""


@router.get("/robots.txt")
async def robots(catalogue: CatalogueDep, settings: SettingsDep) -> PlainTextResponse:
    """Tell crawlers what is for people. A build that has the file answers with its own."""
    if catalogue is None or settings.redirect_url:
        return PlainTextResponse(ROBOTS)
    return PlainTextResponse(f"{ROBOTS}Disallow: /search\n\nSitemap: {settings.site_url}/sitemap.xml\n")


@router.get("/.well-known/security.txt")
async def security_contact(settings: SettingsDep) -> PlainTextResponse:
    """Say whom to tell of a hole (RFC 9116)."""
    if not settings.security_contact:
        raise NotFoundError("No security contact is set (SECURITY_CONTACT).")
    expires = (utc_now() + VALID).strftime("%Y-%m-%dT00:00:00Z")
    canonical = f"{settings.site_url}/.well-known/security.txt"
    return PlainTextResponse(
        f"Contact: {settings.security_contact}\nExpires: {expires}\nCanonical: {canonical}\n"
    )


@router.get("/.well-known/change-password")
async def change_password() -> RedirectResponse:
    """Lead password managers to where a password is changed (W3C, *A Well-Known URL for Changing Passwords*)."""
    return RedirectResponse("/auth/reset-password", status_code=302)


@router.get("/.well-known/webauthn")
async def related_origins(resources: ResourcesDep) -> JSONResponse:
    """Tell browsers which sites outside of the domain may use its passkeys (WebAuthn, 5.11)."""
    authenticators = resources.authenticators
    if authenticators is None or not authenticators.party.related:
        raise NotFoundError("Passkeys of this domain work on its own pages only.")
    return JSONResponse({"origins": list(authenticators.party.origins)})
