"""Faults: each makes a call fail as it was seen to fail, does the work or not as it was seen to, and then is over."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from openml_sandbox.faults import CALLS, FAULT_NAMES
from sandbox_replay import load_rows, replay
from sandbox_server import ARFF, PATIENCE_SECONDS, WRITER, Serve, Server, code_of, describe, multipart

ROWS = load_rows("observed_failures.json")

EDIT = '<oml:data_edit_parameters xmlns:oml="http://openml.org/openml"><oml:language>Dutch</oml:language></oml:data_edit_parameters>'


@pytest.fixture
def faulty(server: Server) -> Iterator[Server]:
    """The sandbox of this module, whose faults are cleared afterwards."""
    yield server
    with server.client() as client:
        client.delete("/sandbox/faults")


def upload(server: Server, name: str, description: bytes | None = None) -> httpx.Response:
    files = {"description": ("d", description or describe(name=name)), "dataset": ("t.arff", ARFF)}
    with server.client() as client:
        return client.post("/api/v1/xml/data", data={"api_key": WRITER}, files=files)


def versions(server: Server, name: str) -> int:
    answer = server.get(f"data/list/data_name/{name}/status/all")
    return len(answer.json()["data"]["dataset"]) if answer.status_code == 200 else 0


def faults_on(server: Server) -> list[dict[str, Any]]:
    with server.client() as client:
        found: list[dict[str, Any]] = client.get("/sandbox/faults").json()["faults"]
    return found


def test_calls_when_made_in_the_order_of_the_record_then_all_failures_agree(
    serve: Serve, tmp_path: Path
) -> None:
    with serve(tmp_path) as server, server.client() as client:
        ids = {"B": server.publish(describe(default_target_attribute="class"))}
        server.wait_until_processed(ids["B"])
        differences = []
        for row in ROWS:
            client.delete("/sandbox/faults")
            if row.fault:
                server.switch_on(row.fault, times=None, delay_seconds=0.3)
            start = time.perf_counter()
            differences += replay(client, row, ids)
            # Row 815: the answer waits for the index.
            assert (time.perf_counter() - start > 0.3) == (row.fault == "slow")

    assert differences == []


@pytest.mark.parametrize(
    ("fault", "status", "is_done"),
    [
        ("empty-500", 500, False),
        ("empty-500-after-write", 500, True),
        ("429", 429, False),
        ("502-html", 502, False),
        ("504-html", 504, True),
        ("database-down", 412, False),
        ("race-134", 412, False),
        ("index-junk", 200, True),
        ("two-documents", 500, True),
        ("two-documents-cut", 500, True),
        ("cut-answer", 200, True),
        ("slow", 200, True),
        ("never-active", 200, True),
        ("engine-error", 200, True),
    ],
)
def test_upload_when_it_meets_a_fault_then_the_dataset_is_there_or_not_and_the_next_is_well(
    *, faulty: Server, fault: str, status: int, is_done: bool
) -> None:
    faulty.switch_on(fault, "POST /data", delay_seconds=0.05)
    before = versions(faulty, f"met-{fault}")
    answer = upload(faulty, f"met-{fault}")

    assert answer.status_code == status
    assert versions(faulty, f"met-{fault}") == before + is_done
    assert faults_on(faulty) == []
    assert upload(faulty, f"met-{fault}").status_code == 200


def test_upload_when_it_loses_the_race_then_only_its_file_stays(faulty: Server) -> None:
    first = faulty.publish(describe(name="raced"))
    faulty.switch_on("race-134", "POST /data")
    assert code_of(upload(faulty, "raced")) == 134
    second = faulty.publish(describe(name="raced"))
    datasets = [faulty.get(f"data/{number}").json()["data_set_description"] for number in (first, second)]

    assert (second - first, [dataset["version"] for dataset in datasets]) == (1, ["1", "2"])
    assert int(datasets[1]["file_id"]) - int(datasets[0]["file_id"]) == 2


@pytest.mark.parametrize("fault", ["lost-answer", "reset-after-last-byte"])
def test_upload_when_its_answer_is_lost_then_the_dataset_is_there(faulty: Server, fault: str) -> None:
    faulty.switch_on(fault, "POST /data", times=2)

    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError if fault == "lost-answer" else httpx.ReadError):
            upload(faulty, f"met-{fault}")
    assert versions(faulty, f"met-{fault}") == 2
    assert upload(faulty, f"met-{fault}").status_code == 200


def test_answer_when_it_is_to_break_off_then_half_of_it_comes_and_the_dataset_is_there(
    faulty: Server,
) -> None:
    faulty.switch_on("broken-off", "POST /data")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        upload(faulty, "broken-off")
    faulty.switch_on("cut-answer", "POST /data")
    half = upload(faulty, "broken-off").text

    assert half.startswith("<oml:upload_data_set")
    assert "</oml:upload_data_set>" not in half
    assert versions(faulty, "broken-off") == 2


def test_connection_when_it_is_to_be_reset_then_no_farewell_comes(faulty: Server) -> None:
    body = multipart((("description", describe(), "d.xml"), ("dataset", ARFF, "t.arff")))
    head = (
        f"POST /api/v1/data?api_key={WRITER} HTTP/1.1\r\nHost: s\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=XyZ\r\n\r\n"
    )

    def end_of_connection(fault: str) -> bytes:
        faulty.switch_on(fault, "POST /data")
        with socket.create_connection(("127.0.0.1", faulty.port), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(head.encode() + body)
            return connection.recv(100)

    assert end_of_connection("lost-answer") == b""
    with pytest.raises(ConnectionResetError):
        end_of_connection("reset-after-last-byte")


def test_junk_when_the_index_refuses_then_it_stands_before_the_document(faulty: Server) -> None:
    faulty.switch_on("index-junk", "POST /data")
    text = upload(faulty, "junk").text

    assert text.count("cluster_block_exception") == 4
    assert text.index('"status":503}') < text.index("<oml:upload_data_set")
    assert text.rstrip().endswith("</oml:upload_data_set>")


def test_two_documents_when_they_come_whole_then_each_is_one_and_cut_then_neither(faulty: Server) -> None:
    faulty.switch_on("two-documents", "POST /data")
    faulty.switch_on("two-documents-cut", "POST /data")
    whole, cut = upload(faulty, "two"), upload(faulty, "two")

    assert code_of(whole) == 473
    assert whole.text.count("xmlns:oml") == 2
    dataset_id = whole.text.rpartition("<oml:id>")[2].partition("<")[0]
    assert f"id={dataset_id}; tag=repeated" in whole.text
    assert whole.text.startswith(cut.text[:60])
    assert "</oml:error>" not in cut.text
    assert "<oml:upload_data_set" not in cut.text


def test_edit_when_the_index_is_down_then_the_change_is_made_and_two_documents_come(faulty: Server) -> None:
    dataset_id = faulty.publish(describe(default_target_attribute="class"))
    faulty.switch_on("error-105-after-write", "POST /data/edit")
    with faulty.client() as client:
        form = {"api_key": WRITER, "data_id": str(dataset_id), "edit_parameters": EDIT}
        answer = client.post("/api/v1/xml/data/edit", data=form)

    assert (answer.status_code, code_of(answer)) == (412, 105)
    assert f"<oml:id>{dataset_id}</oml:id>" in answer.text
    assert faulty.get(f"data/{dataset_id}").json()["data_set_description"]["language"] == "Dutch"


def test_dataset_when_the_engine_never_comes_then_it_waits_until_the_faults_are_cleared(
    faulty: Server,
) -> None:
    faulty.switch_on("never-active", "POST /data")
    held = faulty.publish(describe(default_target_attribute="class"))
    after = faulty.publish(describe(default_target_attribute="class"))
    faulty.wait_until_processed(after)

    assert "processing_date" not in faulty.get(f"data/{held}").json()["data_set_description"]
    assert code_of(faulty.get(f"data/features/{held}")) == 273
    with faulty.client() as client:
        client.delete("/sandbox/faults")
    assert faulty.wait_until_processed(held)["status"] == "active"


def test_fork_when_the_engine_never_comes_then_the_fork_waits(faulty: Server) -> None:
    source = faulty.publish(describe(default_target_attribute="class"))
    faulty.switch_on("never-active", "POST /data/fork")
    with faulty.client() as client:
        form = {"api_key": WRITER, "data_id": str(source)}
        fork = client.post("/api/v1/json/data/fork", data=form).json()["data_fork"]["id"]
    faulty.wait_until_processed(faulty.publish(describe(default_target_attribute="class")))

    assert "processing_date" not in faulty.get(f"data/{fork}").json()["data_set_description"]


def test_dataset_when_the_engine_fails_once_then_a_reset_repairs_it(faulty: Server) -> None:
    faulty.switch_on("engine-error", "POST /data")
    dataset_id = faulty.publish(describe(default_target_attribute="class"))
    dataset = faulty.wait_until_processed(dataset_id)

    assert (dataset["status"], dataset["error"]) == (
        "in_preparation",
        "The engine failed, as it was told to.",
    )
    assert code_of(faulty.get(f"data/features/{dataset_id}")) == 274
    with faulty.client() as client:
        client.post(f"/api/v1/data/reset/{dataset_id}", data={"api_key": WRITER})
    assert faulty.wait_until_processed(dataset_id)["status"] == "active"


def test_fault_when_the_call_is_refused_for_another_reason_then_it_waits_for_the_next(faulty: Server) -> None:
    faulty.switch_on("index-junk", "POST /data")
    assert code_of(upload(faulty, "", describe(format="csv"))) == 133
    assert faults_on(faulty) == [
        {"on": "POST /data", "fault": "index-junk", "times": 1, "delay_seconds": 0.0}
    ]

    assert "cluster_block_exception" in upload(faulty, "waited").text
    assert faults_on(faulty) == []


def test_fault_when_it_is_for_another_call_then_this_one_is_well(faulty: Server) -> None:
    faulty.switch_on("empty-500", "GET /data/#", times=2)

    assert upload(faulty, "other").status_code == 200
    assert faulty.get("data/list/status/all").status_code == 200
    assert faulty.get("data/1").status_code == 500
    assert faulty.get("data/99999").status_code == 500
    assert faulty.get("data/1").status_code == 200


def test_faults_when_several_are_on_then_each_has_its_turn(faulty: Server) -> None:
    faulty.switch_on("429", "POST /data", times=2)
    faulty.switch_on("502-html", "POST /data")

    answers = [upload(faulty, "turns") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429, 429, 502, 200]
    assert answers[0].headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"on": "POST /data"}, "fault must be one of error-105-after-write, "),
        ({"on": "POST /data", "fault": "nosuch"}, "fault must be one of"),
        ({"on": "POST /dat", "fault": "429"}, "on must be * or one of the calls"),
        ({"fault": "429"}, "on must be * or one of the calls"),
        (
            {"on": "POST /data", "fault": "error-105-after-write"},
            "seen with POST /data/edit, POST /data/fork",
        ),
        ({"on": "POST /task", "fault": "race-134"}, "race-134 is seen with POST /data only"),
        ({"on": "*", "fault": "429", "times": 0}, "times must be a number from 1"),
        ({"on": "*", "fault": "429", "times": True}, "times must be a number from 1"),
        ({"on": "*", "fault": "slow"}, "slow needs delay_seconds"),
        ({"on": "*", "fault": "slow", "delay_seconds": -1}, "delay_seconds must be a number from 0"),
        ({"on": "*", "fault": "slow", "delay": 1}, "Send an object with on, fault"),
        ([], "Send an object with on, fault"),
    ],
)
def test_control_when_asked_for_what_cannot_be_then_it_says_what_to_change(
    faulty: Server, wanted: Any, told: str
) -> None:
    with faulty.client() as client:
        answer = client.post("/sandbox/faults", json=wanted)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.json()["detail"]
    assert faults_on(faulty) == []


@pytest.mark.parametrize(
    ("body", "media_type", "told"),
    [
        (b'{"on": "*", "fault": "429"}', "text/plain", "Content-Type: application/json"),
        (b"{", "application/json", "The body is no JSON"),
        (b" " * 20_000, "application/json", "Send at most 16384 bytes"),
    ],
)
def test_control_when_the_body_is_not_right_then_nothing_is_switched_on(
    faulty: Server, body: bytes, media_type: str, told: str
) -> None:
    with faulty.client() as client:
        answer = client.post("/sandbox/faults", content=body, headers={"Content-Type": media_type})

    assert (answer.status_code, told in answer.json()["detail"]) == (400, True)
    assert faults_on(faulty) == []


def test_control_when_every_fault_is_switched_on_where_it_belongs_then_it_is_taken(faulty: Server) -> None:
    for fault in FAULT_NAMES:
        for call in CALLS.get(fault, ("GET /study/+", "DELETE /task/#")):
            faulty.switch_on(fault, call, delay_seconds=1)

    assert {known["fault"] for known in faults_on(faulty)} == set(FAULT_NAMES)


def test_faults_when_the_sandbox_starts_again_then_none_is_on(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        server.switch_on("429", times=None)
        assert server.get("data/list").status_code == 429
    with serve(tmp_path) as server:
        assert server.get("data/list").status_code == 412
