"""Everything that grows has a line in docs/operations.md: how long it is kept, and a metric that shows it."""

import ast
import importlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import app as package
from app.accounts import provider_flow, second_factor, undo
from app.accounts.links import CONFIRMATION_HOURS
from app.accounts.sign_in import TICKET_LIFETIME
from app.core import challenges
from app.core.metrics import METRICS
from app.core.timings import Timings
from app.db import index_changes, refresh_families, worker_heartbeats
from app.db.engine import Database
from app.db.every_table import metadata
from app.db.sizes import WHOLE, measure_tables
from app.db.upload_states import EXPIRE_HOURS
from app.published.folder import KEPT_BYTES
from app.uploads.lifecycle import KEEP_HOURS, QUARANTINE_DAYS
from app.worker.janitor import MAIL_RETENTION, TASK_RETENTION, TOKEN_RETENTION
from tests.conftest import Running

APP = Path(package.__file__).parent
PAGE = (APP.parent / "docs/operations.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## The first year\n")[2].partition("\n## ")[0]
LINES = [line.strip("| ").split(" | ") for line in SECTION.splitlines() if line.startswith("| ")][1:]
NOT_IN_PRODUCTION = {"sandbox"}
"""What `openml-web sandbox` keeps, a program of its own."""
SPANS: dict[str, Sequence[str]] = {
    "users": [f"{Timings().unconfirmed_days} days"],
    "account_tokens": [f"{CONFIRMATION_HOURS} hours"],
    "refresh_families": [
        f"{refresh_families.ABSOLUTE.days} days",
        f"or {refresh_families.IDLE.days} without use",
    ],
    "account_changes": [f"{undo.LIFETIME.days} days"],
    "provider_flows": [f"{provider_flow.FLOW_LIFETIME.seconds // 60} minutes"],
    "pending_identities": [
        f"{provider_flow.TICKET_LIFETIME.seconds // 3600} hour",
        f"{CONFIRMATION_HOURS} hours",
    ],
    "sign_in_tickets": [f"{TICKET_LIFETIME.seconds // 60} minutes"],
    "spent_challenges": [f"{challenges.LIFETIME.seconds // 60} minutes"],
    "factor_resets": [f"{second_factor.RESET_DELAY.days * 24} hours"],
    "api_tokens": [f"{TOKEN_RETENTION.days} days"],
    "audit_events": [f"{Timings().audit_days} days"],
    "outbox": [f"{MAIL_RETENTION.days} days"],
    "task_requests": [f"{TASK_RETENTION.days} days"],
    "index_changes": [f"{index_changes.RETENTION.days} days"],
    "worker_heartbeats": [f"{worker_heartbeats.RETENTION.seconds // 3600} hour"],
    "upload_parts": [f"{KEEP_HOURS} hours", f"{EXPIRE_HOURS} hours", f"{QUARANTINE_DAYS} days"],
    "published": [f"{KEPT_BYTES // 10**9} GB"],
}
"""Every span that a line tells, as the code has it."""


def line_of(name: str) -> str:
    return next(kept for what, kept, _ in LINES if f"`{name}`" in what)


def places_in(source: str, module: str) -> Iterator[str]:
    """What a module puts below DATA_DIR, by its first part; of a name with a number in it what stands before that."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.BinOp(left=left, op=ast.Div(), right=right) if _is_data_dir(left):
                match right:
                    case ast.Constant(value=str(name)):
                        yield name
                    case ast.JoinedStr(values=[ast.Constant(value=str(begin)), *_]):
                        yield begin
                    case ast.Name(id=constant):
                        yield str(getattr(importlib.import_module(module), constant))
                    case _:
                        raise AssertionError(f"{module}:{node.lineno} names nothing that can be looked up")


def _is_data_dir(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(attr="data_dir") | ast.Name(id="data_dir"):
            return True
        case ast.Call(func=ast.Attribute(value=value, attr="resolve")):
            return _is_data_dir(value)
    return False


def places() -> set[str]:
    """Every file and folder of DATA_DIR that some module names."""
    found = set[str]()
    for path in APP.rglob("*.py"):
        if "data_dir" in (source := path.read_text(encoding="utf-8")):
            module = ".".join(path.relative_to(APP.parent).with_suffix("").parts)
            found |= set(places_in(source, module))
    return found - NOT_IN_PRODUCTION


def test_place_when_a_module_puts_something_into_the_folder_then_seen() -> None:
    source = "a = settings.data_dir / 'new' / 'x'\nb = self.data_dir.resolve() / f'mark-{port}'\nc = data_dir / UPLOADS"

    assert sorted(places_in(source, "app.backup.site")) == ["mark-", "new", "uploads"]
    with pytest.raises(AssertionError, match="m:1 names nothing"):
        list(places_in("x.data_dir / name()", "m"))


def test_tables_and_places_when_listed_then_each_has_a_line_and_a_metric() -> None:
    named = [name for what, _, _ in LINES for name in re.findall(r"`([a-z_][a-z_.-]*)", what)]
    known = {metric.full_name for metric in METRICS}

    assert sorted(named) == sorted([*metadata.tables, *places()])
    for what, kept, watch in LINES:
        assert kept, what
        assert set(re.findall(r"`(\w+)`", watch)) <= known, what
        assert "`openml_web_" in watch, what


def test_lines_when_they_tell_spans_then_those_of_the_code() -> None:
    for name, spans in SPANS.items():
        assert [span for span in spans if span not in line_of(name)] == [], name
    for what, kept, _ in LINES:
        known = " ".join(" ".join(SPANS.get(name, ())) for name in re.findall(r"`(\w+)`", what))
        told = re.findall(r"\b(\d+) (?:seconds?|minutes?|hours?|days?|GB|without)", kept)
        assert [number for number in told if number not in known.split()] == [], what


@pytest.mark.parametrize("database_uri", ["sqlite", "openml"], indirect=True)
async def test_sizes_when_measured_then_of_each_table(app: Running) -> None:
    database: Database = app.resources.database
    sizes = await measure_tables(database)

    assert sizes.keys() == ({WHOLE} if database.is_sqlite else metadata.tables.keys())
    assert all(size > 0 for size in sizes.values())
