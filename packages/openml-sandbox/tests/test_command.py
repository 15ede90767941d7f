"""The command, `openml-sandbox`, as people and other programs start it."""

import os
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from sandbox_command import MODULE, running
from sandbox_server import ARFF, NO_CERTIFICATES, OTHER, PATIENCE_SECONDS, WRITER, describe

HIDDEN = b"GET /api/v1/json/evaluationmeasure/list HTTP/1.1\r\nHost: sandbox\r\n\r\n"
LAST = b"GET /api/v1/json/evaluationmeasure/list HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n\r\n"


def failing(folder: Path, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*MODULE, *options],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def publish(url: str, key: str) -> int:
    files = {"description": ("d.xml", describe()), "dataset": ("tiny.arff", ARFF)}
    answer = httpx.post(
        f"{url}/api/v1/json/data",
        data={"api_key": key},
        files=files,
        verify=NO_CERTIFICATES,
        timeout=PATIENCE_SECONDS,
    )
    return int(answer.raise_for_status().json()["upload_data_set"]["id"])


def test_command_when_started_without_options_then_its_state_and_files_are_its_own(tmp_path: Path) -> None:
    with running(tmp_path) as (url, process):
        dataset_id = publish(url, WRITER)
        described = httpx.get(f"{url}/api/v1/json/data/{dataset_id}", verify=NO_CERTIFICATES).json()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0

    assert described["data_set_description"]["url"].startswith(f"{url}/data/v1/download/")
    assert [path.name for path in tmp_path.iterdir()] == ["openml-sandbox-data"]


def test_a_file_when_larger_than_the_command_says_then_refused_with_the_number_of_openml(
    tmp_path: Path,
) -> None:
    with running(tmp_path, "--upload-max-bytes=10000") as (url, _):
        publish(url, WRITER)
        files = {"description": ("d.xml", describe()), "dataset": ("tiny.arff", ARFF + b"% more\n" * 1500)}
        answer = httpx.post(
            f"{url}/api/v1/json/data",
            data={"api_key": WRITER},
            files=files,
            verify=NO_CERTIFICATES,
            timeout=PATIENCE_SECONDS,
        )

    assert (answer.status_code, answer.json()["error"]["code"]) == (412, "130")


def test_command_when_its_standard_input_ends_then_it_does(tmp_path: Path) -> None:
    with running(tmp_path, "--stop-with-stdin") as (_, process):
        assert process.stdin is not None
        process.stdin.close()

        assert process.wait(PATIENCE_SECONDS) in {0, -signal.SIGTERM}


def test_request_when_hidden_in_the_body_of_one_with_an_upgrade_then_never_executed(tmp_path: Path) -> None:
    head = (
        b"POST /api/v1/json/data HTTP/1.1\r\nHost: sandbox\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
        b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN)
    )
    with running(tmp_path) as (url, _):
        address = ("127.0.0.1", urlsplit(url).port or 0)
        with socket.create_connection(address, timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(head + HIDDEN + LAST)
            received = b"".join(iter(lambda: connection.recv(65536), b""))

    assert received.count(b"HTTP/1.1 ") == 2
    assert received.startswith(b"HTTP/1.1 412 ")
    assert received.count(b'"evaluation_measures"') == 1


def test_accounts_when_a_function_knows_them_then_two_keys_of_one_are_one_user(tmp_path: Path) -> None:
    (tmp_path / "people.py").write_text(
        "def create():\n    async def find(key):\n        return 77\n    return find\n"
    )
    with running(tmp_path, "--accounts=people:create", PYTHONPATH=str(tmp_path)) as (url, _):
        dataset_id = publish(url, WRITER)
        answer = httpx.request(
            "DELETE",
            f"{url}/api/v1/json/data/{dataset_id}",
            params={"api_key": OTHER},
            verify=NO_CERTIFICATES,
            timeout=PATIENCE_SECONDS,
        )

    assert answer.json() == {"data_delete": {"id": str(dataset_id)}}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--accounts=nowhere:create"], "--accounts nowhere:create: No module named 'nowhere'"),
        (["--accounts=json"], "--accounts json: "),
        (["--port=99999"], "Choose others with --host and --port"),
        (["--host=a..b"], "Choose others with --host and --port"),
        (["--processing-seconds=soon"], "--processing-seconds: invalid float value"),
    ],
)
def test_command_when_an_option_is_wrong_then_a_sentence_says_which(
    tmp_path: Path, options: list[str], says: str
) -> None:
    done = failing(tmp_path, "--port=0", *options)

    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_command_when_the_port_is_taken_then_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = failing(tmp_path, f"--port={port}")

    assert done.returncode == 2
    assert done.stderr.startswith(f"Cannot listen on 127.0.0.1 port {port}: ")


def test_command_when_its_keys_are_malformed_then_a_sentence_without_the_key(tmp_path: Path) -> None:
    done = failing(tmp_path, "--port=0", SANDBOX_KEYS=f"{WRITER}=boss")

    assert done.returncode == 2
    assert "SANDBOX_KEYS: entry 1: the role must be one of" in done.stderr
    assert WRITER not in done.stderr
