"""Serves the build's files: conditional and range requests, and precompressed encodings.

Pure ASGI in front of everything else: a page view asks for a dozen files, and each is a look-up in a dictionary.
No path of a disk is ever made of a path of an address.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import metrics
from app.web.build import INDEX, Build, BuildFile, Variant

SINGLE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
ACCOUNT_PAGES = [
    "sign-in",
    "sign-up",
    "confirm-page",
    "confirmation-token",
    "reset-password",
    "reset-page",
    "profile-page",
    "edit-profile",
    "upload-dataset",
    "upload-task",
    "upload-collection-runs",
    "upload-collection-tasks",
    "data-edit",
    "404",
    "500",
]
PAGES = frozenset(
    {"/", "/search", "/feedback", "/apis", "/contribute", "/meet", "/terms", "/about"}
    | {f"/auth/{name}" for name in ACCOUNT_PAGES}
)
"""The frontend's own addresses: where there is a build, they are its page, whatever else has the same path."""
Header = tuple[bytes, bytes]


class Asked(NamedTuple):
    """What a request says about the form of its answer; empty where it says nothing."""

    if_none_match: str = ""
    if_range: str = ""
    range: str = ""
    accept_encoding: str = ""


NOTHING = Asked()


class FileServer:
    """Answers from one build."""

    def __init__(self, build: Build, *, page_headers: Iterable[Header] = ()) -> None:
        self._files = {path: _Prepared(file) for path, file in build.files.items()}
        page = _Prepared(build.page, headers=page_headers)
        self._files[INDEX] = page
        self._files.update(dict.fromkeys(PAGES, page))
        self._page = page

    def find(self, path: str) -> "_Prepared | None":
        """Return the file at an address, with or without a slash at the end of a page's."""
        found = self._files.get(path)
        if found is None and path.endswith("/") and path[:-1] in PAGES:
            return self._page
        return found

    @property
    def page(self) -> "_Prepared":
        """The page of every address that has nothing else."""
        return self._page


class _Prepared:
    """A file with the beginnings of its answers made; they are shared, so nobody around it may add to them."""

    __slots__ = ("_file", "_headers", "_starts")

    def __init__(self, file: BuildFile, *, headers: Iterable[Header] = ()) -> None:
        self._file = file
        self._headers = [
            (b"cache-control", file.cache_control.encode()),
            (b"x-content-type-options", b"nosniff"),
            *headers,
        ]
        if file.packed:
            self._headers.append((b"vary", b"accept-encoding"))
        self._starts = {variant.encoding: self._start(variant) for variant in (file.plain, *file.packed)}

    def _start(self, variant: Variant) -> Message:
        headers = [
            (b"content-type", self._file.media_type.encode()),
            (b"content-length", str(len(variant.body)).encode()),
            (b"etag", variant.etag.encode()),
            *self._headers,
        ]
        if variant.encoding:
            headers.append((b"content-encoding", variant.encoding.encode()))
        else:
            headers.append((b"accept-ranges", b"bytes"))
        return {"type": "http.response.start", "status": 200, "headers": headers}

    async def send(self, scope: Scope, send: Send) -> None:
        """Answer a GET or HEAD."""
        asked = _read_headers(scope["headers"])
        variant = self._choose(asked)
        if asked.if_none_match and is_known(asked.if_none_match, variant.etag):
            headers = [(b"etag", variant.etag.encode()), *self._headers]
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body"})
            return
        if asked.range and (not asked.if_range or asked.if_range == variant.etag):
            part = _find_range(asked.range, len(variant.body))
            if part is not None:
                await self._send_part(scope, send, variant, part)
                return
        await send(self._starts[variant.encoding])
        body = b"" if scope["method"] == "HEAD" else variant.body
        await send({"type": "http.response.body", "body": body})

    def _choose(self, asked: Asked) -> Variant:
        # Parts are parts of the plain file: a client that asks for one has a file in mind.
        if asked.accept_encoding and self._file.packed and not asked.range:
            accepted = accepted_encodings(asked.accept_encoding)
            for variant in self._file.packed:
                if variant.encoding in accepted:
                    return variant
        return self._file.plain

    async def _send_part(self, scope: Scope, send: Send, variant: Variant, part: range) -> None:
        total = len(variant.body)
        status = 206 if part else 416
        covered = f"{part.start}-{part.stop - 1}" if part else "*"
        headers = [
            (b"content-type", self._file.media_type.encode()),
            (b"content-length", str(len(part)).encode()),
            (b"content-range", f"bytes {covered}/{total}".encode()),
            (b"etag", variant.etag.encode()),
            (b"accept-ranges", b"bytes"),
            *self._headers,
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else variant.body[part.start : part.stop]
        await send({"type": "http.response.body", "body": body})


class BuildMiddleware:
    """Serves the build that the lifespan has put into the state; everything else goes on to the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
            server: FileServer | None = scope["state"].get("files")
            file = server.find(scope["path"]) if server else None
            if file is not None:
                metrics.FILES_ANSWERED.add()
                await file.send(scope, send)
                return
        await self._app(scope, receive, send)


_NAMES = {
    b"if-none-match": "if_none_match",
    b"if-range": "if_range",
    b"range": "range",
    b"accept-encoding": "accept_encoding",
}


def _read_headers(headers: Iterable[Header]) -> Asked:
    # A header sent twice means what it means joined by commas, which makes a range or a tag one that is not ours.
    values: dict[str, str] = {}
    for name, value in headers:
        field = _NAMES.get(name)
        if field is not None:
            text = value.decode("latin-1")
            values[field] = f"{values[field]}, {text}" if field in values else text
    return Asked(**values) if values else NOTHING


@lru_cache(maxsize=256)
def accepted_encodings(header: str) -> frozenset[str]:
    """Return the encodings of ours that an Accept-Encoding header allows (RFC 9110, 12.5.3)."""
    qualities: dict[str, bool] = {}
    for item in header.lower().split(","):
        name, _, parameters = item.partition(";")
        refused = re.fullmatch(r"\s*q\s*=\s*0(?:\.0*)?\s*", parameters) is not None
        qualities[name.strip()] = not refused
    by_default = qualities.get("*", False)
    return frozenset(name for name in ("br", "gzip") if qualities.get(name, by_default))


def is_known(header: str, etag: str) -> bool:
    """Say whether an If-None-Match header names the entity tag."""
    return header.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in header.split(","))


def _find_range(header: str, total: int) -> range | None:
    """Return the bytes asked for: empty if there are none such, None if the header is to be ignored.

    Several ranges at once are ignored, which RFC 9110 (14.2) allows: they are an old way to keep a server busy.
    """
    match = SINGLE_RANGE.fullmatch(header.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return range(max(total - int(last), 0), total) if int(last) else range(0)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1 if last else total, total))
