"""The one list of metrics, and what Prometheus' own tool says of it."""

import re
from pathlib import Path

import pytest

from app.core.measuring import Kind
from app.core.metrics import METRICS
from app.core.setting_checks import read_listen_address

APP = Path(__file__).parents[2] / "app"


def test_names_when_listed_then_each_once_and_as_prometheus_wants_them() -> None:
    names = [metric.full_name for metric in METRICS]

    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total"), metric.name
        assert metric.help.endswith("."), metric.name
        assert (metric.kind is Kind.HISTOGRAM) == bool(metric.buckets), metric.name
        assert not metric.known or all(len(each) == len(metric.labels) for each in metric.known), metric.name


def test_metrics_when_listed_then_each_is_measured_somewhere() -> None:
    sources = "".join(path.read_text() for path in APP.rglob("*.py"))
    listed = (APP / "core/metrics.py").read_text()
    constants = re.findall(r"^([A-Z_]+) = _metric\(", listed, re.MULTILINE)

    assert len(constants) == len(METRICS)
    assert [name for name in constants if f"metrics.{name}" not in sources] == []


@pytest.mark.parametrize(
    "text", ["9464", ":9464", "127.0.0.1", "127.0.0.1:", "::1:9464", "[::1]", "a:0", "a:65536", "http://a:1"]
)
def test_address_when_it_is_none_then_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="write host:port"):
        read_listen_address(text)
    assert read_listen_address("[::1]:9464") == ("::1", 9464)
