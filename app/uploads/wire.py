"""ASGI middleware of all requests below `/uploads`: method overrides, and the headers that every answer has."""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import BodyTooLargeError
from app.uploads.dialects import TUS_VERSION

ROOT = "/uploads"
_METHOD = re.compile(r"[A-Z]{1,20}")


class UploadsMiddleware:
    """Reads `X-HTTP-Method-Override`, and adds the headers of both protocols to each answer.

    It wraps the application and its middleware, so that their refusals and faults have those headers, too.
    """

    def __init__(self, app: ASGIApp, *, largest_bytes: int) -> None:
        """Take the application, and the size of the largest file."""
        self._app = app
        self._limit = f"max-size={largest_bytes}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not (scope["path"] + "/").startswith(f"{ROOT}/"):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Tus-Resumable"] = TUS_VERSION
                if message["status"] == BodyTooLargeError.status:
                    headers.setdefault("Upload-Limit", self._limit)
            await send(message)

        await self._app(_as_meant(scope), receive, send_with_headers)


def _as_meant(scope: Scope) -> Scope:
    """Return the request as the client means it: by `X-HTTP-Method-Override`, where its network lets few methods pass.

    A slash behind the root, as endpoints of clients often have it, means the root.
    """
    wanted = Headers(scope=scope).get("x-http-method-override", "").strip().upper()
    method = wanted if _METHOD.fullmatch(wanted) else scope["method"]
    path = ROOT if scope["path"] == f"{ROOT}/" else scope["path"]
    if (method, path) == (scope["method"], scope["path"]):
        return scope
    return {**scope, "method": method, "path": path, "raw_path": path.encode()}
