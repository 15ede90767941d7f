"""Routes of users' pictures."""

from fastapi import APIRouter, Request, Response, status

from app.accounts import service_picture as service
from app.accounts.schemas_picture import ImageChangedResponse
from app.core.bodies import BoundedRoute, read_parts, reads_body, stream_body
from app.core.components import asked, headers, takes
from app.core.errors import (
    BodyStalledError,
    BodyTooLargeError,
    MalformedBodyError,
    NotFoundError,
    TooBusyError,
    TooManyRequestsError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.http import declare
from app.core.limits import Hit
from app.deps import ClientDep, PrincipalDep, ResourcesDep
from app.imaging.problems import PictureRefusedError
from app.storage.pictures import name_in, path_of
from app.storage.problems import StorageUnavailableError

router = APIRouter(tags=["accounts"], route_class=BoundedRoute)
PICTURE_BYTES = 20_000_000
"""The largest file that is taken: more than a telephone's camera makes."""
FORM_BYTES = 1 << 16
"""What a form may hold beside the picture."""
MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg"}
SERVED_WITH = {
    # A changed picture has another name.
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
FORM = takes(
    {
        "multipart/form-data": {
            "type": "object",
            "required": [service.PART],
            "properties": {
                service.PART: {
                    "type": "string",
                    "format": "binary",
                    "description": "The picture: PNG, JPEG, GIF or WebP.",
                }
            },
        }
    }
)
PICTURE = {"type": "string", "format": "binary"}


@router.post(
    "/image",
    openapi_extra=FORM,
    responses=declare(
        UnauthorizedError,
        MalformedBodyError,
        BodyStalledError,
        BodyTooLargeError,
        ValidationFailedError,
        PictureRefusedError,
        TooManyRequestsError,
        TooBusyError,
        StorageUnavailableError,
    ),
)
@reads_body
async def change_image(
    request: Request, principal: PrincipalDep, resources: ResourcesDep, client: ClientDep
) -> ImageChangedResponse:
    """Change one's picture. It is redrawn: at most 512 pixels wide and high, without metadata, not animated."""
    # Who is refused is refused before the first byte is read.
    body = stream_body(
        request,
        limit_bytes=PICTURE_BYTES,
        form_bytes=FORM_BYTES,
        stall_seconds=resources.settings.timings.upload_stall_seconds,
    )
    await resources.limits.hit(Hit("change-account", str(principal.account.id)))
    await resources.store.require()
    events = read_parts(body, request.headers.get("content-type", ""))
    image = await service.change_picture(
        resources.database,
        resources.pictures,
        resources.redrawer,
        user_id=principal.account.id,
        events=events,
        limit_bytes=PICTURE_BYTES,
        client=client,
    )
    return ImageChangedResponse(image=image)


@router.delete("/image", responses=declare(UnauthorizedError, TooManyRequestsError))
async def remove_image(
    principal: PrincipalDep, resources: ResourcesDep, client: ClientDep
) -> ImageChangedResponse:
    """Remove one's picture."""
    await resources.limits.hit(Hit("change-account", str(principal.account.id)))
    await service.remove_picture(resources.database, resources.pictures, principal.account.id, client)
    return ImageChangedResponse(image="")


@router.head("/imgs/{name:path}", include_in_schema=False)
@router.get(
    "/imgs/{name:path}",
    response_class=Response,
    openapi_extra={"parameters": asked("If-None-Match")},
    responses={
        status.HTTP_200_OK: {
            "description": "The picture.",
            "headers": headers("Cache-Control", "ETag"),
            "content": {media_type: {"schema": PICTURE} for media_type in MEDIA_TYPES.values()},
        },
        status.HTTP_304_NOT_MODIFIED: {
            "description": "It is here already.",
            "headers": headers("Cache-Control", "ETag"),
        },
        **declare(NotFoundError, StorageUnavailableError),
    },
)
async def get_image(name: str, request: Request, resources: ResourcesDep) -> Response:
    """Return a user's picture. It never changes: a new one has a new name."""
    # Whatever is not a name of ours never becomes a path.
    content = await resources.pictures.read(name) if name_in(path_of(name)) else None
    if content is None:
        await resources.store.require()
        raise NotFoundError("There is no such picture.")
    headers = {**SERVED_WITH, "ETag": f'"{name}"'}
    if f'"{name}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=MEDIA_TYPES[name.rpartition(".")[2]], headers=headers)
