"""Addresses where nothing is, and those that programs look for."""

import re
from datetime import datetime, timedelta

import pytest
from pydantic import ValidationError

from app.core.clock import utc_now
from app.core.settings import Settings
from tests.conftest import Running, running

BROWSERS = [
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "text/html, application/json",
    "TEXT/HTML",
]
PROGRAMS = ["application/json", "application/problem+json", "application/ld+json, application/json;q=0.9"]
NOTHING_HERE = ["/nowhere", "/uploadz/1", "/data-uplaod", "/auth/nowhere", "/api-keys", "/../x", "/%00"]


@pytest.fixture
def without_build(site_settings: Settings) -> Settings:
    return site_settings.model_copy(update={"spa_dir": ""})


async def test_unknown_address_when_there_is_no_build_then_a_page_for_browsers_and_a_problem_for_programs(
    without_build: Settings,
) -> None:
    async with running(without_build) as site:
        for path in NOTHING_HERE:
            for accept in BROWSERS:
                page = await site.client.get(path, headers={"Accept": accept})
                assert page.status_code == 404, path
                assert page.headers["content-type"].startswith("text/html")
                assert "There is nothing here" in page.text
            for accept in [*PROGRAMS, "*/*", "text/plain", ""]:
                problem = await site.client.get(path, headers={"Accept": accept})
                assert problem.status_code == 404, path
                assert problem.headers["content-type"] == "application/problem+json"


async def test_unknown_address_when_there_is_a_build_then_its_page_but_for_who_asks_for_json(
    site: Running,
) -> None:
    for path in NOTHING_HERE:
        for accept in [*BROWSERS, "*/*"]:
            page = await site.client.get(path, headers={"Accept": accept})
            assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8"), path
        for accept in PROGRAMS:
            problem = await site.client.get(path, headers={"Accept": accept})
            assert problem.status_code == 404, path
            assert problem.headers["content-type"] == "application/problem+json"


async def test_short_links_when_there_is_no_build_then_to_the_server_that_has_the_pages(
    without_build: Settings,
) -> None:
    sandbox = without_build.model_copy(update={"openml_server": ""})
    elsewhere = without_build.model_copy(update={"redirect_url": "https://www.example.org"})
    async with running(sandbox) as site:
        found = await site.client.get("/search?type=data")
        assert found.headers["location"] == site.resources.settings.openml_url, "its list is its first page"
    async with running(elsewhere) as site:
        found = await site.client.get("/d/61")
        assert found.headers["location"] == "https://www.example.org/search?type=data&sort=runs&id=61"


async def test_robots_when_there_is_no_build_then_what_is_nobodys_page_is_left_out(
    without_build: Settings,
) -> None:
    async with running(without_build) as site:
        answer = await site.client.get("/robots.txt")

    assert answer.headers["content-type"].startswith("text/plain")
    assert {"Disallow: /uploads", "Disallow: /es/", "Disallow: /data/"} <= set(answer.text.splitlines())
    assert "Disallow: /\n" not in answer.text


async def test_security_contact_when_set_then_told_with_an_end_and_404_when_not(
    without_build: Settings,
) -> None:
    told = without_build.model_copy(update={"security_contact": "mailto:security@example.org"})
    async with running(without_build) as site:
        assert (await site.client.get("/.well-known/security.txt")).status_code == 404
    async with running(told) as site:
        answer = await site.client.get("/.well-known/security.txt")

    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert fields["Contact"] == "mailto:security@example.org"
    assert fields["Canonical"].endswith("/.well-known/security.txt")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", fields["Expires"])
    assert timedelta(days=30) < datetime.fromisoformat(fields["Expires"]) - utc_now() < timedelta(days=365)


@pytest.mark.parametrize("contact", ["security@example.org", "http://example.org", "mailto:a\nExpires: x"])
def test_security_contact_when_it_is_no_address_then_refused_at_start(contact: str) -> None:
    with pytest.raises(ValidationError, match="security_contact"):
        Settings(_env_file=None, security_contact=contact)


async def test_change_password_when_a_password_manager_asks_then_the_page(without_build: Settings) -> None:
    async with running(without_build) as site:
        answer = await site.client.get("/.well-known/change-password")
        assert (answer.status_code, answer.headers["location"]) == (302, "/auth/reset-password")
        assert (await site.client.get(answer.headers["location"])).status_code == 200
