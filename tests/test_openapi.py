"""Schemathesis asks everything that the API page describes, and much that it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.core.limits import LIMITS
from tests.service import Service
from tests.timings import short_timings

UNLIMITED = ",".join(f"{name}=1000000/hour" for name in LIMITS)
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance"
)
ENDS_THE_SESSION = ["/logout", "/delete", "/sessions", "/sessions/{session_id}", "/admin/read-only"]
"""Tried without a token only, else the rest would be asked by nobody, or nothing would be changed."""
REFUSED = [
    "/reauthenticate",
    *(f"/admin/users/{{user_id}}/{deed}" for deed in ("confirm", "open", "close", "end-sessions", "mail")),
]
"""Tried without a token only: the password is another one, and the only user is an administrator."""


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
@pytest.mark.timeout(300)
def test_openapi_when_everything_is_asked_then_no_500_and_nothing_undeclared(
    service: Service, tmp_path: Path
) -> None:
    service.start(RATE_LIMITS=UNLIMITED, TIMINGS=short_timings(upload_wait_seconds=2))
    authorization = service.sign_up_and_log_in()["Authorization"]
    subprocess.run(
        [sys.executable, "-m", "app.cli", "user", "administrator", "1"], env=service.environment, check=True
    )

    def ask(*arguments: str) -> None:
        command = [str(Path(sys.executable).with_name("st")), "run", f"{service.url}/openapi.json"]
        done = subprocess.run(
            [*command, f"--checks={CHECKS}", "--seed=1", "--no-color", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:]
        assert "Tested: 0" not in done.stdout
        assert "-H" not in arguments or "Authentication failed" not in done.stdout

    excluded = [f"--exclude-path={path}" for path in [*ENDS_THE_SESSION, *REFUSED]]
    ask("--max-examples=4", "-H", f"Authorization: {authorization}", *excluded)
    ask("--max-examples=2", "--phases=examples,fuzzing")
