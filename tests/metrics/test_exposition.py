"""What is answered at METRICS_LISTEN, by an application with real parts."""

import asyncio
import secrets
import socket
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.core.settings import Settings
from app.metrics import scraping
from app.metrics.sampling import LOOK_SECONDS
from tests.conftest import Person, Running, eventually, find_free_port, insert_person, running, serving
from tests.metrics.promtool import needed
from tests.uploads.test_data_upload import form, row

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
async def measured(settings: Settings) -> AsyncIterator[Running]:
    address = f"127.0.0.1:{find_free_port()}"
    async with running(settings.model_copy(update={"metrics_listen": address})) as app:
        yield app


async def scrape(app: Running) -> Series:
    await asyncio.sleep(LOOK_SECONDS + 0.1)  # Requests are counted together.
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://{app.resources.settings.metrics_listen}/metrics"

        async def answered() -> str | None:
            try:
                answer = await client.get(url)
            except httpx.ConnectError:
                return None
            assert answer.status_code == 200
            return answer.text

        text = await eventually(answered)
    return {
        (sample.name.removeprefix("openml_web_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(series: Series, name: str, **labels: str) -> float:
    return series.get((name, frozenset(labels.items())), 0)


async def test_metrics_when_an_upload_was_published_then_they_tell_the_whole_way(
    measured: Running, password_hash: str
) -> None:
    person: Person = await insert_person(measured, password_hash)
    credentials = {"email": person.email, "password": person.password}
    assert (await measured.client.post("/login", json=credentials)).is_success
    await measured.client.post("/login", json={**credentials, "password": "x"})
    (await measured.client.post("/data-upload", files=form(), headers=person.headers)).raise_for_status()

    async def is_active() -> bool | None:
        return (await row(measured))["state"] == "active" or None

    await eventually(is_active)
    found = await scrape(measured)

    assert value(found, "http_requests_total", method="POST", route="/data-upload", status="200") == 1
    assert value(found, "http_request_duration_seconds_count", method="POST", route="/login") == 2
    assert value(found, "http_request_body_bytes_total", route="/data-upload") > 100
    assert value(found, "http_response_body_bytes_total", route="/data-upload") > 10
    assert value(found, "logins_total", outcome="ok") == value(found, "logins_total", outcome="wrong") == 1
    assert value(found, "upload_steps_total", state="receiving") == 1
    assert value(found, "upload_steps_total", state="active") == 1
    assert value(found, "conversion_duration_seconds_count", task="convert", outcome="done") == 1
    assert value(found, "child_peak_memory_bytes_count", task="convert") == 1
    assert value(found, "openml_requests_total", endpoint="data", status="200", code="") >= 2
    assert value(found, "openml_sent_bytes_total") > 100
    assert value(found, "uploads", state="active") == value(found, "queue_rows", queue="uploads") == 0
    assert value(found, "scrape_database_up") == value(found, "processes", kind="web") == 1
    assert value(found, "disk_free_bytes") > 0


async def test_metrics_when_thousands_of_paths_are_tried_then_no_series_more(measured: Running) -> None:
    await measured.client.get("/nothing/of/ours")
    before = await scrape(measured)

    for _ in range(200):
        await measured.client.request(secrets.choice(["GET", "BREW"]), f"/x/{secrets.token_hex(8)}")
        await measured.client.get(f"/uploads/{secrets.token_hex(8)}")

    after = await scrape(measured)
    assert (
        value(after, "http_requests_total", method="GET", route="/uploads/{upload_id}", status="401") == 200
    )
    new = {dict(labels).get("route") for _, labels in after.keys() - before.keys()}
    assert new <= {"other", "/uploads/{upload_id}", None}
    assert not any("/x/" in str(labels) for _, labels in after)


async def test_metrics_when_openmetrics_is_asked_for_then_answered_so(measured: Running) -> None:
    await scrape(measured)
    url = f"http://{measured.resources.settings.metrics_listen}"
    async with httpx.AsyncClient(trust_env=False) as client:
        asked = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
        answer = await client.get(f"{url}/metrics", headers={"Accept": asked})
        assert (await client.get(f"{url}/x")).status_code == 404
        assert (await client.post(f"{url}/metrics")).status_code == 405

    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


async def test_promtool_when_shown_what_is_answered_then_it_has_nothing_to_say(measured: Running) -> None:
    await scrape(measured)
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"http://{measured.resources.settings.metrics_listen}/metrics")).content
    process = await asyncio.create_subprocess_exec(
        *(needed("promtool"), "check", "metrics"), stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )

    assert (await process.communicate(text))[0].decode() == ""
    assert process.returncode == 0


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_metrics_when_neither_loop_nor_database_answers_then_what_was_counted_is_answered(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scraping, "WAIT_SECONDS", 0.4)
    url = f"http://127.0.0.1:{(port := find_free_port())}/metrics"
    async with serving(settings.model_copy(update={"metrics_listen": f"127.0.0.1:{port}"})) as app:
        await app.client.get("/limits")
        await scrape(app)
        with ThreadPoolExecutor(1) as threads:
            monkeypatch.setattr(scraping, "KEEP_SECONDS", 0)
            answer = threads.submit(httpx.get, url, trust_env=False)
            # Stands still, as with a library that waits for a database that is gone.
            assert answer.result(3).is_success
    assert "openml_web_scrape_database_up 0.0" in answer.result().text
    assert 'http_requests_total{method="GET",route="/limits",status="200"} 1.0' in answer.result().text
    assert "openml_web_queue_rows" not in answer.result().text


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_metrics_when_another_program_has_the_address_then_the_service_works_and_takes_it_later(
    settings: Settings,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        async with running(settings.model_copy(update={"metrics_listen": address})) as app:
            assert (await app.client.get("/limits")).is_success
            other.close()
            assert value(await scrape(app), "processes", kind="web") == 1
