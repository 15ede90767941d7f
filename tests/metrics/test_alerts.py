"""The alerts that are shipped, the dashboard, and the runbook, whose commands are run as they stand there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from app.cli import cli
from app.core.measuring import Kind
from app.core.metrics import METRICS
from tests.conftest import find_free_port
from tests.metrics.promtool import needed
from tests.service import ADA, Service, wait_for

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(.*?)^```", RUNBOOK, re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"openml_web_[a-z_]+")


def rules() -> list[dict[str, str]]:
    found: list[dict[str, str]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    return found


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        [needed("promtool"), *arguments], capture_output=True, text=True, check=False, cwd=ALERTS.parent
    )
    assert done.returncode == 0, done.stdout + done.stderr


def check_rules(path: Path, queries: list[str]) -> None:
    """Have Prometheus read these queries."""
    written = [{"record": f"r{number}", "expr": query} for number, query in enumerate(queries)]
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": written}]}))
    promtool("check", "rules", str(path))


@pytest.mark.long
def test_alerts_when_prometheus_tries_them_then_each_comes_and_stays_away_as_it_should() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts_test.yml")
    tried = yaml.safe_load((ALERTS.parent / "alerts_test.yml").read_text())["tests"]
    outcomes = {
        (rule["alertname"], bool(rule["exp_alerts"])) for test in tried for rule in test["alert_rule_test"]
    }
    assert outcomes == {(rule["alert"], comes) for rule in rules() for comes in (True, False)}


def test_queries_when_written_then_they_name_metrics_that_there_are() -> None:
    there = {
        f"{metric.full_name}{suffix}"
        for metric in METRICS
        for suffix in (("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",))
    }
    assert {name for rule in rules() for name in _NAMED.findall(rule["expr"])} <= there
    for name in _NAMED.findall(" ".join(COMMANDS)):
        assert any(each.startswith(name) for each in there), name


def test_runbook_when_an_alert_comes_then_its_page_says_what_to_do() -> None:
    pages = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))

    assert list(pages) == [rule["alert"] for rule in rules()]
    for name, text in pages.items():
        parts = [text.find(f"**{part}:**") for part in ("Means", "Look", "Do")]
        assert -1 < parts[0] < parts[1] < parts[2], name
        assert "```sh\n" in text, name
    for rule in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]:
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_runbook_when_a_command_of_ours_stands_there_then_it_is_one() -> None:
    lines = [line for block in COMMANDS for line in block.splitlines() if line.startswith("openml-web ")]

    assert lines
    for line in lines:
        # Parsed as the command itself does, and not run.
        arguments, context = shlex.split(line)[1:], click.Context(cli)
        command: click.Command = cli
        while isinstance(command, click.Group):
            _, found, arguments = command.resolve_command(context, arguments)
            assert found is not None, line
            command = found
        command.make_context("openml-web", arguments, parent=context)


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_runbook_when_its_commands_are_run_then_each_says_something(service: Service, tmp_path: Path) -> None:
    service.environment |= {
        "METRICS_LISTEN": f"127.0.0.1:{find_free_port()}",
        "LOG_FILE": str(tmp_path / "log.json"),
        "PORT": str(service.port),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    service.start(EMBEDDED_WORKER="false")
    service.start_worker()
    service.sign_up_and_log_in()
    service.ask("POST", "/token", data={"username": ADA["email"], "password": "wrong"})

    def has_begun() -> bool:
        check = [sys.executable, "-m", "app.cli", "worker", "--check"]
        return subprocess.run(check, env=service.environment, check=False).returncode == 0

    wait_for(has_begun)
    said = [
        subprocess.run(
            ["sh", "-euc", block], env=service.environment, capture_output=True, text=True, check=False
        )
        for block in COMMANDS
    ]

    assert [(done.args[2], done.stdout, done.stderr) for done in said if done.returncode != 0] == []
    assert len(said) > len(rules())
    assert '"status":"ok"' in said[0].stdout.replace(" ", "")
    # Somebody asked, so that patterns over lines of requests find some; there is nothing to find of faults.
    finds = [block for block in COMMANDS if "| tail" not in block or '"client":' in block]
    assert all(done.stdout for done in said if done.args[2] in finds)
