"""The pages of a checkout without the SPA, at the SPA's own addresses where it has one.

They hold no data: their modules (`static/js`) ask the public API for it, with the access token that the browser keeps.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from app.core.bodies import BoundedRoute
from app.core.errors import NotFoundError
from app.core.licences import find_licences
from app.core.providers import Provider
from app.core.relying_party import RelyingParty
from app.core.scopes import MEANINGS
from app.core.settings import Settings
from app.deps import ResourcesDep, SettingsDep
from app.openml.fields import LICENCES
from app.tabular import ACCEPTED, SUFFIXES
from app.web.mailbox import MailboxDep, read_mails
from app.web.pages import render

TOKEN_DAYS = (7, 30, 90, 180, 365)
"""Lives of API tokens that the page offers."""
router = APIRouter(include_in_schema=False, route_class=BoundedRoute)


def _provider(settings: Settings, provider_id: str) -> Provider:
    found = next((each for each in settings.providers if each.id == provider_id), None)
    if found is None:
        raise NotFoundError
    return found


async def get_party(resources: ResourcesDep) -> RelyingParty | None:
    """Return whose passkeys pages may ask for; None where there are none."""
    authenticators = resources.authenticators
    return authenticators.party if authenticators else None


PartyDep = Annotated[RelyingParty | None, Depends(get_party)]


@router.get("/auth/sign-up")
@router.get("/auth/sign-up/")
async def sign_up_page(settings: SettingsDep, mailbox: MailboxDep) -> HTMLResponse:
    """Show the form for a new account."""
    return await render(
        "sign_up.html",
        title="Sign up",
        password_length=settings.password_minimum_length,
        confirms=settings.send_email,
        providers=settings.providers,
        mailbox=mailbox,
    )


@router.get("/auth/sign-in")
@router.get("/auth/sign-in/")
async def sign_in_page(settings: SettingsDep, party: PartyDep, mailbox: MailboxDep) -> HTMLResponse:
    """Ask who somebody is."""
    return await render(
        "sign_in.html",
        title="Sign in",
        contact=settings.contact.address,
        providers=settings.providers,
        passkeys=party,
        mailbox=mailbox,
    )


@router.get("/auth/oauth/{provider}/callback")
@router.get("/auth/oauth/{provider}/callback/")
async def provider_callback_page(provider: str, settings: SettingsDep, mailbox: MailboxDep) -> HTMLResponse:
    """Take what a provider answered; the page's module reads it from the address, and takes it out of there."""
    found = _provider(settings, provider)
    return await render("provider.html", title=f"Sign in with {found.name}", provider=found, mailbox=mailbox)


@router.get("/auth/oauth/{provider}/confirm")
@router.get("/auth/oauth/{provider}/confirm/")
async def provider_confirm_page(provider: str, settings: SettingsDep, mailbox: MailboxDep) -> HTMLResponse:
    """Show the button that goes on after a mail. Opening the link changes nothing: mail scanners open links, too."""
    found = _provider(settings, provider)
    return await render(
        "provider_confirm.html", title="Confirm your address", provider=found, mailbox=mailbox
    )


@router.get("/auth/confirmation-token")
@router.get("/auth/confirmation-token/")
async def confirmation_mail_page(mailbox: MailboxDep) -> HTMLResponse:
    """Ask where to send the confirmation link again."""
    return await render(
        "mail_me.html",
        title="Confirm your address",
        path="/send-confirmation-token",
        text="We send the mail with the link again.",
        mailbox=mailbox,
    )


@router.get("/auth/reset-password")
@router.get("/auth/reset-password/")
async def reset_mail_page(mailbox: MailboxDep) -> HTMLResponse:
    """Ask where to send a link that resets the password."""
    return await render(
        "mail_me.html",
        title="Reset your password",
        path="/forgotpassword",
        text="We mail you a link, with which you choose a new password.",
        mailbox=mailbox,
    )


@router.get("/auth/reset-page")
@router.get("/auth/reset-page/")
async def reset_page(settings: SettingsDep, mailbox: MailboxDep) -> HTMLResponse:
    """Ask for the new password; the page's module reads the token from the address."""
    return await render(
        "reset.html",
        title="Choose a new password",
        password_length=settings.password_minimum_length,
        mailbox=mailbox,
    )


