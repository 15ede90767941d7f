"""What goes out, through a real forward proxy and to servers whose certificates only the settings make believed."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from aiosmtpd.controller import Controller
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from app.core.settings import Settings, SettingsError
from app.mail.transport import DeliveryError, SmtpTransport
from tests.conftest import Running, find_free_port, insert_person, running
from tests.forward_proxy import ForwardProxy, Place, forward_proxy, tls_before
from tests.s3_server import S3Server
from tests.servers import serving
from tests.service import Service
from tests.uploads.test_data_upload import form

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
HOST = "openml.example"
"""Which nobody but the proxy can find."""


def place_of(url: str) -> Place:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 80)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "own authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def certified(authority: trustme.CA, host: str = HOST) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host).configure_cert(context)
    return context


def changed(settings: Settings, changes: dict[str, Any]) -> Settings:
    """Return the settings but for these, among which may be the proxies of the environment."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return Settings(_env_file=None, **given | changes)


@pytest.fixture
async def proxy(sandbox_url: str, authority: trustme.CA) -> AsyncIterator[ForwardProxy]:
    """A proxy that knows the sandbox as an OpenML server with TLS, and without."""
    async with tls_before(place_of(sandbox_url), certified(authority)) as secure:
        hosts = {f"{HOST}:443": secure, f"{HOST}:80": place_of(sandbox_url)}
        async with forward_proxy(hosts=hosts) as found:
            yield found


async def publish(app: Running, password_hash: str, name: str = "proxied") -> Any:
    person = await insert_person(app, password_hash)
    files = form(dataset_name=name)
    return await app.client.post("/data-upload", files=files, headers=person.headers, timeout=60)


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_upload_when_openml_is_behind_a_proxy_then_published_through_it(
    settings: Settings, proxy: ForwardProxy, password_hash: str, ca_file: str, scheme: str
) -> None:
    changes = {
        "openml_server": f"{scheme}://{HOST}/",
        "outgoing_proxy": SecretStr(proxy.url),
        "outgoing_ca_file": ca_file,
    }
    async with running(settings.model_copy(update=changes)) as app:
        answer = await publish(app, password_hash)

    assert answer.status_code == 200, answer.text
    assert answer.json()["id"]
    method, port = {"https": ("CONNECT", 443), "http": ("POST", 80)}[scheme]
    assert (method, f"{HOST}:{port}") in proxy.asked
    assert {place for _, place in proxy.asked} == {f"{HOST}:{port}"}


async def test_upload_when_the_proxy_is_the_environments_and_the_server_this_machine_then_direct(
    settings: Settings, proxy: ForwardProxy, password_hash: str, sandbox_url: str
) -> None:
    changes = {
        "openml_server": sandbox_url.replace("127.0.0.1", "localhost"),
        "https_proxy": proxy.url,
        "http_proxy": proxy.url,
    }
    async with running(changed(settings, changes)) as app:
        answer = await publish(app, password_hash)

    assert answer.status_code == 200, answer.text
    assert proxy.asked == []


async def test_upload_when_the_certificates_authority_is_unknown_then_not_sent_and_the_log_says_what_to_set(
    settings: Settings, proxy: ForwardProxy, password_hash: str
) -> None:
    changes = {"openml_server": f"https://{HOST}/", "outgoing_proxy": SecretStr(proxy.url)}
    async with running(settings.model_copy(update=changes)) as app:
        with capture_logs() as logs:
            person = await insert_person(app, password_hash)
            answer = await app.client.get("/api/v1/json/data/61", headers=person.headers)

    assert answer.status_code in {502, 503}
    (said,) = [line for line in logs if line["event"] == "a server cannot be reached"]
    assert "CERTIFICATE_VERIFY_FAILED" in said["reason"]
    assert said["reason"].endswith("name the authority's file in OUTGOING_CA_FILE")


SECRET = "hunter%2D2 of the office".replace(" ", "%20")


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize(
    ("given", "refuses", "says"),
    [
        ("", "", "it wants a name and a password: write them into OUTGOING_PROXY"),
        (f"ada:{SECRET}x@", "", "it does not take the name and password in OUTGOING_PROXY"),
        (f"ada:{SECRET}@", "", ""),
        (f"ada:{SECRET}@", "403 Forbidden", "the proxy answers: 403 Forbidden"),
    ],
)
async def test_proxy_when_it_wants_a_password_or_refuses_then_said_so_without_the_password(
    settings: Settings,
    proxy: ForwardProxy,
    password_hash: str,
    ca_file: str,
    *,
    scheme: str,
    given: str,
    refuses: str,
    says: str,
) -> None:
    if refuses and scheme == "http":
        pytest.skip("without a tunnel the proxy's answer cannot be told from the server's")
    proxy.login = "ada:hunter-2 of the office"
    proxy.refuses = refuses
    changes = {
        "openml_server": f"{scheme}://{HOST}/",
        "outgoing_proxy": SecretStr(f"http://{given}127.0.0.1:{proxy.port}"),
        "outgoing_ca_file": ca_file,
    }
    async with running(settings.model_copy(update=changes)) as app:
        with capture_logs() as logs:
            person = await insert_person(app, password_hash)
            read = await app.client.get("/api/v1/json/estimationprocedure/list", headers=person.headers)
            asked = await app.client.get("/data-edit?url=?id=1", headers=person.headers)

    reasons = {line["reason"] for line in logs if line["event"] == "a server cannot be reached"}
    assert "hunter" not in f"{logs}{read.text}{asked.text}"
    if says:
        assert any(says in reason for reason in reasons), logs
        assert read.status_code >= 502
        assert asked.json()["type"].endswith("/openml-unreachable")
    else:
        assert read.status_code == 200
        assert not reasons


