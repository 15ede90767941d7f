"""Is the process alive, and can it work?"""

import asyncio
from typing import Literal

import structlog
from fastapi import APIRouter
from pydantic import BaseModel

from app.core.bodies import BoundedRoute
from app.core.errors import NotReadyError
from app.core.http import declare
from app.deps import ResourcesDep

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/health", tags=["health"], route_class=BoundedRoute)

DATABASE_SECONDS = 3


class HealthResponse(BaseModel):
    """All is well; anything else is another status."""

    status: Literal["ok"] = "ok"


@router.get("/live")
async def live() -> HealthResponse:
    """Say that the process answers. Looks at nothing else: a restart would not mend a database."""
    return HealthResponse()


@router.get("/ready", responses=declare(NotReadyError))
async def ready(resources: ResourcesDep) -> HealthResponse:
    """Say that the process can work: its database answers within three seconds."""
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            await resources.database.check()
    except Exception as error:
        log.warning("not ready", reason=type(error).__name__)
        raise NotReadyError from error
    return HealthResponse()
