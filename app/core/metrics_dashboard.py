"""A dashboard for Grafana, made of the list of metrics: a row for each group, a panel for each metric."""

import json
from collections.abc import Iterator
from typing import Any, Final

from app.core.measuring import Kind, Metric, ValueSource
from app.core.metrics import GROUPS

_ACROSS: Final = 3
"""Panels beside each other, of Grafana's 24 columns."""
_WIDTH, _HEIGHT = 24 // _ACROSS, 8
_UNITS = {"seconds": "s", "bytes": "bytes", "": "short"}
_QUANTILES = ("0.5", "0.95", "0.99")
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def dashboard_as_json() -> str:
    """Return deploy/grafana/dashboard.json."""
    document = {
        "title": "OpenML web",
        "uid": "openml-web",
        "tags": ["openml-web"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "annotations": {"list": []},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
                {
                    "name": "instance",
                    "type": "query",
                    "datasource": _SOURCE,
                    "query": "label_values(openml_web_build_info, instance)",
                    "includeAll": True,
                    "allValue": ".*",
                    "multi": True,
                    "refresh": 2,
                    "label": "Machine",
                },
            ]
        },
        "panels": list(_panels()),
    }
    return json.dumps(document, indent=2) + "\n"


def expressions(metric: Metric) -> Iterator[tuple[str, str]]:
    """Yield the queries that show a metric, each with the name of its curve."""
    name = f'{metric.full_name}{{instance=~"$instance"}}'
    labels = ", ".join(metric.labels)
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels) or metric.name
    by = f" by ({labels})" if labels else ""
    if metric.kind is Kind.HISTOGRAM:
        within = ", ".join(["le", *metric.labels[-1:]])
        buckets = f'{metric.full_name}_bucket{{instance=~"$instance"}}'
        for quantile in _QUANTILES:
            rates = f"sum by ({within}) (rate({buckets}[$__rate_interval]))"
            label = f" {{{{{metric.labels[-1]}}}}}" if metric.labels else ""
            yield f"histogram_quantile({quantile}, {rates})", f"p{float(quantile) * 100:g}{label}"
    elif metric.kind is Kind.COUNTER:
        yield f"sum{by} (rate({name}[$__rate_interval]))", legend
    else:
        # What every machine reads from one database is no sum.
        yield f"{'sum' if metric.source is ValueSource.PROCESS else 'max'}{by} ({name})", legend


def _panels() -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for title, group in GROUPS.items():
        number += 1
        row = {"h": 1, "w": 24, "x": 0, "y": y}
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": row, "panels": []}
        y += 1
        for index, metric in enumerate(group):
            number += 1
            place = {
                "h": _HEIGHT,
                "w": _WIDTH,
                "x": index % _ACROSS * _WIDTH,
                "y": y + index // _ACROSS * _HEIGHT,
            }
            yield _panel(number, metric, place)
        y += -(-len(group) // _ACROSS) * _HEIGHT


def _panel(number: int, metric: Metric, place: dict[str, int]) -> dict[str, Any]:
    unit = _UNITS[metric.unit]
    if metric.kind is Kind.COUNTER:
        unit = {"bytes": "Bps", "s": "percentunit"}.get(unit, "reqps")
    return {
        "id": number,
        "type": "timeseries",
        "title": metric.name.removesuffix("_total").replace("_", " "),
        "description": metric.help,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {
            "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": chr(ord("A") + index), "expr": expression, "legendFormat": legend}
            for index, (expression, legend) in enumerate(expressions(metric))
        ],
    }