async def _echo(request: Request) -> Response:
    await request.body()
    return PlainTextResponse(f"{request.method} {request.headers['host']}")


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ("openml_server", "/api/v1/json/data/61"),
        ("openml_server", "/data/v1/download/1/x.arff"),
        ("croissant_server", "/croissant/dataset/61"),
        ("dashboard_server", "/dashboard/data/61"),
        ("elasticsearch_server", "/es/data/data/61"),
    ],
)
async def test_server_when_it_is_behind_a_proxy_then_asked_through_it(
    settings: Settings, setting: str, path: str
) -> None:
    echo = Starlette(routes=[Route("/{path:path}", _echo, methods=["GET", "POST"])])
    async with AsyncExitStack() as stack:
        behind = place_of(await stack.enter_async_context(serving(echo)))
        proxy = await stack.enter_async_context(forward_proxy(hosts={"inside.example:8080": behind}))
        changes = {setting: "http://inside.example:8080/", "http_proxy": proxy.url}
        app = await stack.enter_async_context(running(changed(settings, changes)))
        await app.client.get(path)

    assert proxy.asked
    assert {place for _, place in proxy.asked} == {"inside.example:8080"}


@asynccontextmanager
async def store_behind(
    server: S3Server, authority: trustme.CA, bucket: str
) -> AsyncIterator[tuple[ForwardProxy, dict[str, Any]]]:
    """Yield a proxy that knows the store as one with TLS, and the settings for it."""
    async with (
        tls_before(("127.0.0.1", server.port), certified(authority, "store.example")) as secure,
        forward_proxy(hosts={"store.example:443": secure}) as proxy,
    ):
        given: dict[str, Any] = dict(server.settings(f"tests/{bucket}", "https://store.example"))
        yield proxy, {**given, "storage_allow_http": False}


async def test_store_when_behind_a_proxy_with_an_authority_of_our_own_then_uploads_go_through_it(
    settings: Settings, s3_server: S3Server, authority: trustme.CA, ca_file: str, password_hash: str
) -> None:
    async with store_behind(s3_server, authority, "proxied") as (proxy, given):
        changes = Settings(
            _env_file=None,
            data_dir=settings.data_dir,
            outgoing_proxy=SecretStr(proxy.url),
            outgoing_ca_file=ca_file,
            **given,
        )
        names = [*given, "outgoing_proxy", "outgoing_ca_file"]
        update = {name: getattr(changes, name) for name in names}
        async with running(settings.model_copy(update=update)) as app:
            answer = await publish(app, password_hash, "stored-elsewhere")
        asked = set(proxy.asked)

        unknown = settings.model_copy(update={**update, "outgoing_ca_file": ""})
        with pytest.raises(SettingsError, match="does not answer as a store does"):
            async with running(unknown):
                pass

    assert answer.status_code == 200, answer.text
    assert asked == {("CONNECT", "store.example:443")}


async def test_store_when_on_this_machine_then_the_environments_proxy_is_not_asked(
    settings: Settings, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    given: dict[str, Any] = dict(s3)
    store = Settings(_env_file=None, data_dir=settings.data_dir, **given)
    update = {name: getattr(store, name) for name in given}

    async with running(settings.model_copy(update=update)) as app:
        await asyncio.wait_for(app.resources.storage.check(), 20)


@pytest.mark.parametrize(
    ("login", "given", "says"),
    [
        ("", "", ""),
        ("ada:hunter-2", "ada:hunter%2D2@", ""),
        ("ada:hunter-2", "", "it wants a name and a password"),
        ("ada:hunter-2", "ada:hunter-3@", "it does not take the name and password"),
    ],
)
async def test_mail_when_its_server_is_behind_the_proxy_then_sent_through_it_with_tls(
    settings: Settings, authority: trustme.CA, ca_file: str, *, login: str, given: str, says: str
) -> None:
    taken: list[Any] = []

    class Sink:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's
            taken.append(envelope.content)
            return "250 OK"

    port = find_free_port()
    context = certified(authority, "mail.example")
    server = Controller(Sink(), hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True)
    server.start()
    try:
        async with forward_proxy(hosts={"mail.example:587": ("127.0.0.1", port)}, login=login) as proxy:
            changes = {
                "smtp_server": "mail.example",
                "smtp_use_tls": True,
                "smtp_through_proxy": True,
                "https_proxy": f"http://{given}127.0.0.1:{proxy.port}",
                "outgoing_ca_file": ca_file,
            }
            transport = SmtpTransport(changed(settings, changes))
            message = EmailMessage()
            message["From"], message["To"] = "openml@example.org", "ada@example.org"
            if says:
                with pytest.raises(DeliveryError, match=says) as refused:
                    await transport.send(message)
                assert "hunter" not in str(refused.value)
            else:
                await transport.send(message)
    finally:
        server.stop()
    assert len(taken) == (0 if says else 1)
    assert proxy.asked == [("CONNECT", "mail.example:587")]


async def test_service_when_the_environment_names_proxy_and_authority_then_it_heeds_them(
    service: Service, proxy: ForwardProxy, ca_file: str
) -> None:
    await asyncio.to_thread(
        service.start, OPENML_SERVER=f"https://{HOST}/", HTTPS_PROXY=proxy.url, SSL_CERT_FILE=ca_file
    )
    path = "/api/v1/json/estimationprocedure/list"

    answer = await asyncio.to_thread(service.ask, "GET", path)

    assert answer.status_code == 200
    assert set(proxy.asked) == {("CONNECT", f"{HOST}:443")}
