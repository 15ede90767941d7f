"""The application: `uvicorn --factory app.main:create_app --workers N`. Wiring only."""

import mimetypes
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.resources import files
from typing import TypedDict

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from starlette.staticfiles import StaticFiles

import app.health.router
import app.public.router
import app.site.router
import app.upload.router
import app.user.router
from app.core.http import install_problem_handlers
from app.core.logging import configure_logging
from app.core.middleware import BodyLimitMiddleware, RequestMiddleware
from app.core.settings import Settings, SettingsError, load_settings
from app.resources import Resources, open_resources
from app.worker.run import embedded_worker

BODY_BYTES = 1 << 20
"""Largest body of a route that does not stream to disk."""
STARTUP_FAILED = 3
"""uvicorn's exit code for "do not start me again"."""

TAGS = [
    {"name": "accounts", "description": "Sign up, confirm, log in; profile and API key."},
    {"name": "datasets", "description": "Publish tables on OpenML."},
    {"name": "health", "description": "For load balancers."},
]


class State(TypedDict):
    """What the lifespan hands to requests (read by app/deps.py)."""

    resources: Resources


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application; without `settings` they are read from the environment."""
    if settings is None:
        settings = _settings_or_exit()
        configure_logging(settings)
    application = FastAPI(
        title="OpenML",
        version="1.0",
        description="Accounts, and datasets published on OpenML. Failures are `application/problem+json` (RFC 9457).",
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        generate_unique_id_function=_operation_id,
        lifespan=_lifespan(settings),
    )
    application.add_middleware(BodyLimitMiddleware, limit=BODY_BYTES, streaming_paths=["/data-upload"])
    application.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "X-API-Key"],
        expose_headers=["X-Request-ID"],
    )
    application.add_middleware(RequestMiddleware)
    install_problem_handlers(application)
    _add_routes(application)
    return application


def _add_routes(application: FastAPI) -> None:
    # Asked in this order: what the SPA asks for most comes first.
    for room in (app.user, app.public, app.upload, app.health, app.site):
        application.include_router(room.router.router)
    mimetypes.init()  # else the first request for a file reads the system's list on the event loop
    offline_assets = files("fastapi_offline") / "static"
    application.mount("/assets/api", StaticFiles(directory=str(offline_assets)))
    application.mount("/assets", StaticFiles(packages=[("app.site", "static")]))


def _lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(_application: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            resources = await stack.enter_async_context(open_resources(settings))
            if settings.embedded_worker:
                await stack.enter_async_context(embedded_worker(resources))
            yield {"resources": resources}

    return lifespan


def _operation_id(route: APIRoute) -> str:
    return route.name


def _settings_or_exit() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(STARTUP_FAILED) from None
