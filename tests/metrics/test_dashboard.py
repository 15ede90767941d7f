"""The dashboard that is shipped: its structure, its queries, and Grafana's own types of it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.core.metrics import METRICS
from app.core.metrics_dashboard import dashboard_as_json, expressions
from tests.metrics.test_alerts import check_rules
from tests.node_clients import installed

DASHBOARD: dict[str, Any] = json.loads(dashboard_as_json())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
COLUMNS = 24
TYPES = Path(__file__).parent / "grafana_js"


def squares(place: dict[str, int]) -> set[tuple[int, int]]:
    return {
        (place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])
    }


def test_panels_when_placed_then_each_has_a_number_and_a_place_of_its_own() -> None:
    places = [squares(panel["gridPos"]) for panel in PANELS]

    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len(set().union(*places)) == sum(map(len, places))
    assert all(0 <= x < COLUMNS for x, _ in set().union(*places))
    for panel in PANELS:
        names = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(names)) == len(names), panel["title"]


def test_variables_when_used_then_they_are_defined_and_each_is_used() -> None:
    defined = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS))) - {"__rate_interval"}

    assert used == defined
    assert {panel["datasource"]["uid"] for panel in PANELS if panel["type"] != "row"} == {"${datasource}"}


def test_queries_when_prometheus_reads_them_then_all_are_queries(tmp_path: Path) -> None:
    queries = [query for metric in METRICS for query, _ in expressions(metric)]
    written = [query.replace("$instance", ".*").replace("$__rate_interval", "1m") for query in queries]

    check_rules(tmp_path / "rules.yml", written)
    assert [each["expr"] for panel in PANELS for each in panel.get("targets", [])] == queries


def constants() -> list[str]:
    """The dashboard and its parts as constants of Grafana's types, whose parts are open in the whole."""
    parts = [("Dashboard", DASHBOARD)]
    for panel in PANELS:
        if panel["type"] == "row":
            parts.append(("RowPanel", panel))
            continue
        parts += [("Panel", panel), ("Options", panel["options"])]
        parts += [("Dataquery", target) for target in panel["targets"]]
    return [f"export const c{n}: Plain<{kind}> = {json.dumps(part)};" for n, (kind, part) in enumerate(parts)]


@pytest.mark.long
def test_document_when_read_by_grafanas_types_then_nothing_is_missing_or_unknown() -> None:
    folder = installed(TYPES, "*.ts")
    assert compiled(folder, constants()) == []

    panel = next(panel for panel in PANELS if panel["type"] == "timeseries")
    wrong = json.dumps({**panel, "fieldConfig": {**panel["fieldConfig"], "colours": 1}})
    assert "'\"colours\"' does not exist" in compiled(folder, [f"export const c: Plain<Panel> = {wrong};"])[0]


def compiled(folder: Path, lines: list[str]) -> list[str]:
    """What TypeScript says of these lines."""
    sdk = "@grafana/grafana-foundation-sdk"
    imports = [
        f"import type {{ Dashboard, Panel, RowPanel }} from '{sdk}/dashboard';",
        f"import type {{ Dataquery }} from '{sdk}/prometheus';",
        f"import type {{ Options }} from '{sdk}/timeseries';",
        "import type { Plain } from './plain.js';",
    ]
    (folder / "dashboard.ts").write_text("\n".join([*imports, *lines]))
    options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022"]
    done = subprocess.run(
        ["npx", "--no-install", "tsc", *options, "dashboard.ts"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return [line for line in done.stdout.splitlines() if "error TS" in line]
