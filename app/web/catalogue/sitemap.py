"""The lists of pages for search engines (https://www.sitemaps.org/)."""

import re
from typing import Final
from xml.sax.saxutils import escape

from fastapi import APIRouter, Response

from app.core.bodies import BoundedRoute
from app.core.errors import NotFoundError, NotReadyError
from app.index.catalogue import LISTED
from app.index.engine import IndexUnavailableError
from app.web.catalogue.routes import CatalogueDep
from app.web.catalogue.service import Catalogue

router = APIRouter(include_in_schema=False, route_class=BoundedRoute)
NAMESPACE: Final = "http://www.sitemaps.org/schemas/sitemap/0.9"
LETTERS: Final = {"data": "d", "task": "t", "study": "s"}
"""How the addresses of each kind begin. Profiles of people are found by those who look for them here."""
MOST_LISTS: Final = 1000
RETRY_SECONDS: Final = 60
FILLING: Final = "The index of what is published cannot be asked at the moment; it may be being made"


@router.get("/sitemap.xml")
async def list_of_sitemaps(catalogue: CatalogueDep) -> Response:
    """Name the lists."""
    found = _required(catalogue)
    try:
        counts = await found.index.counts()
    except IndexUnavailableError:
        raise NotReadyError(FILLING, retry_after_seconds=RETRY_SECONDS) from None
    lists = [
        f"<sitemap><loc>{escape(found.settings.site_url)}/sitemap-{kind}-{number}.xml</loc></sitemap>"
        for kind in LETTERS
        for number in range(1, min(MOST_LISTS, -(-counts[kind] // LISTED)) + 1)
    ]
    return _xml("sitemapindex", lists)


@router.get("/sitemap-{kind}-{number}.xml")
async def sitemap(kind: str, number: str, catalogue: CatalogueDep) -> Response:
    """List pages of one kind."""
    found = _required(catalogue)
    if kind not in LETTERS or not re.fullmatch(r"[1-9][0-9]{0,3}", number):
        raise NotFoundError
    try:
        rows = await found.index.numbers(kind, int(number), asker=found.asker)
    except IndexUnavailableError:
        raise NotReadyError(FILLING, retry_after_seconds=RETRY_SECONDS) from None
    if not rows:
        raise NotFoundError
    root = f"{escape(found.settings.site_url)}/{LETTERS[kind]}/"
    return _xml("urlset", [f"<url><loc>{root}{item}</loc>{_changed(date)}</url>" for item, date in rows])


def _required(catalogue: Catalogue | None) -> Catalogue:
    if catalogue is None or catalogue.settings.redirect_url:
        raise NotFoundError
    return catalogue


def _changed(date: str) -> str:
    day = date[:10]
    return f"<lastmod>{day}</lastmod>" if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day) else ""


def _xml(element: str, lines: list[str]) -> Response:
    body = "\n".join(lines)
    return Response(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{element} xmlns="{NAMESPACE}">\n{body}\n</{element}>\n',
        media_type="application/xml",
        headers={"Cache-Control": "public, max-age=3600"},
    )
