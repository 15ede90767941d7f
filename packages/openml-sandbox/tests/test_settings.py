"""Keys and roles, and that keys are kept nowhere."""

import logging
from pathlib import Path

import pytest

from openml_sandbox.settings import SandboxSettings, parse_keys
from sandbox_server import ADMIN, OTHER, READER, WRITER, Serve, describe


def test_keys_when_well_formed_then_roles_come_in_order() -> None:
    assert parse_keys(f"{ADMIN.upper()}=admin, {WRITER}=writer,{READER}=read-only") == {
        ADMIN: "admin",
        WRITER: "writer",
        READER: "read-only",
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "entry 1: expected key=role"),
        (WRITER, "entry 1: expected key=role"),
        (f"{WRITER}=writer,", "entry 2: expected key=role"),
        ("short=writer", "entry 1: an API key has 32 hexadecimal digits"),
        (f"{WRITER}=boss", "entry 1: the role must be one of admin, writer, read-only"),
        (f"{WRITER}=writer,{WRITER}=admin", "entry 2: this key was given before"),
    ],
)
def test_keys_when_malformed_then_the_entry_is_named_and_no_key_shown(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_keys(text)

    assert WRITER not in str(caught.value)


def test_settings_when_printed_then_keys_are_hidden(tmp_path: Path) -> None:
    assert WRITER not in repr(SandboxSettings(data_dir=tmp_path, keys={WRITER: "writer"}))


def test_users_when_keys_are_given_then_they_are_numbered_in_their_order(
    serve: Serve, tmp_path: Path
) -> None:
    with serve(tmp_path) as server:
        dataset_id = server.publish(describe(default_target_attribute="class"), key=OTHER)
        with server.client() as client:
            listed = client.get("/api/v1/xml/data/list/status/all").text

    assert f"<oml:did>{dataset_id}</oml:did>" in listed
    assert "<oml:uploader>3</oml:uploader>" in listed


def test_users_when_no_keys_are_given_then_each_well_formed_key_is_a_writer(
    serve: Serve, tmp_path: Path
) -> None:
    with serve(tmp_path, keys=None) as server:
        ids = [server.publish(key=key) for key in ("e" * 32, "f" * 32, "E" * 32)]
        with server.client() as client:
            assert client.get("/api/v1/data/1?api_key=normaluser").status_code == 412
            listed = client.get("/api/v1/xml/data/list/status/all").text
            # The first key's owner may deactivate the dataset that was sent with the key in upper case.
            form = {"data_id": str(ids[2]), "status": "deactivated", "api_key": "e" * 32}
            assert client.post("/api/v1/data/status/update", data=form).status_code == 200
            assert (
                client.post("/api/v1/data/status/update", data=form | {"status": "active"}).status_code == 412
            )

    assert [part.partition("<")[0] for part in listed.split("<oml:uploader>")[1:]] == ["1", "2", "1"]


def test_users_when_restarted_then_they_keep_their_numbers(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path, keys=None) as server:
        server.publish(key="e" * 32)
        server.publish(key="f" * 32)
    with serve(tmp_path, keys=None) as server:
        server.publish(key="f" * 32)
        with server.client() as client:
            listed = client.get("/api/v1/xml/data/list/status/all").text

    assert [part.partition("<")[0] for part in listed.split("<oml:uploader>")[1:]] == ["1", "2", "2"]


def test_keys_when_used_then_neither_disk_nor_log_has_them(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = "0123456789abcdef" * 2
    with caplog.at_level(logging.DEBUG), serve(tmp_path, keys=None) as server:
        server.publish(key=key)
        server.get(f"data/1?api_key={key}")
        server.wait_until_processed(1)

    assert key not in "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("app.")
    )
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes()
