"""The application: `openml-web serve --workers N`. Wiring only."""

import gc

# What is made by importing lives as long as the process; to look through it again and again is a third of a start.
# `start_collecting` ends that.
gc.disable()

import mimetypes
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.resources import files
from typing import TypedDict

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

import app.accounts.routes_picture
import app.accounts.routes_public
import app.accounts.routes_signed_in
import app.accounts.routes_token
import app.admin.routes_everybody
import app.admin.routes_people
import app.admin.routes_site
import app.admin.routes_uploads
import app.datasets.routes
import app.health.routes
import app.studies.routes
import app.tasks.routes
import app.uploads.dialects
import app.uploads.routes_form
import app.uploads.routes_resources
import app.uploads.routes_resumable
import app.web.own_pages
import app.web.reverse_proxy
import app.web.routes
import app.web.search_routes
import app.web.well_known
from app.access import ReadOnlyMiddleware, require_roles
from app.core.collector import start_collecting
from app.core.http import install_problem_handlers
from app.core.leaving import Leaving
from app.core.log_levels import follow_levels
from app.core.logging import configure_logging
from app.core.middleware import BodyMiddleware, RequestMiddleware, UpgradeMiddleware
from app.core.openapi import ApiDocument, DescribedApp
from app.core.outflow import LEAST_RATE, STALL_SECONDS, LeastRateMiddleware, WholeAnswersMiddleware
from app.core.settings import Settings, SettingsError, load_settings
from app.core.supervisor import end_with_parent
from app.core.tasks import in_background
from app.jobs import run_worker
from app.metrics import measuring
from app.resources import Resources, open_resources
from app.telemetry import is_no_work, telling
from app.uploads.described import ANSWER_HEADERS, REQUEST_HEADERS
from app.uploads.metadata import DraftMetadata, UploadMetadata
from app.uploads.schemas import UploadEventResponse, UploadRequest, UploadStatusResponse
from app.uploads.wire import ROOT, UploadsMiddleware
from app.web.fallback import PageFallback
from app.web.pages import OwnFiles
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
        models=[DraftMetadata, UploadMetadata, UploadRequest, UploadEventResponse, UploadStatusResponse],
        request_headers=REQUEST_HEADERS,
        answer_headers=ANSWER_HEADERS,
        everywhere_below={ROOT: "Tus-Resumable"},
        title="OpenML",
        version="1.0",
        description="Accounts, and datasets published on OpenML. Failures are `application/problem+json` (RFC 9457).",
        contact={"name": "OpenML", "url": settings.site_url},
        license_info={"name": "BSD 3-Clause", "identifier": "BSD-3-Clause"},
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={
            "tracing": bool(settings.otel_exporter_otlp_endpoint),
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
            "exclude": is_no_work,
        },
        lifespan=_lifespan(settings),
    )
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
    _add_routes(application)
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
    start_collecting()
    return application


def _add_routes(application: FastAPI) -> None:
    # Asked in this order: what the SPA asks for most comes first.
    modules = (
        app.accounts.routes_signed_in,
        app.accounts.routes_public,
        app.accounts.routes_picture,
        app.uploads.routes_form,
        app.datasets.routes,
        app.tasks.routes,
        app.studies.routes,
        app.health.routes,
        app.web.routes,
        app.web.own_pages,
        app.web.well_known,
        app.web.search_routes,
        app.accounts.routes_token,
        app.admin.routes_everybody,
        app.admin.routes_people,
        app.admin.routes_uploads,
        app.admin.routes_site,
        app.uploads.routes_resumable,
        app.uploads.routes_resources,
        app.web.reverse_proxy,
    )
    require_roles([module.router for module in modules])
    for module in modules:
        # Not `include_router`: FastAPI looks for a route in each included router twice.
        application.router.routes.extend(module.router.routes)
    if not mimetypes.inited:
        mimetypes.init()  # else the first request for a file reads the system's list on the event loop
    offline_assets = files("fastapi_offline") / "static"
    application.mount("/assets/api", StaticFiles(directory=str(offline_assets)))
    application.mount("/assets", OwnFiles(packages=[("app.web", "static")]))
    application.router.routes.append(Route("/{path:path}", PageFallback(), methods=["GET", "HEAD"]))


def _lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(_application: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            build = await open_files(settings)
            resources = await stack.enter_async_context(open_resources(settings))
            await stack.enter_async_context(in_background(follow_levels(settings.data_dir)))
            await stack.enter_async_context(telling(settings))
            await stack.enter_async_context(measuring(resources, "web"))
            upstreams = await stack.enter_async_context(open_upstreams(settings))
            if settings.embedded_worker:
                await stack.enter_async_context(
                    embedded_worker(resources.vitals, lambda: run_worker(resources))
                )
            yield {
                "resources": resources,
                "files": build,
                "upstreams": upstreams,
                "leaving": resources.leaving,
            }

    return lifespan


def _settings_or_exit() -> Settings:
    try:
        settings = load_settings()
        configure_logging(settings, "web")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(STARTUP_FAILED) from None
    return settings
