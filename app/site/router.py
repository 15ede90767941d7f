"""The pages that are ours."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse

from app.accounts.lifecycle import confirm_account
from app.core.errors import LinkNotValidError
from app.deps import SessionDep, SettingsDep
from app.site.pages import API_PAGES, render

router = APIRouter(include_in_schema=False)


@router.get("/")
async def start_page(settings: SettingsDep) -> HTMLResponse:
    """Say what this is and where to go."""
    return render("start.html", title="OpenML", openml_url=settings.openml_url)


@router.get("/docs")
async def swagger_page() -> HTMLResponse:
    """Show the API as Swagger UI, without any outside asset."""
    return render("swagger.html", policy=API_PAGES)


@router.get("/redoc")
async def redoc_page() -> HTMLResponse:
    """Show the API as ReDoc, without any outside asset."""
    return render("redoc.html", policy=API_PAGES)


@router.get("/auth/confirm-page")
@router.get("/auth/confirm-page/")
async def confirm_page(token: str = "") -> HTMLResponse:
    """Show the button. Opening the link changes nothing: mail scanners open links, too."""
    return render("confirm.html", title="Confirm your e-mail address", token=token)


@router.post("/auth/confirm-page/")
async def confirm_from_page(token: Annotated[str, Form()], session: SessionDep) -> HTMLResponse:
    """Confirm the address, for browsers without the SPA."""
    try:
        await confirm_account(session, token)
    except LinkNotValidError as problem:
        return render(
            "message.html", title="That did not work", text=f"{problem.detail}.", status=problem.status
        )
    return render(
        "message.html", title="Thank you", text="Your e-mail address is confirmed: you can log in now."
    )
