"""What a server of Sentry's protocol gets of a fault, and what it does not."""

import gzip
import json
import subprocess
import sys

import brotli
import pytest

from tests.conftest import PATIENCE_SECONDS, wait_until_up
from tests.service import Service, wait_for
from tests.telemetry.receiver import Receiver

UNPACK = {"gzip": gzip.decompress, "br": brotli.decompress}
SECRETS = ["in-the-path", "in-the-query", "in-a-header", "in-a-cookie", "in-the-body", "ada@example.org"]
BROKEN = """
import structlog
from starlette.routing import Route

from app.core.logging import configure_logging
from app.core.serving import listening, run
from app.core.setting_loading import load_settings
from app.main import create_app

async def broken(request):
    everything = f"{request.url} {dict(request.headers)} {await request.body()}"
    try:
        int(everything)
    except ValueError as error:
        structlog.get_logger("app.broken").exception("it is broken", everything=everything)
        raise RuntimeError(everything) from error

settings = load_settings()
configure_logging(settings, "web")
application = create_app(settings)
application.router.routes.insert(0, Route("/broken/{word}", broken, methods=["POST"]))
with listening(settings.host, settings.port, port_setting="PORT") as listener:
    run(application, listener)
"""


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_fault_when_its_request_is_full_of_secrets_then_none_of_them_is_told(
    service: Service, receiver: Receiver
) -> None:
    dsn = f"http://key@127.0.0.1:{receiver.port}/7"
    process = subprocess.Popen(
        [sys.executable, "-c", BROKEN],
        env={**service.environment, "PORT": str(service.port), "SENTRY_DSN": dsn},
        start_new_session=True,
    )
    service.started.append(process)
    wait_until_up(f"{service.url}/health/live", process)
    answer = service.ask(
        "POST",
        f"/broken/{SECRETS[0]}?token={SECRETS[1]}",
        headers={"Authorization": f"Bearer {SECRETS[2]}", "Cookie": f"session={SECRETS[3]}"},
        json={"password": SECRETS[4], "email": SECRETS[5]},
    )
    wait_for(lambda: len(receiver.requests) > 1)
    process.terminate()
    process.wait(PATIENCE_SECONDS)

    assert answer.status_code == 500
    assert [told.path for told in receiver.requests] == ["/api/7/envelope/"] * 2
    bodies = [UNPACK[told.headers["content-encoding"]](told.body).decode() for told in receiver.requests]
    logged, raised = (json.loads(body.splitlines()[2]) for body in bodies)
    assert logged["tags"] == {"event": "it is broken", "request_id": answer.headers["X-Request-ID"]}
    assert raised["tags"] == {"request_id": answer.headers["X-Request-ID"]}
    assert [error["type"] for error in raised["exception"]["values"]] == ["ValueError", "RuntimeError"]
    assert raised["exception"]["values"][-1]["stacktrace"]["frames"][-1]["function"] == "broken"
    everything = " ".join([*bodies, *(str(told.headers) for told in receiver.requests)])
    assert [secret for secret in SECRETS if secret in everything] == []
