"""Everything that grows has a line in docs/operations.md: how long it is kept, and a metric that shows it."""

import re
from pathlib import Path

import pytest

from app.accounts import provider_flow, undo
from app.accounts.links import CONFIRMATION_HOURS
from app.accounts.sign_in import TICKET_LIFETIME
from app.core.metrics import METRICS
from app.core.timings import Timings
from app.db import refresh_families, worker_heartbeats
from app.db.engine import Database
from app.db.every_table import metadata
from app.db.sizes import WHOLE, measure_tables
from app.db.upload_states import EXPIRE_HOURS
from app.published.folder import KEPT_BYTES
from app.uploads.lifecycle import KEEP_HOURS, QUARANTINE_DAYS
from app.worker.janitor import MAIL_RETENTION, TASK_RETENTION, TOKEN_RETENTION
from tests.conftest import Running

PAGE = (Path(__file__).parents[1] / "docs/operations.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## The first year\n")[2].partition("\n## ")[0]
LINES = [line.strip("| ").split(" | ") for line in SECTION.splitlines() if line.startswith("| ")][1:]
FOLDERS = {"uploads", "pictures", "mail", "published"}


def line_of(name: str) -> str:
    return next(kept for what, kept, _ in LINES if f"`{name}`" in what)


def test_tables_and_folders_when_listed_then_each_has_a_line_and_a_metric() -> None:
    named = [name for what, _, _ in LINES for name in re.findall(r"`([a-z_]+)`", what)]
    known = {metric.full_name for metric in METRICS}

    assert sorted(named) == sorted([*metadata.tables, *FOLDERS])
    for what, kept, watch in LINES:
        assert kept, what
        assert set(re.findall(r"`(\w+)`", watch)) <= known, what
        assert "`openml_web_" in watch, what


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("users", f"{Timings().unconfirmed_days} days"),
        ("account_tokens", f"{CONFIRMATION_HOURS} hours"),
        ("refresh_families", f"{refresh_families.ABSOLUTE.days} days, or {refresh_families.IDLE.days} "),
        ("account_changes", f"{undo.LIFETIME.days} days"),
        ("provider_flows", f"{provider_flow.FLOW_LIFETIME.seconds // 60} minutes"),
        ("pending_identities", f"{provider_flow.TICKET_LIFETIME.seconds // 3600} hour"),
        ("pending_identities", f"{CONFIRMATION_HOURS} hours"),
        ("sign_in_tickets", f"{TICKET_LIFETIME.seconds // 60} minutes"),
        ("api_tokens", f"{TOKEN_RETENTION.days} days"),
        ("audit_events", f"{Timings().audit_days} days"),
        ("outbox", f"{MAIL_RETENTION.days} days"),
        ("task_requests", f"{TASK_RETENTION.days} days"),
        ("worker_heartbeats", f"{worker_heartbeats.RETENTION.seconds // 3600} hour "),
        ("upload_parts", f"{KEEP_HOURS} hours"),
        ("upload_parts", f"{EXPIRE_HOURS} hours"),
        ("upload_parts", f"{QUARANTINE_DAYS} days"),
        ("published", f"{KEPT_BYTES // 10**9} GB"),
    ],
)
def test_line_when_it_tells_a_time_then_that_of_the_code(name: str, words: str) -> None:
    assert words in line_of(name)


@pytest.mark.parametrize("database_uri", ["sqlite", "openml"], indirect=True)
async def test_sizes_when_measured_then_of_each_table(app: Running) -> None:
    database: Database = app.resources.database
    sizes = await measure_tables(database)

    assert sizes.keys() == ({WHOLE} if database.is_sqlite else metadata.tables.keys())
    assert all(size > 0 for size in sizes.values())
