"""The application: `openml-web serve --workers N`. Wiring only."""

import gc

# What is made by importing lives as long as the process; to look through it again and again is a third of a start.
# `start_collecting` ends that.
gc.disable()

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TypedDict

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

import app.uploads.dialects
from app.core.collector import start_collecting
from app.core.http import install_problem_handlers
from app.core.leaving import Leaving
from app.core.log_levels import follow_levels
from app.core.logging import configure_logging
from app.core.middleware import BodyMiddleware, LateRoutesMiddleware, RequestMiddleware, UpgradeMiddleware
from app.core.openapi import ApiDocument, DescribedApp, RoutesDescription
from app.core.outflow import LEAST_RATE, STALL_SECONDS, LeastRateMiddleware, WholeAnswersMiddleware
from app.core.relying_party import say_whether_there_are_passkeys
from app.core.setting_loading import load_settings
from app.core.settings import Settings, SettingsError
from app.core.supervisor import end_with_parent
from app.core.tasks import in_background
from app.metrics import measuring
from app.read_only import ReadOnlyMiddleware
from app.resources import Resources, open_resources
from app.telemetry import telling
from app.uploads.wire import UploadsMiddleware
from app.web.serving import BuildMiddleware, FileServer
from app.web.spa import open_files
from app.web.upstreams import Upstreams, open_upstreams
from app.worker.run import embedded_worker

STARTUP_FAILED = 3
"""uvicorn's exit code for "do not start me again"."""

TAGS = [
    {"name": "accounts", "description": "Sign up, confirm, log in; profile and API key."},
    {"name": "datasets", "description": "Publish tables on OpenML, and change what describes them."},
    {"name": "uploads", "description": "Uploads that survive bad lines: sent in parts, watched, previewed."},
    {"name": "tasks", "description": "Make tasks of datasets, and collections of tasks and runs."},
    {
        "name": "administration",
        "description": "What administrators do, and what everybody is told.",
    },
    {"name": "health", "description": "For load balancers."},
]


class State(TypedDict):
    """What the lifespan hands to requests (read by app/deps.py)."""

    resources: Resources
    files: FileServer | None
    """The build of the frontend, if there is one."""
    upstreams: Upstreams
    leaving: Leaving
    """Asked for by the server (app/core/serving.py)."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application; without `settings` they are read from the environment."""
    if settings is None:
        settings = _settings_or_exit()
        end_with_parent()
    application = DescribedApp(
        add_routes=_add_routes,
        title="OpenML",
        version="1.0",
        description="Accounts, and datasets published on OpenML. Failures are `application/problem+json` (RFC 9457).",
        contact={"name": "OpenML", "url": settings.site_url},
        license_info={"name": "BSD 3-Clause", "identifier": "BSD-3-Clause"},
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # `RequestMiddleware` makes the spans of requests: to tell FastAPI to leave one out is 6 % of `GET /profile`.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        lifespan=_lifespan(settings),
    )
    application.add_middleware(LateRoutesMiddleware, until_complete=application.until_complete)
    application.add_middleware(BodyMiddleware)
    application.add_middleware(ReadOnlyMiddleware)
    application.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=[
            "Authorization",
            "Content-Type",
            "Prefer",
            "X-API-Key",
            "X-Request-ID",
            *app.uploads.dialects.ASKED_HEADERS,
        ],
        expose_headers=["X-Request-ID", *app.uploads.dialects.ANSWERED_HEADERS],
    )
    install_problem_handlers(application)
    document = ApiDocument(application, site_url=settings.site_url)
    application.add_route("/openapi.json", document.answer, methods=["GET"], include_in_schema=False)
    # In front of even FastAPI's own middleware, which answers faults: those need their number most of all. And a file
    # is a look-up, and half of all requests are for files.
    numbered = RequestMiddleware(
        application.build_middleware_stack(),
        https=settings.site_url.startswith("https://"),
        trusted_proxies=settings.trusted_proxies,
    )
    stack = UploadsMiddleware(numbered, largest_bytes=settings.upload_max_bytes)
    rated = LeastRateMiddleware(
        BuildMiddleware(WholeAnswersMiddleware(stack, trusted_proxies=settings.trusted_proxies)),
        least_rate=LEAST_RATE,
        window_seconds=STALL_SECONDS,
    )
    application.middleware_stack = UpgradeMiddleware(rated)
    return application


def _add_routes(application: FastAPI) -> RoutesDescription:
    from app.routes import add_routes  # noqa: PLC0415 - nearly all of the service, of which a first answer needs little

    description = add_routes(application)
    start_collecting()
    return description


def _lifespan(settings: Settings) -> Callable[[DescribedApp], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(application: DescribedApp) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            build = await open_files(settings)
            resources = await stack.enter_async_context(open_resources(settings))
            say_whether_there_are_passkeys(settings)
            await stack.enter_async_context(in_background(follow_levels(settings.data_dir)))
            await stack.enter_async_context(telling(settings))
            await stack.enter_async_context(measuring(resources, "web"))
            upstreams = await stack.enter_async_context(
                open_upstreams(settings, resources.index, resources.openml)
            )
            await stack.enter_async_context(in_background(application.complete_in_background()))
            if settings.embedded_worker:
                work = partial(_work, application, resources)
                await stack.enter_async_context(embedded_worker(resources.vitals, work))
            yield {
                "resources": resources,
                "files": build,
                "upstreams": upstreams,
                "leaving": resources.leaving,
            }

    return lifespan


async def _work(application: DescribedApp, resources: Resources) -> None:
    await application.until_complete()
    from app.jobs import run_worker  # noqa: PLC0415 - what the routes have imported anyway

    await run_worker(resources)


def _settings_or_exit() -> Settings:
    try:
        settings = load_settings()
        configure_logging(settings, "web")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(STARTUP_FAILED) from None
    return settings
