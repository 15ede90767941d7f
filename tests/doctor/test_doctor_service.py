"""What `openml-web doctor` says of a service that runs beside it, and of an installation that lacks something."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.types import Receive, Scope, Send

from app.core import isolation
from app.core.settings import Settings
from app.doctor import mail
from app.doctor.diagnosis import Level
from app.doctor.examination import DATABASE
from app.main import create_app
from tests.doctor.conftest import Diagnose, told
from tests.servers import serving


async def test_ports_when_the_service_is_not_well_or_its_metrics_are_anothers_then_its_own_words(
    diagnose: Diagnose, settings: Settings, sandbox_url: str, unused_port: int
) -> None:
    alone = settings.model_copy(update={"embedded_worker": False})
    application = create_app(alone)
    async with application.router.lifespan_context(application) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await application({**scope, "state": {**(state or {})}}, receive, send)

        async with serving(with_state) as url:
            port = urlsplit(url).port
            taken = sandbox_url.removeprefix("http://").rstrip("/")
            other = told(await diagnose("ports", port=port, metrics_listen=taken), Level.FAULT)
            silent = f"127.0.0.1:{unused_port}"
            away = told(await diagnose("ports", port=port, metrics_listen=silent), Level.FAULT)

    assert f"The service on 127.0.0.1:{port} says of its worker: No worker is running" in other
    assert f"Another program listens on METRICS_LISTEN={taken}." in other
    assert f"METRICS_LISTEN={silent} does not answer (ConnectError)." in away


async def test_children_when_the_kernel_isolates_them_by_less_then_warned_by_what(
    diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "available", lambda: ("no new privileges",))

    warned = told(await diagnose("children"), Level.WARNING)

    assert "has no seccomp and no Landlock. Let the container use them" in warned


async def test_mail_when_it_goes_nowhere_then_warned(diagnose: Diagnose, settings: Settings) -> None:
    off = told(await diagnose("mail", send_email=False), Level.WARNING)
    files = told(await diagnose("mail"), Level.WARNING)

    assert "SEND_EMAIL=false: no mail is sent" in off
    assert f"SMTP_SERVER is not set: mails are files in {settings.data_dir / 'mail'}" in files


async def test_sender_when_the_name_server_is_away_then_warned(
    diagnose: Diagnose, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "DNS_SECONDS", 0.2)
    wishes = {"dns": True, "name_server": f"127.0.0.1:{unused_port}"}

    warned = told(await diagnose("sender", wishes=wishes), Level.WARNING)

    assert "The name servers do not answer for example.org" in warned


async def test_database_when_it_was_never_migrated_or_made_then_the_command_to_run(
    diagnose: Diagnose, tmp_path: Path
) -> None:
    (tmp_path / "empty.db").touch(mode=0o600)
    empty = await diagnose("layout", "migrations", database_uri=f"sqlite:///{tmp_path / 'empty.db'}")
    none = await diagnose(DATABASE, database_uri=f"sqlite:///{tmp_path / 'none.db'}")

    assert "layout: There is no table users. Run: openml-web migrate" in told(empty, Level.FAULT)
    assert "Run: openml-web migrate" in told(empty, Level.FAULT).partition("migrations: ")[2]
    assert "none.db. Run: openml-web migrate" in told(none, Level.FAULT)
    assert not (tmp_path / "none.db").exists()
