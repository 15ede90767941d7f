"""What `openml-web doctor` says of a service that runs beside it, and of an installation that lacks something."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.types import Receive, Scope, Send

from app.core import isolation
from app.core.settings import Settings
from app.doctor.diagnosis import Found, Installation, Level, Wishes, examine, ok
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


@pytest.mark.parametrize(
    ("listen", "is_open"),
    [
        ("0.0.0.0:9464", True),
        ("[::]:9464", True),
        ("8.8.8.8:9464", True),
        ("127.0.0.1:9464", False),
        ("10.1.2.3:9464", False),
    ],
)
async def test_metrics_when_strangers_may_reach_them_then_warned(
    diagnose: Diagnose, listen: str, *, is_open: bool
) -> None:
    warned = told(await diagnose("ports", metrics_listen=listen), Level.WARNING)

    assert ("answers whoever reaches this machine, without a password" in warned) is is_open


async def test_children_when_the_kernel_isolates_them_by_less_then_warned_by_what(
    diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "available", lambda: ("no new privileges",))

    warned = told(await diagnose("children"), Level.WARNING)

    assert "has no seccomp and no Landlock. Let the container use them" in warned


async def test_secrets_when_they_are_parts_of_settings_then_each_is_hidden_wherever_it_is_repeated() -> None:
    parts = [f"{number}-known-to-nobody-and-of-thirty-two-bytes" for number in range(6)]
    providers = {
        "campus": {"name": "C", "issuer": "https://id.example", "client_id": "us", "client_secret": parts[0]}
    }
    settings = Settings(
        _env_file=None,
        sign_in_providers=json.dumps(providers),
        accepted_secret_keys=f"{parts[1]},{parts[2]}",
        otel_exporter_otlp_headers=f"x-key={parts[3]}, other={parts[4]}",
        redis_url=f"redis://:{parts[5]}@127.0.0.1/0",
    )

    async def repeat(_: Installation) -> Found:
        for part in parts:
            yield ok(f"it said {part}.")

    found = await examine({"a": repeat}, Installation(settings, Wishes(), None))

    assert {each.text for each in found} == {"it said …."}


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
