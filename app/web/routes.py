"""The pages that are ours."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse

from app.accounts import lifecycle
from app.accounts.links import LinkPurpose
from app.accounts.problems import LinkNotValidError
from app.accounts.routes_parts import ConfirmingBrowserDep
from app.core.bodies import BoundedRoute
from app.core.limits import hits_from
from app.deps import ClientDep, ResourcesDep
from app.web.pages import API_PAGES, render

router = APIRouter(include_in_schema=False, route_class=BoundedRoute)


@router.get("/docs")
async def swagger_page() -> HTMLResponse:
    """Show the API as Swagger UI, without any outside asset."""
    return await render("swagger.html", policy=API_PAGES)


@router.get("/redoc")
async def redoc_page() -> HTMLResponse:
    """Show the API as ReDoc, without any outside asset."""
    return await render("redoc.html", policy=API_PAGES)


@router.get("/auth/confirm-page")
@router.get("/auth/confirm-page/")
async def confirm_page(token: str = "") -> HTMLResponse:
    """Show the button. Opening the link changes nothing: mail scanners open links, too."""
    return await render("confirm.html", title="Confirm your address", token=token)


@router.post("/auth/confirm-page/")
async def confirm_from_page(
    token: Annotated[str, Form()],
    resources: ResourcesDep,
    client: ClientDep,
    browser: ConfirmingBrowserDep,
) -> HTMLResponse:
    """Confirm the address, for browsers without the SPA."""
    await resources.limits.hit(*hits_from("link-address", client))
    settings = resources.settings
    try:
        confirmed = await resources.database.unit(
            lambda session: lifecycle.confirm(session, settings, token, client, browser=browser)
        )
    except LinkNotValidError as problem:
        return await render(
            "message.html",
            title="That did not work",
            text=f"{problem.detail}.",
            links=[("/auth/confirmation-token", "Ask for a new mail"), ("/", "Start page")],
            status=problem.status,
        )
    if confirmed.purpose is LinkPurpose.APPROVE_EMAIL:
        return await render(
            "message.html",
            title="Thank you",
            text="We write to the new address: the link in that mail makes it yours.",
            links=[("/auth/profile-page", "Your account")],
        )
    if confirmed.choose_password:
        return await render(
            "message.html",
            title="Choose your password",
            text="Your e-mail address is confirmed. The account was made in another browser than this one, so we "
            "cannot tell whether that was you: the password that was chosen there does not count.",
            links=[(confirmed.choose_password, "Choose a password")],
        )
    return await render(
        "message.html",
        title="Thank you",
        text="Your e-mail address is confirmed: you can sign in now.",
        links=[("/auth/sign-in", "Sign in")],
    )
