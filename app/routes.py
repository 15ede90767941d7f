"""Every route of the service. Importing it imports nearly all of the service: `app/main.py` does so once it listens."""

import mimetypes
from importlib.resources import files

from fastapi import FastAPI
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

import app.accounts.routes_api_tokens
import app.accounts.routes_passkeys
import app.accounts.routes_picture
import app.accounts.routes_providers
import app.accounts.routes_public
import app.accounts.routes_refresh
import app.accounts.routes_second_factor
import app.accounts.routes_signed_in
import app.accounts.routes_token
import app.accounts.routes_trusted_publishers
import app.admin.routes_everybody
import app.admin.routes_people
import app.admin.routes_site
import app.admin.routes_uploads
import app.datasets.routes
import app.datasets.routes_contents
import app.health.routes
import app.studies.routes
import app.tasks.routes
import app.uploads.dialects
import app.uploads.routes_form
import app.uploads.routes_resources
import app.uploads.routes_resumable
import app.web.catalogue.routes
import app.web.catalogue.sitemap
import app.web.own_pages
import app.web.reverse_proxy
import app.web.routes
import app.web.search_routes
import app.web.well_known
from app.access import require_roles
from app.core.openapi import RoutesDescription
from app.uploads.described import ANSWER_HEADERS, REQUEST_HEADERS
from app.uploads.metadata import DraftMetadata, UploadMetadata
from app.uploads.schemas import UploadEventResponse, UploadRequest, UploadStatusResponse
from app.uploads.wire import ROOT
from app.web.fallback import PageFallback
from app.web.pages import OwnFiles

MODULES = (
    # Asked in this order: what the SPA asks for most comes first.
    app.accounts.routes_signed_in,
    app.accounts.routes_public,
    app.accounts.routes_picture,
    app.accounts.routes_passkeys,
    app.uploads.routes_form,
    app.datasets.routes,
    app.datasets.routes_contents,
    app.tasks.routes,
    app.studies.routes,
    app.health.routes,
    app.web.routes,
    app.web.catalogue.routes,
    app.web.catalogue.sitemap,
    app.web.own_pages,
    app.web.well_known,
    app.web.search_routes,
    app.accounts.routes_token,
    app.accounts.routes_refresh,
    app.accounts.routes_api_tokens,
    app.accounts.routes_providers,
    app.accounts.routes_trusted_publishers,
    app.accounts.routes_second_factor,
    app.admin.routes_everybody,
    app.admin.routes_people,
    app.admin.routes_uploads,
    app.admin.routes_site,
    app.uploads.routes_resumable,
    app.uploads.routes_resources,
    app.web.reverse_proxy,
)
DESCRIPTION = RoutesDescription(
    models=[DraftMetadata, UploadMetadata, UploadRequest, UploadEventResponse, UploadStatusResponse],
    request_headers=REQUEST_HEADERS,
    answer_headers=ANSWER_HEADERS,
    everywhere_below={ROOT: "Tus-Resumable"},
)


def add_routes(application: FastAPI) -> RoutesDescription:
    """Add every route, and return what the document of the application says besides.

    Raises:
        LookupError: a route is not in the table of `app/access.py`, or asks for something else than it says there.
    """
    require_roles([module.router for module in MODULES])
    if not mimetypes.inited:
        mimetypes.init()  # else the first request for a file reads the system's list on the event loop
    for module in MODULES:
        # Not `include_router`: FastAPI looks for a route in each included router twice.
        application.router.routes.extend(module.router.routes)
    offline_assets = files("fastapi_offline") / "static"
    application.mount("/assets/api", StaticFiles(directory=str(offline_assets)))
    application.mount("/assets", OwnFiles(packages=[("app.web", "static")]))
    application.router.routes.append(Route("/{path:path}", PageFallback(), methods=["GET", "HEAD"]))
    return DESCRIPTION
