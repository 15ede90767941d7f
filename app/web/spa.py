"""The configured frontend build."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from app.core.middleware import HSTS
from app.core.settings import Settings
from app.web.build import load_build
from app.web.serving import FileServer

ANY_CONTENT = "frame-ancestors 'self'"


async def open_files(settings: Settings) -> FileServer | None:
    """Return the build that `SPA_DIR` names, ready to be served; None where it names none.

    Raises:
        BuildError: what it names cannot be served.
    """
    if not settings.spa_dir:
        return None
    build = await asyncio.to_thread(load_build, Path(settings.spa_dir), settings.build_values)
    policy = settings.spa_content_policy or content_policy(settings)
    headers = [
        (b"content-security-policy", (ANY_CONTENT if policy == "off" else policy).encode()),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]
    if settings.site_url.startswith("https://"):
        headers.append(HSTS)
    return FileServer(build, page_headers=headers)


def content_policy(settings: Settings) -> str:
    """Return the Content-Security-Policy of the page.

    The access token lies in localStorage, where any script of the page finds it: no script but the build's own may
    run. Styles are written inline by the build's libraries.
    """
    elsewhere = "".join(f" {origin}" for origin in dict.fromkeys(_plain_origins(settings)))
    return (
        "default-src 'self'; style-src 'self' 'unsafe-inline' https://fonts.googleapis.com; "
        "font-src 'self' data: https://fonts.gstatic.com; img-src * data: blob:; "
        f"connect-src 'self' https:{elsewhere}; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    )


def _plain_origins(settings: Settings) -> Iterator[str]:
    """Yield the hosts that the build calls without TLS."""
    for value in settings.build_values.values():
        parts = urlsplit(value)
        if parts.scheme == "http" and parts.netloc:
            yield f"http://{parts.netloc}"