@router.get("/auth/profile-page")
@router.get("/auth/profile-page/")
async def account_page(mailbox: MailboxDep) -> HTMLResponse:
    """Show the account."""
    return await render("account.html", title="Your account", mailbox=mailbox)


@router.get("/auth/edit-profile")
@router.get("/auth/edit-profile/")
async def edit_profile_page(mailbox: MailboxDep) -> HTMLResponse:
    """Show the form for profile and picture."""
    return await render("edit_profile.html", title="Edit your profile", mailbox=mailbox)


@router.get("/auth/security")
@router.get("/auth/security/")
async def security_page(settings: SettingsDep, party: PartyDep, mailbox: MailboxDep) -> HTMLResponse:
    """Show the ways into the account, and change them."""
    return await render(
        "security.html",
        title="Security",
        providers=settings.providers,
        passkeys=party,
        contact=settings.contact.address,
        password_length=settings.password_minimum_length,
        scopes=MEANINGS,
        lifetimes=[days for days in TOKEN_DAYS if days <= (settings.timings.api_token_days or days)],
        endless=settings.timings.api_token_days == 0,
        issuers=settings.trusted_issuers,
        mailbox=mailbox,
    )


@router.get("/auth/undo")
@router.get("/auth/undo/")
async def undo_page(mailbox: MailboxDep) -> HTMLResponse:
    """Ask whether a change is to be undone; the page's module reads the token from the address."""
    return await render("undo.html", title="Was it not you?", mailbox=mailbox)


@router.get("/auth/upload-dataset")
@router.get("/auth/upload-dataset/")
async def upload_page(settings: SettingsDep, mailbox: MailboxDep) -> HTMLResponse:
    """Show the form for a dataset, and what becomes of it."""
    return await render(
        "upload.html",
        title="Publish a dataset",
        licences=[licence.name for licence in LICENCES],
        suffixes=",".join(SUFFIXES),
        formats=f"A file of {ACCEPTED}.",
        largest_bytes=settings.upload_max_bytes,
        mailbox=mailbox,
    )


@router.get("/dashboard/data-upload")
@router.get("/dashboard/data-upload/")
async def preview_page(mailbox: MailboxDep) -> HTMLResponse:
    """Show what was found in an upload before it is published; the frontend shows it in a frame."""
    return await render(
        "preview.html",
        title="Your upload",
        licences=[licence.name for licence in LICENCES],
        wide=True,
        framed_by="'self'",
        mailbox=mailbox,
    )


@router.get("/auth/my-uploads")
@router.get("/auth/my-uploads/")
async def uploads_page(mailbox: MailboxDep) -> HTMLResponse:
    """Show one's uploads with their states."""
    return await render("uploads.html", title="My uploads", mailbox=mailbox)


@router.get("/admin")
@router.get("/admin/")
async def administration_page(mailbox: MailboxDep) -> HTMLResponse:
    """Show what administrators look for; it is the API that says who is one."""
    return await render("admin.html", title="Administration", wide=True, mailbox=mailbox)


@router.get("/admin/person")
@router.get("/admin/person/")
async def person_page(mailbox: MailboxDep) -> HTMLResponse:
    """Show a user's story."""
    return await render("admin_person.html", title="A user", wide=True, mailbox=mailbox)


@router.get("/admin/upload")
@router.get("/admin/upload/")
async def upload_story_page(mailbox: MailboxDep) -> HTMLResponse:
    """Show an upload's story."""
    return await render("admin_upload.html", title="An upload", wide=True, mailbox=mailbox)


@router.get("/software-licences")
@router.get("/software-licences/")
async def software_licences_page(mailbox: MailboxDep) -> HTMLResponse:
    """Show whose software the service is made of; `GET /licences` lists those of datasets."""
    packages = await asyncio.to_thread(find_licences)
    return await render(
        "software_licences.html", title="Licences of the software", packages=packages, mailbox=mailbox
    )


@router.get("/dev/mailbox")
async def mailbox_page(settings: SettingsDep, mailbox: MailboxDep) -> HTMLResponse:
    """Show the mails of a development installation to whoever sits at the machine."""
    if not mailbox:
        raise NotFoundError
    mails = await read_mails(settings)
    return await render("mailbox.html", title="Mailbox", mails=mails, mailbox=True)
