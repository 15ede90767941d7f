"""Clients that offer HTTP/2 of their own accord."""

import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.conftest import IN_CI, NO_CERTIFICATES, PATIENCE_SECONDS
from tests.service import Site

LOGIN = '{"email": 5, "password": "x"}'
CSV = "place,level\n" + "".join(f"p{row},{row}.5\n" for row in range(12))
HERE = Path(__file__).parent


def _metadata(name: str) -> str:
    return json.dumps({"dataset_name": name, "description": "Levels.", "creator": "Ada", "licence": "CC0"})


def _curl(*arguments: str) -> tuple[int, dict[str, object]]:
    if shutil.which("curl") is None:
        (pytest.fail if IN_CI else pytest.skip)("curl is not installed")
    command = ["curl", "--silent", "--show-error", "--http2", "--write-out", "\n%{http_code}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


@pytest.mark.parametrize("extra", [[], ["--header", "Transfer-Encoding: chunked"]], ids=["length", "chunks"])
def test_curl_when_asked_for_http2_then_its_body_arrives(site: Site, extra: list[str]) -> None:
    status, answer = _curl("--json", LOGIN, *extra, f"{site.url}/login")

    assert status == 422
    assert [error["field"] for error in answer["errors"]] == ["email"]  # type: ignore[attr-defined]  # JSON


@pytest.mark.parametrize("rows", [12, 200_000], ids=["small", "with 100 Continue"])
def test_curl_when_asked_for_http2_then_it_uploads(site: Site, tmp_path: Path, rows: int) -> None:
    table = tmp_path / "levels.csv"
    table.write_text("place,level\n" + "".join(f"p{row % 50},{row}.5\n" for row in range(rows)))

    status, answer = _curl(
        *("--header", f"X-API-Key: {site.api_key}", "--form", f"metadata={_metadata(f'by-curl-{rows}')}"),
        *("--form", f"dataset=@{table}", f"{site.url}/data-upload"),
    )

    assert (status, answer["msg"]) == (200, "dataset uploaded")


@pytest.mark.long
def test_java_when_its_client_is_as_by_default_then_it_logs_in_and_uploads(
    site: Site, tmp_path: Path
) -> None:
    # Left out where there is no Java, in CI too: nobody who works on the service needs it.
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    form = httpx.Request(
        "POST",
        site.url,
        headers={"Content-Type": "multipart/form-data; boundary=XyZ"},
        files={"metadata": (None, _metadata("by-java")), "dataset": ("levels.csv", CSV)},
    )
    (tmp_path / "form").write_bytes(form.read())

    done = subprocess.run(
        ["java", str(HERE / "Client.java"), site.url, site.api_key, str(tmp_path / "form")],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    answers = [line.partition(" ") for line in done.stdout.splitlines()]
    assert [status for status, _, _ in answers] == ["422", "422", "200", "422"]
    assert json.loads(answers[2][2])["msg"] == "dataset uploaded"
    for number in (0, 1, 3):
        assert [error["field"] for error in json.loads(answers[number][2])["errors"]] == ["email"]
    found = httpx.get(f"{site.url}/health/live", verify=NO_CERTIFICATES, headers={"Upgrade": "h2c"})
    assert found.http_version == "HTTP/1.1"
