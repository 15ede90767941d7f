"""The pages that are ours."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse

from app.accounts import lifecycle
from app.accounts.links import LinkPurpose
from app.core.bodies import BoundedRoute
from app.core.errors import LinkNotValidError
from app.core.limits import hits_from
from app.deps import ClientDep, DatabaseDep, LimitsDep, SettingsDep
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
    database: DatabaseDep,
    limits: LimitsDep,
    client: ClientDep,
    settings: SettingsDep,
) -> HTMLResponse:
    """Confirm the address, for browsers without the SPA."""
    await limits.hit(*hits_from("link-address", client))
    try:
        purpose = await database.unit(lambda session: lifecycle.confirm(session, settings, token, client))
    except LinkNotValidError as problem:
        return await render(
            "message.html",
            title="That did not work",
            text=f"{problem.detail}.",
            links=[("/auth/confirmation-token", "Ask for a new mail"), ("/", "Start page")],
            status=problem.status,
        )
    if purpose is LinkPurpose.APPROVE_EMAIL:
        return await render(
            "message.html",
            title="Thank you",
            text="We write to the new address: the link in that mail makes it yours.",
            links=[("/auth/profile-page", "Your account")],
        )
    return await render(
        "message.html",
        title="Thank you",
        text="Your e-mail address is confirmed: you can sign in now.",
        links=[("/auth/sign-in", "Sign in")],
    )
