"""One trace from a request over its row to the worker, the child process and OpenML, as a collector gets it."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.service import Service, wait_for
from tests.telemetry.receiver import Receiver
from tests.uploads.test_data_upload import form

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SECRET = "a-word-that-nobody-may-see"


def spans(receiver: Receiver) -> Iterator[tuple[str, Span]]:
    """Yield each span, and which process it is of."""
    for request in receiver.requests:
        if request.method != "POST":
            continue
        assert (request.path, request.headers["x-collector-key"]) == ("/v1/traces", "k 1")
        for of_process in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            process = {item.key: item.value.string_value for item in of_process.resource.attributes}
            for scope in of_process.scope_spans:
                for span in scope.spans:
                    yield process["service.instance.id"], span


def attributes(span: Span) -> dict[str, Any]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
@pytest.mark.long
def test_upload_when_traced_then_one_trace_from_the_request_to_openml_over_two_processes(
    service: Service, receiver: Receiver, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    service.environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "X-Collector-Key=k%201",
        "OTEL_TRACES_SAMPLER_ARG": "1",
        "DASHBOARD_SERVER": receiver.url,
        "LOG_FILE": str(log),
    }
    service.start(EMBEDDED_WORKER="false")
    service.start_worker()
    headers = service.sign_up_and_log_in()
    asked = {**headers, "traceparent": f"00-{TRACE}-{PARENT}-01", "baggage": f"key={SECRET}"}
    answer = service.ask("POST", f"/data-upload?word={SECRET}", headers=asked, files=form())
    assert answer.status_code == 200, answer.text
    wait_for(lambda: service.upload_reached("active"))
    service.ask("GET", "/health/live")
    service.ask("GET", "/dashboard/page", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    service.stop(signal.SIGTERM)

    found = list(spans(receiver))
    by_id = {span.span_id: (process, span) for process, span in found if span.trace_id.hex() == TRACE}
    request, page = (span for _, span in by_id.values() if span.parent_span_id.hex() == PARENT)
    assert (request.name, request.kind) == ("POST /data-upload", Span.SPAN_KIND_SERVER)
    (passed_on,) = (each for each in receiver.requests if each.method == "GET")
    assert passed_on.headers["traceparent"] == f"00-{TRACE}-{page.span_id.hex()}-01"
    assert attributes(request)["http.response.status_code"] == 200
    child = next(span for _, span in by_id.values() if span.name == "child convert")
    assert attributes(child)["process.memory.peak"] > 1_000_000
    assert lineage(by_id, child)[:2] == ["POST /data-upload", "work on uploads"]
    assert lineage(by_id, child)[-3:] == ["work on uploads", "upload checked", "child convert"]
    posts = [
        span
        for _, span in by_id.values()
        if span.name == "OpenML data" and attributes(span)["http.request.method"] == "POST"
    ]
    sent = max(posts, key=lambda span: span.start_time_unix_nano)  # the key was tried before
    assert (sent.kind, attributes(sent)["http.response.status_code"]) == (Span.SPAN_KIND_CLIENT, 200)
    assert lineage(by_id, sent)[-2:] == ["upload converted", "OpenML data"]
    assert lineage(by_id, sent)[0] == "POST /data-upload"
    assert by_id[request.span_id][0] != by_id[sent.span_id][0]

    # Every process' lines say which trace they are of, and the request's line which request it is.
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    of_trace = [line for line in lines if line.get("trace_id") == TRACE]
    assert {line["worker"] for line in of_trace} == {"web", "worker"}
    line = next(line for line in of_trace if line["event"] == "request")
    assert line["request_id"] == attributes(request)["openml.request_id"]

    everything = b"".join(received.body for received in receiver.requests)
    for hidden in (SECRET, "ada@example.org", headers["Authorization"].split()[1], "token="):
        assert hidden.encode() not in everything
    names = [span.name for _, span in found]
    assert "work on outbox" in names
    assert not any("/health/" in name for name in names)


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
@pytest.mark.long
def test_upload_when_its_trace_is_dropped_then_nothing_of_it_is_kept_and_lines_and_calls_still_name_it(
    service: Service, receiver: Receiver, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    service.environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_TRACES_SAMPLER_ARG": "1",
        "DASHBOARD_SERVER": receiver.url,
        "LOG_FILE": str(log),
    }
    service.start(EMBEDDED_WORKER="false")
    service.start_worker()
    not_kept = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
    headers = {**service.sign_up_and_log_in(), **not_kept}
    assert service.ask("POST", "/data-upload", headers=headers, files=form()).status_code == 200
    wait_for(lambda: service.upload_reached("active"))
    service.ask("GET", "/dashboard/page", headers=not_kept)
    service.stop(signal.SIGTERM)

    assert any(receiver.requests)
    assert not any(bytes.fromhex(TRACE) in each.body for each in receiver.requests)
    (passed_on,) = (each for each in receiver.requests if each.method == "GET")
    assert passed_on.headers["traceparent"] == not_kept["traceparent"]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["worker"] for line in lines if line.get("trace_id") == TRACE} == {"web", "worker"}


def lineage(by_id: dict[bytes, tuple[str, Span]], span: Span) -> list[str]:
    """Return the names of the spans from the request's to this one."""
    names = [span.name]
    while span.parent_span_id in by_id:
        span = by_id[span.parent_span_id][1]
        names.insert(0, span.name)
    return names
